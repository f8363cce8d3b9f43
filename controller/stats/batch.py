"""Fold many windows of one share at once: `criterion.fold` in numpy, with its own retunings and restarts.

Everything that moves the constants (release, retuning, restarts) is done by the functions that `criterion.fold`
uses, at the same windows; between two of those moments the constants stand still, every test is a product over
requests, and the log wealth after each window is a cumulative sum. So the state is the one that folding the same
windows one by one leads to, up to rounding in the log wealth and the estimates; a property test holds it to 1e-9.
Confidence sequences are not kept here, and requests known never to get a latency are counted as unresolved.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from controller.stats.baseline_batch import Release
from controller.stats.bins import LOG_LOWEST, Axis, cell_of
from controller.stats.block_batch import Blocks
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints
from controller.stats.course import Course, Piece, known
from controller.stats.criterion import TUNED, age_of, images_to_start, late_cell, restart_if_due
from controller.stats.estimate_batch import estimate
from controller.stats.factors import Side, factors_of, has_value
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import ProcessState
from controller.stats.stretch import Stretch, Stretches
from controller.stats.wealth import FIRST_STAKE, LOG_E_LIMIT, Wealth, cash_left


@dataclass(frozen=True)
class Path:
    """What a criterion said after each window.

    `harm`, `safety`: courses of log e-values; `age_s`: seconds after the window's end at which it was read;
    `evident`: a value of either arm had been seen; `n_candidate`: candidate requests whose value had been read.
    """

    harm: Course
    safety: Course
    age_s: Floats
    evident: Bools
    n_candidate: Ints

    @cached_property
    def log_harm(self) -> Floats:
        """Return the log e-value against "within the allowed change" after each window."""
        return self.harm.values()

    @cached_property
    def log_safety(self) -> Floats:
        """Return the log e-value against "at or beyond it" after each window."""
        return self.safety.values()


def fold_many(state: ProcessState, share: float, columns: Columns, flush_s: float = 1.0) -> tuple[ProcessState, Path]:
    """Return the state after all windows, and what it said after each.

    A window is read at its age rounded up to a multiple of `flush_s`, when gateways have reported it. Windows
    continue those that the state has read; the last of those may go on in the first of these.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share!r} compares nothing")
    if state.interval:
        raise ValueError("confidence sequences are not kept here: start the criterion with interval=False")
    release = Release(state, columns)
    items = _stretches(state.setting, release, flush_s)
    ages, lengths = [item.age_s for item in items], [item.last - item.first for item in items]
    age_s = np.repeat(np.array(ages, dtype=np.float64), np.array(lengths, dtype=np.int64))
    read = as_read(state.setting, columns, age_s)
    shown = [item for item in items if item.tuning is not None or state.setting.kind not in TUNED]
    rows = read.part(shown[0].first, len(read.windows)) if shown else read.part(0, 0)
    stretches = Stretches.over(shown, rows)
    estimated, seen = estimate(state, share, read, rows, stretches)
    match state.setting.kind:
        case Kind.BLOCK:
            grown, *logs = Blocks(columns, stretches, rows).grow(estimated, share)
            harm, safety = map(known, logs)
        case Kind.LIMIT_MAX:
            grown, (harm, safety) = _grow(estimated, share, columns, rows, stretches)[0], _highest(state, columns)
        case _:
            grown, (harm, safety) = _grow(estimated, share, columns, rows, stretches)
    return release.finish(grown), Path(harm, safety, age_s, seen.evident, seen.n_candidate)


def as_read(setting: CriterionSetting, columns: Columns, age_s: Floats) -> Columns:
    """Return the rows as each window is seen at its age: what is not known by then has no value."""
    if columns.known_s is None or not setting.is_elapsed:
        return columns
    return replace(columns, cell=np.where(columns.known_s <= columns.by_row(age_s), columns.cell, NO_VALUE))


