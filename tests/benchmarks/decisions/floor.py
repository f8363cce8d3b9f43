"""The fewest candidate images that any valid test needs: log(1 / alpha) over the information in one of them.

- Two samples at a split pi: I = KL(P1 | M) + (1 - pi) / pi KL(P0 | M), M = pi P1 + (1 - pi) P0. No e-process on
  requests assigned by a coin grows faster. For a quantile or a rate, P is the Bernoulli law of the exceedance or event.
- One sample: KL(P1 | P0), the incumbent's law known (Wald's sequential probability ratio test).
- Means, the incumbent's mean m known and nothing else: KLinf = max over bets of E log(1 + bet (X - m)).

What the last image overshoots the threshold by is not included, so floors of one to five images can't be reached.
"""

import math

import numpy as np
from numpy.typing import NDArray

from controller.schema.laws import Law

LOG_NEEDED = math.log(800.0)
"""A budget of 1 % over eight criteria."""

_STEP = 5e-4
_GRID = np.arange(-3.5, 4.5, _STEP)
Floats = NDArray[np.float64]


def density(law: Law, factor: float = 1.0) -> Floats:
    """Return the density of log(factor x latency) on the grid, of a lognormal with or without a tail."""
    median, sigma = law.parameters
    body = _normal(math.log(median * factor), sigma)
    if law.tail is None:
        return body
    return (1.0 - law.tail.share) * body + law.tail.share * _normal(math.log(law.tail.median * factor), law.tail.sigma)


def above(law: Law, threshold: float) -> float:
    """Return P(latency > threshold)."""
    return float(density(law)[math.log(threshold) < _GRID].sum() * _STEP)


def quantile(law: Law, level: float) -> float:
    """Return the latency below which a share of `level` lies."""
    return float(math.exp(np.interp(level, np.cumsum(density(law)) * _STEP, _GRID)))


def two_sample(candidate: Floats, incumbent: Floats, share: float, step: float = _STEP) -> float:
    """Return the information in a candidate image at a split; densities or probabilities over the same outcomes."""
    mixed = share * candidate + (1.0 - share) * incumbent
    return step * (_divergence(candidate, mixed) + (1.0 - share) / share * _divergence(incumbent, mixed))


def one_sample(candidate: Floats, incumbent: Floats, step: float = _STEP) -> float:
    """Return the information in a candidate image when the incumbent's law is known."""
    return step * _divergence(candidate, incumbent)


def of_law(incumbent: Law, factor: float, share: float) -> float:
    """Return the floor for seeing that the whole law is slower by a factor."""
    return LOG_NEEDED / two_sample(density(incumbent, factor), density(incumbent), share)


def of_quantile(incumbent: Law, level: float, factor: float, share: float) -> float:
    """Return the floor for seeing it in the exceedance of one quantile of the incumbent."""
    threshold = quantile(incumbent, level)
    return of_rate(above(incumbent, threshold / factor), 1.0 - level, share)


def of_rate(candidate: float, incumbent: float, share: float) -> float:
    """Return the floor for seeing that an event is more frequent."""
    ours, theirs = (np.array([rate, 1.0 - rate]) for rate in (candidate, incumbent))
    return LOG_NEEDED / two_sample(ours, theirs, share, step=1.0)


def of_mean(candidate: Floats, mean: float) -> float:
    """Return the floor for seeing that the mean of positive values, given as equally likely, exceeds `mean`."""
    low, high = 0.0, (1.0 - 1e-9) / mean
    excess = candidate - mean
    while high - low > 1e-9:  # the derivative of the growth falls in the bet
        bet = (low + high) / 2.0
        low, high = (bet, high) if float((excess / (1.0 + bet * excess)).mean()) > 0 else (low, bet)
    return LOG_NEEDED / float(np.log1p(low * excess).mean())


def _normal(mu: float, sigma: float) -> Floats:
    return np.exp(-(((_GRID - mu) / sigma) ** 2) / 2.0) / (sigma * math.sqrt(2.0 * math.pi))


def _divergence(of: Floats, against: Floats) -> float:
    held = (of > 0) & (against > 0)
    return float((of[held] * np.log(of[held] / against[held])).sum())
