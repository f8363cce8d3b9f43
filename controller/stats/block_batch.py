"""Blocks of many windows at once: the sums in numpy, every block ended by the functions that `criterion.fold` uses."""

from dataclasses import replace

import numpy as np

from controller.stats import block, law
from controller.stats.columns import Columns, Floats
from controller.stats.criterion import turn_block
from controller.stats.factors import relative_cells
from controller.stats.law import LawTuning
from controller.stats.state import ProcessState, Tuning
from controller.stats.tally import WINDOW_S
from controller.stats.wealth import clip_log, log_mean, log_value

SIDES = (True, False)
"""Candidate, incumbent."""


class Blocks:
    """Collects each window's requests, and sums of log values where constants are known, on either arm."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._tuned = np.zeros((2, len(columns.windows)), dtype=np.int64)
        self._total = np.zeros((2, len(columns.windows)))

    def add(self, first: int, rows: Columns, tuning: Tuning | None) -> None:
        """Take a segment in, as read under these constants; `first` is its first window."""
        if not isinstance(tuning, LawTuning):
            return
        at = np.minimum(relative_cells(tuning.median.shifts, rows), tuning.clip_cell)
        scores = np.clip((at - tuning.centre) / tuning.scale, -law.CLIP, law.CLIP)
        last = first + len(rows.windows)
        for side, candidate in enumerate(SIDES):
            n = np.where(rows.candidate == candidate, rows.n, 0)
            self._tuned[side, first:last] = rows.sums(n)
            self._total[side, first:last] = rows.sums(scores * n) * tuning.scale * block.NATS_PER_CELL

    def grow(self, state: ProcessState, share: float) -> tuple[ProcessState, Floats, Floats]:
        """Return the state after all windows, and the log e-values of harm and of safety after each."""
        windows = self._columns.windows
        log_harm, log_safety = np.empty(len(windows)), np.empty(len(windows))
        requests = self._columns.sums(self._columns.n)
        first = 0
        while first < len(windows):
            state = turn_block(state, int(windows[first]), share)
            length = block.windows_of(state.setting.block_s or WINDOW_S)
            last = int(np.searchsorted(windows, (int(windows[first]) // length + 1) * length))
            n = self._tuned[:, first:last].sum(axis=1).tolist()
            totals = self._total[:, first:last].sum(axis=1).tolist()
            state = replace(
                state,
                block=block.add(state.block, share, (n[0], n[1]), (totals[0], totals[1])),
                n_since_start=state.n_since_start + int(requests[first:last].sum()),
            )
            log_harm[first:last] = log_value(state.harm)
            log_safety[first:last] = clip_log(log_mean(state.safety))
            first = last
        return state, log_harm, log_safety
