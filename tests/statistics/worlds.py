"""Seeded synthetic traffic for calibration: the arms' laws of statistics-numbers.md, read window by window."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from controller.stats.bins import CELLS_PER_DECADE, SCORE_CELLS, Axis
from controller.stats.criterion import CriterionSetting, ProcessState, Reading, age_s, fold, start
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Values]

INCUMBENT_BODY, INCUMBENT_TAIL = (-0.151, 0.22), (0.375, 0.30)
SWAP_BODY, SWAP_TAIL = (1.065, 0.30), (1.790, 0.35)


def latencies(rng: np.random.Generator, n: int) -> Values:
    """Mean .90 s, p50 .866 s, p95 1.30 s, p99 1.70 s."""
    tail = rng.random(n) < 0.03
    return np.where(tail, rng.lognormal(*INCUMBENT_TAIL, n), rng.lognormal(*INCUMBENT_BODY, n))


def swap_latencies(rng: np.random.Generator, n: int) -> Values:
    """Mean 3.20 s, p99 8.10 s: the bad swap."""
    tail = rng.random(n) < 0.05
    return np.where(tail, rng.lognormal(*SWAP_TAIL, n), rng.lognormal(*SWAP_BODY, n))


def times(factor: float, draw: Draw) -> Draw:
    return lambda rng, n: factor * draw(rng, n)


def flags(rate: float) -> Draw:
    return lambda rng, n: (rng.random(n) < rate).astype(float)


def scores(exact: float, a: float, b: float) -> Draw:
    """1 with probability `exact`, else Beta(a, b): OCR accuracy."""
    return lambda rng, n: np.where(rng.random(n) < exact, 1.0, rng.beta(a, b, n))


GOOD_TEXT, BAD_TEXT = scores(0.75, 8, 2), scores(0.60, 6, 2)  # means .95 and .90


def cells_of(axis: Axis, values: Values) -> NDArray[np.int64]:
    match axis:
        case Axis.LOG:
            return np.floor(np.log10(values) * CELLS_PER_DECADE).astype(int)
        case Axis.SCORE:
            return np.round(values * SCORE_CELLS).astype(int)
        case Axis.BINARY:
            return values.astype(int)


def class_tally(metric: str, axis: Axis, values: Values, resolved: NDArray[np.bool_] | None = None) -> ClassTally:
    seen = values if resolved is None else values[resolved]
    cells, numbers = np.unique(cells_of(axis, seen), return_counts=True)
    return ClassTally(len(values), {metric: dict(zip(cells.tolist(), numbers.tolist(), strict=True))})


def begin(setting: CriterionSetting, rng: np.random.Generator, draw: Draw, n: int = 5000) -> ProcessState:
    """Start a criterion with a history of n incumbent requests."""
    tally = class_tally(setting.metric, setting.axis, draw(rng, n))
    return start(setting, WindowTally({Arm.INCUMBENT: {"a": tally}}))


def run(
    states: Sequence[ProcessState],
    rng: np.random.Generator,
    incumbent: Draw,
    candidate: Draw,
    shares: Sequence[float],
    n: int,
    drift: Callable[[float], float] = lambda _: 1.0,
) -> Iterator[list[ProcessState]]:
    """Yield the states after each window of n requests; latencies are read at exactly each criterion's age."""
    folded = list(states)
    for w, share in enumerate(shares):
        on_candidate = rng.random(n) < share
        scale = drift(w / len(shares))
        drawn = {}
        for arm, chosen, draw in ((Arm.INCUMBENT, ~on_candidate, incumbent), (Arm.CANDIDATE, on_candidate, candidate)):
            k = int(chosen.sum())
            if k:
                drawn[arm] = (draw(rng, k) * scale, WINDOW_S * rng.random(k))
        for i, state in enumerate(folded):
            setting = state.setting
            age = age_s(state, 1000 + w)
            arms = {
                arm: {
                    "a": class_tally(
                        setting.metric, setting.axis, values, values <= age + spare if setting.is_elapsed else None
                    )
                }
                for arm, (values, spare) in drawn.items()
            }
            folded[i] = fold(state, Reading(1, 1000 + w, share, WindowTally(arms)))
        yield folded
