"""Blocks: one observation for each stretch of time, where replicas differ by more than the allowed change (§9.2).

Per-request tests count every request as new information. When each arm's pool has a slow state of its own (noise.py),
requests of one stretch share it, and a pool that happens to be slow convicts an innocent model. Here time is cut into
blocks of at least three correlation times, fixed by the clock alone, and block b is one observation,

    D_b = mean log Y1 - mean log Y0,      e_k = 2 / (1 + exp(-2 th_k (D_b - log rho) / s_D)),

against "given the past, D_b is symmetric about at most log rho" (harm; with the sign turned: at least, safety): the
factors at x and -x add up to 2, so under symmetry their mean is 1 (statistics reference §9.2). s_D, the root mean
square of the blocks before, only tunes.

Log values are taken less the class median and clipped at four robust standard deviations (law.py), so a timeout is
one slow request. Each request has its overlap weight, 1 - pi on the candidate and pi on the incumbent (estimate.py),
so that both arms stand for the same mix of times when the share changes within a block. A factor is at most 2: with
six tilts it takes at least 7 blocks to prove 1 in 20 and 13 to spend an eighth of a budget of 1 in 100.

Assumes pools that are independent over blocks and alike when the models are; exact for equal numbers on both arms,
approximate in that a mean of few skewed values is not quite symmetric (the clip bounds by how much).
"""

import math
from dataclasses import dataclass, replace

from controller.stats import portable
from controller.stats.bins import NATS_PER_CELL
from controller.stats.law import LawTuning, scores
from controller.stats.paired import PRIOR_PAIRS, PRIOR_SCALE, symmetry_growth
from controller.stats.reading import ArmView
from controller.stats.tally import WINDOW_S


@dataclass(frozen=True, slots=True)
class Block:
    """The block under way, and what the finished ones say of the scale.

    `index`: of the block under way, None before the first; `weight_*`, `total_*`: overlap weights, and weighted log
    values, of its requests on each arm; `n`: finished blocks with requests on both arms; `squares`: sum of their
    squared (D - log rho).
    """

    index: int | None = None
    weight_candidate: float = 0.0
    total_candidate: float = 0.0
    weight_incumbent: float = 0.0
    total_incumbent: float = 0.0
    n: int = 0
    squares: float = 0.0

    @property
    def scale(self) -> float:
        """Return s_D, with the weak prior of the paired tests."""
        return math.sqrt((self.squares + PRIOR_PAIRS * PRIOR_SCALE * PRIOR_SCALE) / (self.n + PRIOR_PAIRS))

    @property
    def difference(self) -> float | None:
        """Return D of the block under way, None while an arm has no request."""
        if self.weight_candidate <= 0 or self.weight_incumbent <= 0:
            return None
        return self.total_candidate / self.weight_candidate - self.total_incumbent / self.weight_incumbent


@dataclass(frozen=True, slots=True)
class Growth:
    """Log factors of a finished block for each tilt."""

    harm: list[float]
    safety: list[float]


def windows_of(block_s: float) -> int:
    """Return the windows of a block."""
    return math.ceil(block_s / WINDOW_S - 1e-9)


def value_sum(seen: ArmView, tuning: LawTuning) -> float:
    """Return the sum of an arm's clipped log values less their class medians; unresolved requests are at the clip."""
    z, n = scores(seen, tuning, 0)
    return float(portable.total(z * n)) * tuning.scale * NATS_PER_CELL


def add(block: Block, share: float, n: tuple[int, int], totals: tuple[float, float]) -> Block:
    """Add requests of a share in (0, 1) to the block under way; `n`, `totals`: candidate, incumbent."""
    return replace(
        block,
        weight_candidate=block.weight_candidate + (1.0 - share) * n[0],
        total_candidate=block.total_candidate + (1.0 - share) * totals[0],
        weight_incumbent=block.weight_incumbent + share * n[1],
        total_incumbent=block.total_incumbent + share * totals[1],
    )


def growth(block: Block, log_margin: float) -> Growth | None:
    """Return the factors of the block under way as it ends, None when an arm has no request."""
    difference = block.difference
    if difference is None:
        return None
    score = (difference - log_margin) / block.scale
    return Growth(symmetry_growth(score), symmetry_growth(-score))


def following(block: Block, index: int, log_margin: float) -> Block:
    """Return block `index`, empty, after the one under way."""
    difference = block.difference
    if difference is None:
        return Block(index=index, n=block.n, squares=block.squares)
    excess = difference - log_margin
    return Block(index=index, n=block.n + 1, squares=block.squares + excess * excess)
