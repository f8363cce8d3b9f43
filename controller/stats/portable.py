"""Arithmetic on arrays that gives the same bits on every processor and with every numpy.

IEEE 754 fixes how +, -, x, / and comparisons round, element by element. It does not fix the order in which numpy adds
up an array, which follows the width of the processor's registers, nor numpy's logarithms and exponentials, which are
other programs on other processors. So the order of sums is fixed here, and log and exp are those of `elementary`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from controller.stats.elementary import EXP, LN2_HIGH, LN2_LOW, LOG, LOG2_E, SQRT_HALF

Floats = NDArray[np.float64]


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
    """Return the natural logarithm of positive normal numbers, to within one unit in the last place.

    ValueError for a number that is not positive: a factor of 0 or less is a bet that was no bet.
    """
    if not values.min(initial=1.0) > 0.0:
        raise ValueError(f"{values.min()} has no logarithm")
    # In place: a fresh array for each step takes several times as long as the step.
    f, power = np.frexp(values)
    is_small = f < SQRT_HALF
    k = (power - is_small).astype(np.float64)
    f *= is_small + 1.0
    f -= 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    rest, even = _horner(w, LOG[6::-2]), _horner(w, LOG[5::-2])
    rest *= z
    even *= w
    rest += even
    half = np.multiply(f, f, out=z)
    half *= 0.5
    rest += half
    rest *= s
    rest += np.multiply(k, LN2_LOW, out=even)
    half -= rest
    half -= f
    k *= LN2_HIGH
    k -= half
    return np.asarray(k)


def exp(values: Floats) -> Floats:
    """Return e to the power of numbers within [-700, 700], to within one unit in the last place."""
    k = np.rint(values * LOG2_E)
    high, low = values - k * LN2_HIGH, k * LN2_LOW
    x = high - low
    t = x * x
    c = x - t * _horner(t, EXP[::-1])
    return np.asarray(np.ldexp(1.0 - ((low - x * c / (2.0 - c)) - high), k.astype(np.int32)))


def _horner(x: Floats, coefficients: Sequence[float]) -> Floats:
    """Return the polynomial with these coefficients, the highest power's first."""
    found = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        found += coefficient
        found *= x
    found += coefficients[-1]
    return found
