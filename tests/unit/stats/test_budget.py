import itertools
import math

import pytest

from controller.stats.budget import attribute, combine


def test_combination_is_the_weighted_average() -> None:
    """Two e-values of 8 and 2 with weights 1 and 3 average to 3.5."""
    assert combine([math.log(8.0), math.log(2.0)], [1.0, 3.0]) == pytest.approx(math.log(3.5))


def test_what_has_no_weight_does_not_count() -> None:
    """A criterion without a weight leaves the average as it is, however large its evidence."""
    assert combine([1.0, 300.0], [2.0, 0.0]) == 1.0


def test_nothing_to_combine_is_no_evidence() -> None:
    """No criterion, or only watched ones, gives log e = 0."""
    assert combine([], []) == 0.0
    assert combine([200.0], [0.0]) == 0.0


def test_combination_survives_extreme_values() -> None:
    """An average of e^300 and e^-300 is finite."""
    assert combine([300.0, -300.0], [0.5, 0.5]) == pytest.approx(300.0 - math.log(2.0))


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 2.0], [math.nan, 1.0]])
def test_bad_weights_are_refused(weights: list[float]) -> None:
    """Weights that are too few, negative or not finite raise."""
    with pytest.raises(ValueError, match="weight"):
        combine([1.0, 2.0], weights)
    with pytest.raises(ValueError, match="weight"):
        attribute([1.0, 2.0], weights, 0.01)


def test_attribution_equals_closed_testing_over_all_subsets() -> None:
    """The greedy minimum agrees with brute force over every intersection."""
    grids = itertools.product([-3.0, 0.0, 4.0, 5.5, 9.0], repeat=4)
    weights = [0.4, 0.3, 0.2, 0.1]
    for logs in grids:
        brute = []
        for index in range(4):
            others = [k for k in range(4) if k != index]
            sets = [(index, *more) for size in range(4) for more in itertools.combinations(others, size)]
            least = min(combine([logs[k] for k in s], [weights[k] for k in s]) for s in sets)
            if least >= math.log(100.0):
                brute.append(index)
        assert attribute(logs, weights, 0.01) == tuple(brute)


def test_a_watched_criterion_is_never_the_cause() -> None:
    """A criterion without a weight is not attributed."""
    assert attribute([200.0, 200.0], [1.0, 0.0], 0.01) == (0,)
