"""Noise of the replicas: how far two pools of one and the same model lie apart (statistics reference §9.2, P5).

The coin randomises requests, not replicas: what belongs to a pool (a warmer chip, a busier host) looks like the model.
An A/A rollout shows it. For a request of class c on arm a in window t, assume

    log y = m_c + d_t + u_a(t) + e,

with a class median m_c, drift d_t common to both arms, u_a the slow state of the arm's own pool, and e independent
given class and window. Time is cut into blocks of a fixed number of windows within one epoch (so one share). In a
block with n1 candidate and n0 incumbent requests, D is the difference of the arms' means of log y - m_c, each clipped
at four robust standard deviations, and h = n1 n0 / (n1 + n0), so that

    E[D^2] = s^2 + v / h,      s^2 = E[(u_1 - u_0)^2],

where v, the variance of e, is pooled over the windows and arms with two requests or more, freed of its own means.
The estimate is the method of moments of DerSimonian and Laird (1986, eq. 8) about a mean that is known to be 0:

    s^2 = (sum h D^2 - v * blocks) / sum h,

unbiased for any law of u and e, as the weights depend on counts alone. It is taken about 0, not about the mean of the
run: a pool that is slower throughout is noise as well. Noise faster than a block averages out in it and is left out.

If u is AR(1) with correlation time tau, products of blocks k apart have the mean c exp(-k T / tau), with nothing of e
in it. So tau = (k - 1) T / log(c_1 / c_k), with k the first power of two at which the product has halved; it can't be
told when neighbours do not agree by three standard errors, or when even a quarter of the run does not halve their
product.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.stats.bins import NATS_PER_CELL
from controller.stats.counts import ClassCounts
from controller.stats.law import LawTuning, score_of, tune_law
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally

SUPPORT, LASTING_SUPPORT = 2.0, 3.0
"""An allowed change must be at least so many standard deviations of the difference, on the log scale: noise that lasts
gives a test the time to convict a pool for one excursion beyond it."""
LASTING_REQUESTS = 2000
"""Requests within a correlation time from which on noise counts as lasting (statistics reference §9.2 stops there)."""
BLOCK_WINDOWS = (1, 2, 3, 6, 12, 24, 60, 120, 360)
BLOCK_REQUESTS = 30
"""Requests of the scarcer arm that a block holds on average: the shortest such length is taken."""
MIN_BLOCKS = 12
MIN_WITHIN = 50
_Z95 = 1.645
_LEAST_FREEDOM = 2.0
_ERRORS = 3.0
_LEAST_PART = 0.1
"""Of the product of neighbours: what a later product below it, or below 0, counts as."""


class TooLittleError(ValueError):
    """The tallies can't tell noise from sampling; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What was measured of one metric.

    `sigma`: standard deviation of the difference of the pools' log values; `sigma_high`: one-sided 95 % bound (chi
    square with as many degrees of freedom as there are independent blocks); `offset`: mean log difference of the run;
    `correlation_s`: time after which the difference has changed, None where it can't be told; `block_s`, `n_blocks`:
    what it was measured in; `n_windows`, `n_candidate`, `n_incumbent`: from so much; `lasting`: the correlation time
    covers LASTING_REQUESTS, or is longer than the run can tell.
    """

    metric: str
    sigma: float
    sigma_high: float
    offset: float
    correlation_s: float | None
    block_s: int
    n_blocks: int
    n_windows: int
    n_candidate: int
    n_incumbent: int
    lasting: bool = False

    @property
    def smallest_ratio(self) -> float:
        """Return the smallest allowed ratio that this noise supports: log ratio >= 2 sigma, or 3 where it lasts."""
        return math.exp((LASTING_SUPPORT if self.lasting else SUPPORT) * self.sigma)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Requests, and the sum and squares of their log values less the class median."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of an epoch: D and h."""

    place: tuple[int, int]
    difference: float
    weight: float


