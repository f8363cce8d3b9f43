"""From a criterion's state to the numbers people and the judge read."""

from controller.stats import interval
from controller.stats.bins import Axis, cell_of
from controller.stats.estimate import (
    ArmEstimate,
    add_latencies,
    add_values,
    count_arm,
    mean_of,
    quantile_of,
    relative_quantile,
    residual_mean,
)
from controller.stats.mean import MeanTuning
from controller.stats.normal import Shifts
from controller.stats.reading import ArmView, Reading
from controller.stats.setting import CriterionSetting, Kind, Statistic
from controller.stats.state import ProcessState, Summary
from controller.stats.tally import Arm
from controller.stats.wealth import LOG_E_LIMIT, clip_log, log_mean, log_value

SLOW_LEVEL = 0.9
LATENCY_KINDS = frozenset({Kind.QUANTILE, Kind.LAW, Kind.BLOCK})


def is_latency(setting: CriterionSetting) -> bool:
    """Say whether an unresolved request counts as slow instead of missing."""
    return setting.kind in LATENCY_KINDS or (setting.kind is Kind.LIMIT_EVENT and setting.axis is Axis.LOG)


def add_view(arm: ArmEstimate, seen: ArmView, shifts: Shifts, late_cell: int, weight: float) -> ArmEstimate:
    """Count an arm's latencies and, when their weight is positive, take them into its estimate."""
    arm = count_arm(arm, seen.assigned, seen.missing)
    return add_latencies(arm, seen, shifts, late_cell, weight) if weight > 0 and seen.assigned else arm


def add_values_of(state: ProcessState, arm: ArmEstimate, reading: Reading, side: Arm, weight: float) -> ArmEstimate:
    """Count an arm's values and, when their weight is positive, take them into its estimate."""
    setting = state.setting
    seen = reading.counts(setting.metric, side)
    read = seen.total
    arm = count_arm(arm, read, max(0, reading.tally.assigned(side) - read))
    if weight <= 0 or not read or (setting.kind is Kind.MEAN and state.tuning is None):
        return arm
    return add_values(arm, setting, seen, state.tuning if isinstance(state.tuning, MeanTuning) else None, weight)


def summarise(state: ProcessState) -> Summary:
    """Return the evidence and the estimates so far."""
    log_harm, log_safety = log_e_values(state)
    low, high = _change_ends(state)
    return Summary(
        log_harm=log_harm,
        log_safety=log_safety,
        incumbent=_value(state.setting, state.incumbent),
        candidate=_value(state.setting, state.candidate),
        change=_change(state),
        change_low=low,
        change_high=high,
        n_incumbent=state.incumbent.n,
        n_candidate=state.candidate.n,
        missing_candidate=state.candidate.missing,
        missing_incumbent=state.incumbent.missing,
        candidate_at_least=_is_censored(state.setting, state.candidate),
        incumbent_slow=_slow(state.setting, state.incumbent),
        candidate_slow=_slow(state.setting, state.candidate),
    )


def log_e_values(state: ProcessState) -> tuple[float, float]:
    """Return the evidence of harm and of safety so far."""
    if state.setting.kind is not Kind.LIMIT_MAX:
        return log_value(state.harm), clip_log(log_mean(state.safety))
    highest = state.candidate.highest
    if highest is None:
        return 0.0, 0.0
    within = highest <= cell_of(Axis.LOG, state.setting.limit or 0.0)
    return (-LOG_E_LIMIT, LOG_E_LIMIT) if within else (LOG_E_LIMIT, -LOG_E_LIMIT)


def _value(setting: CriterionSetting, arm: ArmEstimate) -> float | None:
    match setting.statistic:
        case Statistic.P50 | Statistic.P95 | Statistic.P99 | Statistic.LAW:
            return quantile_of(arm, setting.level)
        case Statistic.MEAN | Statistic.RATE:
            return mean_of(setting.axis, arm)
        case Statistic.MAX:
            return quantile_of(arm, 1.0)


def _slow(setting: CriterionSetting, arm: ArmEstimate) -> float | None:
    return quantile_of(arm, SLOW_LEVEL) if setting.statistic is Statistic.LAW else None


def _change(state: ProcessState) -> float | None:
    setting = state.setting
    if setting.kind in LATENCY_KINDS:
        slow = relative_quantile(state.candidate, setting.level)
        usual = relative_quantile(state.incumbent, setting.level)
        return None if slow is None or usual is None else interval.quantile_ratio(slow - usual)
    worse, same = residual_mean(state.candidate), residual_mean(state.incumbent)
    if setting.limit is not None or worse is None or same is None:
        return None
    if setting.max_ratio is None:
        return worse - same if setting.higher_is_worse else same - worse
    if setting.kind is Kind.COIN:
        return worse / same if same > 0 else None
    usual_mean = mean_of(setting.axis, state.incumbent)
    return 1.0 + (worse - same) / usual_mean if usual_mean else None


def _change_ends(state: ProcessState) -> tuple[float | None, float | None]:
    setting = state.setting
    if not state.interval or state.candidate.n == 0:
        return None, None
    if setting.kind in LATENCY_KINDS:
        low, high = interval.ends(state.interval, interval.QUANTILE_POINTS, interpolate=False)
        return interval.quantile_ratio(low), interval.quantile_ratio(high)
    if setting.max_ratio is not None:
        return interval.ends(state.interval, interval.RATIO_POINTS)
    low, high = interval.ends(state.interval, interval.DIFFERENCE_POINTS)
    scale = state.tuning.cap if isinstance(state.tuning, MeanTuning) else 1.0
    low, high = (None if low is None else low * scale), (None if high is None else high * scale)
    if setting.higher_is_worse:
        return low, high
    return (None if high is None else -high), (None if low is None else -low)


def _is_censored(setting: CriterionSetting, arm: ArmEstimate) -> bool:
    """Say whether the quantile lies where requests unresolved at their reading were counted, too low perhaps."""
    if not is_latency(setting) or arm.late_from is None:
        return False
    cell = relative_quantile(arm, setting.level)
    return cell is not None and cell >= arm.late_from
