"""How likely each cell is under the laws that scenarios name: what requests are counted by when nobody is drawn apart.

Closed forms where there are any; else Gauss-Legendre quadrature of the density within each cell, which is a hundredth
wide, so that the masses add up to 1 to 1e-9 or `None` is returned: a law too narrow or too steep for that is drawn
request by request.
"""

import math
from collections.abc import Callable

import numpy as np

from controller.schema.laws import Law
from controller.stats.bins import CELLS_PER_DECADE, LOG_HIGHEST, LOG_LOWEST, SCORE_CELLS
from controller.stats.columns import Floats

CELLS_PER_NAT = CELLS_PER_DECADE / math.log(10.0)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_TOLERANCE = 1e-9
PARETO_PARTS = 8
"""Parts of a cell within which a value that is stretched by a Pareto variable lies midway."""


def quantity(law: Law, shift: float) -> Floats | None:
    """Return the probability of the cells LOG_LOWEST..LOG_HIGHEST of a quantity times exp(shift)."""
    parts = PARETO_PARTS if law.tail and law.tail.pareto else 1
    steps = np.arange((LOG_LOWEST + 1) * parts, LOG_HIGHEST * parts + 1)
    edges = steps / (CELLS_PER_NAT * parts) - shift
    body = _body(law, edges)
    if body is None or law.tail is None:
        return body
    if law.tail.pareto is not None:
        tail = _between(_stretched(body, edges, law.tail.pareto)[::parts])
        body = _between(np.cumsum(body)[:-1][::parts])
    else:
        tail = _between(_normal(edges, math.log(law.tail.median), law.tail.sigma))
    return (1.0 - law.tail.share) * body + law.tail.share * tail


def score(law: Law) -> Floats | None:
    """Return the probability of the cells 0..SCORE_CELLS of a score."""
    if law.family == "empirical":
        cells = np.rint(np.clip(np.array(law.values), 0.0, 1.0) * SCORE_CELLS).astype(np.int64)
        inexact = np.bincount(cells, minlength=SCORE_CELLS + 1) / len(cells)
    else:
        mean, concentration = law.parameters
        a, b = mean * concentration, (1.0 - mean) * concentration
        log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        edges = np.clip((np.arange(SCORE_CELLS + 2) - 0.5) / SCORE_CELLS, 0.0, 1.0)
        found = _integrals(lambda x: np.exp(log_scale + (a - 1.0) * np.log(x) + (b - 1.0) * np.log1p(-x)), edges)
        if abs(found.sum() - 1.0) > _TOLERANCE:
            return None
        inexact = found / found.sum()
    inexact = (1.0 - law.exact_share) * inexact
    inexact[-1] += law.exact_share
    return np.asarray(inexact)


def _body(law: Law, edges: Floats) -> Floats | None:
    match law.family:
        case "lognormal":
            median, sigma = law.parameters
            return _between(_normal(edges, math.log(median), sigma))
        case "weibull":
            mean, shape = law.parameters
            scale = mean / math.gamma(1.0 + 1.0 / shape)
            return _between(-np.expm1(-np.exp(np.minimum(shape * (edges - math.log(scale)), 50.0))))
        case "gamma":
            mean, shape = law.parameters
            return _gamma(mean, shape, edges)
        case _:
            logs = np.log(np.maximum(law.values, 1e-12))
            at = np.searchsorted(edges, logs, side="right")
            return np.bincount(at, minlength=len(edges) + 1) / len(logs)


def _gamma(mean: float, shape: float, edges: Floats) -> Floats | None:
    log_rate = math.log(shape / mean)

    def density(log_x: Floats) -> Floats:
        return np.asarray(np.exp(shape * (log_x + log_rate) - np.exp(log_x + log_rate) - math.lgamma(shape)))

    masses = _integrals(density, edges)
    below = 1.0 - float(masses.sum())  # what lies below the lowest edge, and rounding
    if below < -_TOLERANCE or (below > _TOLERANCE and density(edges[:1])[0] < _TOLERANCE):
        return None
    return np.concatenate(([max(below, 0.0)], masses, [0.0])) / max(1.0, float(masses.sum()))


def _stretched(body: Floats, edges: Floats, shape: float) -> Floats:
    """Return what lies below each edge of a quantity times a Pareto variable; masses lie midway between edges.

    With B the log of the quantity, P(B + E <= l) = sum over b <= l of P(b) (1 - exp(-shape (l - b))).
    """
    middles = np.append(edges[0], edges) - 0.5 * (edges[1] - edges[0])
    grown = np.cumsum(body * np.exp(shape * (middles - edges[-1])))[:-1]
    return np.asarray(np.cumsum(body)[:-1] - grown * np.exp(-shape * (edges - edges[-1])))


def _normal(edges: Floats, mean: float, sigma: float) -> Floats:
    scale = -1.0 / (sigma * math.sqrt(2.0))
    return np.array([0.5 * math.erfc(z) for z in ((edges - mean) * scale).tolist()])


def _between(below: Floats) -> Floats:
    """Return the masses of the cells from what lies below each edge between them."""
    return np.diff(below, prepend=0.0, append=1.0)


def _integrals(density: Callable[[Floats], Floats], edges: Floats) -> Floats:
    """Return the integral between each edge and the next."""
    half = np.diff(edges) / 2.0
    middle = edges[:-1] + half
    return np.asarray((density(middle[:, None] + half[:, None] * _NODES) @ _WEIGHTS) * half)
