"""Absolute limits: the candidate alone against a fixed number (statistics.md §4, E_abs and promotion).

Rates and quantiles: an event (a flag, or a latency above the limit) with probability at most q (the limit of
the rate, or 1 - p), e_k = prod (r_k / q)^event ((1 - r_k) / (1 - q))^(1 - event), r_k > q for harm, r_k < q
for safety. Means: one-sample betting 1 + lam (X - m), harm valid for any X >= 0 and safety for X capped at B.
No coin is needed, but the null is "at most q given the past, at every t".
"""

import math

import numpy as np

from controller.stats.elementary import exp_of, log_of
from controller.stats.mean import SAFE_FRACTION, Losses, growth
from controller.stats.quantile import LOG_ODDS

FRACTIONS = (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Bets on a mean, as parts of the largest safe one."""
SAFETY_FRACTIONS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6)


def event_harm_growth(q: float, n_events: int, n: int) -> list[float]:
    """Return the log factor of `n_events` of `n` requests for each alternative above q."""
    raised = [q * exp_of(odds) for odds in LOG_ODDS]
    return [_event_growth(q, more / (1.0 - q + more), n_events, n) for more in raised]


def event_safety_growth(q: float, n_events: int, n: int) -> list[float]:
    """Return the log factor of `n_events` of `n` requests for each alternative below q."""
    return [_event_growth(q, q * fraction, n_events, n) for fraction in SAFETY_FRACTIONS]


def mean_harm_growth(limit: float, seen: Losses) -> list[float]:
    """Return the log factor against "the mean loss is at most the limit"."""
    return growth(mean_bets(limit), seen.loss - limit, seen.n)


def mean_safety_growth(limit: float, cap: float, seen: Losses) -> list[float]:
    """Return the log factor against "the mean loss, each capped, is at least the limit"."""
    return growth(mean_bets(cap - limit), limit - np.minimum(seen.loss, cap), seen.n)


def one_image_growth(bound: float, outcome: float) -> list[float]:
    """Return the log factor of one image that says so much against a mean, where none may say more than the bound."""
    return [math.log1p(bet * outcome) for bet in mean_bets(bound)]


def mean_bets(most: float) -> tuple[float, ...]:
    """Return the bets on a mean where a single image may count against them by `most`."""
    return tuple(fraction * SAFE_FRACTION / most for fraction in FRACTIONS)


def _event_growth(q: float, r: float, n_events: int, n: int) -> float:
    return n_events * log_of(r / q) + (n - n_events) * (log_of(1.0 - r) - log_of(1.0 - q))
