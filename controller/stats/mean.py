"""AIPW betting on means: bounded scores, rates with a difference margin, capped costs (§3, §5).

With X1 = min(X, rho B + d) on the candidate, X0 = rho min(X, B) + d on the incumbent and a predictable centre
c of the request's class,

    Z = (A / pi) (X1 - c) - ((1 - A) / (1 - pi)) (X0 - c),     e_k = 1 + lam_k Z,   lam_k in (0, 1 / -min Z).

Null of harm: E X1 <= E X0 at every t; of safety: the reverse, with -Z. The bet is the same for all classes,
because the null is about the mean over classes. A bounded score has B = 1 (and X1 <= 1); a request without a
value has factor 1. Growth is O(cells).

The bets: of a loss that is off by d on average and spreads by s, the fastest growing one is about d / s^2 (Kelly
1956, to second order), so they are steps of d / s, divided by s. Several may meet at the largest safe bet, which is
right for every larger d and so inherits their weight.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from controller.stats import portable
from controller.stats.baseline import known_classes
from controller.stats.bins import Axis
from controller.stats.counts import ClassCounts, Ints, values
from controller.stats.portable import Floats
from controller.stats.setting import CriterionSetting

STEPS = (0.06, 0.15, 0.3, 0.5, 0.8, 1.6)
CEILINGS = (0.15, 0.3, 0.6, 1.0, 1.0, 1.0)
"""Each bet's d / s, and at most so much of the largest safe bet: near that, one bad draw of the incumbent ruins it."""
SAFE_FRACTION = 0.99
AT_ONCE = 4096
"""Outcomes worked on at a time: what is in between stays in the processor's nearest memory."""


@dataclass(frozen=True, slots=True)
class MeanTuning:
    """Frozen constants of the incumbent in units of loss: means per class and over all, cap B, spread in a class."""

    of_class: Mapping[str, float]
    other: float
    cap: float
    spread: float

    def centre(self, name: str) -> float:
        """Return the incumbent's mean loss in a class."""
        return self.of_class.get(name, self.other)

    @property
    def lowest(self) -> float:
        """Return the smallest centre."""
        return min((*self.of_class.values(), self.other))

    @property
    def highest(self) -> float:
        """Return the largest centre."""
        return max((*self.of_class.values(), self.other))


class Losses(NamedTuple):
    """Requests of one arm: `n[i]` of class `names[kind[i]]` lost `loss[i]`, which is the loss at `place[i]`."""

    names: tuple[str, ...]
    kind: Ints
    place: Ints
    loss: Floats
    n: Ints

    def centres(self, tuning: MeanTuning) -> Floats:
        """Return the incumbent's mean loss in the class of each loss."""
        return np.array([tuning.centre(name) for name in self.names])[self.kind]


@dataclass(frozen=True, slots=True)
class Margin:
    """The boundary of the null: X0 = ratio x min(X, B) + shift; `bounded` when no loss can exceed 1."""

    ratio: float
    shift: float
    bounded: bool


def margin_of(setting: CriterionSetting) -> Margin:
    """Return the boundary that a criterion declares."""
    shift = setting.max_increase if setting.max_increase is not None else setting.max_drop
    return Margin(setting.max_ratio or 1.0, shift or 0.0, setting.axis is not Axis.LOG)


def tune_mean(setting: CriterionSetting, classes: ClassCounts, cap: float | None) -> MeanTuning:
    """Freeze the centres; `cap` is the cap of an earlier tuning, which never changes. Needs a request."""
    loss, n = _loss_at_each(setting, classes), classes.total
    if cap is None:
        uncapped = float(portable.total(classes.pooled.weight * loss)) / n
        cap = 1.0 if setting.axis is not Axis.LOG else setting.cap_ratio * uncapped
    loss = np.minimum(loss, cap)
    lost, sizes = portable.total(classes.n * loss), classes.sizes.tolist()
    of_all = math.fsum(lost.tolist()) / n
    means = {name: float(lost[row]) / sizes[row] for name, row in known_classes(classes).items()}
    centres = np.array([means.get(name, of_all) for name in classes.names])
    squares = portable.total(classes.n * (loss - centres[:, None]) ** 2)
    return MeanTuning(means, of_all, cap, math.sqrt(math.fsum(squares.tolist()) / n))


def losses(setting: CriterionSetting, seen: ClassCounts) -> Losses:
    """Return the resolved requests of an arm in a fixed order."""
    kind, place = np.nonzero(seen.n)
    return Losses(seen.names, kind, place, _loss_at_each(setting, seen)[place], seen.n[kind, place])


