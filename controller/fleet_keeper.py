"""Keeps the serving platform equal to what the loop wants, on a thread of its own.

Calls to the serving platform may take seconds or hang; the loop renews leases every tick and must never wait for
them. The loop states what it wants and reads what was last seen.
"""

import threading
from collections.abc import Mapping

import structlog

from controller.core.facts import Check
from controller.core.lane import Lane
from controller.core.spec import ModelSpec
from controller.errors import GatectlError
from controller.ports import AppStatus, Fleet

log = structlog.get_logger(__name__)

App = tuple[ModelSpec, Lane]

CALM_PERIODS = 4
"""Looking costs the serving platform tens of milliseconds of a core, so it is asked less often while nothing is due."""


class FleetKeeper:
    """Deploys wanted applications, removes unwanted ones, and draws a first image from new ones."""

    def __init__(self, fleet: Fleet, period_s: float = 0.5) -> None:
        self._fleet = fleet
        self._period_s = period_s
        self._lock = threading.Lock()
        self._wanted: Mapping[str, App] | None = None
        self._to_probe: set[str] = set()
        self._seen: Mapping[str, AppStatus] | None = None
        self._probes: dict[str, Check] = {}
        self._wake = threading.Event()

    def want(self, apps: Mapping[str, App], probe: set[str]) -> None:
        """State which applications should run and which of them must draw a first image."""
        with self._lock:
            changed = self._wanted is None or set(apps) != set(self._wanted) or probe != self._to_probe
            self._wanted, self._to_probe = apps, probe
            self._probes = {name: check for name, check in self._probes.items() if name in apps}
        if changed:
            self._wake.set()

    def status(self, name: str) -> AppStatus | None:
        """Return what was last seen of an application, None while the platform was never seen."""
        with self._lock:
            return None if self._seen is None else self._seen.get(name, AppStatus(name, "absent"))

    def probe(self, name: str) -> Check | None:
        """Return how the first image of an application went, None until it was tried."""
        with self._lock:
            return self._probes.get(name)

    def run(self, stop: threading.Event) -> None:
        """Keep going until `stop` is set; a platform that can't answer is tried again."""
        while not stop.is_set():
            calm = False
            try:
                calm = self.reconcile()
            except GatectlError as error:
                log.warning("serving platform not reached", error=str(error))
            except Exception:
                log.exception("reconciling the serving platform failed")
            self._wake.wait(self._period_s * (CALM_PERIODS if calm else 1))
            self._wake.clear()

    def reconcile(self) -> bool:
        """Compare once what runs with what is wanted, act on the difference, and probe what became ready.

        Returns whether all was as wanted, so that nothing is to come by itself.
        """
        seen = self._fleet.status()
        with self._lock:
            self._seen = seen
            wanted, to_probe = self._wanted, set(self._to_probe)
        if wanted is None:
            return False
        for name, (spec, lane) in wanted.items():
            if name not in seen:
                log.info("deploying", app=name)
                self._fleet.deploy(name, spec, lane)
        for name in seen:
            if name not in wanted:
                log.info("removing", app=name)
                self._fleet.remove(name)
        for name in sorted(to_probe):
            if name in wanted and name not in self._probes and name in seen and seen[name].phase == "ready":
                self._draw(name, *wanted[name])
        return seen.keys() == wanted.keys() and all(app.phase == "ready" for app in seen.values())

    def _draw(self, name: str, spec: ModelSpec, lane: Lane) -> None:
        check = Check(self._fleet.probe(name, spec, lane.timeout_s))
        with self._lock:
            self._probes[name] = check
        log.info("first image", app=name, problem=check.problem)