def measure(tallies: Mapping[tuple[int, int], WindowTally], metric: str) -> Noise:
    """Return the noise of a positive metric from the tallies of an A/A rollout by (epoch, window).

    Both arms must be the same model. TooLittleError when there is not enough to tell noise from sampling.
    """
    seen = _seen(tallies, metric)
    variance = _within([arm for pair in seen.values() for arm in pair], metric)
    n_arms = [sum(pair[side].n for pair in seen.values()) for side in (0, 1)]
    length = _length(min(n_arms) / len(seen))
    blocks = _blocks(seen, length)
    if len(blocks) < MIN_BLOCKS:
        raise TooLittleError(
            f"{metric}: {len(blocks)} blocks of {length * WINDOW_S} s with requests on both arms, at least "
            f"{MIN_BLOCKS} are needed; let the A/A rollout run for longer, or at a larger share"
        )
    weight = sum(block.weight for block in blocks)
    square = _square(blocks, variance)
    noise_square = max(0.0, square)
    correlation_s = _correlation_s(blocks, noise_square, variance, length * WINDOW_S)
    n_windows = len({window for _, window in seen})
    lasts = correlation_s is not None and correlation_s * sum(n_arms) >= LASTING_REQUESTS * n_windows * WINDOW_S
    return Noise(
        metric=metric,
        sigma=math.sqrt(noise_square),
        sigma_high=_upper(blocks, noise_square, variance),
        offset=sum(block.weight * block.difference for block in blocks) / weight,
        correlation_s=correlation_s if correlation_s != math.inf else None,
        lasting=lasts,
        block_s=length * WINDOW_S,
        n_blocks=len(blocks),
        n_windows=n_windows,
        n_candidate=n_arms[0],
        n_incumbent=n_arms[1],
    )


def _seen(tallies: Mapping[tuple[int, int], WindowTally], metric: str) -> dict[tuple[int, int], tuple[_Sums, _Sums]]:
    """Return the sums of candidate and incumbent in every window with requests."""
    classes = ClassCounts.none()
    for tally in tallies.values():
        for arm in (Arm.CANDIDATE, Arm.INCUMBENT):
            classes += ClassCounts.of({name: item.of(metric) for name, item in tally.arms.get(arm, {}).items()})
    if not classes.total:
        raise TooLittleError(f"no request has a {metric}")
    tuning = tune_law(classes)
    sums = {
        place: (
            _sums(tally.arms.get(Arm.CANDIDATE, {}), metric, tuning),
            _sums(tally.arms.get(Arm.INCUMBENT, {}), metric, tuning),
        )
        for place, tally in tallies.items()
    }
    return {place: pair for place, pair in sums.items() if pair[0].n + pair[1].n}


def _sums(classes: Mapping[str, ClassTally], metric: str, tuning: LawTuning) -> _Sums:
    n, total, squares = 0, 0.0, 0.0
    for name in sorted(classes):
        shift = tuning.median.shifts.of(name)
        for cell, count in sorted(classes[name].of(metric).items()):
            value = score_of(tuning, cell - shift) * tuning.scale * NATS_PER_CELL
            n, total, squares = n + count, total + count * value, squares + count * value**2
    return _Sums(n, total, squares)


def _within(arms: Sequence[_Sums], metric: str) -> float:
    """Return v, the variance of requests of one arm in one window."""
    freedom = sum(arm.n - 1 for arm in arms if arm.n > 1)
    if freedom < MIN_WITHIN:
        raise TooLittleError(
            f"{metric}: too few requests fall into the same window ({freedom} more than one, at least {MIN_WITHIN} are "
            "needed) to tell noise from sampling; let the A/A rollout run for longer, or at more traffic"
        )
    return sum(arm.squares - arm.total**2 / arm.n for arm in arms if arm.n > 1) / freedom


