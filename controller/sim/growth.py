"""How fast a criterion's evidence grows, computed exactly from its own factors and the incumbent's record.

Take the incumbent's outcomes as its law, change the candidate's by a known amount, and every request multiplies a
bet's wealth by a factor whose log has a known mean and variance. The evidence after n candidate images is then a
random walk, and the time to a threshold is (threshold + cost of the mixture) / mean growth (Wald 1945). These are
the numbers of the test itself, not of a bound on all tests: no efficiency factor is applied.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controller.stats.bins import CELLS_PER_DECADE, SCORE_CELLS, Axis
from controller.stats.columns import NO_VALUE, Columns, Floats, Ints
from controller.stats.factors import factors
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import ProcessState
from controller.stats.tally import Arm, WindowTally

_NO_GROWTH = 1e-9
START_WEIGHT = 0.75
"""The first start's part of the harm mixture (statistics reference §8.2)."""


@dataclass(frozen=True, slots=True)
class Law:
    """A metric's outcomes by class: rows of (class, cell, probability)."""

    names: tuple[str, ...]
    kind: Ints
    cell: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class Growth:
    """Mean and variance of each bet's log factor, for each candidate image at a share."""

    mean: Floats
    variance: Floats

    def images(self, log_needed: float, before: Floats | None = None) -> float:
        """Return the expected candidate images until the mixture over bets reaches a log e-value; may be infinite.

        Each bet's log wealth is taken at its mean; neighbouring bets share the cost of the mixture. `before`: log
        wealth per bet that is there already.
        """
        have = np.zeros(len(self.mean)) if before is None else before

        def log_wealth(n: float) -> float:
            logs = have + n * self.mean
            return float(logs.max() + np.log(np.exp(logs - logs.max()).mean()))

        if log_wealth(0.0) >= log_needed:
            return 0.0
        if self.mean.max() <= _NO_GROWTH:
            return math.inf
        high = (log_needed + math.log(len(have)) - float(have.max())) / float(self.mean.max()) + 1.0
        while log_wealth(high) < log_needed:
            high *= 2.0
        return _crossing(log_wealth, log_needed, high)

    def images_99(self, log_needed: float) -> float:
        """Return the candidate images after which 99 % of runs have reached it (normal approximation)."""
        mean = self.images(log_needed)
        if not math.isfinite(mean):
            return math.inf
        best = int(np.argmax(self.mean))
        drift, spread = float(self.mean[best]), 2.326 * math.sqrt(float(self.variance[best]))
        return ((spread + math.sqrt(spread**2 + 4.0 * drift * mean * drift)) / (2.0 * drift)) ** 2


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


def growth(state: ProcessState, share: float, incumbent: Law, candidate: Law, *, harm: bool) -> Growth | None:
    """Return the growth of the harm or the safety process for each candidate image, None where nothing is tested."""
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
    logs = found[0 if harm else 1]
    mean = logs @ weight
    return Growth(mean / share, ((logs**2) @ weight - mean**2) / share)


def log_harm_needed(false_revert: float, part: float) -> float:
    """Return the log e-value that one criterion alone must reach; `part`: its weight among the guardrails'."""
    return -math.log(false_revert) - math.log(part) - math.log(START_WEIGHT)


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
