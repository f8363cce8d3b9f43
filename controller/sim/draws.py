"""Random values of the laws that scenarios name, as natural logarithms for quantities."""

import math

import numpy as np

from controller.schema.laws import Law
from controller.stats.columns import Floats

Rng = np.random.Generator
_LEAST = 1e-12


def draw_logs(law: Law, rng: Rng, n: int) -> Floats:
    """Return the logarithms of n values of a positive quantity."""
    logs = _body(law, rng, n)
    if law.tail is None:
        return logs
    rows = np.flatnonzero(rng.random(n) < law.tail.share)
    if law.tail.pareto is not None:
        logs[rows] += rng.exponential(1.0 / law.tail.pareto, len(rows))  # log of a Pareto variable
    else:
        logs[rows] = math.log(law.tail.median) + law.tail.sigma * rng.standard_normal(len(rows))
    return logs


def draw_scores(law: Law, rng: Rng, n: int) -> Floats:
    """Return n scores in [0, 1]."""
    scores = np.ones(n)
    rows = np.flatnonzero(rng.random(n) >= law.exact_share)
    if law.family == "beta":
        mean, concentration = law.parameters
        scores[rows] = rng.beta(mean * concentration, (1.0 - mean) * concentration, len(rows))
    else:
        scores[rows] = np.clip(rng.choice(np.array(law.values), len(rows)), 0.0, 1.0)
    return scores


def _body(law: Law, rng: Rng, n: int) -> Floats:
    match law.family:
        case "lognormal":
            median, sigma = law.parameters
            return math.log(median) + sigma * rng.standard_normal(n)
        case "gamma":
            mean, shape = law.parameters
            return np.log(np.maximum(rng.gamma(shape, mean / shape, n), _LEAST))
        case "weibull":
            mean, shape = law.parameters
            return math.log(mean / math.gamma(1.0 + 1.0 / shape)) + np.log(rng.exponential(1.0, n)) / shape
        case _:
            return np.asarray(np.log(np.maximum(rng.choice(np.array(law.values), n), _LEAST)))
