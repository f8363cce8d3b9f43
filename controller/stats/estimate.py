"""What each arm looked like, for people: estimates and the change between the arms.

Every request has a fixed weight: 1 - pi on the candidate, pi on the incumbent (overlap weights of Li, Morgan
and Zaslavsky 2018). Both arms then represent the same mix of times, so a ramp with drift can't produce
Simpson's paradox, and within one share nothing is lost. The change is taken after removing the request class.
Criteria with a limit look at one arm and weigh every request alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.stats.baseline import quantile_cell
from controller.stats.bins import Axis, value_of
from controller.stats.mean import MeanTuning, losses
from controller.stats.normal import ArmView, Shifts, with_unresolved
from controller.stats.setting import CriterionSetting
from controller.stats.tally import Arm, WindowTally

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
    relative, raw = dict(arm.relative), dict(arm.raw)
    highest = arm.highest
    for name, cells in sorted(with_unresolved(seen, shifts, late_cell).items()):
        shift = shifts.of(name)
        for cell, n in sorted(cells.items()):
            raw[cell] = raw.get(cell, 0.0) + weight * n
            relative[cell - shift] = relative.get(cell - shift, 0.0) + weight * n
            highest = cell if highest is None else max(cell, highest)
    late_from = arm.late_from
    if seen.unresolved:
        late_from = late_cell if late_from is None else min(late_from, late_cell)
    total = arm.weight + weight * seen.assigned
    return ArmEstimate(arm.n, arm.missing, raw, relative, late_from, total, arm.residual, highest)


def add_values(
    arm: ArmEstimate,
    setting: CriterionSetting,
    tally: WindowTally,
    side: Arm,
    tuning: MeanTuning | None,
    weight: float,
) -> ArmEstimate:
    """Add a reading of values that are known at the reading's age."""
    raw, highest = dict(arm.raw), arm.highest
    classes = tally.arms.get(side, {})
    for name in sorted(classes):
        for cell, n in sorted(classes[name].of(setting.metric).items()):
            raw[cell] = raw.get(cell, 0.0) + weight * n
            highest = cell if highest is None else max(cell, highest)
    seen = losses(setting, tally, side)
    total = arm.weight + weight * sum(item.n for item in seen)
    residual = arm.residual
    for item in seen:
        residual += weight * item.n * (item.loss - (tuning.centre(item.name) if tuning else 0.0))
    return ArmEstimate(arm.n, arm.missing, raw, arm.relative, arm.late_from, total, residual, highest)


def mean_of(axis: Axis, arm: ArmEstimate) -> float | None:
    """Return the weighted mean in the metric's unit, None without data."""
    total = sum(arm.raw[cell] for cell in sorted(arm.raw))
    if total <= 0:
        return None
    return sum(arm.raw[cell] * value_of(axis, cell) for cell in sorted(arm.raw)) / total


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
