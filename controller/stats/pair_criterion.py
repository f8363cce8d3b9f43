"""One criterion of a bench, judged on pairs: the same prompt and seed on both arms (statistics.md §3, §4, §5, §9.4).

Every test is an e-process in the order of the pairs, so looking after each pair and stopping early is allowed. Its
null holds "at every pair, given the pairs before": of a suite in shuffled order this asks that no part of the prompts
hides behind the rest, and several seeds of one prompt count as fresh draws, exchangeable given the suite. (For the
mean over the suite alone, drawn without replacement, the wealth after any fixed number of pairs is still an e-value, by
Maclaurin's inequality on the factors of a bet; only stopping in the middle leans on the assumption.) No coin is
needed. With X1 of the candidate, X0 of the incumbent and rho, d the allowed change:

- mean of a score or rate: D = loss1 - loss0, null E D <= d (`paired`).
- mean of a positive quantity: D = min(X1, rho B + d) - rho min(X0, B) - d, scaled into [-1, 1], null E D <= 0. An
  uncapped mean can't be bounded; B is frozen from the first pairs, which judge nothing.
- quantile: D = 1{X1 > rho x} - 1{X0 > x}, null E D <= 0, with x the incumbent's quantile among the pairs before,
  renewed whenever they have doubled. The first pairs only tune. Ties are broken by a billionth that grows with the
  pair's golden number, or of equal values none would exceed their own quantile.
- law: symmetry of log(X1 / X0) about at most log rho (`paired`); finds harm early, proves nothing.
- limits: the candidate alone (`limit`), means of quantities cut at twice the limit; the largest is compared as it is.

Safety tests the reverse nulls. A drawing that failed is infinitely late.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.stats import limit, paired
from controller.stats.bins import LOG_HIGHEST, LOG_LOWEST, Axis, cell_of, lower_edge
from controller.stats.paired import PairedDifference, PairedRatio
from controller.stats.quantile import LOG_ODDS
from controller.stats.setting import CriterionSetting, Kind
from controller.stats.state import Summary
from controller.stats.wealth import LOG_E_LIMIT, clip_log, grow, log_mean

CAP_PAIRS = 10
"""Pairs after which B of a mean is frozen."""
CAP_LEVEL, CAP_RATIO = 0.9, 1.5
"""B is this multiple of this quantile of the incumbent: only stalls lie beyond it, and the bets stay large."""
THRESHOLD_PAIRS = 20
"""Pairs after which x of a quantile is first known."""
CLIP = 4.0
"""Log ratios are cut at so many times their scale: one stall must not blunt the test for all later pairs."""
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
LATEST = lower_edge(LOG_HIGHEST)
"""What stands for an infinite value where a number must be shown, as on live traffic."""
LIMIT_KINDS = frozenset({Kind.LIMIT_EVENT, Kind.LIMIT_MEAN, Kind.LIMIT_MAX})
LIMIT_CAP_RATIO = 2.0
"""The mean of a positive quantity is held against its limit with every value cut at this multiple of the limit."""


@dataclass(frozen=True, slots=True)
class LimitEvidence:
    """Log wealth per bet of the candidate against a fixed number."""

    harm: tuple[float, ...]
    safety: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PairState:
    """Evidence of one criterion after any number of pairs.

    `incumbent`, `candidate`: the values read, in order; `tuned`: B or x, None before it is known.
    """

    setting: CriterionSetting
    evidence: PairedDifference | PairedRatio | LimitEvidence
    incumbent: tuple[float, ...] = ()
    candidate: tuple[float, ...] = ()
    tuned: float | None = None


def start(setting: CriterionSetting) -> PairState:
    """Return a criterion without evidence; `block_s` and what concerns windows of live traffic mean nothing here."""
    match setting.kind:
        case Kind.LAW:
            return PairState(setting, paired.start_ratio(setting.max_ratio or 1.0))
        case Kind.MEAN if setting.axis is not Axis.LOG:
            return PairState(setting, paired.start_difference(setting.max_increase or setting.max_drop or 0.0))
        case Kind.LIMIT_EVENT:
            return PairState(setting, LimitEvidence((0.0,) * len(LOG_ODDS), (0.0,) * len(limit.SAFETY_FRACTIONS)))
        case Kind.LIMIT_MEAN | Kind.LIMIT_MAX:
            return PairState(setting, LimitEvidence((0.0,) * len(limit.FRACTIONS), (0.0,) * len(limit.FRACTIONS)))
        case _:
            return PairState(setting, paired.start_difference(0.0))


def fold(state: PairState, incumbent: float | None, candidate: float | None) -> PairState:
    """Add a pair of values in the metric's unit, None where there is none, infinite where a drawing failed.

    A comparison reads a pair only when both values are there; a limit reads each arm by itself. Raises ValueError
    for a value that the axis can't hold.
    """
    if state.setting.kind not in LIMIT_KINDS and (incumbent is None or candidate is None):
        return state
    read = [() if value is None else (_checked(state.setting.axis, value),) for value in (incumbent, candidate)]
    evidence = state.evidence
    if candidate is not None:
        evidence = (
            _limited(state.setting, evidence, candidate)
            if isinstance(evidence, LimitEvidence)
            else _compared(state, evidence, incumbent or 0.0, candidate)
        )
    folded = replace(
        state, evidence=evidence, incumbent=(*state.incumbent, *read[0]), candidate=(*state.candidate, *read[1])
    )
    return replace(folded, tuned=_tune(folded))


def summary(state: PairState) -> Summary:
    """Return the evidence and the estimates so far; what is missing is counted elsewhere."""
    log_harm, log_safety = log_evidence(state)
    incumbent, candidate = _estimate(state, state.incumbent), _estimate(state, state.candidate)
    return Summary(
        log_harm=log_harm,
        log_safety=log_safety,
        incumbent=incumbent,
        candidate=candidate,
        change=_change(state.setting, incumbent, candidate),
        change_low=None,
        change_high=None,
        n_incumbent=len(state.incumbent),
        n_candidate=len(state.candidate),
        missing_candidate=0,
        missing_incumbent=0,
        candidate_at_least=candidate is not None and candidate >= LATEST,
    )


def _compared(
    state: PairState, evidence: PairedDifference | PairedRatio, incumbent: float, candidate: float
) -> PairedDifference | PairedRatio:
    setting = state.setting
    if isinstance(evidence, PairedRatio):
        if math.isinf(incumbent) and math.isinf(candidate):
            return evidence
        return paired.fold_ratios(evidence, [_clipped_log_ratio(evidence, incumbent, candidate)])
    rho = setting.max_ratio or 1.0
    if setting.kind is Kind.COIN:
        excess = setting.loss_of(candidate) - rho * setting.loss_of(incumbent)
        return paired.fold_differences(evidence, [excess / rho])
    if setting.axis is not Axis.LOG:
        return paired.fold_differences(evidence, [setting.loss_of(candidate) - setting.loss_of(incumbent)])
    if state.tuned is None:
        return evidence
    if setting.kind is Kind.QUANTILE:
        untied = _untied(len(state.incumbent))
        later = float(candidate * untied > rho * state.tuned) - float(incumbent * untied > state.tuned)
        return paired.fold_differences(evidence, [later])
    shift = setting.max_increase or 0.0
    most = rho * state.tuned + shift
    excess = min(candidate, most) - rho * min(incumbent, state.tuned) - shift
    return paired.fold_differences(evidence, [excess / most])


def _clipped_log_ratio(evidence: PairedRatio, incumbent: float, candidate: float) -> float:
    """Return log(X1 / X0), cut symmetrically about the margin by a scale of the pairs before, which keeps the null."""
    least = lower_edge(LOG_LOWEST)
    excess = math.log(max(candidate, least)) - math.log(max(incumbent, least)) - evidence.log_margin
    reach = CLIP * evidence.scale
    return evidence.log_margin + max(-reach, min(reach, excess))


def _limited(setting: CriterionSetting, evidence: LimitEvidence, candidate: float) -> LimitEvidence:
    allowed = setting.limit or 0.0
    if setting.kind is Kind.LIMIT_MAX:
        return evidence
    if setting.kind is Kind.LIMIT_EVENT:
        on_log = setting.axis is Axis.LOG
        event = int(candidate > allowed if on_log else setting.loss_of(candidate) > 0)
        q = 1.0 - setting.level if on_log else setting.loss_of(allowed)
        harm, safety = limit.event_harm_growth(q, event, 1), limit.event_safety_growth(q, event, 1)
    else:
        most = setting.loss_of(allowed)
        cap = LIMIT_CAP_RATIO * most if setting.axis is Axis.LOG else 1.0
        excess = min(setting.loss_of(candidate), cap) - most
        harm, safety = limit.one_image_growth(most, excess), limit.one_image_growth(cap - most, -excess)
    return LimitEvidence(grow(evidence.harm, harm), grow(evidence.safety, safety))


def _checked(axis: Axis, value: float) -> float:
    if axis is not Axis.LOG or value != math.inf:
        cell_of(axis, value)
    return value


def _untied(index: int) -> float:
    """Return the factor that tells the value of a pair apart from equal ones."""
    return 1.0 + 1e-9 * ((index * GOLDEN) % 1.0)


def _tune(state: PairState) -> float | None:
    """Return B or x for the pairs to come."""
    n, kind = len(state.incumbent), state.setting.kind
    if kind is Kind.MEAN and state.setting.axis is Axis.LOG and n == CAP_PAIRS and state.tuned is None:
        return CAP_RATIO * min(_quantile(state.incumbent, CAP_LEVEL), LATEST)
    if kind is Kind.QUANTILE and n >= THRESHOLD_PAIRS and math.log2(n / THRESHOLD_PAIRS).is_integer():
        return _quantile([value * _untied(index) for index, value in enumerate(state.incumbent)], state.setting.level)
    return state.tuned


def _quantile(values: Sequence[float], level: float) -> float:
    return sorted(values)[max(0, math.ceil(level * len(values)) - 1)]


def log_evidence(state: PairState) -> tuple[float, float]:
    """Return the log e-values of harm and of safety."""
    setting = state.setting
    if setting.kind is Kind.LIMIT_MAX:
        if not state.candidate:
            return 0.0, 0.0
        within = max(state.candidate) <= (setting.limit or 0.0)
        return (-LOG_E_LIMIT, LOG_E_LIMIT) if within else (LOG_E_LIMIT, -LOG_E_LIMIT)
    safety = clip_log(log_mean(state.evidence.safety))
    return clip_log(log_mean(state.evidence.harm)), 0.0 if setting.kind is Kind.LAW else safety


def _estimate(state: PairState, values: tuple[float, ...]) -> float | None:
    """Return what an arm was measured to be, None without a value; tests may cut large values, people are told all."""
    setting = state.setting
    if not values:
        return None
    if setting.axis is not Axis.LOG:
        return math.fsum(values) / len(values)
    if setting.kind in {Kind.MEAN, Kind.LIMIT_MEAN}:
        return math.fsum(min(value, LATEST) for value in values) / len(values)
    return min(max(values) if setting.kind is Kind.LIMIT_MAX else _quantile(values, setting.level), LATEST)


def _change(setting: CriterionSetting, incumbent: float | None, candidate: float | None) -> float | None:
    """Return the ratio for max_ratio, candidate - incumbent for the other changes, None for limits."""
    if setting.limit is not None or incumbent is None or candidate is None:
        return None
    if setting.max_ratio is None:
        return candidate - incumbent
    return candidate / incumbent if incumbent > 0 else None