def excess_loss(setting: CriterionSetting, seen: ClassCounts, tuning: MeanTuning | None) -> float:
    """Return how much the requests lost beyond the centre of their class, or beyond 0 without a tuning."""
    centres = np.array([tuning.centre(name) if tuning else 0.0 for name in seen.names])
    return math.fsum(portable.total(seen.n * (_loss_at_each(setting, seen) - centres[:, None])).tolist())


def harm_growth(share: float, tuning: MeanTuning, margin: Margin, candidate: Losses, incumbent: Losses) -> list[float]:
    """Return the log factor of a reading for each bet against "E X1 <= E X0"."""
    rho, d, cap = margin.ratio, margin.shift, tuning.cap
    worse = (np.minimum(candidate.loss, rho * cap + d) - (rho * candidate.centres(tuning) + d)) / share
    usual = -rho * (np.minimum(incumbent.loss, cap) - incumbent.centres(tuning)) / (1.0 - share)
    return _growth(harm_bets(share, tuning, margin), worse, usual, candidate, incumbent)


def safety_growth(
    share: float, tuning: MeanTuning, margin: Margin, candidate: Losses, incumbent: Losses
) -> list[float]:
    """Return the log factor of a reading for each bet against "E X1 >= E X0", centred for an equal candidate."""
    rho, d, slope = margin.ratio, margin.shift, 1.0 - share + share * margin.ratio
    better = slope * candidate.centres(tuning) + share * d - np.minimum(candidate.loss, most_loss(tuning, margin))
    usual = rho * np.minimum(incumbent.loss, tuning.cap) + d - (slope * incumbent.centres(tuning) + share * d)
    return _growth(safety_bets(share, tuning, margin), better / share, usual / (1.0 - share), candidate, incumbent)


def _growth(
    bets: Sequence[float], of_candidate: Floats, of_incumbent: Floats, candidate: Losses, incumbent: Losses
) -> list[float]:
    return growth(bets, np.concatenate((of_candidate, of_incumbent)), np.concatenate((candidate.n, incumbent.n)))


def most_loss(tuning: MeanTuning, margin: Margin) -> float:
    """Return the loss at which a candidate's value is cut in the safety test."""
    return 1.0 if margin.bounded else margin.ratio * tuning.cap + margin.shift


def harm_bets(share: float, tuning: MeanTuning, margin: Margin) -> tuple[float, ...]:
    """Return the bets of the harm test."""
    rho, d = margin.ratio, margin.shift
    bound = _bound((share, rho * tuning.highest + d), (1.0 - share, rho * tuning.cap - rho * tuning.lowest))
    return _bets(bound, share, tuning, margin)


def safety_bets(share: float, tuning: MeanTuning, margin: Margin) -> tuple[float, ...]:
    """Return the bets of the safety test."""
    slope, d = 1.0 - share + share * margin.ratio, margin.shift
    bound = _bound(
        (share, most_loss(tuning, margin) - slope * tuning.lowest - share * d),
        (1.0 - share, slope * tuning.highest + share * d - d),
    )
    return _bets(bound, share, tuning, margin)


def _bound(*sides: tuple[float, float]) -> float:
    """Return the largest bet that keeps factors positive; a side is (probability, largest loss)."""
    finite = [probability / worst for probability, worst in sides if worst > 0]
    return SAFE_FRACTION * min(finite) if finite else 0.0


def _bets(bound: float, share: float, tuning: MeanTuning, margin: Margin) -> tuple[float, ...]:
    """Return a bet for each step, none above the bound."""
    # A bounded loss that is larger by d on average varies by up to d more.
    own = margin.ratio * tuning.spread
    spread = math.sqrt(own * own + (margin.shift if margin.bounded else 0.0))
    if spread == 0:
        return tuple(ceiling * bound for ceiling in CEILINGS)
    return tuple(min(ceiling * bound, share * step / spread) for step, ceiling in zip(STEPS, CEILINGS, strict=True))


def growth(bets: Sequence[float], outcomes: Floats, n: Ints) -> list[float]:
    """Return the log factor of so many requests of each outcome for each bet."""
    distinct = tuple(dict.fromkeys(bets))  # several often meet at the largest safe one
    bet, grown = np.array(distinct)[:, None], np.zeros(len(distinct))
    for first in range(0, len(n), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        grown += portable.total(n[part] * portable.log(1.0 + bet * outcomes[part]))
    of_bet = dict(zip(distinct, grown.tolist(), strict=True))
    return [of_bet[each] for each in bets]


def _loss_at_each(setting: CriterionSetting, seen: ClassCounts) -> Floats:
    """Return the loss at each cell of some counts."""
    found = values(setting.axis, seen.low, seen.n.shape[1])
    return found if setting.higher_is_worse else 1.0 - found
