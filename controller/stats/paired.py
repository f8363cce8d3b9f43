"""Pairs: the same prompt and seed on both arms, for the bench and for shadow traffic (statistics.md §5, §9.4).

Scores: with D = candidate loss - incumbent loss in [-1, 1], E = (1/K) sum_k prod (1 + lam_k (D - d)) tests
"E[D | past] <= d" (harm) and, with the sign turned, "E[D | past] >= d" (safety). Latency: with D = log(candidate /
incumbent) and a predictable scale s, e_k = 2 / (1 + exp(-2 th_k (D - log rho) / s)) tests that D is symmetric about
at most log rho given the past (harm); the reverse is safety. No coin is needed: both arms saw the same request.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from controller.stats.elementary import exp_of, log_of
from controller.stats.mean import SAFE_FRACTION
from controller.stats.wealth import clip_log, grow, log_mean

FRACTIONS = (0.1, 0.25, 0.5, 1.0)
"""Of the largest bet. Fewer than on live traffic: a bench has hundreds of pairs, and each bet costs its share."""

TILTS = (0.15, 0.3, 0.6, 1.0, 1.8, 3.0)
"""Bets on log ratios, in units of their scale."""

PRIOR_SCALE = 0.1
PRIOR_PAIRS = 10
_LOG_TWO = log_of(2.0)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Evidence from differences of losses against the margin d."""

    margin: float
    harm: tuple[float, ...]
    safety: tuple[float, ...]
    n: int = 0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """Evidence from log ratios against the margin log rho; `squares` is their sum of squares about the margin."""

    log_margin: float
    harm: tuple[float, ...]
    safety: tuple[float, ...]
    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def scale(self) -> float:
        """Return the root mean square of the pairs so far, with a weak prior."""
        prior = PRIOR_PAIRS * PRIOR_SCALE**2
        return math.sqrt((self.squares + prior) / (self.n + PRIOR_PAIRS))


PairedState = PairedDifference | PairedRatio


def start_difference(margin: float) -> PairedDifference:
    """Return a test of differences with an allowed worsening of `margin`, in (-1, 1); below 0 it asks for a gain."""
    if not -1 < margin < 1:
        raise ValueError("the margin of a difference must lie in (-1, 1)")
    return PairedDifference(margin, (0.0,) * len(FRACTIONS), (0.0,) * len(FRACTIONS))


def start_ratio(max_ratio: float) -> PairedRatio:
    """Return a test of log ratios with an allowed ratio of `max_ratio`."""
    if not 0 < max_ratio < math.inf:
        raise ValueError("max_ratio must be positive and finite")
    return PairedRatio(math.log(max_ratio), (0.0,) * len(TILTS), (0.0,) * len(TILTS))


def fold_differences(state: PairedDifference, differences: Iterable[float]) -> PairedDifference:
    """Add differences, candidate loss - incumbent loss, each in [-1, 1], one by one."""
    harm, safety, n, total = state.harm, state.safety, state.n, state.total
    worse, better = SAFE_FRACTION / (1.0 + state.margin), SAFE_FRACTION / (1.0 - state.margin)
    for difference in differences:
        if not -1 <= difference <= 1:
            raise ValueError(f"difference {difference!r} lies outside [-1, 1]")
        excess = difference - state.margin
        harm = grow(harm, [math.log1p(fraction * worse * excess) for fraction in FRACTIONS])
        safety = grow(safety, [math.log1p(-fraction * better * excess) for fraction in FRACTIONS])
        n, total = n + 1, total + difference
    return PairedDifference(state.margin, harm, safety, n, total)


def fold_ratios(state: PairedRatio, log_ratios: Iterable[float]) -> PairedRatio:
    """Add log ratios, log(candidate / incumbent), one by one; the scale comes from the pairs before."""
    for log_ratio in log_ratios:
        if not math.isfinite(log_ratio):
            raise ValueError(f"log ratio {log_ratio!r} is not finite")
        excess = log_ratio - state.log_margin
        score = excess / state.scale
        state = PairedRatio(
            state.log_margin,
            grow(state.harm, symmetry_growth(score)),
            grow(state.safety, symmetry_growth(-score)),
            state.n + 1,
            state.total + log_ratio,
            state.squares + excess**2,
        )
    return state


def log_harm(state: PairedState) -> float:
    """Return the log e-value against "within the allowed change"."""
    return clip_log(log_mean(state.harm))


def log_safety(state: PairedState) -> float:
    """Return the log e-value against "at or beyond the allowed change"."""
    return clip_log(log_mean(state.safety))


def mean(state: PairedState) -> float | None:
    """Return the mean difference or mean log ratio, None without pairs."""
    return state.total / state.n if state.n else None


def symmetry_growth(score: float) -> list[float]:
    """Return the log factor of a score for each tilt against "symmetric about at most 0"."""
    return [_log_symmetry(tilt * score) for tilt in TILTS]


def _log_symmetry(u: float) -> float:
    """Return log(2 / (1 + exp(-2u))) without overflow."""
    return _LOG_TWO + min(0.0, 2.0 * u) - log_of(1.0 + exp_of(-2.0 * abs(u)))
