"""The log factors of many requests at once: the numbers of `evidence` for each kind of outcome among `Columns`.

Requests that a test can't tell apart share an *outcome*; what it multiplies onto each bet is worked out once an
outcome. Where a test knows few (exceeded or not, event or not) the factors come from the very functions that
`evidence` uses; where the value itself counts (whole law, means) the formula stands here a second time in numpy, and
a property test holds the two to 1e-9.
"""

from dataclasses import dataclass

import numpy as np

from controller.stats import coin, law, limit, mean, quantile
from controller.stats.bins import Axis, cell_of
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints, values_of
from controller.stats.law import LawTuning
from controller.stats.mean import MeanTuning
from controller.stats.normal import Shifts
from controller.stats.quantile import QuantileTuning
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import Tuning
from controller.stats.stretch import Stretch, Stretches


@dataclass(frozen=True, slots=True)
class Side:
    """Log factors of each outcome, of shape (bets, outcomes), and which outcome each row had (None: its own)."""

    table: Floats
    outcome: Ints | None

    def rows(self) -> Floats:
        """Return the factors of one request of each row, of shape (bets, rows)."""
        return self.table if self.outcome is None else self.table.take(self.outcome, axis=1)

    def total(self, n: Ints) -> Floats:
        """Return the factors of all requests together; `n`: requests of each row."""
        if self.outcome is not None:
            n = np.bincount(self.outcome, weights=n, minlength=self.table.shape[1])
        return self.table @ n


@dataclass(frozen=True, slots=True)
class Factors:
    """What rows multiply onto the bets on harm and on safety."""

    harm: Side
    safety: Side


def factors(setting: CriterionSetting, tuning: Tuning | None, share: float, rows: Columns) -> Factors | None:
    """Return the factors of rows under one tuning, None where nothing is tested (no baseline yet, a maximum)."""
    if tuning is None and setting.kind in {Kind.QUANTILE, Kind.LAW, Kind.MEAN}:
        return None
    whole = Stretch(0, len(rows.windows), tuning, 0.0, Shifts({}, 0), 0)
    return factors_of(setting, Stretches((whole,), None), share, rows)


def factors_of(setting: CriterionSetting, stretches: Stretches, share: float, rows: Columns) -> Factors | None:
    """Return the factors of rows, each under the tuning of its stretch; None where nothing is ever tested."""
    match setting.kind:
        case Kind.QUANTILE:
            return _quantile(setting, stretches, share, rows)
        case Kind.LAW:
            return _law(setting, stretches, share, rows)
        case Kind.MEAN:
            return _mean(setting, stretches, share, rows)
        case Kind.COIN:
            return _coin(setting, share, rows)
        case Kind.LIMIT_EVENT:
            return _limit_event(setting, rows)
        case Kind.LIMIT_MEAN:
            return _limit_mean(setting, rows)
        case Kind.LIMIT_MAX | Kind.BLOCK:
            return None


def has_value(rows: Columns) -> Bools:
    """Say which rows have a value."""
    return np.asarray(rows.cell != NO_VALUE)


def losses(setting: CriterionSetting, rows: Columns) -> Floats:
    """Return each row's loss; 0 where there is no value."""
    values = values_of(setting.axis, np.where(has_value(rows), rows.cell, 0))
    return values if setting.higher_is_worse else 1.0 - values


def centres(stretches: Stretches, rows: Columns) -> Floats:
    """Return the incumbent's mean loss in each row's class."""
    tunings = _mean_tunings(stretches)
    return stretches.by_kind(np.array([[t.centre(name) for name in rows.names] for t in tunings]), rows)


