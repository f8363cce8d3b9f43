"""Sample-ratio mismatch: do assignments follow the recorded share? (statistics.md §6).

A two-sided likelihood-ratio e-process against the recorded coin,

    E = (1/K) sum_k prod (p_k / pi)^A ((1 - p_k) / (1 - pi))^(1 - A),   p_k = pi o_k / (1 - pi + pi o_k),

valid for a changing share. An alarm means the evidence can't be trusted, not that the candidate is bad. Run it on
assigned requests and, separately, on requests with a resolved outcome (telemetry missing in one arm).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.stats.course import Course, Piece
from controller.stats.elementary import exp_of, log_of
from controller.stats.wealth import clip_log, grow, log_mean

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)
LOG_ODDS = (*(-size for size in reversed(_SIZES)), *_SIZES)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Log wealth per alternative and the requests counted at shares strictly between 0 and 1."""

    total: tuple[float, ...]
    n_incumbent: int = 0
    n_candidate: int = 0


def start() -> SampleRatio:
    """Return a process without evidence."""
    return SampleRatio((0.0,) * len(LOG_ODDS))


def fold(state: SampleRatio, share: float, n_incumbent: int, n_candidate: int) -> SampleRatio:
    """Add the requests of one reading.

    At a share of 0 or 1 a request on the impossible arm is certain proof of a mismatch; otherwise such a reading
    says nothing.
    """
    if not 0 <= share <= 1 or min(n_incumbent, n_candidate) < 0:
        raise ValueError("the share must be a probability and counts at least 0")
    if share in {0.0, 1.0}:
        impossible = n_candidate if share == 0 else n_incumbent
        if impossible == 0:
            return state
        return SampleRatio((math.inf,) * len(LOG_ODDS), state.n_incumbent, state.n_candidate)
    growth = [n_candidate * candidate + n_incumbent * incumbent for candidate, incumbent in _factors(share)]
    return SampleRatio(grow(state.total, growth), state.n_incumbent + n_incumbent, state.n_candidate + n_candidate)


def fold_many(state: SampleRatio, share: float, n_incumbent: _Ints, n_candidate: _Ints) -> tuple[SampleRatio, Course]:
    """Add the requests of many readings at a share in (0, 1); return the course of the log e-value too."""
    factors, before = np.array(_factors(share)), np.array(state.total)
    incumbents, candidates = np.cumsum(n_incumbent), np.cumsum(n_candidate)

    def totals() -> _Floats:
        return before[:, None] + np.outer(factors[:, 0], candidates) + np.outer(factors[:, 1], incumbents)

    if not len(incumbents):
        return state, Course(totals, [])
    n0, n1 = int(incumbents[-1]), int(candidates[-1])
    total = tuple((before + factors[:, 0] * n1 + factors[:, 1] * n0).tolist())
    even = Piece(0, len(incumbents), np.full(len(before), -math.log(len(before))), -math.inf)
    return SampleRatio(total, state.n_incumbent + n0, state.n_candidate + n1), Course(totals, [even])


def _factors(share: float) -> list[tuple[float, float]]:
    """Return the log factors of a request on the candidate and on the incumbent for each alternative."""
    scales = [log_of(1.0 + share * (exp_of(odds) - 1.0)) for odds in LOG_ODDS]
    return [(odds - scale, -scale) for odds, scale in zip(LOG_ODDS, scales, strict=True)]


def log_e(state: SampleRatio) -> float:
    """Return the log e-value against "assignments follow the recorded share" (0 at the start)."""
    return clip_log(math.inf if math.inf in state.total else log_mean(state.total))
