"""The state of one criterion's evidence: plain values only, so two replays compare with ==."""

from dataclasses import dataclass, field

from controller.stats.baseline import Baseline
from controller.stats.block import Block
from controller.stats.counts import ClassCounts
from controller.stats.estimate import ArmEstimate
from controller.stats.interval import Grid
from controller.stats.law import LawTuning
from controller.stats.mean import MeanTuning
from controller.stats.quantile import QuantileTuning
from controller.stats.setting import CriterionSetting
from controller.stats.wealth import Wealth

Tuning = QuantileTuning | LawTuning | MeanTuning


@dataclass(frozen=True, slots=True)
class Pending:
    """The incumbent's outcomes of a window too recent to tune with."""

    window: int
    classes: ClassCounts


@dataclass(frozen=True, slots=True)
class ProcessState:
    """Evidence of one criterion after any number of readings.

    `harm`: wealth against "within the allowed change", with restarts; `safety`: log wealth per bet against
    "at or beyond it"; `interval`: log wealth over the grid of changes; `start_share`, `n_since_start`: share
    at, and candidate images since, the latest start of the harm mixture; `block`: of a criterion judged by blocks.
    """

    setting: CriterionSetting
    baseline: Baseline
    pending: tuple[Pending, ...]
    tuning: Tuning | None
    harm: Wealth
    safety: tuple[float, ...]
    interval: Grid
    incumbent: ArmEstimate = field(default_factory=ArmEstimate)
    candidate: ArmEstimate = field(default_factory=ArmEstimate)
    start_share: float | None = None
    n_since_start: int = 0
    block: Block = field(default_factory=Block)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the evidence says now.

    `log_harm`: log e-value against "the candidate is within its allowed change"; `log_safety`: against "it is
    at or beyond it"; both start at 0. `incumbent`, `candidate`: estimates in the metric's unit. `change`:
    ratio for max_ratio, candidate - incumbent for max_increase and max_drop, None for limits; never pooled
    over shares and free of the request class. `change_low`, `change_high`: two-sided 95 % confidence
    sequence, None where unbounded. `n_*`: requests whose value was read; `missing_*`: requests without one.
    `candidate_at_least`: the candidate's estimate is only a lower bound, because requests beyond it were
    still unresolved when read. `incumbent_slow`, `candidate_slow`: of a whole-law criterion, whose estimate is the
    median, the value that one request in ten reaches; a law may be worse where its median is not.
    """

    log_harm: float
    log_safety: float
    incumbent: float | None
    candidate: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    n_incumbent: int
    n_candidate: int
    missing_candidate: int
    missing_incumbent: int
    candidate_at_least: bool = False
    incumbent_slow: float | None = None
    candidate_slow: float | None = None
