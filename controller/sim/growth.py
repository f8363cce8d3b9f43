"""How fast a criterion's evidence grows, computed from its own factors and the incumbent's record.

Take the incumbent's outcomes as its law, change the candidate's by a known amount, and every request multiplies a
bet's wealth by a factor whose log has a known law. The evidence after n candidate images is then a random walk. The
mean time to a threshold is nearly (threshold + cost of the mixture) / mean growth (Wald 1945), which is enough to
search for the smallest change; how it is spread is drawn (passage.py). These are the numbers of the test itself, not
of a bound on all tests: no efficiency factor is applied.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controller.stats.bins import CELLS_PER_DECADE, NATS_PER_CELL, SCORE_CELLS, Axis
from controller.stats.columns import NO_VALUE, Columns, Floats, Ints
from controller.stats.factors import factors
from controller.stats.law import LawTuning, score_of
from controller.stats.paired import PRIOR_SCALE, symmetry_growth
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import ProcessState
from controller.stats.tally import Arm, WindowTally
from controller.stats.wealth import FIRST_STAKE

_NO_GROWTH = 1e-9
_NODES = 41


@dataclass(frozen=True, slots=True)
class Law:
    """A metric's outcomes by class: rows of (class, cell, probability)."""

    names: tuple[str, ...]
    kind: Ints
    cell: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class Growth:
    """What one observation multiplies onto each bet: log factors of shape (bets, outcomes), and their probabilities.

    `each`: candidate images that an observation takes on average: the share for a request, more for a block.
    """

    logs: Floats
    weight: Floats
    each: float

    @property
    def mean(self) -> Floats:
        """Return each bet's mean log factor for each candidate image."""
        return np.asarray(self.logs @ self.weight) / self.each

    def images(self, log_needed: float) -> float:
        """Return the expected candidate images until the mixture over bets reaches a log e-value; may be infinite.

        Each bet's log wealth is taken at its mean; neighbouring bets share the cost of the mixture.
        """
        mean = self.mean

        def log_wealth(n: float) -> float:
            logs = n * mean
            return float(logs.max() + np.log(np.exp(logs - logs.max()).mean()))

        if mean.max() <= _NO_GROWTH:
            return math.inf
        high = (log_needed + math.log(len(mean))) / float(mean.max()) + 1.0
        while log_wealth(high) < log_needed:
            high *= 2.0
        return _crossing(log_wealth, log_needed, high)


def _crossing(log_wealth: Callable[[float], float], log_needed: float, high: float) -> float:
    low = 0.0
    while high - low > 1e-4 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if log_wealth(middle) >= log_needed else (middle, high)
    return high


def law_of(history: WindowTally, setting: CriterionSetting) -> Law | None:
    """Return the incumbent's law of a criterion's metric, None when it has never been seen."""
    rows = [
        (name, cell, n)
        for name, tally in sorted(history.arms.get(Arm.INCUMBENT, {}).items())
        for cell, n in sorted(tally.of(setting.metric).items())
    ]
    if not rows:
        return None
    names = tuple(sorted({name for name, _, _ in rows}))
    weight = np.array([n for _, _, n in rows], dtype=np.float64)
    return Law(
        names,
        np.array([names.index(name) for name, _, _ in rows], dtype=np.int64),
        np.array([cell for _, cell, _ in rows], dtype=np.int64),
        weight / weight.sum(),
    )


def changed(law: Law, setting: CriterionSetting, change: float) -> Law:
    """Return the candidate's law under a change.

    On quantities a factor; on rates and scores what is added to the loss (the rate of bad events, or 1 - score), as
    more images that are imperfect in the way that imperfect ones are.
    """
    match setting.axis:
        case Axis.LOG:
            cells = math.log10(change) * CELLS_PER_DECADE
            low, part = math.floor(cells), cells - math.floor(cells)
            return replace(
                law,
                kind=np.concatenate((law.kind, law.kind)),
                cell=np.concatenate((law.cell + low, law.cell + low + 1)),
                weight=np.concatenate((law.weight * (1.0 - part), law.weight * part)),
            )
        case Axis.BINARY:
            good, bad = (0, 1) if setting.higher_is_worse else (1, 0)
        case Axis.SCORE:
            good, bad = (SCORE_CELLS, 0) if setting.higher_is_worse is False else (0, SCORE_CELLS)
    return _worsened(law, setting, change, good, bad)


@dataclass(frozen=True, slots=True)
class Pace:
    """What blocks depend on: requests a second, and the deviation of the pools' log difference (0: not measured)."""

    rate_per_s: float
    sigma: float = 0.0


