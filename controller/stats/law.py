"""PL asks whether the candidate is slower in stochastic order (statistics.md §2.2).

With z = clip((log Y' - m) / s, -4, 4), Y' scaled as in `quantile`, and LR_k(z) = exp(th_k clip(z, -c_k, c_k) - psi_k),

    A = 1: e = LR_k / (pi LR_k + 1 - pi)      A = 0: e = 1 / (pi LR_k + 1 - pi).

Null: Y1 is stochastically not larger than rho Y0 at every t (given the class); any increasing LR_k will do. Near the
information limit for shifts, blind to tails, and it may reject when the laws cross. It has no promotion test: safety
stays at 0, so a "law" criterion reverts but never blocks or earns a promotion.

A bet's own clip c_k lies where tails begin for small tilts: what is beyond says little of a small shift, and let in it
outweighs the body of the law. With 2.5 instead of the 4 of statistics.md the best bet on 1.25x takes 94 % of the
information in an image at a share of 1 %, instead of 84 %. The bets on more than twice the latency look further
(tests/unit/stats/test_law.py).
"""

import math
from dataclasses import dataclass

import numpy as np

from controller.stats import portable
from controller.stats.counts import ClassCounts, Ints
from controller.stats.elementary import log_of
from controller.stats.normal import class_shifts, normalised
from controller.stats.portable import Floats
from controller.stats.quantile import QuantileTuning, quantile_tuning
from controller.stats.reading import ArmView

TILTS = (0.15, 0.35, 0.75, 1.5, 2.2, 4.0)
CLIPS = (2.5, 2.5, 2.5, 2.5, 4.0, 4.0)
CLIP = 4.0
"""Where log values are cut for every bet, and where they are averaged: nearly nowhere, a shift stays what it is."""
LEAST_SCALE_CELLS = 2.0


@dataclass(frozen=True, slots=True)
class LawTuning:
    """Frozen constants: median with class shifts, centre and scale in cells, clip of z, log mean exp(th_k z_k)."""

    median: QuantileTuning
    centre: int
    scale: float
    psi: tuple[float, ...]

    @property
    def clip_cell(self) -> int:
        """Return the normalised incumbent cell from which on z is at its upper clip."""
        return math.ceil(self.centre + CLIP * self.scale)


def tune_law(classes: ClassCounts) -> LawTuning:
    """Freeze median, IQR / 1.349 and the cumulants of the incumbent; needs at least one request."""
    shifts = class_shifts(classes)
    cells = normalised(classes, shifts)
    low, centre, high = (cells.quantile(level) for level in (0.25, 0.5, 0.75))
    scale = max((high - low) / 1.349, LEAST_SCALE_CELLS)
    at = cells.occupied
    n, tilted = cells.weight[at], _tilted(_scores(cells.low + at, centre, scale))
    psi = tuple(log_of(mean) for mean in (portable.total(n * portable.exp(tilted)) / n.sum()).tolist())
    return LawTuning(quantile_tuning(shifts, cells, 0.5), centre, scale, psi)


def law_growth(share: float, tuning: LawTuning, candidate: ArmView, incumbent: ArmView, margin: int) -> list[float]:
    """Return the log factor of a reading for each tilt; unresolved requests lie at the upper clip."""
    (slow, n_slow), (usual, n_usual) = scores(candidate, tuning, margin), scores(incumbent, tuning, 0)
    log_lr = _tilted(np.concatenate((slow, usual))) - np.array(tuning.psi)[:, None]
    log_mix = portable.log(share * portable.exp(log_lr) + (1.0 - share))
    log_lr[:, len(slow) :] = 0.0
    grown: list[float] = portable.total(np.concatenate((n_slow, n_usual)) * (log_lr - log_mix)).tolist()
    return grown


def scores(seen: ArmView, tuning: LawTuning, margin: int) -> tuple[Floats, Ints]:
    """Return each z and its requests; the candidate's cells are lowered by the margin, which raises the incumbent's."""
    at = seen.cells.occupied
    cells = np.append(np.minimum(seen.cells.low + at - margin, tuning.clip_cell), tuning.clip_cell)
    return _scores(cells, tuning.centre, tuning.scale), np.append(seen.cells.weight[at], seen.unresolved)


def score_of(tuning: LawTuning, cell: int) -> float:
    """Return z of a cell relative to its class median."""
    return max(-CLIP, min(CLIP, (cell - tuning.centre) / tuning.scale))


def _scores(cells: Ints, centre: int, scale: float) -> Floats:
    return np.clip((cells - centre) / scale, -CLIP, CLIP)


def _tilted(scores: Floats) -> Floats:
    """Return th_k clip(z, -c_k, c_k) of each z, a row for each bet."""
    clips = np.array(CLIPS)[:, None]
    return np.asarray(np.array(TILTS)[:, None] * np.clip(scores, -clips, clips))
