"""Fold many windows of one share at once: `criterion.fold` between two retunings, in numpy.

Everything that moves the constants (release, retuning, restarts) is done by the functions that `criterion.fold`
uses, at the same windows; between two of those moments the constants stand still, every test is a product over
requests, and the log wealth after each window is a cumulative sum. So the state is the one that folding the same
windows one by one leads to, up to rounding in the log wealth and the estimates; a property test holds it to 1e-9.
Confidence sequences are not kept here, and requests known never to get a latency are counted as unresolved.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from controller.stats.baseline_batch import Release
from controller.stats.bins import LOG_LOWEST, Axis, cell_of
from controller.stats.block_batch import Blocks
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints
from controller.stats.criterion import LIMITS, MIN_START_REQUESTS, age_of, late_cell, restart_if_due
from controller.stats.estimate_batch import Estimates
from controller.stats.factors import factors, has_value
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import ProcessState
from controller.stats.wealth import LOG_E_LIMIT, RESTART_REQUESTS, Wealth, start_weight


@dataclass(frozen=True, slots=True)
class Path:
    """What a criterion said after each window.

    `log_harm`, `log_safety`: log e-values; `age_s`: seconds after the window's end at which it was read; `evident`:
    a value of either arm had been seen; `n_candidate`: candidate requests whose value had been read.
    """

    log_harm: Floats
    log_safety: Floats
    age_s: Floats
    evident: Bools
    n_candidate: Ints


def fold_many(state: ProcessState, share: float, columns: Columns, flush_s: float = 1.0) -> tuple[ProcessState, Path]:
    """Return the state after all windows, and what it said after each.

    A window is read at its age rounded up to a multiple of `flush_s`, when gateways have reported it. Windows
    continue those that the state has read; the last of those may go on in the first of these.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share!r} compares nothing")
    if state.interval:
        raise ValueError("confidence sequences are not kept here: start the criterion with interval=False")
    release, estimates, blocks = Release(state, columns), Estimates(state, share, columns), Blocks(columns)
    ages = np.empty(len(columns.windows))
    harm, safety = np.zeros((len(state.harm.total), len(ages))), np.zeros((len(state.safety), len(ages)))
    for first, last in release.segments():
        tuning = release.tuning
        age_s = math.ceil(age_of(state.setting, tuning) / flush_s - 1e-9) * flush_s
        ages[first:last] = age_s
        rows = as_read(state.setting, columns.part(first, last), age_s)
        shifts, late = late_cell(state.setting, tuning)
        release.note(first, rows, shifts, late)
        estimates.add(first, rows, tuning, shifts, late)
        grown = factors(state.setting, tuning, share, rows)
        if grown is not None:
            harm[:, first:last], safety[:, first:last] = (rows.sums(side) for side in grown)
        elif state.setting.kind is Kind.BLOCK:
            blocks.add(first, rows, tuning)
    if state.setting.kind is Kind.BLOCK:
        grown_state, log_harm, log_safety = blocks.grow(state, share)
    else:
        grown_state, log_harm, log_safety = _grow(state, share, columns, harm, safety)
    path = Path(log_harm, log_safety, ages, estimates.evident(), estimates.n_candidate())
    if state.setting.kind is Kind.LIMIT_MAX:
        path = _highest(state, columns, path)
    return estimates.finish(release.finish(grown_state)), path


def as_read(setting: CriterionSetting, rows: Columns, age_s: float) -> Columns:
    """Return the rows as seen at an age: what is not known by then has no value."""
    if rows.known_s is None or not setting.is_elapsed:
        return rows
    return replace(rows, cell=np.where(rows.known_s <= age_s, rows.cell, NO_VALUE))


def _grow(
    state: ProcessState, share: float, columns: Columns, harm: Floats, safety: Floats
) -> tuple[ProcessState, Floats, Floats]:
    """Add the factors window by window, restarting the harm mixture when it is due."""
    counted = columns.n * columns.candidate if state.setting.kind in LIMITS else columns.n
    requests = np.append(0, np.cumsum(columns.sums(counted)))
    log_harm = np.empty(harm.shape[1])
    first = 0
    while first < len(log_harm):
        state = restart_if_due(state, share)
        needed = RESTART_REQUESTS if share == state.start_share else MIN_START_REQUESTS
        due = np.searchsorted(requests, requests[first] + needed - state.n_since_start)
        last = min(max(int(due), first + 1), len(log_harm))
        totals = _running(state.harm.total, harm[:, first:last])
        log_harm[first:last] = _log_mixture(state.harm, totals)
        state = replace(
            state,
            harm=replace(state.harm, total=tuple(totals[:, -1].tolist())),
            n_since_start=state.n_since_start + int(requests[last] - requests[first]),
        )
        first = last
    totals = _running(state.safety, safety)
    log_safety = _clip(_log_sum(totals) - math.log(len(totals)))
    return (replace(state, safety=tuple(totals[:, -1].tolist())) if first else state), log_harm, log_safety


def _running(total: tuple[float, ...], growth: Floats) -> Floats:
    """Return each bet's log wealth after each window."""
    return np.cumsum(np.column_stack((total, growth)), axis=1)[:, 1:]


def _log_mixture(wealth: Wealth, totals: Floats) -> Floats:
    """Return `wealth.log_value` for each column of totals.

    The starts' bases are constants, so they fold into one constant per bet: sum over starts of w_s / base_sk.
    """
    bases = np.array([[math.log(start_weight(start.index)) - base for base in start.base] for start in wealth.starts])
    constant = _log_sum(bases) - math.log(len(totals))
    cash = np.full((1, totals.shape[1]), math.log(0.25 / wealth.begun))
    return _clip(_log_sum(np.vstack((totals + constant[:, None], cash))))


def _log_sum(logs: Floats) -> Floats:
    """Return log(sum(exp(logs))) down each column."""
    highest = logs.max(axis=0)
    return np.asarray(highest + np.log(np.exp(logs - highest).sum(axis=0)))


def _clip(log_e: Floats) -> Floats:
    return np.clip(log_e, -LOG_E_LIMIT, LOG_E_LIMIT)


def _highest(state: ProcessState, columns: Columns, path: Path) -> Path:
    """Return the path of a limit on the maximum: certain either way from the first value on."""
    seen = columns.candidate & has_value(columns)
    cells = np.maximum.reduceat(np.where(seen, columns.cell, LOG_LOWEST - 1), columns.starts[:-1])
    before = LOG_LOWEST - 1 if state.candidate.highest is None else state.candidate.highest
    highest = np.maximum.accumulate(np.maximum(cells, before))
    limit = cell_of(Axis.LOG, state.setting.limit or 0.0)
    log_harm = np.where(highest > limit, LOG_E_LIMIT, np.where(highest < LOG_LOWEST, 0.0, -LOG_E_LIMIT))
    return replace(path, log_harm=log_harm, log_safety=-log_harm)
