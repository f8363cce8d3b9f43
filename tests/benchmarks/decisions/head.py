"""Head to head: the same worlds under our rule and under the ports of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.decisions import ours
from tests.benchmarks.decisions.outcome import Call
from tests.benchmarks.decisions.ports import RULES
from tests.benchmarks.decisions.traffic import draw
from tests.benchmarks.decisions.worlds import COURSES, FAULTS, STEADY, Setting

PER_MINUTE = (1, 10, 60, 600)
OURS = "ours"
NAMES = (*RULES, OURS)
EACH = "ours, asked after each request"
EXTRA = {"cost": "cost", "text": "loss"}
"""What the ports look at beside latency and failures, where that is at fault."""


@dataclass(frozen=True, slots=True)
class OthersCell:
    """All ports on the same requests of one world."""

    setting: Setting

    @property
    def key(self) -> str:
        """Return the name in the book of results."""
        return f"others/{name_of(self.setting)}"

    def decide(self, seed: int, run: int) -> Sequence[Call]:
        """Return how a run ends under each port."""
        traffic = draw(self.setting, seed, run)
        return [rule(traffic, EXTRA.get(self.setting.fault)) for rule in RULES.values()]


@dataclass(frozen=True, slots=True)
class OursCell:
    """Our rule in one world, asked after each window of 5 s or after each request."""

    setting: Setting
    each_request: bool = False

    @property
    def key(self) -> str:
        """Return the name in the book of results."""
        return f"{'each' if self.each_request else 'ours'}/{name_of(self.setting)}"

    def decide(self, seed: int, run: int) -> Sequence[Call]:
        """Return how a run ends."""
        return [ours.decide(self.setting, seed, run, each_request=self.each_request)]


def name_of(setting: Setting) -> str:
    """Return a setting's name."""
    return f"{setting.fault}/{setting.per_minute}/{setting.course.name}"


def settings() -> list[Setting]:
    """Return every world: an identical candidate on every course, the faults at a steady share of 10 %."""
    same = [Setting("same", rate, course) for course in COURSES for rate in PER_MINUTE]
    return same + [Setting(fault, rate, STEADY) for fault in FAULTS if fault != "same" for rate in PER_MINUTE]


def each_request(fault: str) -> OursCell:
    """Return our rule asked after each request, at a steady share of 10 %: the same at any rate."""
    return OursCell(Setting(fault, max(PER_MINUTE), STEADY), each_request=True)
