"""Following a rollout to its end, whatever happens to the controller meanwhile."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.cli.client import Client
from controller.cli.page import number
from controller.cli.words import percent, rollout_line
from controller.errors import UnavailableError

PERIOD_S = 0.5
DECIDED = {"pass", "fail"}
"""Verdicts whose coming and going is news; the others alternate while evidence is thin."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen of a rollout; `problem` says why it could not be seen now, `view` is then the last one seen."""

    view: dict[str, Any] | None
    problem: str | None = None


def glimpses(client: Client, rollout: str, period_s: float = PERIOD_S) -> Iterator[Glimpse]:
    """Yield a look at the rollout every `period_s` until it is over; a controller that is gone is tried again."""
    view = None
    while view is None or view["open"]:
        try:
            view = client.get(f"/rollouts/{rollout}")
            yield Glimpse(view)
        except UnavailableError:
            yield Glimpse(view, f"controller unreachable at {client.url}, retrying")
        if view is None or view["open"]:
            time.sleep(period_s)


class Changes:
    """Turns glimpses into lines, one per change that matters."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] = ()
        self._problem: str | None = None

    def of(self, glimpse: Glimpse) -> list[str]:
        """Return what is new since the last glimpse."""
        lines = []
        if glimpse.problem != self._problem:
            self._problem = glimpse.problem
            lines.append(glimpse.problem or "controller reachable again")
        view = glimpse.view
        if view is None or glimpse.problem:
            return lines
        verdicts = tuple((item["title"], item["verdict"]) for item in view["criteria"])
        seen = (view["state"], view["stage"], view["reason"], verdicts)
        if seen[:3] != self._seen[:3]:
            lines.append(f"{rollout_line(view)}{_numbers(view)}")
        elif verdicts != self._seen[3]:
            before = dict(self._seen[3])
            lines += [
                f"{view['id']} {item['title']}: {item['verdict'].replace('_', ' ')}: {item['reason']}"
                for item in view["criteria"]
                if item["verdict"] != before.get(item["title"])
                and {item["verdict"], before.get(item["title"])} & DECIDED
            ]
        self._seen = seen
        return lines


def _numbers(view: dict[str, Any]) -> str:
    if not view["open"] or not view["requests"]["candidate"]:
        return ""
    needed = view["evidence"]["needed"]
    evidence = f", evidence of harm {number(view['evidence']['harm'])} of {number(needed)}" if needed else ""
    return f" (share {percent(view['share_wanted'])}, {view['requests']['candidate']} candidate images{evidence})"
