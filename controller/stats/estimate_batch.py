"""The arms' estimates after many windows at once: `estimate.add_latencies` and `add_values` in numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from controller.stats.columns import Bools, Columns, Floats, Ints
from controller.stats.criterion import LIMITS
from controller.stats.estimate import ArmEstimate
from controller.stats.factors import centres, has_value, losses
from controller.stats.mean import MeanTuning
from controller.stats.normal import Shifts
from controller.stats.report import is_latency
from controller.stats.setting import Kind
from controller.stats.state import ProcessState, Tuning


@dataclass(slots=True)
class _Arm:
    """What one arm showed so far in this batch."""

    raw: list[Ints] = field(default_factory=list)
    relative: list[Ints] = field(default_factory=list)
    n: list[Ints] = field(default_factory=list)
    residual: float = 0.0
    read: int = 0
    without: int = 0
    late_from: int | None = None


class Estimates:
    """Collects what both arms showed, segment by segment."""

    def __init__(self, state: ProcessState, share: float, columns: Columns) -> None:
        self._state = state
        self._latency = is_latency(state.setting)
        self._weights = (1.0, 1.0) if state.setting.kind in LIMITS else (share, 1.0 - share)
        self._arms = (_Arm(), _Arm())  # incumbent, candidate
        self._shown = np.zeros((2, len(columns.windows)), dtype=np.bool_)
        self._read = np.zeros(len(columns.windows), dtype=np.int64)

    def add(self, first: int, rows: Columns, tuning: Tuning | None, shifts: Shifts, late: int) -> None:
        """Take a segment in, as read under these constants; `first` is its first window."""
        kind, valued = self._state.setting.kind, has_value(rows)
        counts = tuning is not None or kind in LIMITS or kind is Kind.COIN
        taken = np.ones(len(rows.cell), np.bool_) if self._latency else valued
        of_kind = np.array([shifts.of(name) for name in rows.names], dtype=np.int64)[rows.kind]
        raw = np.where(valued, rows.cell, of_kind + late)
        excess = None if self._latency else self._excess(rows, tuning)
        self._read[first : first + len(rows.windows)] = rows.sums(np.where(rows.candidate & taken, rows.n, 0))
        for side, arm in enumerate(self._arms):
            mine = rows.candidate == bool(side)
            arm.read += int(rows.n[mine & taken].sum())
            arm.without += int(rows.n[mine & ~taken].sum())
            if not counts:
                continue
            kept = mine & taken
            self._shown[side, first : first + len(rows.windows)] = rows.sums(kept.astype(np.int64)) > 0
            arm.raw.append(raw[kept])
            arm.relative.append((raw - of_kind)[kept])
            arm.n.append(rows.n[kept])
            if excess is not None:
                arm.residual += float((excess * rows.n)[kept].sum())
            if self._latency and (mine & ~valued).any():
                arm.late_from = late if arm.late_from is None else min(late, arm.late_from)

    def evident(self) -> Bools:
        """Say after which windows both arms had shown a value."""
        before = [[bool(arm.raw)] for arm in (self._state.incumbent, self._state.candidate)]
        return np.asarray(np.logical_or.accumulate(np.hstack((before, self._shown)), axis=1)[:, 1:].all(axis=0))

    def n_candidate(self) -> Ints:
        """Return after each window the candidate requests whose value was read."""
        return np.asarray(self._state.candidate.n + np.cumsum(self._read))

    def finish(self, state: ProcessState) -> ProcessState:
        """Return the state with these estimates."""
        incumbent, candidate = (
            self._finished(before, arm, weight)
            for before, arm, weight in zip((state.incumbent, state.candidate), self._arms, self._weights, strict=True)
        )
        return replace(state, incumbent=incumbent, candidate=candidate)

    def _excess(self, rows: Columns, tuning: Tuning | None) -> Floats:
        loss = losses(self._state.setting, rows)
        return loss - centres(tuning, rows) if isinstance(tuning, MeanTuning) else loss

    def _finished(self, before: ArmEstimate, arm: _Arm, weight: float) -> ArmEstimate:
        after = replace(before, n=before.n + arm.read, missing=before.missing + (0 if self._latency else arm.without))
        if not any(len(cells) for cells in arm.raw):
            return after
        raw, n = np.concatenate(arm.raw), np.concatenate(arm.n)
        relative = _added(before.relative, np.concatenate(arm.relative), n, weight) if self._latency else {}
        late = [cell for cell in (before.late_from, arm.late_from) if cell is not None]
        return replace(
            after,
            raw=_added(before.raw, raw, n, weight),
            relative=relative,
            late_from=min(late, default=None),
            weight=before.weight + weight * float(n.sum()),
            residual=before.residual + weight * arm.residual,
            highest=int(raw.max()) if before.highest is None else max(int(raw.max()), before.highest),
        )


def _added(before: Mapping[int, float], cells: Ints, n: Ints, weight: float) -> dict[int, float]:
    total = dict(before)
    found, inverse = np.unique(cells, return_inverse=True)
    for cell, count in zip(found.tolist(), np.bincount(inverse, weights=n).tolist(), strict=True):
        total[cell] = total.get(cell, 0.0) + weight * count
    return total
