"""The incumbent's outcomes of many windows on their way into the baseline: pending, released, tuned with."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controller.stats.baseline import MIN_CLASS, RETUNE_LEAST, RETUNE_MOST, ClassCells, add_to_baseline
from controller.stats.columns import Bools, Columns, Ints
from controller.stats.criterion import TUNED, tune
from controller.stats.factors import has_value
from controller.stats.normal import Shifts
from controller.stats.quantile import CLIMB_CELLS
from controller.stats.report import is_latency
from controller.stats.state import Pending, ProcessState, Tuning

_LOOK_AHEAD = 2048
"""Windows searched for the next change at once; a segment that ends without one is followed by the next."""
_SPAN = 2**16
"""More than there are cells, so that (class, cell) is one number."""


class Release:
    """Moves windows into the baseline as `criterion.fold` does, and says between which windows nothing changes.

    Entries are the windows pending before, then the batch's; each has rows of incumbent outcomes.
    """

    def __init__(self, state: ProcessState, columns: Columns) -> None:
        self._state = state
        self._columns = columns
        self._moves = state.setting.kind in TUNED
        self._latency = is_latency(state.setting)
        self._names = list(columns.names)
        before = [(entry, *row) for entry, item in enumerate(state.pending) for row in self._rows_of(item.classes)]
        tunes = ~columns.candidate if self._moves else np.zeros(len(columns.cell), dtype=np.bool_)
        self._row = np.flatnonzero(tunes)  # of the batch's rows, those that tune
        window_of_row = np.repeat(np.arange(len(columns.windows)), np.diff(columns.starts))[self._row]
        old = np.array(before, dtype=np.int64).reshape(-1, 4)
        waiting = np.array([item.window for item in state.pending], dtype=np.int64)
        # A window that goes on is one entry with what was pending of it.
        goes_on = int(waiting.size > 0 and columns.windows.size > 0 and waiting[-1] == columns.windows[0])
        self._entry = np.concatenate((old[:, 0], len(waiting) - goes_on + window_of_row))
        self._kind = np.concatenate((old[:, 1], columns.kind[self._row]))
        self._cell = np.concatenate((old[:, 2], columns.cell[self._row]))
        self._n = np.concatenate((old[:, 3], columns.n[self._row]))
        self._n_old_rows = len(old)
        self._windows = np.concatenate((waiting, columns.windows[goes_on:]))
        valued = np.ones(len(self._n), np.bool_) if self._latency else self._known_forever()
        self._n = np.where(valued, self._n, 0)
        counts = np.bincount(self._entry, weights=self._n, minlength=len(self._windows)).astype(np.int64)
        self._added = np.append(0, np.cumsum(counts))
        self._at = 0  # entries released so far

    @property
    def tuning(self) -> Tuning | None:
        """Return the constants in force."""
        return self._state.tuning

    def segments(self) -> Iterator[tuple[int, int]]:
        """Yield first..last windows between two tunings; `note` each before asking for the next."""
        n_windows = len(self._columns.windows)
        if not self._moves:
            if n_windows:
                yield 0, n_windows
            return
        due = np.searchsorted(self._windows, self._columns.windows - self._state.setting.lag_windows, side="right")
        first = 0
        while first < n_windows:
            self._release(int(due[first]))
            last = first + 1 + self._next_change(due[first + 1 : first + _LOOK_AHEAD])
            yield first, last
            first = last
        if n_windows:
            self._release(int(due[-1]))

    def note(self, first: int, rows: Columns, shifts: Shifts, late: int) -> None:
        """Fill in the cells of the windows from `first` on, as read under the constants in force."""
        if not self._latency or not self._moves:
            return
        start = int(self._columns.starts[first])
        low, high = np.searchsorted(self._row, (start, start + len(rows.cell)))
        inside = self._row[low:high] - start
        of_kind = np.array([shifts.of(name) for name in rows.names], dtype=np.int64)
        cells = np.where(has_value(rows), rows.cell, of_kind[rows.kind] + late + CLIMB_CELLS)
        self._cell[self._n_old_rows + low : self._n_old_rows + high] = cells[inside]

    def finish(self, state: ProcessState) -> ProcessState:
        """Return the state with this baseline, these constants and what is still pending."""
        if not self._moves:
            return state
        pending = tuple(
            Pending(int(self._windows[entry]), self._classes(entry, entry + 1))
            for entry in range(self._at, len(self._windows))
        )
        return replace(state, baseline=self._state.baseline, tuning=self._state.tuning, pending=pending)

    def _known_forever(self) -> Bools:
        """Say which rows have a value at the age of a criterion that is read when everything is decided."""
        known = np.ones(len(self._n), np.bool_)
        columns, setting = self._columns, self._state.setting
        seen = has_value(columns)
        if columns.known_s is not None and setting.is_elapsed:
            seen &= columns.known_s <= np.ceil(setting.decided_s)
        known[self._n_old_rows :] = seen[self._row]
        return known

    def _rows_of(self, classes: ClassCells) -> Iterator[tuple[int, int, int]]:
        for name, cells in classes.items():
            if name not in self._names:
                self._names.append(name)
            yield from ((self._names.index(name), cell, n) for cell, n in cells.items())

    def _next_change(self, due: Ints) -> int:
        """Return how many windows later the constants or the generation may change first."""
        baseline = self._state.baseline
        added = self._added[due] - self._added[self._at]
        n = baseline.n + added
        wanted = np.minimum(np.maximum(RETUNE_LEAST, n // 10), RETUNE_MOST)
        changes = (n >= MIN_CLASS) & (baseline.n_untuned + added >= wanted)
        changes |= baseline.n_recent + added >= baseline.capacity
        found = np.flatnonzero(changes)
        return int(found[0]) if found.size else len(due)

    def _release(self, until: int) -> None:
        """Count the entries before `until` and tune when the baseline grew enough."""
        if until <= self._at:
            return
        state = self._state
        while self._at < until:
            room = state.baseline.capacity - state.baseline.n_recent
            full = int(np.searchsorted(self._added, self._added[self._at] + room))  # entries after which it turns
            last = min(max(full, self._at + 1), until)
            state = replace(state, baseline=add_to_baseline(state.baseline, self._classes(self._at, last)))
            self._at = last
        self._state = tune(state)

    def _classes(self, first: int, last: int) -> ClassCells:
        """Return the outcomes of the entries first..last - 1 by class."""
        low, high = np.searchsorted(self._entry, (first, last))
        kept = self._n[low:high] > 0
        keys = self._kind[low:high][kept] * _SPAN + self._cell[low:high][kept] + _SPAN // 2
        found, inverse = np.unique(keys, return_inverse=True)
        counts = np.bincount(inverse, weights=self._n[low:high][kept]).astype(np.int64)
        classes: dict[str, dict[int, int]] = {}
        for key, n in zip(found.tolist(), counts.tolist(), strict=True):
            kind, cell = divmod(key, _SPAN)
            classes.setdefault(self._names[kind], {})[cell - _SPAN // 2] = n
        return classes
