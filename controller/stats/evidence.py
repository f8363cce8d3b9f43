"""The log factors that one reading multiplies onto a criterion's wealth, for every kind of test."""

from dataclasses import dataclass

import numpy as np

from controller.stats import coin, interval, law, limit, mean, paired, quantile
from controller.stats.bins import Axis, cell_of
from controller.stats.interval import Grid
from controller.stats.law import LawTuning
from controller.stats.mean import MeanTuning
from controller.stats.quantile import QuantileTuning
from controller.stats.reading import Reading, Views
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import Tuning
from controller.stats.tally import Arm


@dataclass(frozen=True, slots=True)
class Growth:
    """Log factors per bet (empty: a factor of 1) and the new log wealth over the grid of changes."""

    harm: tuple[float, ...]
    safety: tuple[float, ...]
    interval: Grid


def sizes(setting: CriterionSetting) -> tuple[int, int, int]:
    """Return the number of harm bets, safety bets and cells of the interval grid."""
    if setting.kind is Kind.MEAN and setting.max_ratio is None:
        return len(mean.STEPS), len(mean.STEPS), interval.N_DIFFERENCE
    return _SIZES[setting.kind]


_SIZES = {
    Kind.QUANTILE: (len(quantile.HARM_ODDS), len(quantile.SAFETY_ODDS), interval.N_QUANTILE),
    Kind.LAW: (len(law.TILTS), 1, interval.N_QUANTILE),
    Kind.BLOCK: (len(paired.TILTS), len(paired.TILTS), interval.N_BLOCK),
    Kind.MEAN: (len(mean.STEPS), len(mean.STEPS), interval.N_RATIO),
    Kind.COIN: (len(coin.HARM_MULTIPLES), len(coin.SAFETY_MULTIPLES), interval.N_COIN),
    Kind.LIMIT_EVENT: (len(quantile.LOG_ODDS), len(limit.SAFETY_FRACTIONS), 0),
    Kind.LIMIT_MEAN: (len(limit.FRACTIONS), len(limit.FRACTIONS), 0),
    Kind.LIMIT_MAX: (1, 1, 0),
}


def grow_by(
    setting: CriterionSetting, tuning: Tuning | None, grid: Grid, reading: Reading, seen: Views | None
) -> Growth:
    """Return the growth of a reading; a criterion without a baseline yet stands still.

    `seen`: both arms' latencies, for criteria on latencies only.
    """
    match setting.kind:
        case Kind.COIN:
            return _coin(setting, grid, reading)
        case Kind.LIMIT_EVENT:
            return _limit_event(setting, grid, reading, seen)
        case Kind.LIMIT_MEAN:
            return _limit_mean(setting, grid, reading)
        case Kind.LIMIT_MAX | Kind.BLOCK:  # certain at the first breach; known when a block ends
            return Growth((), (), grid)
        case Kind.QUANTILE | Kind.LAW | Kind.MEAN:
            return _tuned(setting, tuning, grid, reading, seen)


def _tuned(
    setting: CriterionSetting, tuning: Tuning | None, grid: Grid, reading: Reading, seen: Views | None
) -> Growth:
    if isinstance(tuning, QuantileTuning) and seen is not None:
        return _quantile(setting, tuning, grid, reading.share, seen)
    if isinstance(tuning, LawTuning) and seen is not None:
        return _law(setting, tuning, grid, reading.share, seen)
    if isinstance(tuning, MeanTuning):
        return _mean(setting, tuning, grid, reading)
    return Growth((), (), grid)


def _quantile(setting: CriterionSetting, tuning: QuantileTuning, grid: Grid, share: float, seen: Views) -> Growth:
    candidate, incumbent = seen.candidate, seen.incumbent
    up = quantile.harm_cells(setting.max_ratio or 1.0)
    down = quantile.safety_cells(setting.max_ratio or 1.0)
    worse = quantile.exceedances(candidate, incumbent, tuning.cell, up)
    fine = quantile.exceedances(candidate, incumbent, tuning.cell, down)
    if grid:
        decided = tuning.cell + up if setting.is_elapsed else None
        grid = interval.fold_quantile(grid, share, tuning, decided, candidate, incumbent)
    return Growth(
        tuple(quantile.exceedance_growth(share, tuning.q0, worse, quantile.HARM_ODDS)),
        tuple(quantile.exceedance_growth(share, tuning.q0, fine, quantile.SAFETY_ODDS)),
        grid,
    )


