"""Blocks of many windows at once: the sums in numpy, every block ended by the functions that `criterion.fold` uses."""

from dataclasses import replace

import numpy as np

from controller.stats import block
from controller.stats.bins import NATS_PER_CELL
from controller.stats.columns import Columns, Floats
from controller.stats.criterion import turn_block
from controller.stats.factors import law_scores
from controller.stats.law import LawTuning
from controller.stats.state import ProcessState
from controller.stats.stretch import Stretches
from controller.stats.tally import WINDOW_S
from controller.stats.wealth import clip_log, log_mean, log_value

SIDES = (True, False)
"""Candidate, incumbent."""


class Blocks:
    """Each window's requests, and sums of log values where constants are known, on either arm."""

    def __init__(self, columns: Columns, tuned: Stretches, rows: Columns) -> None:
        """Take in the windows; `rows`: those of the tuned stretches, which are the last, as read."""
        self._columns = columns
        self._tuned = np.zeros((2, len(columns.windows)), dtype=np.int64)
        self._total = np.zeros((2, len(columns.windows)))
        if not tuned.items:
            return
        scales = [item.tuning.scale for item in tuned.items if isinstance(item.tuning, LawTuning)]
        logs = law_scores(tuned, rows, 0) * tuned.spread(scales) * NATS_PER_CELL
        first = tuned.items[0].first
        for side, candidate in enumerate(SIDES):
            n = np.where(rows.candidate == candidate, rows.n, 0)
            self._tuned[side, first:] = rows.sums(n)
            self._total[side, first:] = rows.sums(logs * n)

    def grow(self, state: ProcessState, share: float) -> tuple[ProcessState, Floats, Floats]:
        """Return the state after all windows, and the log e-values of harm and of safety after each."""
        windows = self._columns.windows
        log_harm, log_safety = np.empty(len(windows)), np.empty(len(windows))
        images = self._columns.sums(self._columns.n * self._columns.candidate)
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
                n_since_start=state.n_since_start + int(images[first:last].sum()),
            )
            log_harm[first:last] = log_value(state.harm)
            log_safety[first:last] = clip_log(log_mean(state.safety))
            first = last
        return state, log_harm, log_safety
