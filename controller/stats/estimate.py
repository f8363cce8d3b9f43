"""What each arm looked like, for people: estimates and the change between the arms.

Every request has a fixed weight: 1 - pi on the candidate, pi on the incumbent (overlap weights of Li, Morgan
and Zaslavsky 2018). Both arms then represent the same mix of times, so a ramp with drift can't produce
Simpson's paradox, and within one share nothing is lost. The change is taken after removing the request class.
Criteria with a limit look at one arm and weigh every request alike.
"""

from dataclasses import dataclass, field

from controller.stats.bins import Axis, value_of
from controller.stats.counts import ClassCounts, Counts
from controller.stats.mean import MeanTuning, excess_loss
from controller.stats.normal import Shifts, normalised
from controller.stats.reading import ArmView, with_unresolved
from controller.stats.setting import CriterionSetting


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
    raw: Counts = field(default_factory=Counts.none)
    relative: Counts = field(default_factory=Counts.none)
    late_from: int | None = None
    weight: float = 0.0
    residual: float = 0.0
    highest: int | None = None


def count_arm(arm: ArmEstimate, n: int, missing: int) -> ArmEstimate:
    """Count requests read, without taking their values into the estimate."""
    return ArmEstimate(
        arm.n + n, arm.missing + missing,
        arm.raw, arm.relative, arm.late_from, arm.weight, arm.residual, arm.highest,
    )  # fmt: skip


def add_latencies(arm: ArmEstimate, seen: ArmView, shifts: Shifts, late_cell: int, weight: float) -> ArmEstimate:
    """Add a reading of latencies; unresolved requests count at the cell they are known to reach."""
    if not seen.unresolved:
        return add_cells(arm, seen.raw.pooled, weight, relative=seen.cells)
    cells = with_unresolved(seen, shifts, late_cell)
    late_from = late_cell if arm.late_from is None else min(arm.late_from, late_cell)
    return add_cells(arm, cells.pooled, weight, relative=normalised(cells, shifts), late_from=late_from)


def add_values(
    arm: ArmEstimate, setting: CriterionSetting, seen: ClassCounts, tuning: MeanTuning | None, weight: float
) -> ArmEstimate:
    """Add a reading of values that are known at the reading's age."""
    return add_cells(arm, seen.pooled, weight, lost=excess_loss(setting, seen, tuning))


def add_cells(
    arm: ArmEstimate,
    cells: Counts,
    weight: float,
    *,
    relative: Counts | None = None,
    late_from: int | None = None,
    lost: float = 0.0,
) -> ArmEstimate:
    """Add requests over plain cells, with what else there is to say of them."""
    highest = cells.highest
    if highest is None:
        return arm
    return ArmEstimate(
        n=arm.n,
        missing=arm.missing,
        raw=arm.raw + cells.times(weight),
        relative=arm.relative if relative is None else arm.relative + relative.times(weight),
        late_from=arm.late_from if late_from is None else late_from,
        weight=arm.weight + weight * int(cells.weight.sum()),
        residual=arm.residual + weight * lost,
        highest=highest if arm.highest is None else max(highest, arm.highest),
    )


def mean_of(axis: Axis, arm: ArmEstimate) -> float | None:
    """Return the weighted mean in the metric's unit, None without data."""
    return arm.raw.value(axis) / arm.weight if arm.weight > 0 else None


def quantile_of(arm: ArmEstimate, level: float) -> float | None:
    """Return the weighted quantile in the metric's unit, None without data."""
    return value_of(Axis.LOG, arm.raw.quantile(level)) if arm.weight > 0 else None


def relative_quantile(arm: ArmEstimate, level: float) -> int | None:
    """Return the weighted quantile as a cell relative to the class median, None without data."""
    return arm.relative.quantile(level) if arm.weight > 0 else None


def residual_mean(arm: ArmEstimate) -> float | None:
    """Return the mean loss less the class centre, None without data."""
    return arm.residual / arm.weight if arm.weight > 0 else None