def _length(requests_a_window: float) -> int:
    """Return the windows of a block."""
    long_enough = (length for length in BLOCK_WINDOWS if length * requests_a_window >= BLOCK_REQUESTS)
    return next(long_enough, BLOCK_WINDOWS[-1])


def _blocks(sums: Mapping[tuple[int, int], tuple[_Sums, ...]], length: int) -> list[_Block]:
    grouped: dict[tuple[int, int], tuple[_Sums, _Sums]] = {}
    for (epoch, window), (candidate, incumbent) in sorted(sums.items()):
        place = (epoch, window // length)
        before = grouped.get(place, (_Sums(), _Sums()))
        grouped[place] = (before[0] + candidate, before[1] + incumbent)
    return [
        _Block(place, one.total / one.n - zero.total / zero.n, one.n * zero.n / (one.n + zero.n))
        for place, (one, zero) in grouped.items()
        if one.n and zero.n
    ]


def _square(blocks: Sequence[_Block], variance: float) -> float:
    """Return the estimate of s^2; negative by chance when there is no noise."""
    total = sum(block.weight * block.difference**2 for block in blocks)
    return (total - len(blocks) * variance) / sum(block.weight for block in blocks)


@dataclass(frozen=True, slots=True)
class _Product:
    """Weighted mean of D_b D_{b+k}, and its standard error if s^2 were `square`."""

    mean: float
    error: float


def _product(blocks: Sequence[_Block], lag: int, square: float, variance: float) -> _Product | None:
    """Return the product of blocks `lag` apart, None when there are none."""
    by_place = {block.place: block for block in blocks}
    later = ((block, by_place.get((block.place[0], block.place[1] + lag))) for block in blocks)
    pairs = [(one, two) for one, two in later if two is not None]
    if not pairs:
        return None
    weight = sum(one.weight * two.weight for one, two in pairs)
    spread = ((square * one.weight + variance) * (square * two.weight + variance) * one.weight * two.weight
              for one, two in pairs)  # fmt: skip
    total = sum(one.weight * two.weight * one.difference * two.difference for one, two in pairs)
    return _Product(total / weight, math.sqrt(sum(spread)) / weight)


def _correlation_s(blocks: Sequence[_Block], square: float, variance: float, block_s: float) -> float | None:
    """Return tau, infinite when it is longer than the run can tell, None when neighbours say nothing."""
    neighbours = _product(blocks, 1, square, variance)
    if neighbours is None or neighbours.mean <= _ERRORS * neighbours.error:
        return None
    lag = 2
    while lag <= len(blocks) // 4:
        later = _product(blocks, lag, square, variance)
        if later is not None and later.mean <= neighbours.mean / 2.0:
            return (lag - 1) * block_s / -math.log(max(later.mean / neighbours.mean, _LEAST_PART))
        lag *= 2
    return math.inf


def _dependence(blocks: Sequence[_Block], square: float, variance: float) -> float:
    """Return the correlation of neighbouring differences as they are, sampling included, within [0, 0.99]."""
    neighbours = _product(blocks, 1, square, variance)
    whole = square + variance * len(blocks) / sum(block.weight for block in blocks)
    return 0.0 if neighbours is None or whole <= 0 else min(max(neighbours.mean / whole, 0.0), 0.99)


def _upper(blocks: Sequence[_Block], square: float, variance: float) -> float:
    """Return the bound of sigma: chi square of the independent blocks (Wilson and Hilferty 1931)."""
    n, weight, correlation = len(blocks), sum(block.weight for block in blocks), _dependence(blocks, square, variance)
    freedom = max(_LEAST_FREEDOM, n * (1.0 - correlation**2) / (1.0 + correlation**2))
    spread = 2.0 / (9.0 * freedom)
    quantile = (1.0 - spread - _Z95 * math.sqrt(spread)) ** 3  # of chi square / freedom, at 5 %
    total = square * weight / n + variance
    return math.sqrt(max(0.0, (total / quantile - variance) * n / weight))
