"""Logarithm and exponential that round alike on every processor and with every C library.

IEEE 754 fixes how +, -, x, /, square roots and comparisons round, and leaves these two to the C library, which has
other programs for other processors. Evidence must not depend on that, so they are those of fdlibm (Sun Microsystems
1993, e_log.c and e_exp.c). `portable` has them for arrays, to the same bits.
"""

import math

SQRT_HALF = 0.7071067811865476
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.44269504088896338700
_LEAST_EXPONENT = -745.0
LOG = (
    *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01),
    *(1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860510658591e-01),
)
EXP = (
    *(1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05),
    *(-1.65339022054652515390e-06, 4.13813679705723846039e-08),
)


def log_of(value: float) -> float:
    """Return the natural logarithm of a positive normal number; ValueError for one that is not positive."""
    if not value > 0.0:
        raise ValueError(f"{value} has no logarithm")
    f, k = math.frexp(value)
    if f < SQRT_HALF:
        f, k = 2.0 * f, k - 1
    f -= 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    l1, l2, l3, l4, l5, l6, l7 = LOG
    rest = z * (l1 + w * (l3 + w * (l5 + w * l7))) + w * (l2 + w * (l4 + w * l6))
    half = 0.5 * f * f
    return k * LN2_HIGH - ((half - (s * (half + rest) + k * LN2_LOW)) - f)


def exp_of(value: float) -> float:
    """Return e to the power of a number up to 709; 0 where that is too small for a float, OverflowError beyond."""
    if value < _LEAST_EXPONENT:
        return 0.0
    k = round(value * LOG2_E)
    high, low = value - k * LN2_HIGH, k * LN2_LOW
    x = high - low
    t = x * x
    p1, p2, p3, p4, p5 = EXP
    c = x - t * (p1 + t * (p2 + t * (p3 + t * (p4 + t * p5))))
    return math.ldexp(1.0 - ((low - x * c / (2.0 - c)) - high), k)
