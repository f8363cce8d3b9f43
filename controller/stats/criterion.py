"""One criterion's evidence: start it, ask when to read a window, fold the reading, summarise.

Folding is a pure function of the ordered readings. A window is read once, at the age at which its outcome is
decided, and whatever is used on window w (thresholds, centres, bets) comes from the history before the
rollout and from windows up to w - L, so it was fixed before w began (statistics.md §0.1, P3 and P4). Windows
without a candidate request are evidence too: leaving them out would select on the coin.
"""

from dataclasses import replace

from controller.stats import block, evidence, interval, report
from controller.stats.baseline import MIN_CLASS, Baseline, add_to_baseline, tuned
from controller.stats.bins import LOG_HIGHEST, Axis, cell_of, lower_edge
from controller.stats.counts import ClassCounts
from controller.stats.elementary import log_of
from controller.stats.law import LawTuning, tune_law
from controller.stats.mean import MeanTuning, tune_mean
from controller.stats.normal import Shifts
from controller.stats.quantile import CLIMB_CELLS, QuantileTuning, harm_cells, tune_quantile
from controller.stats.reading import Reading, Views, with_unresolved
from controller.stats.setting import CriterionSetting, Kind, Statistic
from controller.stats.state import Pending, ProcessState, Summary, Tuning
from controller.stats.tally import WINDOW_S, Arm, WindowTally
from controller.stats.wealth import grow, grow_wealth, open_wealth, restart

__all__ = [
    "CriterionSetting",
    "Kind",
    "ProcessState",
    "Reading",
    "Statistic",
    "Summary",
    "age_s",
    "fold",
    "start",
    "summary",
]

LIMITS = frozenset({Kind.LIMIT_EVENT, Kind.LIMIT_MEAN, Kind.LIMIT_MAX})
TUNED = frozenset({Kind.QUANTILE, Kind.LAW, Kind.BLOCK, Kind.MEAN})
MIN_START_IMAGES = 10
"""Candidate images since the latest start without which a new share does not begin another."""


def start(setting: CriterionSetting, history: WindowTally) -> ProcessState:
    """Return a criterion without evidence; `history` is the incumbent before the rollout and may be empty."""
    n_harm, n_safety, n_interval = evidence.sizes(setting)
    baseline = Baseline()
    if setting.kind in TUNED:
        before = Reading(epoch=0, window=0, share=0.0, tally=history)
        seen = before.views(setting.metric, Shifts({}, 0)) if report.is_latency(setting) else None
        classes = _incumbent_classes(setting, None, before, seen)
        n = classes.total
        baseline = Baseline(older=classes, n_older=n, n_untuned=n)
    state = ProcessState(
        setting=setting,
        baseline=baseline,
        pending=(),
        tuning=None,
        harm=open_wealth(n_harm),
        safety=(0.0,) * n_safety,
        interval=interval.empty(n_interval if setting.interval else 0),
    )
    return tune(state)


def age_s(state: ProcessState, window: int) -> float:
    """Return the age after the window's end from which it may be read.

    Final once every window up to `window` - L was folded; a gateway's flush interval comes on top.
    """
    return age_of(state.setting, _release(state, window).tuning)


def age_of(setting: CriterionSetting, tuning: Tuning | None) -> float:
    """Return the age at which a window is read under these constants."""
    if not setting.is_elapsed:
        return setting.decided_s
    match tuning:
        case QuantileTuning():
            cell = tuning.shifts.highest + tuning.cell + harm_cells(setting.max_ratio or 1.0)
        case LawTuning():
            cell = tuning.median.shifts.highest + tuning.clip_cell + harm_cells(setting.max_ratio or 1.0)
        case _ if setting.kind is Kind.LIMIT_EVENT:
            cell = cell_of(Axis.LOG, setting.limit or 0.0) + 1
        case _:
            return setting.decided_s
    return min(lower_edge(cell), setting.timeout_s)


def fold(state: ProcessState, reading: Reading) -> ProcessState:
    """Add one reading; readings come in increasing (window, epoch) order, each once.

    A share of 0 or 1 compares nothing: it feeds the incumbent's baseline, the counts and absolute limits
    only.
    """
    if not 0 <= reading.share <= 1:
        raise ValueError(f"share {reading.share!r} is not a probability")
    state = _release(state, reading.window)
    setting, is_limit = state.setting, state.setting.kind in LIMITS
    shifts, late = late_cell(setting, state.tuning)
    seen = reading.views(setting.metric, shifts) if report.is_latency(setting) else None
    if is_limit or 0 < reading.share < 1:
        if seen is not None and setting.kind is Kind.BLOCK:
            state = _grow_block(state, reading, seen)
        else:
            state = _grow_now(state, reading, seen)
    weights = (1.0, 1.0) if is_limit else (reading.share, 1.0 - reading.share)
    if seen is not None:
        is_tuned = is_limit or state.tuning is not None
        incumbent = report.add_view(state.incumbent, seen.incumbent, shifts, late, weights[0] * is_tuned)
        candidate = report.add_view(state.candidate, seen.candidate, shifts, late, weights[1] * is_tuned)
    else:
        incumbent = report.add_values_of(state, state.incumbent, reading, Arm.INCUMBENT, weights[0])
        candidate = report.add_values_of(state, state.candidate, reading, Arm.CANDIDATE, weights[1])
    return replace(state, incumbent=incumbent, candidate=candidate, pending=_pend(state, reading, seen))


def summary(state: ProcessState) -> Summary:
    """Return the evidence and the estimates so far."""
    return report.summarise(state)


