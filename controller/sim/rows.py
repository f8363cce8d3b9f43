"""Requests as rows: who was assigned when, what became of it, and the spans of windows that a judge reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.core.batch import Span
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally


@dataclass(frozen=True, slots=True)
class Rows:
    """One row a request, ordered by window.

    `arrival_s`: absolute; `candidate`: assigned to the rollout's candidate; `latency_s`: until it was resolved;
    `answered`: the arm's own image went out; `cells`: metric -> cell, NO_VALUE where there is none. `user`: who sent
    it, where users come again; `votes`: which requests are evidence, None for all.
    """

    names: tuple[str, ...]
    window: Ints
    arrival_s: Floats
    candidate: Bools
    kind: Ints
    latency_s: Floats
    answered: Bools
    cells: Mapping[str, Ints]
    user: Ints | None = None
    votes: Bools | None = None

    @property
    def requests(self) -> int:
        """Return how many requests there are."""
        return len(self.window)

    @property
    def candidates(self) -> int:
        """Return how many of them were assigned to the candidate."""
        return int(self.candidate.sum())

    @property
    def shown(self) -> int:
        """Return how many images of the candidate went out."""
        return int((self.candidate & self.answered).sum())

    def in_window(self, window: int) -> int:
        """Return how many requests a window has."""
        return int((self.window == window).sum())

    def before(self, moment_s: float) -> "Rows":
        """Return the requests that came before a moment."""
        return self._of(self.arrival_s < moment_s)

    def _of(self, kept: Bools) -> "Rows":
        return Rows(
            self.names,
            self.window[kept],
            self.arrival_s[kept],
            self.candidate[kept],
            self.kind[kept],
            self.latency_s[kept],
            self.answered[kept],
            {metric: cell[kept] for metric, cell in self.cells.items()},
            None if self.user is None else self.user[kept],
            None if self.votes is None else self.votes[kept],
        )

    def span(self, epoch: int, stage: int, share: float) -> Span:
        """Return the rows that are evidence as windows of one epoch."""
        if self.votes is not None:
            return replace(self._of(self.votes), votes=None).span(epoch, stage, share)
        first = np.flatnonzero(np.diff(self.window, prepend=-1))
        windows, starts = self.window[first], np.append(first, len(self.window))
        ones = np.ones(len(self.window), dtype=np.int64)
        known_s = self.arrival_s + self.latency_s - (self.window + 1.0) * WINDOW_S
        columns = {
            metric: Columns(windows, starts, self.names, self.candidate, self.kind, cell, ones, known_s)
            for metric, cell in self.cells.items()
        }
        requests = np.diff(starts)
        candidates = np.add.reduceat(self.candidate.astype(np.int64), first) if len(windows) else requests
        return Span(epoch, stage, share, columns, windows, requests - candidates, candidates)

    def tally(self) -> WindowTally:
        """Return everything as one tally of the incumbent."""
        classes = {}
        for kind, name in enumerate(self.names):
            mine = self.kind == kind
            cells = {metric: _counts(cell[mine]) for metric, cell in self.cells.items()}
            if mine.any():
                classes[name] = ClassTally(int(mine.sum()), cells)
        return WindowTally({Arm.INCUMBENT: classes})


def _counts(cells: Ints) -> dict[int, int]:
    found, counts = np.unique(cells[cells != NO_VALUE], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
