"""The arms' estimates after many windows at once: `estimate.add_latencies` and `add_values` in numpy."""

from dataclasses import dataclass, replace

import numpy as np

from controller.stats.columns import NO_VALUE, Bools, Columns, Ints
from controller.stats.counts import Counts
from controller.stats.criterion import LIMITS
from controller.stats.estimate import ArmEstimate, add_cells
from controller.stats.factors import centres, has_value, losses
from controller.stats.report import is_latency
from controller.stats.setting import Kind
from controller.stats.state import ProcessState
from controller.stats.stretch import Stretches


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read, window by window: both arms have shown a value; candidate requests whose value was read."""

    evident: Bools
    n_candidate: Ints


def estimate(
    state: ProcessState, share: float, columns: Columns, rows: Columns, shown: Stretches
) -> tuple[ProcessState, Seen]:
    """Return the state with the estimates of all windows, and what was read after each.

    `rows`: the last of the columns, those whose values count, because constants were known: of the stretches `shown`.
    """
    latency = is_latency(state.setting)
    weights = (1.0, 1.0) if state.setting.kind in LIMITS else (share, 1.0 - share)
    read = columns.n if latency else columns.n * has_value(columns)
    arms = _counted(state, columns, read)
    n_candidate = state.candidate.n + np.cumsum(columns.sums(read * columns.candidate))
    evident = np.zeros(len(columns.windows), dtype=np.bool_)
    if shown.items:
        evident[_first_evident(state, rows, shown.items[0].first, latency=latency) :] = True
        if latency:
            arms = _with_latencies(arms, weights, rows, shown)
        else:
            arms = _with_values(state, arms, weights, rows, shown)
    return replace(state, incumbent=arms[0], candidate=arms[1]), Seen(evident, n_candidate)


def _arms(state: ProcessState) -> tuple[ArmEstimate, ArmEstimate]:
    return state.incumbent, state.candidate


def _counted(state: ProcessState, columns: Columns, read: Ints) -> list[ArmEstimate]:
    """Count the requests of each arm: `read` of each row's have a value."""
    counts = []
    for n in (columns.n, read):
        on_candidate = int(n @ columns.candidate)
        counts.append((int(n.sum()) - on_candidate, on_candidate))
    return [
        replace(arm, n=arm.n + seen, missing=arm.missing + n - seen)
        for arm, n, seen in zip(_arms(state), *counts, strict=True)
    ]


def _first_evident(state: ProcessState, rows: Columns, first: int, *, latency: bool) -> int:
    """Return the first window after which both arms have shown a value."""
    valued = np.ones(len(rows.cell), np.bool_) if latency else has_value(rows)
    latest = 0
    for side, arm in enumerate(_arms(state)):
        if arm.weight > 0:
            continue
        own = np.flatnonzero(valued & (rows.candidate == bool(side)))
        if not len(own):
            return len(rows.windows) + first
        latest = max(latest, first + int(np.searchsorted(rows.starts, own[0], side="right")) - 1)
    return latest


def _with_latencies(
    arms: list[ArmEstimate], weights: tuple[float, float], rows: Columns, shown: Stretches
) -> list[ArmEstimate]:
    """Add latencies; unresolved requests count at the cell that they are known to reach."""
    of_kind, valued = shown.shifts(rows), has_value(rows)
    raw = np.where(valued, rows.cell, of_kind + shown.late())
    counts, relative = _counts(raw, rows), _counts(raw - of_kind, rows)
    late = np.broadcast_to(shown.late(), raw.shape)
    added = []
    for side, (arm, weight) in enumerate(zip(arms, weights, strict=True)):
        unresolved = late[~valued & (rows.candidate == bool(side))]
        before = NO_VALUE if arm.late_from is None else arm.late_from
        late_from = int(np.min(unresolved, initial=before))
        added.append(
            add_cells(
                arm,
                counts[side],
                weight,
                relative=relative[side],
                late_from=None if late_from == NO_VALUE else late_from,
            )
        )
    return added


def _with_values(
    state: ProcessState, arms: list[ArmEstimate], weights: tuple[float, float], rows: Columns, shown: Stretches
) -> list[ArmEstimate]:
    """Add values that are known at the reading's age."""
    n = rows.n * has_value(rows)
    excess = losses(state.setting, rows)
    if state.setting.kind is Kind.MEAN:
        excess = excess - centres(shown, rows)
    excess = excess * n
    counts = _counts(rows.cell, replace(rows, n=n))
    added = []
    for side, (arm, weight) in enumerate(zip(arms, weights, strict=True)):
        residual = float(excess[rows.candidate == bool(side)].sum())
        added.append(add_cells(arm, counts[side], weight, lost=residual))
    return added


def _counts(cells: Ints, rows: Columns) -> tuple[Counts, Counts]:
    """Return the requests at each cell, of the incumbent and of the candidate; rows with n = 0 count nowhere."""
    found = []
    for side in (False, True):
        own = (rows.candidate == side) & (rows.n > 0)
        cell = cells[own]
        lowest = int(np.min(cell, initial=0))
        found.append(Counts(lowest, np.bincount(cell - lowest, weights=rows.n[own]).astype(np.int64)))
    return found[0], found[1]
