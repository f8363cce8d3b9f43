"""Arithmetic on arrays that gives the same bits on every processor and with every numpy.

IEEE 754 fixes how +, -, x, / and comparisons round, element by element. Two things it does not fix, and evidence must
not depend on: the order in which numpy adds up an array (it follows the width of the processor's registers), and how
its logarithms and exponentials round (they are other programs on other processors). So sums here run from the first
element to the last, and log and exp are those of fdlibm (Sun Microsystems 1993, e_log.c and e_exp.c) on arrays.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_AT_ONCE = 8192
"""Elements worked on at a time: what is in between then stays in the processor's nearest memory."""
_SQRT_HALF = 0.7071067811865476
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG = (
    *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01),
    *(1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860510658591e-01),
)
_EXP = (
    *(1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05),
    *(-1.65339022054652515390e-06, 4.13813679705723846039e-08),
)


def total(values: Floats) -> Floats:
    """Return the sum over the last axis, added one after another; 0 for none."""
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1])
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1])


def log(values: Floats) -> Floats:
    """Return the natural logarithm of positive normal numbers, to within one unit in the last place."""
    return _piecewise(_log, values)


def exp(values: Floats) -> Floats:
    """Return e to the power of numbers within [-700, 700], to within one unit in the last place."""
    return _piecewise(_exp, values)


def _piecewise(function: Callable[[Floats], Floats], values: Floats) -> Floats:
    if values.size <= _AT_ONCE:
        return function(values)
    flat, found = values.ravel(), np.empty(values.size)
    for first in range(0, values.size, _AT_ONCE):
        found[first : first + _AT_ONCE] = function(flat[first : first + _AT_ONCE])
    return found.reshape(values.shape)


def _log(values: Floats) -> Floats:
    fraction, power = np.frexp(values)
    is_small = fraction < _SQRT_HALF
    f = np.where(is_small, 2.0 * fraction, fraction) - 1.0
    k = (power - is_small).astype(np.float64)
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    l1, l2, l3, l4, l5, l6, l7 = _LOG
    rest = w * (l2 + w * (l4 + w * l6)) + z * (l1 + w * (l3 + w * (l5 + w * l7)))
    half = 0.5 * f * f
    return np.asarray(k * _LN2_HIGH - ((half - (s * (half + rest) + k * _LN2_LOW)) - f))


def _exp(values: Floats) -> Floats:
    k = np.rint(values * 1.44269504088896338700)
    high, low = values - k * _LN2_HIGH, k * _LN2_LOW
    x = high - low
    t = x * x
    p1, p2, p3, p4, p5 = _EXP
    c = x - t * (p1 + t * (p2 + t * (p3 + t * (p4 + t * p5))))
    return np.asarray(np.ldexp(1.0 - ((low - x * c / (2.0 - c)) - high), k.astype(np.int32)))
