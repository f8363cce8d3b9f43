import math
from itertools import product

import pytest

from controller.stats.sample_ratio import LOG_ODDS, fold, log_e, start


def test_tally_form_equals_the_product_of_requests() -> None:
    """Folding counts equals folding the requests one at a time."""
    one = start()
    for _ in range(7):
        one = fold(one, 0.1, 1, 0)
    one = fold(one, 0.1, 0, 1)
    whole = fold(start(), 0.1, 7, 1)
    assert log_e(one) == pytest.approx(log_e(whole), abs=1e-12)
    assert (one.n_incumbent, one.n_candidate) == (7, 1)


@pytest.mark.parametrize(("share", "observed"), [(0.5, 0.6), (0.5, 0.4), (0.05, 0.08)])
def test_a_wrong_share_is_found_in_both_directions(share: float, observed: float) -> None:
    """Assignments away from the recorded share pass the level of 0.001."""
    n = 20_000
    state = fold(start(), share, round(n * (1 - observed)), round(n * observed))
    assert log_e(state) > math.log(1000.0)


def test_the_recorded_share_is_not_an_alarm() -> None:
    """Ten million requests at exactly the share are evidence of nothing, and finite."""
    assert log_e(fold(start(), 0.25, 7_500_000, 2_500_000)) < 0


def test_impossible_assignments_are_certain() -> None:
    """A candidate request at share 0, or an incumbent request at share 1, is proof."""
    assert log_e(fold(start(), 0.0, 5, 1)) == 300.0
    assert log_e(fold(start(), 1.0, 1, 5)) == 300.0
    assert fold(start(), 0.0, 5, 0) == start()
    seen = fold(start(), 0.5, 7, 9)
    certain = fold(seen, 1.0, 1, 0)
    assert (certain.n_incumbent, certain.n_candidate) == (7, 9)
    assert log_e(fold(fold(start(), 0.0, 0, 1), 0.5, 10, 10)) == 300.0


def test_bad_input_is_refused() -> None:
    """A share outside [0, 1] and negative counts raise."""
    for share, n0, n1 in [(1.5, 1, 1), (0.5, -1, 0)]:
        with pytest.raises(ValueError, match="share"):
            fold(start(), share, n0, n1)


def test_alternatives_lie_on_both_sides() -> None:
    """The mixture is symmetric in log odds."""
    assert sorted(LOG_ODDS) == sorted(-odds for odds in LOG_ODDS)
    assert all(a != 0 for a, _ in product(LOG_ODDS, [0]))
