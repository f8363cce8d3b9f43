"""Wealth of an e-process: a mixture over bets and over start times, in the log domain.

A convex mixture of e-processes is one (statistics.md §0), so the wealth is the average over K bets; a bet's
log wealth is a running sum. A start-time mixture (§8.2) keeps late faults visible: start s has weight w_s and
is worth 1 until it begins, so its value later is the running sum less what the sum was at its start. Weights
are w_1 = 3/4 and w_s = 1/(4 s (s-1)) for s >= 2, summing to 1; what has not started lies in cash.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_E_LIMIT = 300.0
"""Log e-values are reported within [-300, 300]; beyond it nothing is decided differently."""

MAX_STARTS = 30
RESTART_REQUESTS = 5000


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the mixture: its index s (from 1) and the running sums at that moment."""

    index: int
    base: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Wealth:
    """Running log wealth per bet and the starts still alive; `begun` counts every start ever made."""

    total: tuple[float, ...]
    starts: tuple[Start, ...]
    begun: int


def open_wealth(n_bets: int) -> Wealth:
    """Return a wealth of 1 with its first start."""
    zero = (0.0,) * n_bets
    return Wealth(total=zero, starts=(Start(1, zero),), begun=1)


def grow(total: tuple[float, ...], increments: Sequence[float]) -> tuple[float, ...]:
    """Add the log factors of one reading to each bet's log wealth."""
    return tuple(have + more for have, more in zip(total, increments, strict=True))


def grow_wealth(wealth: Wealth, increments: Sequence[float]) -> Wealth:
    """Add the log factors of one reading to each bet."""
    return Wealth(grow(wealth.total, increments), wealth.starts, wealth.begun)


def restart(wealth: Wealth) -> Wealth:
    """Begin a new start now; beyond MAX_STARTS the least valuable is dropped, which only loses power.

    The moment must be decided from the past alone (a stopping time).
    """
    starts = (*wealth.starts, Start(wealth.begun + 1, wealth.total))
    if len(starts) > MAX_STARTS:
        poorest = min(
            starts[:-1],
            key=lambda start: (math.log(start_weight(start.index)) + _log_bets(wealth.total, start), start.index),
        )
        starts = tuple(start for start in starts if start.index != poorest.index)
    return Wealth(wealth.total, starts, wealth.begun + 1)


def log_value(wealth: Wealth) -> float:
    """Return the log of the mixture over starts and bets, cash included."""
    values = [_log_bets(wealth.total, start) for start in wealth.starts]
    highest = max(0.0, *values)
    cash = 0.25 / wealth.begun * math.exp(-highest)
    mixed = sum(
        start_weight(begun.index) * math.exp(value - highest)
        for begun, value in zip(wealth.starts, values, strict=True)
    )
    return clip_log(highest + math.log(mixed + cash))


def log_mean(logs: Sequence[float]) -> float:
    """Return log(mean(exp(logs))) without overflow."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(value - highest) for value in logs) / len(logs))


def log_sum(logs: Sequence[float]) -> float:
    """Return log(sum(exp(logs))) without overflow; minus infinity for no or only vanishing terms."""
    highest = max(logs, default=-math.inf)
    if highest == -math.inf:
        return -math.inf
    return highest + math.log(sum(math.exp(value - highest) for value in logs))


def clip_log(value: float) -> float:
    """Keep a log e-value within [-LOG_E_LIMIT, LOG_E_LIMIT]."""
    return max(-LOG_E_LIMIT, min(LOG_E_LIMIT, value))


def start_weight(index: int) -> float:
    """Return the weight of a start in the mixture."""
    return 0.75 if index == 1 else 0.25 / (index * (index - 1))


def _log_bets(total: tuple[float, ...], start: Start) -> float:
    return log_mean([now - then for now, then in zip(total, start.base, strict=True)])
