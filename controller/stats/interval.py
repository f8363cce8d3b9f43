"""Two-sided 95 % confidence sequences of the change, by inverting the tests (statistics.md §2.3).

At every candidate value g of the change a two-sided e-process (average of bets upwards and downwards) is
kept; the sequence is {g: E_g < 20}, valid at all times at once under the same coin as the tests. The grid is
fixed, so memory is too. For reports only: the logarithms are numpy's, whose last bit depends on the processor.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.stats.bins import NATS_PER_CELL
from controller.stats.elementary import exp_of
from controller.stats.mean import SAFE_FRACTION, Losses, MeanTuning
from controller.stats.paired import TILTS
from controller.stats.quantile import QuantileTuning
from controller.stats.reading import ArmView

Array = NDArray[np.float64]
Grid = bytes
"""Log wealth of every bet at every change, as the bytes of float64: a plain value that needs no conversion."""

LOG_THRESHOLD = math.log(20.0)
AT_ONCE = 64
"""Losses worked on at a time: what is in between stays in the processor's nearest memory."""
MANY = 1024
"""Distinct losses in a reading from which on a bound stands for their log factors."""
_ODDS = (0.2, 0.5, 1.0, 2.2, 4.5, 8.0)
_FRACTIONS = (0.01, 0.05, 0.15, 0.4, 1.0)
_MULTIPLES = (1.25, 1.8, 3.5, 10.0, 30.0)

_STEPS = (*range(21), *range(23, 61, 3), *range(66, 233, 11))
QUANTILE_POINTS = tuple(sorted({sign * step for step in _STEPS for sign in (1, -1)}))
"""Changes of a quantile, in LOG cells."""

_NATS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0, 3.0)
RATIO_POINTS = (*(exp_of(-nat) for nat in reversed(_NATS)), 1.0, *(exp_of(nat) for nat in _NATS))
_DIFFERENCES = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04),
    *(0.06, 0.08, 0.1, 0.14, 0.2, 0.3, 0.45, 0.7, 1.0),
)
DIFFERENCE_POINTS = (*(-d for d in reversed(_DIFFERENCES)), 0.0, *_DIFFERENCES)

N_QUANTILE = len(QUANTILE_POINTS) * 2 * len(_ODDS)
N_BLOCK = len(QUANTILE_POINTS) * 2 * len(TILTS)
N_RATIO = len(RATIO_POINTS) * 2 * len(_FRACTIONS)
N_DIFFERENCE = len(DIFFERENCE_POINTS) * 2 * len(_FRACTIONS)
N_COIN = len(RATIO_POINTS) * 2 * len(_MULTIPLES)

_CELLS = np.array(QUANTILE_POINTS)
_ODDS_RATIOS = np.exp(np.multiply.outer((1.0, -1.0), _ODDS))
_RATIOS = np.array(RATIO_POINTS)


def empty(n: int) -> Grid:
    """Return n bets without evidence."""
    return np.zeros(n).tobytes()


def fold_quantile(
    state: Grid, share: float, tuning: QuantileTuning, decided: int | None,
    candidate: ArmView, incumbent: ArmView,
) -> Grid:  # fmt: skip
    """Add a reading of latencies at every change.

    Beyond the normalised cell `decided` (None: everything is) an unresolved candidate request may yet fall on
    either side, so it counts against whichever bet it would help.
    """
    thresholds = tuning.cell + _CELLS
    over = candidate.assigned - candidate.cells.below_each(thresholds)
    surely_over = over if decided is None else np.where(thresholds <= decided, over, over - candidate.unresolved)
    n0, over0 = incumbent.assigned, incumbent.assigned - incumbent.below(tuning.cell)
    q0 = tuning.q0
    q1 = q0 * _ODDS_RATIOS / (1.0 - q0 + q0 * _ODDS_RATIOS)
    mix = share * q1 + (1.0 - share) * q0
    fixed = over0 * np.log(q0 / mix) + (n0 - over0) * np.log((1.0 - q0) / (1.0 - mix))
    over_log, under_log = np.log(q1 / mix), np.log((1.0 - q1) / (1.0 - mix))
    hits = np.stack((surely_over, over), axis=1)[:, :, None]
    return _add(state, hits * (over_log - under_log) + (candidate.assigned * under_log + fixed))


