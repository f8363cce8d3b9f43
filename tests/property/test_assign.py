from hypothesis import given
from hypothesis import strategies as st

from controller.core.assign import assign, draw, voter
from controller.core.split import Split
from controller.stats.tally import Arm

SHARES = st.floats(0, 1)


def split(share: float, *, flipped: bool = False) -> Split:
    """Return a split at a share."""
    return Split("lane", 1, "old", "new", share, salt="salt", flipped=flipped)


@given(st.text(min_size=1), SHARES, SHARES)
def test_shares_are_nested(key, one, other):
    """A request that a small share gives to the candidate belongs to it at every larger share."""
    small, large = sorted((one, other))
    if assign(split(small), key) is Arm.CANDIDATE:
        assert assign(split(large), key) is Arm.CANDIDATE


@given(st.text(min_size=1))
def test_the_ends_are_certain(key):
    """Share 0 gives nothing to the candidate and share 1 everything."""
    assert assign(split(0.0), key) is Arm.INCUMBENT
    assert assign(split(1.0), key) is Arm.CANDIDATE


def test_the_coin_is_fair():
    """Over 40,000 keys the share of candidates is within four standard errors of 0.2."""
    hits = sum(assign(split(0.2), f"request-{number}") is Arm.CANDIDATE for number in range(40_000))
    assert abs(hits - 8_000) < 4 * (40_000 * 0.2 * 0.8) ** 0.5


def test_rollouts_draw_independently():
    """Another salt reshuffles the requests: the overlap of two 20 % shares is about 4 %."""
    keys = [f"request-{number}" for number in range(40_000)]
    both = sum(draw("one", key) < 0.2 and draw("two", key) < 0.2 for key in keys)
    assert abs(both - 1_600) < 4 * (40_000 * 0.04 * 0.96) ** 0.5


@given(st.text(min_size=1), SHARES, st.floats(0, 0.49))
def test_who_has_the_new_model_keeps_it_when_it_is_promoted(key, share, holdback):
    """The share held back on the old model while baking is taken from those who never had the new one."""
    had_it = assign(split(min(share, 1.0 - holdback)), key) is Arm.CANDIDATE
    if had_it:
        assert assign(split(holdback, flipped=True), key) is Arm.INCUMBENT


def test_a_holdback_is_as_large_as_it_says():
    """Over 40,000 keys the share of the flipped split's candidate is within four standard errors of 0.2."""
    hits = sum(assign(split(0.2, flipped=True), f"user-{number}") is Arm.CANDIDATE for number in range(40_000))
    assert abs(hits - 8_000) < 4 * (40_000 * 0.2 * 0.8) ** 0.5


def test_a_voter_is_another_in_another_rollout():
    """A vote says neither who it is nor that two rollouts heard the same user, and is no second look at the coin."""
    assert voter("one", "ada") == voter("one", "ada")
    assert len({voter(salt, user) for salt in ("one", "two") for user in ("ada", "bob")}) == 4
    assert voter("one", "ada") != int(draw("one", "ada") * 2**56)
    assert all(-(2**63) <= voter("one", f"user-{number}") < 2**63 for number in range(1000))
