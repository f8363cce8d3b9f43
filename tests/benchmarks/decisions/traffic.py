"""One rollout's requests as the rules of other tools see them: drawn by our simulator, summed up by the minute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.sim.conditions import START_S
from controller.sim.rows import Rows
from controller.sim.world import World
from controller.stats.bins import Axis
from controller.stats.columns import NO_VALUE, Bools, Floats, Ints, values_of
from controller.stats.tally import WINDOW_S
from tests.benchmarks.decisions.ours import world
from tests.benchmarks.decisions.worlds import Setting

METRICS = ("latency", "failure", "cost", "loss")
"""What a rule may look at; `loss` is 1 - text accuracy."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's requests in order: seconds since the start, and the values, NaN where a request has none."""

    at_s: Floats
    values: dict[str, Floats]

    def before(self, moment_s: float) -> int:
        """Return how many came before a moment."""
        return int(np.searchsorted(self.at_s, moment_s))

    def kept(self, rows: Bools) -> "Arm":
        """Return some of the requests."""
        return Arm(self.at_s[rows], {name: values[rows] for name, values in self.values.items()})


@dataclass(frozen=True, slots=True)
class Traffic:
    """Both arms, and `baseline`, a part of the incumbent's requests as large as the candidate's at every step."""

    candidate: Arm
    incumbent: Arm
    baseline: Arm
    minutes: int

    @property
    def duration_s(self) -> float:
        """Return the length of the rollout."""
        return 60.0 * self.minutes


@dataclass(frozen=True, slots=True)
class Minutes:
    """A metric of one arm by the minute: requests with a value, their sum and their sum of squares."""

    n: Floats
    total: Floats
    squares: Floats

    def so_far(self) -> "Minutes":
        """Return the same from the start up to each minute."""
        return Minutes(np.cumsum(self.n), np.cumsum(self.total), np.cumsum(self.squares))

    def mean(self) -> Floats:
        """Return the mean, NaN where there is no request."""
        return _divided(self.total, self.n)

    def variance(self) -> Floats:
        """Return the sample variance, NaN below two requests."""
        spread = self.squares - self.total**2 / np.maximum(self.n, 1.0)
        return _divided(spread, self.n - 1.0)


def draw(setting: Setting, seed: int, run: int) -> Traffic:
    """Return one run's requests along the course of a setting."""
    scenario = replace(world(setting), duration_s=setting.duration_s)
    drawn, rng = World(scenario, seed, run), np.random.default_rng([seed, run, 1])
    arms: list[list[Arm]] = [[], [], []]
    windows = round(setting.duration_s / WINDOW_S)
    for share, first, last in _steps(setting, windows):
        rows = drawn.draw(START_S + first * float(WINDOW_S), last - first, share, 0)
        assert isinstance(rows, Rows)  # windows hold at most 50 requests here, so each is drawn
        drawn.images += int(rows.candidate.sum())
        order = np.argsort(rows.arrival_s)
        every = Arm(rows.arrival_s[order] - START_S, _values(rows.latency_s[order], rows.cells, order))
        candidate = rows.candidate[order]
        chosen = ~candidate & (rng.random(len(candidate)) < min(1.0, share / (1.0 - share)))
        for arm, kept in zip(arms, (candidate, ~candidate, chosen), strict=True):
            arm.append(every.kept(kept))
    candidates, incumbents, baseline = (_joined(parts) for parts in arms)
    return Traffic(candidates, incumbents, baseline, round(setting.duration_s / 60.0))


def by_minute(arm: Arm, metric: str, minutes: int) -> Minutes:
    """Return a metric's sums for each minute."""
    values = arm.values[metric]
    known = ~np.isnan(values)
    minute = np.minimum((arm.at_s[known] // 60.0).astype(np.int64), minutes - 1)
    sums = [np.bincount(minute, values[known] ** power, minutes).astype(np.float64) for power in (0.0, 1.0, 2.0)]
    return Minutes(sums[0], sums[1], sums[2])


def points(arm: Arm, statistic: str, metric: str, minutes: int) -> Floats:
    """Return a statistic (mean, p50, p95, p99) of each minute, NaN where it has no request."""
    if statistic == "mean":
        return by_minute(arm, metric, minutes).mean()
    values = arm.values[metric]
    known = ~np.isnan(values)
    minute = np.minimum((arm.at_s[known] // 60.0).astype(np.int64), minutes - 1)
    order = np.lexsort((values[known], minute))
    n = np.bincount(minute, minlength=minutes)
    rank = np.maximum(np.ceil(float(statistic[1:]) / 100.0 * n).astype(np.int64), 1) - 1
    at = np.minimum(np.cumsum(n) - n + rank, max(len(order) - 1, 0))
    found = values[known][order][at] if len(order) else np.full(minutes, np.nan)
    return np.where(n > 0, found, np.nan)


def _divided(total: Floats, n: Floats) -> Floats:
    return np.asarray(np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0))


def _steps(setting: Setting, windows: int) -> Iterator[tuple[float, int, int]]:
    first, passed = 0, 0.0
    for share, part in setting.course.steps:
        passed += part
        last = round(windows * min(passed, 1.0))
        yield share, first, last
        first = last


def _values(latency_s: Floats, cells: Mapping[str, Ints], order: Ints) -> dict[str, Floats]:
    failed = cells["failure"][order] > 0

    def valued(metric: str, axis: Axis) -> Floats:
        cell = cells[metric][order]
        return np.where(cell == NO_VALUE, np.nan, values_of(axis, np.where(cell == NO_VALUE, 0, cell)))

    return {
        "latency": np.where(failed, np.nan, latency_s),
        "failure": failed.astype(np.float64),
        "cost": valued("cost_usd", Axis.LOG),
        "loss": 1.0 - valued("text_accuracy", Axis.SCORE),
    }


def _joined(parts: list[Arm]) -> Arm:
    return Arm(
        np.concatenate([part.at_s for part in parts]),
        {name: np.concatenate([part.values[name] for part in parts]) for name in METRICS},
    )
