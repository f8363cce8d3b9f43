"""Arithmetic on arrays that gives the same bits on every processor and with every numpy.

IEEE 754 fixes how +, -, x, / and comparisons round, element by element. Two things it does not fix, and evidence must
not depend on: the order in which numpy adds up an array (it follows the width of the processor's registers), and how
its logarithms and exponentials round (they are other programs on other processors). So the order of
sums is fixed here, and log and exp are those of fdlibm (Sun Microsystems 1993, e_log.c and e_exp.c) on arrays.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

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
    """Return the sum over the last axis: its second half is added to its first, until one element is left; 0 for none.

    So what it adds up to depends on the places of the elements, zeros included.
    """
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1])
    while (width := values.shape[-1]) > 1:
        half = width // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        if width % 2:
            folded[..., 0] += values[..., -1]
        values = folded
    return np.asarray(values[..., 0])


def log(values: Floats) -> Floats:
    """Return the natural logarithm of positive normal numbers, to within one unit in the last place."""
    # In place: a fresh array for each step takes several times as long as the step.
    f, power = np.frexp(values)
    is_small = f < _SQRT_HALF
    k = (power - is_small).astype(np.float64)
    f *= is_small + 1.0
    f -= 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    rest, even = _horner(w, _LOG[6::-2]), _horner(w, _LOG[5::-2])
    rest *= z
    even *= w
    rest += even
    half = np.multiply(f, f, out=z)
    half *= 0.5
    rest += half
    rest *= s
    rest += np.multiply(k, _LN2_LOW, out=even)
    half -= rest
    half -= f
    k *= _LN2_HIGH
    k -= half
    return np.asarray(k)


def exp(values: Floats) -> Floats:
    """Return e to the power of numbers within [-700, 700], to within one unit in the last place."""
    k = np.rint(values * 1.44269504088896338700)
    high, low = values - k * _LN2_HIGH, k * _LN2_LOW
    x = high - low
    t = x * x
    c = x - t * _horner(t, _EXP[::-1])
    return np.asarray(np.ldexp(1.0 - ((low - x * c / (2.0 - c)) - high), k.astype(np.int32)))


def _horner(x: Floats, coefficients: Sequence[float]) -> Floats:
    """Return the polynomial with these coefficients, the highest power's first."""
    found = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        found += coefficient
        found *= x
    found += coefficients[-1]
    return found