def law_scores(stretches: Stretches, rows: Columns, margin: int) -> Floats:
    """Return z of each row, the candidate's cells lowered by a margin (`law.scores`)."""
    tunings = [item.tuning for item in stretches.items if isinstance(item.tuning, LawTuning)]
    shifts = [[tuning.median.shifts.of(name) for name in rows.names] for tuning in tunings]
    at = rows.cell - stretches.by_kind(np.array(shifts, dtype=np.int64), rows)
    if margin:
        at = np.where(rows.candidate & has_value(rows), at - margin, at)
    at = np.minimum(at, stretches.by_row(np.array([tuning.clip_cell for tuning in tunings])))
    scores = (at - stretches.spread([tuning.centre for tuning in tunings])) / stretches.spread(
        [tuning.scale for tuning in tunings]
    )
    return np.asarray(np.clip(scores, -law.CLIP, law.CLIP))


def _quantile(setting: CriterionSetting, stretches: Stretches, share: float, rows: Columns) -> Factors:
    tunings = [item.tuning for item in stretches.items if isinstance(item.tuning, QuantileTuning)]
    shifts = [[tuning.shifts.of(name) for name in rows.names] for tuning in tunings]
    thresholds = stretches.by_row(np.array([tuning.cell for tuning in tunings], dtype=np.int64))
    beyond = rows.cell - stretches.by_kind(np.array(shifts, dtype=np.int64), rows) - thresholds
    up = quantile.harm_cells(setting.max_ratio or 1.0)
    down = quantile.safety_cells(setting.max_ratio or 1.0)
    # Of the candidate: under both thresholds, between them, over both. Of the incumbent: under, over.
    of_candidate = (beyond >= down).astype(np.int64) + (beyond >= up)
    of_incumbent = (beyond >= 0).astype(np.int64) + 3
    outcome = np.where(rows.candidate, of_candidate, of_incumbent) + stretches.index(5)
    sides = []
    for odds, between in ((quantile.HARM_ODDS, 1), (quantile.SAFETY_ODDS, 0)):
        # Candidate over and under, incumbent over and under: put in the order of the outcomes.
        table = np.array([quantile.exceedance_factors(share, tuning.q0, odds) for tuning in tunings])
        table = table[:, :, [1, between, 0, 3, 2]].transpose(1, 0, 2)
        sides.append(Side(table.reshape(len(odds), -1), outcome))
    return Factors(*sides)


def _law(setting: CriterionSetting, stretches: Stretches, share: float, rows: Columns) -> Factors:
    scores = law_scores(stretches, rows, quantile.harm_cells(setting.max_ratio or 1.0))
    psi = np.array([item.tuning.psi for item in stretches.items if isinstance(item.tuning, LawTuning)]).T
    tilts, clips = np.array(law.TILTS)[:, None], np.array(law.CLIPS)[:, None]
    log_lr = tilts * np.clip(scores, -clips, clips)
    log_lr -= stretches.by_row(psi)
    ratio = np.exp(log_lr)
    ratio *= share
    ratio += 1.0 - share
    log_lr *= rows.candidate
    log_lr -= np.log(ratio, out=ratio)
    return Factors(Side(log_lr, None), Side(np.zeros((1, 1)), np.zeros(len(scores), dtype=np.int64)))


def _mean(setting: CriterionSetting, stretches: Stretches, share: float, rows: Columns) -> Factors:
    found, outcome, stretches = _distinct(stretches, rows)
    tunings, margin = _mean_tunings(stretches), mean.margin_of(setting)
    rho, d = margin.ratio, margin.shift
    loss, centre, known = losses(setting, found), centres(stretches, found), has_value(found)
    cap = stretches.spread([tuning.cap for tuning in tunings])
    capped = rho * np.minimum(loss, cap)
    worse = np.where(
        found.candidate,
        (np.minimum(loss, rho * cap + d) - (rho * centre + d)) / share,
        (rho * centre - capped) / (1.0 - share),
    )
    most = stretches.spread([mean.most_loss(tuning, margin) for tuning in tunings])
    middle = (1.0 - share + share * rho) * centre + share * d
    fine = np.where(
        found.candidate,
        (middle - np.minimum(loss, most)) / share,
        (capped + d - middle) / (1.0 - share),
    )
    sides = []
    for bets, z in ((mean.harm_bets, worse), (mean.safety_bets, fine)):
        table = np.array([bets(share, tuning, margin) for tuning in tunings]).T
        sides.append(Side(_growth(stretches.by_row(table), np.where(known, z, 0.0)), outcome))
    return Factors(*sides)


