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
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from controller.stats.baseline import ClassCells, quantile_cell
from controller.stats.normal import ArmView, class_shifts, normalised
from controller.stats.quantile import QuantileTuning, quantile_tuning

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


def tune_law(classes: ClassCells) -> LawTuning:
    """Freeze median, IQR / 1.349 and the cumulants of the incumbent; needs at least one request."""
    shifts = class_shifts(classes)
    cells = normalised(classes, shifts)
    low, centre, high = (quantile_cell(cells, level) for level in (0.25, 0.5, 0.75))
    scale = max((high - low) / 1.349, LEAST_SCALE_CELLS)
    n = sum(cells.values())
    tilted = _tilted([_score(cell, centre, scale) for cell in cells])
    psi = tuple(math.log(math.fsum(map(mul, cells.values(), map(math.exp, of_bet))) / n) for of_bet in tilted)
    return LawTuning(quantile_tuning(shifts, cells, 0.5), centre, scale, psi)


def law_growth(share: float, tuning: LawTuning, candidate: ArmView, incumbent: ArmView, margin: int) -> list[float]:
    """Return the log factor of a reading for each tilt; unresolved requests lie at the upper clip."""
    no_share = 1.0 - share
    (slow, n_slow), (usual, n_usual) = scores(candidate, tuning, margin), scores(incumbent, tuning, 0)
    growth = []
    for psi, of_slow, of_usual in zip(tuning.psi, _tilted(slow), _tilted(usual), strict=True):
        log_lr = [tilted - psi for tilted in of_slow]
        terms = [n * (log - math.log(share * math.exp(log) + no_share)) for n, log in zip(n_slow, log_lr, strict=True)]
        terms += [
            -n * math.log(share * math.exp(tilted - psi) + no_share)
            for n, tilted in zip(n_usual, of_usual, strict=True)
        ]
        growth.append(math.fsum(terms))
    return growth


def scores(seen: ArmView, tuning: LawTuning, margin: int) -> tuple[list[float], list[int]]:
    """Return each z and its requests; the candidate's cells are lowered by the margin, which raises the incumbent's."""
    top = tuning.clip_cell
    cells: dict[int, int] = {top: seen.unresolved} if seen.unresolved else {}
    for cell, n in seen.cells.items():
        at = min(cell - margin, top)
        cells[at] = cells.get(at, 0) + n
    return [score_of(tuning, cell) for cell in cells], list(cells.values())


def score_of(tuning: LawTuning, cell: int) -> float:
    """Return z of a cell relative to its class median."""
    return _score(cell, tuning.centre, tuning.scale)


def _score(cell: int, centre: int, scale: float) -> float:
    return max(-CLIP, min(CLIP, (cell - centre) / scale))


def _tilted(scores: Sequence[float]) -> list[list[float]]:
    """Return th_k clip(z, -c_k, c_k) of each z for each bet."""
    clipped = {clip: [max(-clip, min(clip, score)) for score in scores] for clip in set(CLIPS)}
    return [[tilt * score for score in clipped[clip]] for tilt, clip in zip(TILTS, CLIPS, strict=True)]
