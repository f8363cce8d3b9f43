"""The incumbent's outcomes of many windows on their way into the baseline: pending, released, tuned with."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controller.stats.baseline import add_to_baseline
from controller.stats.columns import NO_VALUE, Bools, Columns
from controller.stats.counts import ClassCounts
from controller.stats.criterion import TUNED, tune
from controller.stats.quantile import CLIMB_CELLS
from controller.stats.report import is_latency
from controller.stats.state import Pending, ProcessState, Tuning
from controller.stats.stretch import Stretch


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
        window_of_row = columns.by_row(np.arange(len(columns.windows)))[self._row]
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
        self._gaps = not self._n.all()  # some rows count nowhere
        self._single = bool((self._n <= 1).all())  # no row stands for several requests
        counts = np.bincount(self._entry, weights=self._n, minlength=len(self._windows)).astype(np.int64)
        self._added = np.append(0, np.cumsum(counts))
        self._at = 0  # entries released so far
        self._order = sorted(range(len(self._names)), key=self._names.__getitem__)
        self._in_order = tuple(self._names[at] for at in self._order)

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
            changed = np.searchsorted(self._added, self._added[self._at] + self._state.baseline.until_change)
            last = max(first + 1, int(np.searchsorted(due, changed)))
            yield first, last
            first = last
        if n_windows:
            self._release(int(due[-1]))

    def note(self, item: Stretch) -> None:
        """Fill in the cells of requests that a stretch read without a value, under the constants in force."""
        if not self._latency or not self._moves:
            return
        columns = self._columns
        start, end = columns.starts[[item.first, item.last]].tolist()
        without = columns.cell[start:end] == NO_VALUE
        if columns.known_s is not None and self._state.setting.is_elapsed:
            without |= columns.known_s[start:end] > item.age_s
        rows = start + np.flatnonzero(without & ~columns.candidate[start:end])
        of_kind = np.array([item.shifts.of(name) for name in columns.names], dtype=np.int64)
        places = self._n_old_rows + np.searchsorted(self._row, rows)
        self._cell[places] = of_kind[columns.kind[rows]] + item.late + CLIMB_CELLS

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
        seen = columns.cell != NO_VALUE
        if columns.known_s is not None and setting.is_elapsed:
            seen &= columns.known_s <= np.ceil(setting.decided_s)
        known[self._n_old_rows :] = seen[self._row]
        return known

    def _rows_of(self, classes: ClassCounts) -> Iterator[tuple[int, int, int]]:
        for name, cells in classes.classes().items():
            if name not in self._names:
                self._names.append(name)
            yield from ((self._names.index(name), cell, n) for cell, n in cells.items())

    def _release(self, until: int) -> None:
        """Count the entries before `until` and tune when the baseline grew enough."""
        if until <= self._at:
            return
        baseline = self._state.baseline
        while self._at < until:
            room = baseline.capacity - baseline.n_recent
            full = int(np.searchsorted(self._added, self._added[self._at] + room))  # entries after which it turns
            last = min(max(full, self._at + 1), until)
            baseline = add_to_baseline(baseline, self._classes(self._at, last))
            self._at = last
        self._state = tune(replace(self._state, baseline=baseline))

    def _classes(self, first: int, last: int) -> ClassCounts:
        """Return the outcomes of the entries first..last - 1 by class."""
        low, high = np.searchsorted(self._entry, (first, last))
        kind, cell, n = self._kind[low:high], self._cell[low:high], self._n[low:high]
        if self._gaps:
            kind, cell, n = kind[n > 0], cell[n > 0], n[n > 0]
        if not len(n):
            return ClassCounts.none()
        lowest = int(cell.min())
        width = int(cell.max()) - lowest + 1
        counts = np.bincount(
            kind * width + (cell - lowest), weights=None if self._single else n, minlength=len(self._names) * width
        )
        return ClassCounts(self._in_order, lowest, counts.astype(np.int64).reshape(-1, width)[self._order])