def fold_mean(
    state: Grid, share: float, tuning: MeanTuning, ratios: Array, shifts: Array, *, bounded: bool,
    candidate: Losses, incumbent: Losses,
) -> Grid:  # fmt: skip
    """Add a reading of losses at every boundary X0 = ratio x min(X, B) + shift, centred as the safety test is."""
    slope, offset = 1.0 - share + share * ratios, share * shifts
    most, cap = np.ones_like(ratios) if bounded else ratios * tuning.cap + shifts, np.full_like(ratios, tuning.cap)
    lowest, highest = slope * tuning.lowest + offset, slope * tuning.highest + offset
    up = _bounds((share, highest), (1.0 - share, ratios * tuning.cap + shifts - lowest))
    down = _bounds((share, most - lowest), (1.0 - share, highest - shifts))
    bets = np.multiply.outer(np.stack((up, -down), axis=1), _FRACTIONS)
    sides = (
        _Side(candidate, candidate.centres(tuning), 1.0 / share, most, offset, slope),
        _Side(incumbent, incumbent.centres(tuning), -ratios / (1.0 - share), cap,
              (offset - shifts) / ratios, slope / ratios),
    )  # fmt: skip
    if len(candidate.n) + len(incumbent.n) > MANY:
        (first1, squares1), (first0, squares0) = (side.sums() for side in sides)
        return _add(state, _at_least(bets, first1 + first0, squares1 + squares0))
    z, n = np.concatenate([side.z() for side in sides]), np.concatenate((candidate.n, incumbent.n)).astype(float)
    grown = np.zeros(bets.shape)
    for first in range(0, len(n), AT_ONCE):
        factors = z[first : first + AT_ONCE, :, None, None] * bets
        # Not through BLAS: its threads cost more than they gain, here and for whoever runs beside us.
        grown += np.einsum("i,ijkl->jkl", n[first : first + AT_ONCE], np.log1p(factors, out=factors))
    return _add(state, grown)


class _Side(NamedTuple):
    """One arm's losses: at every boundary Z = scale (min(loss, most) - offset - slope x centre of the class)."""

    seen: Losses
    centre: Array
    scale: Array | float
    most: Array
    offset: Array
    slope: Array

    def z(self) -> Array:
        """Return Z of every loss, of shape (losses, boundaries)."""
        capped = np.minimum(self.seen.loss[:, None], self.most)
        return np.asarray(self.scale * (capped - self.offset - self.slope * self.centre[:, None]))

    def sums(self) -> tuple[Array, Array]:
        """Return the sums of Z and of its squares over the requests, by way of sums over losses in order."""
        place, n = self.seen.place, self.seen.n
        loss = np.zeros(int(np.max(place, initial=-1)) + 1)
        loss[place] = self.seen.loss
        order = np.argsort(loss)
        loss = loss[order]
        requests, centred = (np.bincount(place, weights)[order] for weights in (n, n * self.centre))
        below = np.zeros((5, len(loss) + 1))
        of_each = np.stack((requests, requests * loss, requests * loss**2, centred, centred * loss))
        np.cumsum(of_each, axis=1, out=below[:, 1:])
        below_n, total, squares, below_centred, crossed = below[:, np.searchsorted(loss, self.most, side="right")]
        all_n, all_centred, all_squared = n.sum(), centred.sum(), (n * self.centre**2).sum()
        beyond_n, beyond_centred = all_n - below_n, all_centred - below_centred
        total += self.most * beyond_n
        squares += self.most**2 * beyond_n
        crossed += self.most * beyond_centred
        squares -= 2.0 * (self.offset * total + self.slope * crossed)
        squares += self.offset * (self.offset * all_n + 2.0 * self.slope * all_centred) + self.slope**2 * all_squared
        total -= self.offset * all_n + self.slope * all_centred
        return np.asarray(self.scale * total), np.asarray(self.scale**2 * np.maximum(squares, 0.0))


def _at_least(bets: Array, first: Array, squares: Array) -> Array:
    """Return what the log factors add up to at least, from the sums of Z and of its squares.

    log(1 + x) >= x - x^2 (-log(1 - f) - f) / f^2 for x >= -f (Fan, Grama and Liu 2015, lemma 4.1), and f is the part
    of the largest safe bet. It costs large bets most: intervals are up to 1.7 times as wide while there are a few
    hundred candidate images, and a tenth wider after ten thousand, which is minutes at the rates this is used for.
    """
    f = SAFE_FRACTION * np.array(_FRACTIONS)
    curve = (-np.log1p(-f) - f) / f**2
    return np.asarray(bets * first[:, None, None] - bets**2 * curve * squares[:, None, None])


