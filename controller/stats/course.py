"""The log of a mixture after each of many windows, worked out only when somebody asks.

Exponentials and logarithms of every bet after every window are most of what folding many windows costs, and mostly
nobody needs them: a bound from each bet's highest log wealth says already that no threshold was reached.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.stats.columns import Floats
from controller.stats.wealth import LOG_E_LIMIT, clip_log, log_sum


@dataclass(frozen=True, slots=True)
class Piece:
    """The windows first..last - 1, in which the log e-value is log(sum_k exp(total_k + weight_k) + exp(cash))."""

    first: int
    last: int
    weights: Floats
    cash: float


@dataclass(frozen=True, slots=True)
class Course:
    """`totals`: gives log wealth per bet after each window, of shape (bets, windows)."""

    totals: Callable[[], Floats]
    pieces: Sequence[Piece]

    def values(self) -> Floats:
        """Return the log e-value after each window."""
        totals = self.totals()
        found = np.empty(totals.shape[1])
        for piece in self.pieces:
            found[piece.first : piece.last] = _mixed(totals[:, piece.first : piece.last], piece)
        return np.clip(found, -LOG_E_LIMIT, LOG_E_LIMIT, out=found)

    def bound(self) -> float:
        """Return what the log e-value never exceeds, minus infinity without a window."""
        totals = self.totals()
        tops = (totals[:, piece.first : piece.last].max(axis=1) + piece.weights for piece in self.pieces)
        bounds = [log_sum([*top.tolist(), piece.cash]) for top, piece in zip(tops, self.pieces, strict=True)]
        return max(map(clip_log, bounds), default=-np.inf)


def known(values: Floats) -> Course:
    """Return the course of log e-values that are known."""
    return Course(lambda: values[None, :], [Piece(0, len(values), np.zeros(1), -np.inf)] if len(values) else [])


def _mixed(totals: Floats, piece: Piece) -> Floats:
    logs = totals + piece.weights[:, None]
    highest = np.maximum(logs.max(axis=0), piece.cash)
    logs -= highest
    mixed = np.exp(logs, out=logs).sum(axis=0)
    mixed += np.exp(piece.cash - highest)
    return np.asarray(highest + np.log(mixed))
