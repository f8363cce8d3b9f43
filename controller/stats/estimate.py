"""What each arm looked like, for people: estimates and the change between the arms.

Every request has a fixed weight: 1 - pi on the candidate, pi on the incumbent (overlap weights of Li, Morgan
and Zaslavsky 2018). Both arms then represent the same mix of times, so a ramp with drift can't produce
Simpson's paradox, and within one share nothing is lost. The change is taken after removing the request class.
Criteria with a limit look at one arm and weigh every request alike.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import mul

from controller.stats.baseline import pooled, quantile_cell
from controller.stats.bins import Axis, meaning, value_of
from controller.stats.mean import MeanTuning, losses
from controller.stats.normal import ArmView, Shifts, normalised, with_unresolved
from controller.stats.setting import CriterionSetting
from controller.stats.tally import Arm, Cells, WindowTally

Weights = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class ArmEstimate:
    """Weighted outcomes of one arm.

    `n`: requests whose value was read; `missing`: requests without a value; `raw`: weight per plain cell;
    `relative`: weight per cell relative to the class median; `late_from`: lowest relative cell at which a request
    still unresolved at its reading was counted; `weight`, `residual`: total weight and weighted loss less the class
    centre; `highest`: highest cell seen.
    """

    n: int = 0
    missing: int = 0
    raw: Weights = field(default_factory=dict)
    relative: Weights = field(default_factory=dict)
    late_from: int | None = None
    weight: float = 0.0
    residual: float = 0.0
    highest: int | None = None


def count_arm(arm: ArmEstimate, n: int, missing: int) -> ArmEstimate:
    """Count requests read, without taking their values into the estimate."""
    return ArmEstimate(
        arm.n + n,
        arm.missing + missing,
        arm.raw,
        arm.relative,
        arm.late_from,
        arm.weight,
        arm.residual,
        arm.highest,
    )


def add_latencies(arm: ArmEstimate, seen: ArmView, shifts: Shifts, late_cell: int, weight: float) -> ArmEstimate:
    """Add a reading of latencies; unresolved requests count at the cell they are known to reach."""
    cells, relative = seen.raw, seen.cells
    if seen.unresolved:
        cells = with_unresolved(seen, shifts, late_cell)
        relative = normalised(cells, shifts)
    late_from = arm.late_from
    if seen.unresolved:
        late_from = late_cell if late_from is None else min(late_from, late_cell)
    added = _with_cells(arm, pooled(cells), weight)
    return replace(added, relative=_added(arm.relative, relative, weight), late_from=late_from)


def add_values(
    arm: ArmEstimate,
    setting: CriterionSetting,
    tally: WindowTally,
    side: Arm,
    tuning: MeanTuning | None,
    weight: float,
) -> ArmEstimate:
    """Add a reading of values that are known at the reading's age."""
    cells = pooled({name: item.of(setting.metric) for name, item in tally.arms.get(side, {}).items()})
    excess: list[float] = []
    for item in losses(setting, tally, side):
        centre = tuning.centre(item.name) if tuning else 0.0
        excess += [n * (loss - centre) for n, loss in zip(item.n, item.loss, strict=True)]
    return replace(_with_cells(arm, cells, weight), residual=arm.residual + weight * math.fsum(excess))


def _with_cells(arm: ArmEstimate, cells: Cells, weight: float) -> ArmEstimate:
    """Add requests over plain cells."""
    highest = max(cells, default=arm.highest)
    return replace(
        arm,
        raw=_added(arm.raw, cells, weight),
        weight=arm.weight + weight * sum(cells.values()),
        highest=highest if arm.highest is None or highest is None else max(highest, arm.highest),
    )


def _added(before: Weights, cells: Cells, weight: float) -> Weights:
    total = dict(before)
    get = total.get
    for cell, n in cells.items():
        total[cell] = get(cell, 0.0) + weight * n
    return total


def mean_of(axis: Axis, arm: ArmEstimate) -> float | None:
    """Return the weighted mean in the metric's unit, None without data."""
    total = math.fsum(arm.raw.values())
    if total <= 0:
        return None
    return math.fsum(map(mul, arm.raw.values(), map(meaning(axis), arm.raw))) / total


def quantile_of(arm: ArmEstimate, level: float) -> float | None:
    """Return the weighted quantile in the metric's unit, None without data."""
    if sum(arm.raw.values()) <= 0:
        return None
    return value_of(Axis.LOG, quantile_cell(arm.raw, level))


def relative_quantile(arm: ArmEstimate, level: float) -> int | None:
    """Return the weighted quantile as a cell relative to the class median, None without data."""
    return quantile_cell(arm.relative, level) if sum(arm.relative.values()) > 0 else None


def residual_mean(arm: ArmEstimate) -> float | None:
    """Return the mean loss less the class centre, None without data."""
    return arm.residual / arm.weight if arm.weight > 0 else None
