"""Arithmetic that rounds alike everywhere: accuracy, and the very bits."""

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from controller.core.judge import assess
from controller.stats import portable
from controller.stats.bins import Axis
from controller.stats.coin import MULTIPLES, coin_growth
from controller.stats.counts import values
from controller.stats.elementary import exp_of, log_of
from controller.stats.paired import symmetry_growth
from controller.stats.quantile import HARM_ODDS, exceedance_factors
from controller.stats.wealth import grow_wealth, log_value, open_wealth, restart
from tests.unit.core.test_engine import judged

BITS = {
    "log": {
        0.01: "-0x1.26bb1bbb55516p+2",
        0.7: "-0x1.6d3c324e13f50p-2",
        0.99999: "-0x1.4f8bc681df714p-17",
        1.25: "0x1.c8ff7c79a9a22p-3",
        3.0: "0x1.193ea7aad030ap+0",
        1e-300: "-0x1.5963447f87fb5p+9",
        1.7e308: "0x1.62dd08fdc6f88p+9",
    },
    "exp": {
        -650.0: "0x1.300ff6c7c2e28p-938",
        -4.0: "0x1.2c155b8213cf4p-6",
        -1e-09: "0x1.fffffff768fa1p-1",
        0.15: "0x1.296df80be4122p+0",
        8.8: "0x1.9ea3e7732078ep+12",
        699.5: "0x1.1f0df6d72215ep+1009",
    },
}


@pytest.mark.parametrize("seed", range(3))
def test_logarithms_are_right_to_one_unit_in_the_last_place(seed: int) -> None:
    """Of factors near 1, where evidence lives, and of numbers of any size."""
    rng = np.random.default_rng(seed)
    for given in (
        1.0 + rng.uniform(-0.99, 4.0, 5000),
        1.0 + rng.normal(0, 1e-9, 500),
        np.exp(rng.uniform(-700, 700, 5000)),
    ):
        expected = np.array([math.log(value) for value in given.tolist()])
        assert np.all(np.abs(portable.log(given) - expected) <= np.spacing(np.abs(expected)))


@pytest.mark.parametrize("seed", range(3))
def test_exponentials_are_right_to_one_unit_in_the_last_place(seed: int) -> None:
    """Over the whole range that log likelihood ratios have."""
    rng = np.random.default_rng(seed)
    values = np.concatenate((rng.uniform(-700, 700, 5000), rng.normal(0, 1, 5000)))
    expected = np.array([math.exp(value) for value in values.tolist()])
    assert np.all(np.abs(portable.exp(values) - expected) <= np.spacing(expected))


@pytest.mark.parametrize("name", BITS)
def test_the_bits_are_these_on_every_processor(name: str) -> None:
    """A replay on another machine must not differ in the last digit; numpy's own functions do."""
    found = getattr(portable, name)(np.array(list(BITS[name])))
    assert [value.hex() for value in found.tolist()] == list(BITS[name].values())


@pytest.mark.parametrize("name", BITS)
def test_single_numbers_have_the_bits_of_arrays(name: str) -> None:
    """Constants are worked out one by one, requests many at a time; which it was must not be seen."""
    rng = np.random.default_rng(7)
    given = {"log": np.exp(rng.uniform(-700, 700, 3000)), "exp": rng.uniform(-700, 700, 3000)}[name]
    one = {"log": log_of, "exp": exp_of}[name]
    assert [one(value) for value in given.tolist()] == getattr(portable, name)(given).tolist()
    assert [one(value).hex() for value in BITS[name]] == list(BITS[name].values())


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan])
def test_what_is_not_positive_has_no_logarithm(value: float) -> None:
    """A factor of 0 or less would be our mistake, and must not turn into some number."""
    with pytest.raises(ValueError, match="no logarithm"):
        log_of(value)
    with pytest.raises(ValueError, match="no logarithm"):
        portable.log(np.array([1.0, value, 2.0]))
    assert portable.log(np.ones((2, 0))).shape == (2, 0)


def test_what_is_too_small_for_a_float_is_nothing() -> None:
    """A bet that lost everything weighs 0, and one whose wealth is beyond counting is an error, not infinity."""
    assert [exp_of(value) for value in (-1e9, -math.inf, -746.0)] == [0.0, 0.0, 0.0]
    assert exp_of(-744.0) == 1e-323
    with pytest.raises(OverflowError):
        exp_of(710.0)


def said_here() -> str:
    """Return a digest of an assessment and of the factors of many requests, to the last bit."""
    grid = [at / 997 for at in range(1, 997)]
    factors = [
        (exceedance_factors(0.1, q, HARM_ODDS), coin_growth(q, 1.1, 2, 7, MULTIPLES), symmetry_growth(8 * q - 4))
        for q in grid
    ]
    wealth = [log_value(restart(grow_wealth(open_wealth(2), [9 * q, -9 * q]))) for q in grid]
    every = (assess(judged()).in_numbers, factors, wealth, values(Axis.LOG, -1000, 1500).tolist())
    return hashlib.sha256(repr(every).encode()).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512_ICL AVX512_SPR"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"},
    ],
    ids=["numpy without wide registers", "C library without fused multiplication"],
)
def test_another_processor_says_the_same(other: dict[str, str]) -> None:
    """An audit log that is verified on another machine must not look altered. Both settings stand for an older one."""
    program = "from tests.unit.stats.test_portable import said_here; print(said_here())"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, **other}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == [said_here()]


def test_nothing_is_lost_at_one_and_zero() -> None:
    """A factor of 1 says nothing at all, and a log of 0 is a factor of 1."""
    assert portable.log(np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert portable.exp(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], 0.0), ([3.0], 3.0), ([1e16, 1.0, -1e16, 1.0], 2.0), ([1e16, 1.0, -1e16, 1.0, 0.5], 2.5)],
)
def test_a_sum_folds_its_second_half_onto_its_first(values: list[float], expected: float) -> None:
    """Added from left to right the third would be 1 and the fourth 1.5."""
    assert float(portable.total(np.array(values))) == expected


def test_sums_are_taken_along_the_last_axis() -> None:
    """One for each row, in rows of any length."""
    for width in range(20):
        table = np.arange(3.0 * width).reshape(3, width)
        assert portable.total(table).tolist() == table.sum(axis=1).tolist()
