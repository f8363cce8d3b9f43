"""Users who come again: one coin and one vote each, whatever was drawn ahead and never happened."""

from pathlib import Path

import numpy as np
import pytest

from controller.schema.scenario import UsersInWorld
from controller.sim.conditions import START_S
from controller.sim.rows import Rows
from controller.sim.run import Run
from controller.sim.users import Users
from controller.sim.world import World
from controller.stats.tally import WINDOW_S
from tests.unit.sim.worlds import scenario

STICKY = {"assignment": "sticky", "users": {"count": 300}, "rate_per_s": 20.0}
N_WINDOWS = 10


def drawn(world: World, share: float, from_window: int = 0, *, sticky: bool = True) -> Rows:
    rows = world.draw(START_S + from_window * WINDOW_S, N_WINDOWS, share, 0, sticky=sticky)
    assert isinstance(rows, Rows)
    return rows


def arms(rows: Rows) -> dict[int, set[bool]]:
    """Return on which arms each user was."""
    assert rows.user is not None
    found: dict[int, set[bool]] = {}
    for user, candidate in zip(rows.user.tolist(), rows.candidate.tolist(), strict=True):
        found.setdefault(user, set()).add(candidate)
    return found


def test_a_user_stays_on_an_arm_and_moves_to_the_candidate_at_most_once(tmp_path: Path) -> None:
    """Under one share every request of a user is on one arm; a larger share takes no user away from the candidate."""
    world = World(scenario(tmp_path, STICKY), 1, 0)
    small, large = arms(drawn(world, 0.2)), arms(drawn(world, 0.6, N_WINDOWS))
    assert all(len(on) == 1 for on in (*small.values(), *large.values()))
    assert {len(on) for on in arms(drawn(world, 0.5, sticky=False)).values()} == {1, 2}
    assert all(large[user] == {True} for user, on in small.items() if on == {True} and user in large)
    assert any(large[user] == {True} for user, on in small.items() if on == {False} and user in large)


def test_only_first_requests_are_evidence(tmp_path: Path) -> None:
    """Spans hold one request a user over all draws that happened, and the first of each in time."""
    world = World(scenario(tmp_path, STICKY), 1, 0)
    first = drawn(world, 0.3)
    world.happened(first)
    second = drawn(world, 0.3, N_WINDOWS)
    assert first.user is not None
    assert second.user is not None
    counts = [int((s.candidates + s.incumbents).sum()) for s in (first.span(1, 0, 0.3), second.span(1, 0, 0.3))]
    assert counts == [len(set(first.user.tolist())), len(set(second.user.tolist()) - set(first.user.tolist()))]
    seen: set[int] = set()
    assert first.votes is not None
    for user, votes in zip(first.user.tolist(), first.votes.tolist(), strict=True):
        assert votes == (user not in seen)
        seen.add(user)
    assert bool((np.diff(first.arrival_s) >= 0).all())


def test_what_never_happened_spends_no_vote(tmp_path: Path) -> None:
    """A split that changes cuts what was drawn ahead; who had not come by then still has a vote."""
    world = World(scenario(tmp_path, STICKY), 1, 0)
    rows = drawn(world, 0.3)
    kept = rows.before(START_S + WINDOW_S)
    world.happened(kept)
    assert kept.user is not None
    again = drawn(world, 0.5, 1)
    assert again.user is not None
    assert again.votes is not None
    assert set(again.user[again.votes].tolist()) == set(again.user.tolist()) - set(kept.user.tolist())


def test_users_differ_as_they_are_told_to() -> None:
    """Slowness and activity have the spreads that the file states; a user of none differs from nobody."""
    users = Users(UsersInWorld(20_000, 0.3, 1.0), np.random.default_rng(1))
    slowness = users.log_slowness(np.arange(20_000))
    assert slowness.std() == pytest.approx(0.3, rel=0.03)
    counts = np.sort(np.bincount(users.come(200_000), minlength=20_000))[::-1]
    assert counts[:200].sum() / counts.sum() == pytest.approx(0.09, abs=0.01)  # of the busiest one in a hundred
    even = Users(UsersInWorld(100, 0.0, 0.0), np.random.default_rng(1))
    assert not even.log_slowness(np.arange(100)).any()
    assert np.bincount(even.come(50_000), minlength=100).std() < 3 * 500**0.5


def test_a_sticky_rollout_reads_votes_and_shows_more(tmp_path: Path) -> None:
    """It ends like any other, on fewer images than users got."""
    changes = {**STICKY, "users": {"count": 3_000, "sigma": 0.2, "activity_sigma": 0.5}}
    result = Run(scenario(tmp_path, changes), 1, 0).go()
    assert result.outcome == "promoted"
    assert 100 < result.candidate_images < result.exposed
    slow = Run(scenario(tmp_path, {**changes, "arms.candidate.scale": {"latency_s": 3.5}}), 1, 0).go()
    assert slow.outcome == "reverted"


def test_a_sticky_stage_in_shadow_tosses_for_requests(tmp_path: Path) -> None:
    """Nobody sees a mirrored answer, so users keep their vote for the stages that show one."""
    stages = [{"shadow": 0.3, "min_images": 200}, {"share": 0.5, "min_images": 50}]
    result = Run(scenario(tmp_path, {**STICKY, "stages": stages}), 1, 0).go()
    assert result.stage == 1
    assert result.candidate_images >= 250
