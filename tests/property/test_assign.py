from hypothesis import given
from hypothesis import strategies as st

from controller.core.assign import assign, draw
from controller.stats.tally import Arm

SHARES = st.floats(0, 1)


@given(st.text(min_size=1), SHARES, SHARES)
def test_shares_are_nested(key, one, other):
    """A request that a small share gives to the candidate belongs to it at every larger share."""
    small, large = sorted((one, other))
    if assign("salt", key, small) is Arm.CANDIDATE:
        assert assign("salt", key, large) is Arm.CANDIDATE


@given(st.text(min_size=1))
def test_the_ends_are_certain(key):
    """Share 0 gives nothing to the candidate and share 1 everything."""
    assert assign("salt", key, 0.0) is Arm.INCUMBENT
    assert assign("salt", key, 1.0) is Arm.CANDIDATE


def test_the_coin_is_fair():
    """Over 40,000 keys the share of candidates is within four standard errors of 0.2."""
    hits = sum(assign("salt", f"request-{number}", 0.2) is Arm.CANDIDATE for number in range(40_000))
    assert abs(hits - 8_000) < 4 * (40_000 * 0.2 * 0.8) ** 0.5


def test_rollouts_draw_independently():
    """Another salt reshuffles the requests: the overlap of two 20 % shares is about 4 %."""
    keys = [f"request-{number}" for number in range(40_000)]
    both = sum(draw("one", key) < 0.2 and draw("two", key) < 0.2 for key in keys)
    assert abs(both - 1_600) < 4 * (40_000 * 0.04 * 0.96) ** 0.5
