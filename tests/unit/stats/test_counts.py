"""Counts as arrays say what dictionaries of counts say."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.stats.bins import Axis, value_of
from controller.stats.counts import ClassCounts, Counts, values

CELLS = st.dictionaries(st.integers(-40, 40), st.integers(1, 9), max_size=8)
CLASSES = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), CELLS, max_size=4)
Classes = Mapping[str, Mapping[int, int]]


def occupied(classes: Classes) -> dict[str, dict[int, int]]:
    return {name: dict(cells) for name, cells in classes.items() if cells}


def pooled(classes: Classes, shifts: Mapping[str, int]) -> dict[int, int]:
    total: dict[int, int] = {}
    for name, cells in classes.items():
        for cell, n in cells.items():
            total[cell - shifts[name]] = total.get(cell - shifts[name], 0) + n
    return total


def added(left: Classes, right: Classes) -> dict[str, dict[int, int]]:
    total = occupied(left)
    for name, cells in occupied(right).items():
        mine = total.setdefault(name, {})
        for cell, n in cells.items():
            mine[cell] = mine.get(cell, 0) + n
    return total


@given(CLASSES)
def test_nothing_is_lost_or_gained(classes: Classes) -> None:
    """Classes, sizes and totals are those of the dictionaries; classes without requests count for nothing."""
    counts = ClassCounts.of(classes)
    assert counts.classes() == occupied(classes)
    assert dict(zip(counts.names, counts.sizes.tolist(), strict=True)) == {
        n: sum(c.values()) for n, c in classes.items()
    }
    assert counts.total == sum(sum(cells.values()) for cells in classes.values())
    assert counts.names == tuple(sorted(classes))


@given(CLASSES, CLASSES, CLASSES)
def test_adding_is_adding_cell_by_cell(one: Classes, two: Classes, three: Classes) -> None:
    """In any order, with any classes and cells."""
    a, b, c = map(ClassCounts.of, (one, two, three))
    assert (a + b).classes() == added(one, two)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + ClassCounts.none() == a == ClassCounts.none() + a


@given(CLASSES, st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(-50, 50)))
def test_pooling_lowers_each_class_by_its_own_cells(classes: Classes, by: Mapping[str, int]) -> None:
    """That is how classes of different speed come to lie upon each other."""
    shifts = {name: by.get(name, 7) for name in classes}
    counts = ClassCounts.of(classes)
    lowered = counts.lowered(np.array([shifts[name] for name in counts.names], dtype=np.int64))
    assert lowered.cells() == pooled(classes, shifts)
    assert counts.pooled.cells() == pooled(classes, dict.fromkeys(classes, 0))


@given(CLASSES, st.integers(0, 5), st.integers(-60, 60))
def test_late_requests_join_their_class(classes: Classes, n: int, cell: int) -> None:
    """Each class has its own number of them and its own cell; none of them is none."""
    counts = ClassCounts.of(classes)
    late = [n if at % 2 else 0 for at in range(len(counts.names))]
    cells = [cell + 10 * at for at in range(len(counts.names))]
    more = {name: {at: k} for name, at, k in zip(counts.names, cells, late, strict=True) if k}
    found = counts.with_late(np.array(cells, dtype=np.int64), np.array(late, dtype=np.int64))
    assert found.classes() == added(classes, more)
    assert found == ClassCounts.of(added(classes, more))
    assert not found.total or (found.n[:, 0].any() and found.n[:, -1].any())


@given(CELLS.filter(bool), st.sampled_from([0.01, 0.25, 0.5, 0.95, 1.0]))
def test_a_quantile_is_the_first_cell_that_reaches_the_level(cells: Mapping[int, int], level: float) -> None:
    """Of one class, of each class of several, and of weights."""
    n, reached, expected = sum(cells.values()), 0, None
    for cell in sorted(cells):
        reached += cells[cell]
        if reached >= level * n:
            expected = cell
            break
    assert Counts.of(cells).quantile(level) == expected
    assert Counts.of(cells).times(0.25).quantile(level) == expected
    assert ClassCounts.of({"a": cells, "b": {-40: 1, 40: 1}}).quantiles(level)[0] == expected


@given(CELLS, st.integers(-60, 60))
def test_requests_below_a_cell_are_counted(cells: Mapping[int, int], cell: int) -> None:
    """One cell or many, inside the range of cells or outside."""
    expected = sum(n for at, n in cells.items() if at < cell)
    assert Counts.of(cells).below(cell) == expected
    assert Counts.of(cells).below_each(np.array([cell, -1000, 1000])).tolist() == [expected, 0, sum(cells.values())]


@given(CELLS, CELLS)
def test_weights_add_up_cell_by_cell(one: Mapping[int, int], two: Mapping[int, int]) -> None:
    """An estimate gains the weight of each reading; the highest cell is the highest with any."""
    total = Counts.of(one).times(0.5) + Counts.of(two).times(2.0)
    assert total.cells() == {cell: 0.5 * one.get(cell, 0) + 2.0 * two.get(cell, 0) for cell in {*one, *two}}
    assert total.highest == max({*one, *two}, default=None)
    assert Counts(3, np.zeros(4)).highest is None


def test_counts_are_equal_when_every_cell_is() -> None:
    """Room without requests around them makes no difference; another weight or another cell does."""
    assert Counts(4, np.array([0, 2, 0])) == Counts(5, np.array([2.0]))
    assert Counts(4, np.array([0, 2])) != Counts(4, np.array([2, 0]))
    assert Counts(4, np.array([2])) != {4: 2}
    assert ClassCounts.of({"a": {4: 2}}) == ClassCounts.of({"a": {4: 2}, "b": {}})
    assert ClassCounts.of({"a": {4: 2}}) != ClassCounts.of({"b": {4: 2}})
    assert ClassCounts.of({"a": {4: 2}}) != {"a": {4: 2}}


@pytest.mark.parametrize(
    ("axis", "low", "width"), [(Axis.LOG, -1624, 3), (Axis.LOG, 926, 3), (Axis.SCORE, 198, 3), (Axis.BINARY, 0, 2)]
)
def test_values_are_those_of_the_cells(axis: Axis, low: int, width: int) -> None:
    """Bit for bit, up to both ends of the axis."""
    assert values(axis, low, width).tolist() == [value_of(axis, cell) for cell in range(low, low + width)]
    assert Counts(low, np.array([2, 0, 1][:width])).value(axis) == pytest.approx(
        2 * value_of(axis, low) + (value_of(axis, low + 2) if width == 3 else 0.0)
    )


@pytest.mark.parametrize("cell", [-1625, 929, 10**12])
def test_cells_that_no_axis_has_are_refused(cell: int) -> None:
    """A broken gateway must not make the controller ask for the memory of a billion cells."""
    with pytest.raises(ValueError, match=f"cells .*{cell}.*no axis"):
        ClassCounts.of({"a": {cell: 1, 3: 2}})


@pytest.mark.parametrize(("axis", "low", "width"), [(Axis.SCORE, 200, 2), (Axis.SCORE, -1, 1), (Axis.BINARY, 0, 3)])
def test_cells_that_this_axis_has_not_are_refused(axis: Axis, low: int, width: int) -> None:
    """What was counted on one axis has no value on another."""
    with pytest.raises(ValueError, match="outside the"):
        values(axis, low, width)
    assert len(values(axis, low, 0)) == 0
