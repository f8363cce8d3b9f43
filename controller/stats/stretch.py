"""Windows that are read under the same constants: how `batch` spreads one value a stretch over the stretch's rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.stats.columns import Columns, Floats, Ints, Number
from controller.stats.normal import Shifts
from controller.stats.state import Tuning


@dataclass(frozen=True, slots=True)
class Stretch:
    """The windows first..last - 1 (positions), read at `age_s` under one tuning.

    `shifts`, `late`: the class shifts, and the normalised cell that an unresolved request has reached.
    """

    first: int
    last: int
    tuning: Tuning | None
    age_s: float
    shifts: Shifts
    late: int


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches without a gap between them; `of_row`: which one each row is in, None when there is only one."""

    items: Sequence[Stretch]
    of_row: Ints | None

    @staticmethod
    def over(items: Sequence[Stretch], rows: Columns) -> "Stretches":
        """Return the stretches with the rows of their windows; `rows` begin with the first one's."""
        if len(items) <= 1:
            return Stretches(items, None)
        begin = items[0].first
        edges = rows.starts[[0, *(item.last - begin for item in items)]]
        return Stretches(items, np.repeat(np.arange(len(items)), np.diff(edges)))

    def index(self, scale: int) -> Ints:
        """Return each row's stretch times a number (or a scalar)."""
        return np.zeros(1, dtype=np.int64) if self.of_row is None else self.of_row * scale

    def spread(self, values: Sequence[float]) -> Floats:
        """Return one value a stretch as one a row (or as a scalar)."""
        return self.by_row(np.array(values, dtype=np.float64))

    def by_row(self, values: Number) -> Number:
        """Return what the last axis says of each stretch for each row (or once)."""
        return values[..., 0:1] if self.of_row is None else values.take(self.of_row, axis=-1)

    def by_kind(self, values: Number, rows: Columns) -> Number:
        """Return what a table (stretch, class) says of each row."""
        if values.shape[-1] == 1:
            return self.by_row(values[:, 0])
        return values.ravel().take(self.index(values.shape[-1]) + rows.kind)

    def shifts(self, rows: Columns) -> Ints:
        """Return the class shift of each row."""
        table = [[item.shifts.of(name) for name in rows.names] for item in self.items]
        return self.by_kind(np.array(table, dtype=np.int64).reshape(len(self.items), len(rows.names)), rows)

    def late(self) -> Ints:
        """Return the normalised cell at which each row counts when it is unresolved."""
        return self.by_row(np.array([item.late for item in self.items], dtype=np.int64))