def growth(
    state: ProcessState, share: float, incumbent: Law, candidate: Law, pace: Pace, *, harm: bool
) -> Growth | None:
    """Return the growth of the harm or the safety process, None where nothing is tested."""
    if isinstance(state.tuning, LawTuning) and state.setting.block_s is not None:
        return _by_blocks(state.setting, state.tuning, share, (incumbent, candidate), pace, harm=harm)
    n_incumbent = len(incumbent.cell)
    cell = np.concatenate((incumbent.cell, candidate.cell))
    n = len(cell)
    rows = Columns(
        windows=np.arange(n),
        starts=np.arange(n + 1),
        names=incumbent.names,
        candidate=np.arange(n) >= n_incumbent,
        kind=np.concatenate((incumbent.kind, candidate.kind)),
        cell=np.where(cell < NO_VALUE // 2, cell, NO_VALUE),
        n=np.ones(n, dtype=np.int64),
    )
    found = factors(state.setting, state.tuning, share, rows)
    if found is None:
        return None
    weight = np.concatenate((incumbent.weight * (1.0 - share), candidate.weight * share))
    return Growth((found.harm if harm else found.safety).rows(), weight, share)


def _by_blocks(
    setting: CriterionSetting, tuning: LawTuning, share: float, laws: tuple[Law, Law], pace: Pace, *, harm: bool
) -> Growth:
    """Return the growth of a block test: a block's difference is nearly normal, its scale half prior, half known."""
    requests = pace.rate_per_s * (setting.block_s or 0.0)
    n = (requests * (1.0 - share), requests * share)
    seen = [_log_moments(law, tuning) for law in laws]
    excess = seen[1][0] - seen[0][0] - math.log(setting.max_ratio or 1.0)
    variance = pace.sigma**2 + sum(spread / max(1.0, count) for (_, spread), count in zip(seen, n, strict=True))
    scale = math.sqrt((variance + excess**2 + PRIOR_SCALE**2) / 2.0)
    nodes, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    scores = (excess + math.sqrt(variance) * nodes) / scale * (1.0 if harm else -1.0)
    logs = np.array([symmetry_growth(score) for score in scores.tolist()]).T
    return Growth(logs, weight / weight.sum(), max(n[1], 1e-9))


def _log_moments(law: Law, tuning: LawTuning) -> tuple[float, float]:
    """Return mean and variance of the clipped log values less the class medians."""
    shifts = np.array([tuning.median.shifts.of(name) for name in law.names])
    at = law.cell - shifts[law.kind]
    values = np.array([score_of(tuning, cell) for cell in at.tolist()]) * tuning.scale * NATS_PER_CELL
    mean = float(values @ law.weight)
    return mean, float((values - mean) ** 2 @ law.weight)


def log_harm_needed(false_revert: float, part: float) -> float:
    """Return the log e-value that one criterion alone must reach; `part`: its weight among the guardrails'."""
    return -math.log(false_revert) - math.log(part) - math.log(FIRST_STAKE)


def is_tested(setting: CriterionSetting) -> bool:
    """Say whether evidence accumulates; a maximum is certain from the first image beyond its limit."""
    return setting.kind is not Kind.LIMIT_MAX


def _worsened(law: Law, setting: CriterionSetting, change: float, good: int, bad: int) -> Law:
    perfect = law.cell == good
    lossy = ~perfect
    rest = law.weight[lossy]
    # What a perfect image becomes: like the imperfect ones, or plainly bad where there are none.
    if rest.sum() > 0 and setting.axis is Axis.SCORE:
        to_cell, to_kind, to_weight = law.cell[lossy], law.kind[lossy], rest / rest.sum()
    else:
        to_cell, to_kind, to_weight = np.array([bad]), np.array([0]), np.array([1.0])
    loss = float(np.abs(to_cell - good) @ to_weight) / abs(bad - good)
    before = float(law.weight[perfect].sum())
    moved = min(change / loss, before)
    kept = np.where(perfect, law.weight * (1.0 - moved / before), law.weight) if before > 0 else law.weight
    # Once none is perfect any more, the rest of the change is images that are plainly bad.
    mean = float(np.abs(law.cell - good) @ law.weight) / abs(bad - good) + moved * loss
    lost = min(1.0, (change - moved * loss) / (1.0 - mean)) if mean < 1 else 0.0
    return replace(
        law,
        kind=np.concatenate((law.kind, to_kind, [0])),
        cell=np.concatenate((law.cell, to_cell, [bad])),
        weight=np.concatenate((kept * (1.0 - lost), moved * to_weight * (1.0 - lost), [lost])),
    )
