"""Ray Serve's many states as the five phases of a model application.

`ready` needs a running replica, not only a status: Serve calls a deployment healthy that has none. Serve's
controller restarting reports every application as deploying for a moment, which an immutable application
that was ready never is by itself; such a relapse is believed only when it lasts.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from controller.ports import AppStatus

RELAPSE_S: Final = 10.0
_COLOURS: Final = re.compile(r"\x1b\[\d*m")
_PHASES: Final = {
    "NOT_STARTED": "deploying",
    "DEPLOYING": "deploying",
    "RUNNING": "ready",
    "UNHEALTHY": "unhealthy",
    "DEPLOY_FAILED": "failed",
    "DELETING": "absent",
}

Overview = Mapping[str, Any]
"""An application as Serve's REST API describes it (`GET /api/serve/applications/`)."""


def exists(overview: Overview) -> bool:
    """Say whether an application is there to stay: one that is being deleted is not."""
    return bool(_PHASES[_name(overview["status"])] != "absent")


def app_status(name: str, overview: Overview) -> AppStatus:
    """Translate one application."""
    deployments = overview["deployments"].values()
    replicas = (replica for deployment in deployments for replica in deployment["replicas"])
    running = sum(_name(replica["state"]) == "RUNNING" for replica in replicas)
    phase = _PHASES[_name(overview["status"])]
    messages = [overview["message"], *(deployment["message"] for deployment in deployments)]
    if phase == "ready" and running == 0:
        phase, messages = "unhealthy", ["no replica is running", *messages]
    return AppStatus(name, phase, " ".join(filter(None, map(_gist, messages))), running)


class Debounce:
    """Remembers who was ready, and holds that for RELAPSE_S against `deploying`."""

    def __init__(self) -> None:
        self._ready: dict[str, tuple[AppStatus, float]] = {}

    def __call__(self, found: Mapping[str, AppStatus], now_s: float) -> dict[str, AppStatus]:
        """Return what to believe of what was found at a monotonic time."""
        for name, status in found.items():
            if status.phase == "ready":
                self._ready[name] = status, now_s
        self._ready = {name: known for name, known in self._ready.items() if name in found}
        return {name: self._believed(status, now_s) for name, status in found.items()}

    def forget(self, name: str) -> None:
        """Take note that an application is meant to go."""
        self._ready.pop(name, None)

    def _believed(self, status: AppStatus, now_s: float) -> AppStatus:
        known, seen_s = self._ready.get(status.name, (status, now_s))
        relapsed = status.phase == "deploying" and known.phase == "ready"
        return known if relapsed and now_s - seen_s < RELAPSE_S else status


def _gist(message: str) -> str:
    """Return a message without its traceback: what was said before it, and its last line, the exception."""
    lines = [line for line in _COLOURS.sub("", message).splitlines() if line.strip()]
    if not any("Traceback" in line for line in lines):
        return " ".join(line.strip() for line in lines)
    return f"{lines[0].strip().removesuffix('Error:').strip()} {lines[-1].strip()}"


def _name(state: Any) -> str:
    return str(getattr(state, "value", state))