def _law(setting: CriterionSetting, tuning: LawTuning, grid: Grid, share: float, seen: Views) -> Growth:
    candidate, incumbent = seen.candidate, seen.incumbent
    margin = quantile.harm_cells(setting.max_ratio or 1.0)
    if grid:
        decided = tuning.clip_cell + margin if setting.is_elapsed else None
        grid = interval.fold_quantile(grid, share, tuning.median, decided, candidate, incumbent)
    return Growth(tuple(law.law_growth(share, tuning, candidate, incumbent, margin)), (), grid)


def _mean(setting: CriterionSetting, tuning: MeanTuning, grid: Grid, reading: Reading) -> Growth:
    margin = mean.margin_of(setting)
    candidate = mean.losses(setting, reading.counts(setting.metric, Arm.CANDIDATE))
    incumbent = mean.losses(setting, reading.counts(setting.metric, Arm.INCUMBENT))
    if len(candidate.n) + len(incumbent.n) == 0:
        return Growth((), (), grid)
    if grid:
        if setting.max_ratio is not None:
            ratios = np.array(interval.RATIO_POINTS)
            shifts = np.zeros_like(ratios)
        else:
            shifts = np.array(interval.DIFFERENCE_POINTS) * tuning.cap
            ratios = np.ones_like(shifts)
        grid = interval.fold_mean(
            grid, reading.share, tuning, ratios, shifts,
            bounded=margin.bounded, candidate=candidate, incumbent=incumbent,
        )  # fmt: skip
    return Growth(
        tuple(mean.harm_growth(reading.share, tuning, margin, candidate, incumbent)),
        tuple(mean.safety_growth(reading.share, tuning, margin, candidate, incumbent)),
        grid,
    )


def _coin(setting: CriterionSetting, grid: Grid, reading: Reading) -> Growth:
    n1, _ = coin.events(setting, reading.tally, Arm.CANDIDATE)
    n0, _ = coin.events(setting, reading.tally, Arm.INCUMBENT)
    if n1 + n0 == 0:
        return Growth((), (), grid)
    ratio = setting.max_ratio or 1.0
    return Growth(
        tuple(coin.coin_growth(reading.share, ratio, n1, n0, coin.HARM_MULTIPLES)),
        tuple(coin.coin_growth(reading.share, ratio, n1, n0, coin.SAFETY_MULTIPLES)),
        interval.fold_coin(grid, reading.share, n1, n0) if grid else grid,
    )


def _limit_event(setting: CriterionSetting, grid: Grid, reading: Reading, seen: Views | None) -> Growth:
    if seen is None:
        n_events, n = coin.events(setting, reading.tally, Arm.CANDIDATE)
        q = setting.loss_of(setting.limit or 0.0)
        harm, safety = n_events, n_events
    else:
        at = cell_of(Axis.LOG, setting.limit or 0.0)
        q, n = 1.0 - setting.level, seen.candidate.assigned
        harm, safety = n - seen.candidate.below(at + 1), n - seen.candidate.below(at)
    if n == 0:
        return Growth((), (), grid)
    return Growth(tuple(limit.event_harm_growth(q, harm, n)), tuple(limit.event_safety_growth(q, safety, n)), grid)


def _limit_mean(setting: CriterionSetting, grid: Grid, reading: Reading) -> Growth:
    seen = mean.losses(setting, reading.counts(setting.metric, Arm.CANDIDATE))
    if not len(seen.n):
        return Growth((), (), grid)
    most = setting.loss_of(setting.limit or 0.0)
    cap = 1.0 if setting.axis is not Axis.LOG else setting.cap_ratio * most
    return Growth(tuple(limit.mean_harm_growth(most, seen)), tuple(limit.mean_safety_growth(most, cap, seen)), grid)
