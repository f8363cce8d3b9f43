"""Wealth of an e-process: a mixture over bets and over start times, in the log domain.

A convex mixture of e-processes is one (statistics.md §0), so the wealth is the average over K bets; a bet's log wealth
is a running sum. A start-time mixture (§8.2) keeps late faults visible: of the wealth of 1, 78 % are staked at
once and the rest lies in cash; at each later start a part of the cash is staked too, evenly on the bets. What the
s-th start stakes is fixed beforehand, so the mixture is an e-process whenever the starts are stopping times. A bet
does not care when it was funded, so all stakes on a bet are one number, however many starts there were.

The parts: w_1 = 0.78, and w_s = 0.22 S / ((s + S - 2)(s + S - 1)) for s >= 2, which add up to 1; the first S starts
get nearly the same. Starting costs a late fault the log of its part, waiting costs images: a start every
RESTART_IMAGES candidate images, less often after many, balances the two for faults that a fresh start finds within
100 images. A fault from the start pays log 1.28.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.stats.elementary import exp_of, log_of

LOG_E_LIMIT = 300.0
"""Log e-values are reported within [-300, 300]; beyond it nothing is decided differently."""

FIRST_STAKE = 0.78
EVEN_STARTS = 30
RESTART_IMAGES = 50
_SPACED_STARTS = 40


@dataclass(frozen=True, slots=True)
class Wealth:
    """Log wealth of each bet, in units of what the first start staked on it; `begun` counts the starts."""

    total: tuple[float, ...]
    begun: int = 1

    @property
    def images_to_start(self) -> int:
        """Return after how many candidate images since the latest start the next one is due."""
        return RESTART_IMAGES * max(1, self.begun // _SPACED_STARTS)


def open_wealth(n_bets: int) -> Wealth:
    """Return a wealth of 1 with its first start."""
    return Wealth((0.0,) * n_bets)


def grow(total: tuple[float, ...], increments: Sequence[float]) -> tuple[float, ...]:
    """Add the log factors of one reading to each bet's log wealth."""
    return tuple(have + more for have, more in zip(total, increments, strict=True))


def grow_wealth(wealth: Wealth, increments: Sequence[float]) -> Wealth:
    """Add the log factors of one reading to each bet."""
    return Wealth(grow(wealth.total, increments), wealth.begun)


def restart(wealth: Wealth) -> Wealth:
    """Stake the next part of the cash now. The moment must be decided from the past alone (a stopping time)."""
    stake = log_stake(wealth.begun + 1)
    return Wealth(tuple([_log_add(have, stake) for have in wealth.total]), wealth.begun + 1)


def log_value(wealth: Wealth) -> float:
    """Return the log of the mixture over starts and bets, cash included."""
    highest = max(0.0, *wealth.total)
    staked = math.fsum([exp_of(value - highest) for value in wealth.total]) / len(wealth.total)
    cash = (1.0 - FIRST_STAKE) * cash_left(wealth.begun) * exp_of(-highest)
    return clip_log(highest + log_of(FIRST_STAKE * staked + cash))


def cash_left(begun: int) -> float:
    """Return which part of the cash so many starts have left."""
    return EVEN_STARTS / (begun + EVEN_STARTS - 1)


def log_stake(index: int) -> float:
    """Return the log of what a start after the first stakes, in units of the first stake."""
    return log_of((1.0 - FIRST_STAKE) / FIRST_STAKE * (cash_left(index - 1) - cash_left(index)))


def log_mean(logs: Sequence[float]) -> float:
    """Return log(mean(exp(logs))) without overflow."""
    highest = max(logs)
    return highest + log_of(math.fsum([exp_of(value - highest) for value in logs]) / len(logs))


def log_sum(logs: Sequence[float]) -> float:
    """Return log(sum(exp(logs))) without overflow; minus infinity for no or only vanishing terms."""
    highest = max(logs, default=-math.inf)
    if highest == -math.inf:
        return -math.inf
    return highest + log_of(math.fsum([exp_of(value - highest) for value in logs]))


def _log_add(one: float, two: float) -> float:
    """Return log(exp(one) + exp(two)) of a finite one and any other."""
    return max(one, two) + log_of(1.0 + exp_of(-abs(one - two)))


def clip_log(value: float) -> float:
    """Keep a log e-value within [-LOG_E_LIMIT, LOG_E_LIMIT]."""
    return max(-LOG_E_LIMIT, min(LOG_E_LIMIT, value))
