"""The log factors of many requests at once: the same numbers as `evidence`, a column for each row of `Columns`.

Where a test knows few outcomes (exceeded or not, event or not) the factors are looked up in a table filled by the
very functions that `evidence` uses; where the value itself counts (whole law, means) the formula stands here a
second time in numpy, and a property test holds the two to 1e-9.
"""

from collections.abc import Sequence

import numpy as np

from controller.stats import coin, law, limit, mean, quantile
from controller.stats.bins import Axis, cell_of
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints, values_of
from controller.stats.law import LawTuning
from controller.stats.mean import MeanTuning
from controller.stats.normal import Shifts
from controller.stats.quantile import Exceedances, QuantileTuning
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import Tuning

Factors = tuple[Floats, Floats]
"""Log factors of harm and of safety, of shape (bets, rows)."""

_UNITS = (Exceedances(0, 0, 1, 0), Exceedances(0, 0, 1, 1), Exceedances(1, 0, 0, 0), Exceedances(1, 1, 0, 0))


def factors(setting: CriterionSetting, tuning: Tuning | None, share: float, rows: Columns) -> Factors | None:
    """Return the factors of each row's requests, None where nothing is tested (no baseline yet, a maximum)."""
    found = _of_one(setting, tuning, share, rows)
    return None if found is None else (found[0] * rows.n, found[1] * rows.n)


def _of_one(setting: CriterionSetting, tuning: Tuning | None, share: float, rows: Columns) -> Factors | None:
    match setting.kind, tuning:
        case Kind.QUANTILE, QuantileTuning():
            return _quantile(setting, tuning, share, rows)
        case Kind.LAW, LawTuning():
            return _law(setting, tuning, share, rows)
        case Kind.MEAN, MeanTuning():
            return _mean(setting, tuning, share, rows)
        case Kind.COIN, _:
            return _coin(setting, share, rows)
        case Kind.LIMIT_EVENT, _:
            return _limit_event(setting, rows)
        case Kind.LIMIT_MEAN, _:
            return _limit_mean(setting, rows)
        case _:
            return None


def relative_cells(shifts: Shifts, rows: Columns) -> Ints:
    """Return each row's cell relative to its class median, still beyond everything where there is no value."""
    by_kind = np.array([shifts.of(name) for name in rows.names], dtype=np.int64)
    return rows.cell - by_kind[rows.kind]


def has_value(rows: Columns) -> Bools:
    """Say which rows have a value."""
    return np.asarray(rows.cell != NO_VALUE)


def losses(setting: CriterionSetting, rows: Columns) -> Floats:
    """Return each row's loss; 0 where there is no value."""
    values = values_of(setting.axis, np.where(has_value(rows), rows.cell, 0))
    return values if setting.higher_is_worse else 1.0 - values


def centres(tuning: MeanTuning, rows: Columns) -> Floats:
    """Return the incumbent's mean loss in each row's class."""
    return np.array([tuning.centre(name) for name in rows.names])[rows.kind]


def _quantile(setting: CriterionSetting, tuning: QuantileTuning, share: float, rows: Columns) -> Factors:
    at = relative_cells(tuning.shifts, rows)
    sides = []
    for margin, odds in (
        (quantile.harm_cells(setting.max_ratio or 1.0), quantile.HARM_ODDS),
        (quantile.safety_cells(setting.max_ratio or 1.0), quantile.SAFETY_ODDS),
    ):
        table = np.array([quantile.exceedance_growth(share, tuning.q0, unit, odds) for unit in _UNITS]).T
        over = at >= np.where(rows.candidate, tuning.cell + margin, tuning.cell)
        sides.append(table[:, 2 * rows.candidate + over])
    return sides[0], sides[1]


def _law(setting: CriterionSetting, tuning: LawTuning, share: float, rows: Columns) -> Factors:
    margin = quantile.harm_cells(setting.max_ratio or 1.0)
    at = relative_cells(tuning.median.shifts, rows) - np.where(rows.candidate & has_value(rows), margin, 0)
    scores = np.clip((np.minimum(at, tuning.clip_cell) - tuning.centre) / tuning.scale, -law.CLIP, law.CLIP)
    log_lr = np.outer(law.TILTS, scores) - np.array(tuning.psi)[:, None]
    grown = np.where(rows.candidate, log_lr, 0.0) - np.log(share * np.exp(log_lr) + 1.0 - share)
    return grown, np.zeros((1, len(scores)))


def _mean(setting: CriterionSetting, tuning: MeanTuning, share: float, rows: Columns) -> Factors:
    margin = mean.margin_of(setting)
    rho, d = margin.ratio, margin.shift
    loss, centre, on_candidate, known = losses(setting, rows), centres(tuning, rows), rows.candidate, has_value(rows)
    capped = rho * np.minimum(loss, tuning.cap)
    worse = np.where(
        on_candidate,
        (np.minimum(loss, rho * tuning.cap + d) - (rho * centre + d)) / share,
        (rho * centre - capped) / (1.0 - share),
    )
    most = mean.most_loss(tuning, margin)
    middle = (1.0 - share + share * rho) * centre + share * d
    fine = np.where(
        on_candidate,
        (middle - np.minimum(loss, most)) / share,
        (capped + d - middle) / (1.0 - share),
    )
    return (
        _growth(mean.harm_bets(share, tuning, margin), np.where(known, worse, 0.0)),
        _growth(mean.safety_bets(share, tuning, margin), np.where(known, fine, 0.0)),
    )


def _growth(bets: Sequence[float], z: Floats) -> Floats:
    return np.asarray(np.log1p(np.outer(bets, z)))


def _coin(setting: CriterionSetting, share: float, rows: Columns) -> Factors:
    happened = rows.cell == (1 if setting.higher_is_worse else 0)
    event = np.where(happened, 1 + rows.candidate, 0)
    sides = []
    for multiples in (coin.HARM_MULTIPLES, coin.SAFETY_MULTIPLES):
        units = ((0, 0), (0, 1), (1, 0))
        table = np.array([coin.coin_growth(share, setting.max_ratio or 1.0, n1, n0, multiples) for n1, n0 in units]).T
        sides.append(table[:, event])
    return sides[0], sides[1]


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
        sides.append(table[:, np.where(counted, 1 + happened, 0)])
    return sides[0], sides[1]


def _limit_mean(setting: CriterionSetting, rows: Columns) -> Factors:
    most = setting.loss_of(setting.limit or 0.0)
    cap = 1.0 if setting.axis is not Axis.LOG else setting.cap_ratio * most
    loss, counted = losses(setting, rows), rows.candidate & has_value(rows)
    worse = np.where(counted, loss - most, 0.0)
    fine = np.where(counted, most - np.minimum(loss, cap), 0.0)
    harm, safety = limit.mean_bets(most), limit.mean_bets(cap - most)
    return _growth(harm, worse), _growth(safety, fine)