def _stretches(setting: CriterionSetting, release: Release, flush_s: float) -> list[Stretch]:
    """Return the windows between two tunings, each with what it was read under."""
    items = []
    for first, last in release.segments():
        tuning = release.tuning
        age_s = math.ceil(age_of(setting, tuning) / flush_s - 1e-9) * flush_s
        items.append(Stretch(first, last, tuning, age_s, *late_cell(setting, tuning)))
        release.note(items[-1])
    return items


def _grow(
    state: ProcessState, share: float, columns: Columns, rows: Columns, stretches: Stretches
) -> tuple[ProcessState, tuple[Course, Course]]:
    """Multiply the factors of all rows onto the wealth."""
    found = factors_of(state.setting, stretches, share, rows) if stretches.items else None
    harm, safety = (None, None) if found is None else (found.harm, found.safety)
    totals = _running(state.harm.total, harm, columns, rows)
    state, pieces = _restarted(state, share, columns, totals)
    before = state.safety
    if safety is not None:
        state = replace(state, safety=tuple((before + safety.total(rows.n)).tolist()))
    even = [Piece(0, totals.shape[1], np.full(len(before), -math.log(len(before))), -math.inf)]
    return state, (
        Course(lambda: totals, pieces),
        Course(lambda: _running(before, safety, columns, rows), even if totals.shape[1] else []),
    )


def _running(before: tuple[float, ...], side: Side | None, columns: Columns, rows: Columns) -> Floats:
    """Return each bet's log wealth after each window; windows before the first of `rows` change nothing."""
    totals = np.empty((len(before), len(columns.windows)))
    first = totals.shape[1] - (len(rows.windows) if side is not None else 0)
    totals[:, :first] = np.array(before)[:, None]
    if side is None or first == totals.shape[1]:
        return totals
    grown = side.rows()
    if not (rows.n == 1).all():
        grown = grown * rows.n
    grown = rows.sums(grown)
    np.cumsum(grown, axis=1, out=totals[:, first:])
    totals[:, first:] += np.array(before)[:, None]
    return totals


def _restarted(state: ProcessState, share: float, columns: Columns, totals: Floats) -> tuple[ProcessState, list[Piece]]:
    """Return the state with the harm wealth of the last window, and the pieces between starts of the mixture.

    What is staked between two windows only adds to each bet's log wealth from then on.
    """
    images = np.append(0, np.cumsum(columns.sums(columns.n * columns.candidate)))
    pieces, staked = [], np.zeros(len(totals))
    first = 0
    while first < totals.shape[1]:
        before = np.array(state.harm.total)
        state = restart_if_due(state, share)
        staked += np.array(state.harm.total) - before
        due = np.searchsorted(images, images[first] + images_to_start(state, share) - state.n_since_start)
        last = min(max(int(due), first + 1), totals.shape[1])
        pieces.append(_piece(first, last, staked, state.harm.begun))
        state = replace(
            state,
            harm=Wealth(tuple((totals[:, last - 1] + staked).tolist()), state.harm.begun),
            n_since_start=state.n_since_start + int(images[last] - images[first]),
        )
        first = last
    return state, pieces


def _piece(first: int, last: int, staked: Floats, begun: int) -> Piece:
    """Return windows between two starts as `wealth.log_value` mixes them."""
    weights = staked + (math.log(FIRST_STAKE) - math.log(len(staked)))
    return Piece(first, last, weights, math.log((1.0 - FIRST_STAKE) * cash_left(begun)))


def _highest(state: ProcessState, columns: Columns) -> Sequence[Course]:
    """Return harm and safety of a limit on the maximum: certain either way from the first value on."""
    seen = columns.candidate & has_value(columns)
    cells = np.maximum.reduceat(np.where(seen, columns.cell, LOG_LOWEST - 1), columns.starts[:-1])
    before = LOG_LOWEST - 1 if state.candidate.highest is None else state.candidate.highest
    highest = np.maximum.accumulate(np.maximum(cells, before))
    limit = cell_of(Axis.LOG, state.setting.limit or 0.0)
    log_harm = np.where(highest > limit, LOG_E_LIMIT, np.where(highest < LOG_LOWEST, 0.0, -LOG_E_LIMIT))
    return known(log_harm), known(-log_harm)