def fold_coin(state: Grid, share: float, n_candidate: int, n_incumbent: int) -> Grid:
    """Add a reading of bad events at every ratio of rates."""
    ratios = _RATIOS[:, None]
    fair = np.log(share * ratios + 1.0 - share)
    grown = np.empty((len(RATIO_POINTS), 2, len(_MULTIPLES)))
    for side, sign in enumerate((1.0, -1.0)):
        multiples = np.array(_MULTIPLES)[None, :] ** sign
        tilted = np.log(share * ratios * multiples + 1.0 - share)
        grown[:, side] = n_candidate * np.log(multiples) + (n_candidate + n_incumbent) * (fair - tilted)
    return _add(state, grown)


def fold_block(state: Grid, difference: float, scale: float) -> Grid:
    """Add the log ratio of a finished block at every change; `scale` is what the blocks before say of it."""
    excess = (difference - _CELLS * NATS_PER_CELL) / scale
    tilted = np.outer(excess, 2.0 * np.array(TILTS))
    grown = np.stack((-np.logaddexp(0.0, -tilted), -np.logaddexp(0.0, tilted)), axis=1) + math.log(2.0)
    return _add(state, grown)


def ends(state: Grid, points: Sequence[float], *, interpolate: bool = True) -> tuple[float | None, float | None]:
    """Return the ends of {g: E_g < 20}; None where the grid ends first.

    An end is the nearest rejected point, or lies between it and its inner neighbour: each bet's log wealth is
    concave in g, so where the wealth of the linearly interpolated logs reaches 20 the true wealth does too. When every
    point is rejected, the set lies between the last point that is too low and the first that is too high.
    """
    wealth = np.frombuffer(state).reshape(len(points), 2, -1)
    flat = wealth.reshape(len(points), -1)
    inside = np.flatnonzero(_log_mean(flat) < LOG_THRESHOLD)
    if inside.size:
        left, right = int(inside[0]) - 1, int(inside[-1]) + 1
        inner = left + 1, right - 1
    else:
        too_low = np.flatnonzero(_log_mean(wealth[:, 0]) >= _log_mean(wealth[:, 1]))
        left = int(too_low[-1]) if too_low.size else -1
        right = left + 1
        inner = right, left
    return (
        _end(flat, points, inner[0], left, interpolate=interpolate),
        _end(flat, points, inner[1], right, interpolate=interpolate),
    )


def _end(wealth: Array, points: Sequence[float], inner: int, outer: int, *, interpolate: bool) -> float | None:
    """Return the last rejected place on the way from a rejected point to its neighbour; None beyond the grid."""
    if not 0 <= outer < len(points):
        return None
    if not (interpolate and 0 <= inner < len(points)):
        return float(points[outer])
    parts = np.linspace(0.0, 1.0, 33)
    log_e = _log_mean(wealth[outer] + parts[:, None] * (wealth[inner] - wealth[outer]))
    allowed = np.flatnonzero(log_e < LOG_THRESHOLD)
    part = parts[allowed[0] - 1] if allowed.size else 0.0
    return float(points[outer] + part * (points[inner] - points[outer]))


def _log_mean(wealth: Array) -> Array:
    highest = wealth.max(axis=1)
    return np.asarray(highest + np.log(np.exp(wealth - highest[:, None]).mean(axis=1)))


def quantile_ratio(cells: float | None) -> float | None:
    """Return the ratio that a number of LOG cells stands for."""
    return None if cells is None else exp_of(cells * NATS_PER_CELL)


def _bounds(*sides: tuple[float, Array]) -> Array:
    """Return the largest bet per point for which no factor is negative."""
    limits = [np.where(worst > 0, probability / np.maximum(worst, 1e-300), np.inf) for probability, worst in sides]
    least = np.minimum(*limits)
    return np.where(np.isfinite(least), SAFE_FRACTION * least, 0.0)


def _add(state: Grid, grown: Array) -> Grid:
    return (np.frombuffer(state) + grown.ravel()).tobytes()
