"""Small worlds for the statistics' tests: settings, tallies and exact expectations over every coin and outcome."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from controller.stats.bins import Axis
from controller.stats.counts import ClassCounts, Counts
from controller.stats.criterion import CriterionSetting, ProcessState, Reading, Statistic, fold, start
from controller.stats.reading import ArmView
from controller.stats.tally import Arm, ClassTally, WindowTally

Law = Mapping[int | None, float]
"""Cell (None: unresolved) -> probability."""


def latency(statistic: Statistic = Statistic.P95, **margins: float) -> CriterionSetting:
    return CriterionSetting("latency_s", Axis.LOG, True, statistic, **(margins or {"max_ratio": 1.1}))


def cost(**margins: float) -> CriterionSetting:
    return CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, **(margins or {"max_ratio": 1.1}))


def score(**margins: float) -> CriterionSetting:
    return CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, **(margins or {"max_drop": 0.02}))


def rate(**margins: float) -> CriterionSetting:
    return CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, **(margins or {"max_increase": 0.005}))


def tally(metric: str, requests: Iterable[tuple[Arm, str, int | None]]) -> WindowTally:
    """Return the tally of (arm, class, cell or None) requests."""
    cells: dict[Arm, dict[str, dict[int, int]]] = {}
    assigned: dict[tuple[Arm, str], int] = {}
    for arm, name, cell in requests:
        mine = cells.setdefault(arm, {}).setdefault(name, {})
        assigned[arm, name] = assigned.get((arm, name), 0) + 1
        if cell is not None:
            mine[cell] = mine.get(cell, 0) + 1
    return WindowTally(
        {
            arm: {
                name: ClassTally(assigned[arm, name], {metric: counts} if counts else {})
                for name, counts in classes.items()
            }
            for arm, classes in cells.items()
        }
    )


def counts(metric: str, arms: Mapping[Arm, Mapping[str, Mapping[int, int]]]) -> WindowTally:
    """Return the tally of arm -> class -> cell -> requests, all resolved."""
    return WindowTally(
        {
            arm: {name: ClassTally(sum(cells.values()), {metric: dict(cells)}) for name, cells in classes.items()}
            for arm, classes in arms.items()
        }
    )


def view(assigned: int, cells: Mapping[int, int], unresolved: int = 0) -> ArmView:
    """Return one arm's latencies over normalised cells, as a test reads them."""
    return ArmView(assigned, Counts.of(cells), unresolved, ClassCounts.none(), np.zeros(0, dtype=np.int64), 0)


def history(metric: str, cells: Mapping[int, int], name: str = "a") -> WindowTally:
    return counts(metric, {Arm.INCUMBENT: {name: cells}})


def readings(metric: str, share: float, windows: Sequence[Iterable[tuple[Arm, str, int | None]]]) -> list[Reading]:
    return [Reading(1, 100 + k, share, tally(metric, requests)) for k, requests in enumerate(windows)]


def fold_all(state: ProcessState, all_readings: Iterable[Reading]) -> ProcessState:
    for reading in all_readings:
        state = fold(state, reading)
    return state


def expectation(
    state: ProcessState,
    shares: Sequence[float],
    n: int,
    incumbent: Law,
    candidate: Law,
    value: Callable[[ProcessState], float],
) -> float:
    """Return E[exp(value)] over every coin and outcome of n requests in each of len(shares) windows."""
    total = 0.0
    laws = {Arm.INCUMBENT: incumbent, Arm.CANDIDATE: candidate}
    outcomes = [(arm, cell, p) for arm, law in laws.items() for cell, p in law.items()]
    for drawn in itertools.product(outcomes, repeat=n * len(shares)):
        probability, folded = 1.0, state
        for w, share in enumerate(shares):
            window = drawn[w * n : (w + 1) * n]
            for arm, _, p in window:
                probability *= p * (share if arm is Arm.CANDIDATE else 1.0 - share)
            requests = [(arm, "a", cell) for arm, cell, _ in window]
            folded = fold(folded, Reading(w, 100 + w, share, tally(state.setting.metric, requests)))
        total += probability * math.exp(value(folded))
    return total


def fresh(setting: CriterionSetting, cells: Mapping[int, int]) -> ProcessState:
    """Return a criterion that starts from a history of one class, without its report."""
    return start(setting, history(setting.metric, cells))