def _mean_tunings(stretches: Stretches) -> list[MeanTuning]:
    return [item.tuning for item in stretches.items if isinstance(item.tuning, MeanTuning)]


def _distinct(stretches: Stretches, rows: Columns) -> tuple[Columns, Ints, Stretches]:
    """Return one row for each (stretch, arm, class, cell) that occurs, which one each row is, and their stretches."""
    without = rows.cell == NO_VALUE
    lowest = int(np.min(rows.cell, initial=NO_VALUE))
    cell = np.where(without, 0, rows.cell - (lowest - 1))
    width = int(np.max(cell, initial=0)) + 1
    key = ((stretches.index(len(rows.names)) + rows.kind) * 2 + rows.candidate) * width + cell
    last = np.full(int(np.max(key, initial=-1)) + 1, -1)
    last[key] = np.arange(len(key))
    kept = last[last >= 0]
    place = np.cumsum(last >= 0) - 1
    found = Columns(
        windows=np.arange(len(kept)),
        starts=np.arange(len(kept) + 1),
        names=rows.names,
        candidate=rows.candidate[kept],
        kind=rows.kind[kept],
        cell=rows.cell[kept],
        n=np.ones(len(kept), dtype=np.int64),
    )
    of_row = None if stretches.of_row is None else stretches.of_row[kept]
    return found, place[key], Stretches(stretches.items, of_row)


def _growth(bets: Floats, z: Floats) -> Floats:
    """Return the log factor of each outcome for each bet (rows)."""
    grown = bets * z
    return np.log1p(grown, out=grown)


def _coin(setting: CriterionSetting, share: float, rows: Columns) -> Factors:
    happened = rows.cell == (1 if setting.higher_is_worse else 0)
    event = np.where(happened, 1 + rows.candidate, 0)
    sides = []
    for multiples in (coin.HARM_MULTIPLES, coin.SAFETY_MULTIPLES):
        units = ((0, 0), (0, 1), (1, 0))
        table = np.array([coin.coin_growth(share, setting.max_ratio or 1.0, n1, n0, multiples) for n1, n0 in units]).T
        sides.append(Side(table, event))
    return Factors(*sides)


def _limit_event(setting: CriterionSetting, rows: Columns) -> Factors:
    if setting.axis is Axis.LOG:
        at = cell_of(Axis.LOG, setting.limit or 0.0)
        q, counted = 1.0 - setting.level, rows.candidate
        harmful, unsafe = rows.cell >= at + 1, rows.cell >= at
    else:
        q, counted = setting.loss_of(setting.limit or 0.0), rows.candidate & has_value(rows)
        harmful = unsafe = rows.cell == (1 if setting.higher_is_worse else 0)
    sides = []
    for grow, happened in ((limit.event_harm_growth, harmful), (limit.event_safety_growth, unsafe)):
        table = np.array([grow(q, 0, 0), grow(q, 0, 1), grow(q, 1, 1)]).T
        sides.append(Side(table, np.where(counted, 1 + happened, 0)))
    return Factors(*sides)


def _limit_mean(setting: CriterionSetting, rows: Columns) -> Factors:
    most = setting.loss_of(setting.limit or 0.0)
    cap = 1.0 if setting.axis is not Axis.LOG else setting.cap_ratio * most
    loss, counted = losses(setting, rows), rows.candidate & has_value(rows)
    worse = np.where(counted, loss - most, 0.0)
    fine = np.where(counted, most - np.minimum(loss, cap), 0.0)
    harm, safety = (np.array(limit.mean_bets(bound))[:, None] for bound in (most, cap - most))
    return Factors(Side(_growth(harm, worse), None), Side(_growth(safety, fine), None))