def _grow_now(state: ProcessState, reading: Reading, seen: Views | None) -> ProcessState:
    state = restart_if_due(state, reading.share)
    grown = evidence.grow_by(state.setting, state.tuning, state.interval, reading, seen)
    return replace(
        state,
        harm=grow_wealth(state.harm, grown.harm) if grown.harm else state.harm,
        safety=grow(state.safety, grown.safety) if grown.safety else state.safety,
        interval=grown.interval,
        n_since_start=state.n_since_start + reading.tally.assigned(Arm.CANDIDATE),
    )


def _grow_block(state: ProcessState, reading: Reading, seen: Views) -> ProcessState:
    """Count a reading into its block; what a block says is known when the next one begins."""
    state = turn_block(state, reading.window, reading.share)
    n = (seen.candidate.assigned, seen.incumbent.assigned)
    now = state.block
    if isinstance(state.tuning, LawTuning):
        totals = block.value_sum(seen.candidate, state.tuning), block.value_sum(seen.incumbent, state.tuning)
        now = block.add(now, reading.share, n, totals)
    return replace(state, block=now, n_since_start=state.n_since_start + n[0])


def turn_block(state: ProcessState, window: int, share: float) -> ProcessState:
    """End the block under way when a window falls into a later one; the harm mixture restarts between blocks only.

    A start in the midst of a block would have seen half of the block's outcome.
    """
    setting, now = state.setting, state.block
    index = window // block.windows_of(setting.block_s or WINDOW_S)
    if index == now.index:
        return state
    log_margin = log_of(setting.max_ratio or 1.0)
    grown = block.growth(now, log_margin)
    if grown is not None and now.difference is not None:
        grid = state.interval and interval.fold_block(state.interval, now.difference, now.scale)
        state = replace(
            state, harm=grow_wealth(state.harm, grown.harm), safety=grow(state.safety, grown.safety), interval=grid
        )
    return restart_if_due(replace(state, block=block.following(now, index, log_margin)), share)


def _pend(state: ProcessState, reading: Reading, seen: Views | None) -> tuple[Pending, ...]:
    if state.setting.kind not in TUNED:
        return ()
    classes = _incumbent_classes(state.setting, state.tuning, reading, seen)
    if state.pending and state.pending[-1].window == reading.window:
        last = state.pending[-1]
        return (*state.pending[:-1], Pending(last.window, last.classes + classes))
    return (*state.pending, Pending(reading.window, classes))


def _release(state: ProcessState, window: int) -> ProcessState:
    """Move windows up to `window` - L into the baseline and tune when it grew enough."""
    last = window - state.setting.lag_windows
    if not state.pending or state.pending[0].window > last:
        return state
    baseline = state.baseline
    for item in state.pending:
        if item.window <= last:
            baseline = add_to_baseline(baseline, item.classes)
    kept = tuple(item for item in state.pending if item.window > last)
    return tune(replace(state, baseline=baseline, pending=kept))


def tune(state: ProcessState) -> ProcessState:
    """Freeze new constants when the baseline grew enough since the last."""
    baseline, setting = state.baseline, state.setting
    if baseline.n < MIN_CLASS or not baseline.wants_tuning:
        return state
    tuning: Tuning
    match setting.kind:
        case Kind.QUANTILE:
            tuning = tune_quantile(baseline.classes(), setting.level)
        case Kind.LAW | Kind.BLOCK:
            tuning = tune_law(baseline.classes())
        case _:
            cap = state.tuning.cap if isinstance(state.tuning, MeanTuning) else None
            tuning = tune_mean(setting, baseline.classes(), cap)
    return replace(state, baseline=tuned(baseline), tuning=tuning)


def restart_if_due(state: ProcessState, share: float) -> ProcessState:
    """Begin a new start of the harm mixture at a new share and after so many candidate images (§8.2)."""
    if state.start_share is None:
        return replace(state, start_share=share)
    if state.n_since_start < images_to_start(state, share):
        return state
    return replace(state, harm=restart(state.harm), start_share=share, n_since_start=0)


def images_to_start(state: ProcessState, share: float) -> int:
    """Return after how many candidate images since the latest start the next one is due at a share."""
    return state.harm.images_to_start if share == state.start_share else MIN_START_IMAGES


def _incumbent_classes(
    setting: CriterionSetting, tuning: Tuning | None, reading: Reading, seen: Views | None
) -> ClassCounts:
    """Return the incumbent's outcomes that tune; latencies still unresolved enter above the threshold."""
    if seen is None:
        return reading.counts(setting.metric, Arm.INCUMBENT)
    shifts, late = late_cell(setting, tuning)
    return with_unresolved(seen.incumbent, shifts, late + CLIMB_CELLS)


def late_cell(setting: CriterionSetting, tuning: Tuning | None) -> tuple[Shifts, int]:
    """Return the normalised cell that a candidate request unresolved at its reading has reached."""
    match tuning:
        case QuantileTuning():
            return tuning.shifts, tuning.cell + harm_cells(setting.max_ratio or 1.0)
        case LawTuning():
            return tuning.median.shifts, tuning.clip_cell + harm_cells(setting.max_ratio or 1.0)
        case _ if setting.kind is Kind.LIMIT_EVENT and setting.axis is Axis.LOG:
            return Shifts({}, 0), cell_of(Axis.LOG, setting.limit or 0.0) + 1
        case _:
            return Shifts({}, 0), LOG_HIGHEST - CLIMB_CELLS
