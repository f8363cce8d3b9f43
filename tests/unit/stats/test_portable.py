"""Arithmetic that rounds alike everywhere: accuracy, and the very bits."""

import math

import numpy as np
import pytest

from controller.stats import portable

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
    for values in (
        1.0 + rng.uniform(-0.99, 4.0, 5000),
        1.0 + rng.normal(0, 1e-9, 500),
        np.exp(rng.uniform(-700, 700, 5000)),
    ):
        expected = np.array([math.log(value) for value in values.tolist()])
        assert np.all(np.abs(portable.log(values) - expected) <= np.spacing(np.abs(expected)))


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
