"""Tallies: integer counts of outcomes, the only form in which evidence travels.

A `WindowTally` holds what happened to the requests *assigned* in one window of one epoch. It is cumulative
per gateway replica and replaced as a whole when it grows; replicas are merged by addition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

WINDOW_S = 5
"""Length of a window in seconds; window k covers [5k, 5k + 5) of the gateway's own wall clock."""

REPEAT = "repeat"
"""Under this name a class counts requests of users who have voted already (of sticky splits), which nothing judges."""
ANSWERED, FAILED, UNDER_WAY = 0, 1, 2
"""The cells of REPEAT; the first two are those of `failure`."""

Cells = Mapping[int, int]
_K = TypeVar("_K", int, str)


class Arm(StrEnum):
    """The two sides of a split."""

    INCUMBENT = "incumbent"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class ClassTally:
    """Outcomes of the requests of one class on one arm.

    `assigned`: requests assigned. `cells`: metric -> cell -> resolved requests. `missing`: metric -> reason
    -> requests whose value will never be known (scorer down, rejected as NaN, ...), which is not the same as
    a request still under way.
    """

    assigned: int = 0
    cells: Mapping[str, Cells] = field(default_factory=dict)
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __add__(self, other: "ClassTally") -> "ClassTally":
        """Merge two disjoint sets of requests."""
        return ClassTally(
            assigned=self.assigned + other.assigned,
            cells=_add_nested(self.cells, other.cells),
            missing=_add_nested(self.missing, other.missing),
        )

    def of(self, metric: str) -> Cells:
        """Return the cells of one metric, empty when nothing was resolved."""
        return self.cells.get(metric, {})

    @property
    def requests(self) -> int:
        """Return all requests that came, votes and repeated ones."""
        return self.assigned + sum(self.of(REPEAT).values())

    @property
    def answered(self) -> int:
        """Return the requests that were answered, votes and repeated ones."""
        return self.of("failure").get(ANSWERED, 0) + self.of(REPEAT).get(ANSWERED, 0)

    @property
    def under_way(self) -> int:
        """Return the requests that are not resolved yet, votes and repeated ones."""
        return self.assigned - sum(self.of("failure").values()) + self.of(REPEAT).get(UNDER_WAY, 0)


@dataclass(frozen=True, slots=True)
class WindowTally:
    """Arm -> request class -> outcomes."""

    arms: Mapping[Arm, Mapping[str, ClassTally]] = field(default_factory=dict)

    def __add__(self, other: "WindowTally") -> "WindowTally":
        """Merge two disjoint sets of requests."""
        merged: dict[Arm, dict[str, ClassTally]] = {arm: dict(classes) for arm, classes in self.arms.items()}
        for arm, classes in other.arms.items():
            mine = merged.setdefault(arm, {})
            for name, tally in classes.items():
                mine[name] = mine[name] + tally if name in mine else tally
        return WindowTally(merged)

    def assigned(self, arm: Arm) -> int:
        """Return the requests assigned to an arm, over all classes."""
        return sum(tally.assigned for tally in self.arms.get(arm, {}).values())

    def swapped(self) -> "WindowTally":
        """Return the tally with the arms exchanged (in a bake the split's incumbent is the rollout's candidate)."""
        other = {Arm.INCUMBENT: Arm.CANDIDATE, Arm.CANDIDATE: Arm.INCUMBENT}
        return WindowTally({other[arm]: classes for arm, classes in self.arms.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values with sorted keys."""
        return {
            arm.value: {name: _class_to_json(tally) for name, tally in sorted(classes.items())}
            for arm, classes in sorted(self.arms.items())
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "WindowTally":
        """Parse what `to_json` returned; an unknown arm raises ValueError."""
        return WindowTally(
            {
                Arm(arm): {name: _class_from_json(tally) for name, tally in classes.items()}
                for arm, classes in value.items()
            }
        )


def merge(tallies: Iterable[WindowTally]) -> WindowTally:
    """Add up tallies of disjoint sets of requests."""
    return sum(tallies, start=WindowTally())


def add_cells(left: Cells, right: Cells) -> dict[int, int]:
    """Add two sets of cells."""
    total = dict(left)
    add_to(total, right)
    return total


def add_to(total: dict[int, int], more: Cells) -> None:
    """Add cells to a set of cells in place."""
    if not total:
        total.update(more)
        return
    get = total.get
    for cell, count in more.items():
        total[cell] = get(cell, 0) + count


def _add_nested(
    left: Mapping[str, Mapping[_K, int]], right: Mapping[str, Mapping[_K, int]]
) -> dict[str, dict[_K, int]]:
    total = {name: dict(counts) for name, counts in left.items()}
    for name, counts in right.items():
        mine = total.setdefault(name, {})
        for key, count in counts.items():
            mine[key] = mine.get(key, 0) + count
    return total


def _class_to_json(tally: ClassTally) -> dict[str, Any]:
    return {
        "assigned": tally.assigned,
        "cells": {
            metric: {str(cell): count for cell, count in sorted(cells.items())}
            for metric, cells in sorted(tally.cells.items())
        },
        "missing": {metric: dict(sorted(reasons.items())) for metric, reasons in sorted(tally.missing.items())},
    }


def _class_from_json(value: Mapping[str, Any]) -> ClassTally:
    return ClassTally(
        assigned=int(value["assigned"]),
        cells={
            metric: {int(cell): int(count) for cell, count in cells.items()} for metric, cells in value["cells"].items()
        },
        missing={metric: dict(reasons) for metric, reasons in value["missing"].items()},
    )
