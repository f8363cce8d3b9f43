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
from itertools import chain, repeat
from operator import mul
from typing import NamedTuple

from controller.stats.baseline import ClassCells, count, known_classes
from controller.stats.bins import Axis, meaning
from controller.stats.setting import CriterionSetting
from controller.stats.tally import Arm, Cells, WindowTally

STEPS = (0.06, 0.15, 0.3, 0.5, 0.8, 1.6)
CEILINGS = (0.15, 0.3, 0.6, 1.0, 1.0, 1.0)
"""Each bet's d / s, and at most so much of the largest safe bet: near that, one bad draw of the incumbent ruins it."""
SAFE_FRACTION = 0.99


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
    """Requests of one class on one arm: `n[i]` of them lost `loss[i]`."""

    name: str
    loss: Sequence[float]
    n: Sequence[int]


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


def tune_mean(setting: CriterionSetting, classes: ClassCells, cap: float | None) -> MeanTuning:
    """Freeze the centres; `cap` is the cap of an earlier tuning, which never changes. Needs a request."""
    if cap is None:
        uncapped = {name: _capped(setting, cells, math.inf) for name, cells in classes.items()}
        cap = 1.0 if setting.axis is not Axis.LOG else setting.cap_ratio * _mean(classes, uncapped)
    seen = {name: _capped(setting, cells, cap) for name, cells in classes.items()}
    of_all = _mean(classes, seen)
    means = {name: _mean({name: classes[name]}, seen) for name in known_classes(classes)}
    squares = {
        name: [(loss - centre) ** 2 for loss in seen[name]]
        for name, centre in ((name, means.get(name, of_all)) for name in classes)
    }
    return MeanTuning(means, of_all, cap, math.sqrt(_mean(classes, squares)))


def losses(setting: CriterionSetting, tally: WindowTally, arm: Arm) -> list[Losses]:
    """Return the resolved requests of an arm in a fixed order."""
    classes = tally.arms.get(arm, {})
    seen = {name: dict(sorted(classes[name].of(setting.metric).items())) for name in sorted(classes)}
    return [Losses(name, _capped(setting, cells, math.inf), list(cells.values())) for name, cells in seen.items()]


def harm_growth(
    share: float, tuning: MeanTuning, margin: Margin, candidate: Sequence[Losses], incumbent: Sequence[Losses]
) -> list[float]:
    """Return the log factor of a reading for each bet against "E X1 <= E X0"."""
    rho, d, cap = margin.ratio, margin.shift, tuning.cap
    most = rho * cap + d
    outcomes: list[float] = []
    for item in candidate:
        centre = rho * tuning.centre(item.name) + d
        outcomes += [(min(loss, most) - centre) / share for loss in item.loss]
    for item in incumbent:
        centre = tuning.centre(item.name)
        outcomes += [-rho * (min(loss, cap) - centre) / (1.0 - share) for loss in item.loss]
    return growth(harm_bets(share, tuning, margin), outcomes, counts(*candidate, *incumbent))


def safety_growth(
    share: float, tuning: MeanTuning, margin: Margin, candidate: Sequence[Losses], incumbent: Sequence[Losses]
) -> list[float]:
    """Return the log factor of a reading for each bet against "E X1 >= E X0", centred for an equal candidate."""
    rho, d, cap = margin.ratio, margin.shift, tuning.cap
    most, slope = most_loss(tuning, margin), 1.0 - share + share * rho
    outcomes: list[float] = []
    for item in candidate:
        centre = slope * tuning.centre(item.name) + share * d
        outcomes += [(centre - min(loss, most)) / share for loss in item.loss]
    for item in incumbent:
        centre = slope * tuning.centre(item.name) + share * d
        outcomes += [(rho * min(loss, cap) + d - centre) / (1.0 - share) for loss in item.loss]
    return growth(safety_bets(share, tuning, margin), outcomes, counts(*candidate, *incumbent))


def counts(*seen: Losses) -> list[int]:
    """Return the requests of each loss, in their order."""
    return list(chain.from_iterable(item.n for item in seen))


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
    spread = math.hypot(margin.ratio * tuning.spread, math.sqrt(margin.shift) if margin.bounded else 0.0)
    if spread == 0:
        return tuple(ceiling * bound for ceiling in CEILINGS)
    return tuple(min(ceiling * bound, share * step / spread) for step, ceiling in zip(STEPS, CEILINGS, strict=True))


def growth(bets: Sequence[float], outcomes: Sequence[float], n: Sequence[int]) -> list[float]:
    """Return the log factor of so many requests of each outcome for each bet; exact sums, so their order is nothing."""
    return [math.fsum(map(mul, n, map(math.log1p, [bet * outcome for outcome in outcomes]))) for bet in bets]


def _capped(setting: CriterionSetting, cells: Cells, cap: float) -> list[float]:
    """Return the loss at each cell, at most the cap."""
    values = map(meaning(setting.axis), cells)
    seen = values if setting.higher_is_worse else (1.0 - value for value in values)
    return list(map(min, seen, repeat(cap)))


def _mean(classes: ClassCells, seen: Mapping[str, Sequence[float]]) -> float:
    """Return the mean over all requests of what was seen at each cell; exact, so in any order."""
    total = math.fsum(chain.from_iterable(map(mul, classes[name].values(), seen[name]) for name in classes))
    return total / count(classes)
