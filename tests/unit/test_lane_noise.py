"""Noise of a lane's replicas: measured from an A/A rollout, kept, shown, and held against what is proposed."""

import math
from dataclasses import replace
from typing import Any

import pytest

from controller import noise
from controller.core.policy import Criterion, Mode, Policy, Requires, Role, Stage
from controller.core.rollout import Epoch
from controller.errors import ConflictError, UserError
from controller.ports import TallyRow
from controller.service import Proposal
from controller.stats.noise import Noise
from controller.stats.tally import Arm, ClassTally, WindowTally
from tests.unit.core.values import LANE, ROLLOUT, spec
from tests.unit.world import DEMO, World

AA = replace(spec(20), variant="a-a")
HALF = replace(DEMO, stages=(Stage(Mode.SHARE, 0.5, 1_000_000, Requires.PASS),))


def propose(world: World, candidate: Any, policy: Policy) -> dict[str, Any]:
    return world.service.propose(Proposal("same", "preview", "imaging", "", candidate, policy, "salt"), "ana")


def measured_world() -> World:
    """Return a world in which an A/A rollout at half of the traffic ran for ten minutes."""
    world = World(policy=HALF)
    world.run(60.0)
    propose(world, AA, HALF)
    world.run(600.0)
    return world


@pytest.fixture(scope="module")
def world() -> World:
    world = measured_world()
    world.service.measure_noise("preview", 24.0, "ana", "at install")
    return world


def test_a_measurement_is_kept_with_who_when_and_from_what(world: World) -> None:
    """It is an audit entry, and lane and rollout show it with its moment, its images and what it supports."""
    entry = world.store.last_entry("preview", noise.ACTION)
    assert entry is not None
    assert (entry.actor, entry.rollout) == ("ana", None)
    assert entry.reason.startswith("at install: replicas of one model differ by s = 0.0")
    shown = world.service.lane("preview")["noise"]
    assert shown["measured_at"] == entry.at
    assert shown["sigma"] < 0.03
    assert shown["smallest_ratio"] == pytest.approx(math.exp(2 * shown["sigma"]))
    assert shown["n_candidate"] > 1000
    assert shown["source"].startswith("A/A rollout r-0001 of ")
    assert not shown["another_incumbent"]
    assert world.service.rollout("r-0001")["noise"] == {**shown, "too_tight": []}
    assert world.service.verify()["ok"]


def test_without_an_aa_rollout_there_is_nothing_to_measure() -> None:
    """The error says how to make one; senseless hours and unknown lanes are errors of the asker."""
    world = World()
    world.run(20.0)
    with pytest.raises(ConflictError, match=r"served no A/A rollout in the last 2 h: propose .* `variant`"):
        world.service.measure_noise("preview", 2.0, "ana")
    with pytest.raises(UserError, match="not between 0 and 168"):
        world.service.measure_noise("preview", 0.0, "ana")
    with pytest.raises(UserError, match="known lanes: preview"):
        world.service.measure_noise("export", 2.0, "ana")
    assert world.service.lane("preview")["noise"] is None


def test_too_short_a_rollout_is_said() -> None:
    """A minute of an A/A rollout tells nothing yet, and the error says so."""
    world = World(policy=HALF)
    propose(world, AA, HALF)
    world.run(60.0)
    with pytest.raises(ConflictError, match="the noise of lane preview can't be told: latency_s: "):
        world.service.measure_noise("preview", 1.0, "ana")


def test_only_the_same_model_is_an_aa_rollout() -> None:
    """Another variant of the incumbent's model is; fewer steps are not."""
    assert noise.is_aa(replace(ROLLOUT, candidate=AA))
    assert not noise.is_aa(ROLLOUT)


def test_baking_pools_keep_their_sides() -> None:
    """In a bake the split's incumbent is the rollout's candidate: its tallies are exchanged, and old ones left out."""
    world = World()
    tally = WindowTally({Arm.INCUMBENT: {"a": ClassTally(3)}})
    window = int(world.now_s // 5) - 100
    world.store.put_tally("preview", TallyRow(4, window, "g", tally))
    world.store.put_tally("preview", TallyRow(4, window - 1000, "g", tally))
    rollout = replace(ROLLOUT, candidate=AA, epochs=(Epoch(4, 0, 0.1, Mode.SHARE, flipped=True),))
    found = dict(noise._tallies(world.store, rollout, world.now_s, world.now_s - 3600, 20.0))
    assert list(found) == [(4, window)]
    assert found[4, window].assigned(Arm.CANDIDATE) == 3


def lane_noise(sigma: float = 0.1, correlation_s: float | None = None, metric: str = "latency_s") -> noise.LaneNoise:
    latency = Noise("latency_s", sigma, 2 * sigma, 0.0, correlation_s, 30, 40, 200, 500, 500)
    found = {"latency_s": latency, metric: replace(latency, metric=metric)}
    return noise.LaneNoise("preview", found, ["r-0007"], 24.0, LANE.incumbent.digest, "2026-11-24T10:00:00Z")


def judged_by(*criteria: Criterion) -> Policy:
    return replace(DEMO, criteria=criteria)


def test_a_smaller_change_than_the_noise_supports_is_refused() -> None:
    """Ratios of latency, service time and cost are held against 2 s, with the figure and what to do."""
    tight = judged_by(
        Criterion("latency_s", "p50", max_ratio=1.05),
        Criterion("latency_s", "p95", max_ratio=1.21),
        Criterion("service_s", "p95", max_ratio=1.23),
        Criterion("cost_usd", "mean", max_ratio=1.10),
        Criterion("failure", "rate", max_ratio=1.05),
        Criterion("latency_s", "p95", limit=2.0),
    )
    refused, warned = noise.objections(tight, lane_noise(), "preview")
    assert [text.split(" allows")[0] for text in refused] == [
        "criteria.0: latency p50",
        "criteria.1: latency p95",
        "criteria.3: cost per image",
    ]
    assert refused[0].endswith("which supports 1.23x or more: raise it, or add `test: block`")
    assert refused[1].endswith("raise it, or judge p50 with `test: block`")
    assert "s = 0.100 on lane preview (A/A rollout r-0007 of 2026-11-24T10:00Z, 500 and 500 images in 40" in refused[0]
    assert warned == []


def test_what_reverts_nothing_is_only_warned_of() -> None:
    """A watch or a dry run below the noise is told, not refused."""
    policy = judged_by(
        Criterion("latency_s", "p50", max_ratio=1.05, role=Role.WATCH),
        Criterion("latency_s", "p95", max_ratio=1.05, role=Role.DRY_RUN),
    )
    refused, warned = noise.objections(policy, lane_noise(), "preview")
    assert (len(refused), len(warned)) == (0, 2)


def test_blocks_must_outlast_the_noise() -> None:
    """Blocks may ask for less than the noise supports, if each is three correlation times long."""
    block = Criterion("latency_s", "p50", max_ratio=1.05, block_s=600.0)
    assert noise.objections(judged_by(block), lane_noise(), "preview") == ([], [])
    assert noise.objections(judged_by(block), lane_noise(correlation_s=200.0), "preview") == ([], [])
    [refused], _ = noise.objections(judged_by(block), lane_noise(correlation_s=250.0), "preview")
    assert refused.endswith("lasts about 250 s on lane preview: set block_s to 750 or more")


def test_no_measurement_is_a_warning() -> None:
    """Without a measurement ratios are warned of, with what to run; a policy without such ratios is not."""
    refused, [warned] = noise.objections(DEMO, None, "preview")
    assert refused == []
    assert warned.endswith("then `gatectl lane noise preview`")
    assert "whether latency p50 can tell" in warned
    assert noise.objections(judged_by(Criterion("failure", "rate", limit=0.1)), None, "preview") == ([], [])


def test_proposals_meet_the_noise() -> None:
    """A proposal is warned without a measurement, refused below it, and an A/A rollout is let through."""
    world = World()
    row = propose(world, spec(10), DEMO)
    assert len(row["warnings"]) == 1
    assert next(iter(world.store.audit(row["id"]))).detail["warnings"] == row["warnings"]
    world.ask(row["id"], "abort")
    world.run(5.0)
    world.store.record(noise.draft(lane_noise(0.2), "ana", ""))
    with pytest.raises(UserError, match=r"criteria.0: latency p50 allows 1.25x, .* supports 1.50x or more"):
        propose(world, spec(10), DEMO)
    row = propose(world, AA, DEMO)
    assert len(row["warnings"]) == 1
    assert world.service.rollout(row["id"])["noise"]["too_tight"] == ["latency p50"]


def test_a_metric_that_was_not_tallied_is_judged_by_latency() -> None:
    """Service time has its own figure where it was measured, latency's where not; failures have none."""
    found = lane_noise(0.1, metric="cost_usd")
    assert found.of("cost_usd") == found.metrics["cost_usd"]
    assert found.of("service_s") == found.metrics["latency_s"]
    assert found.of("failure") is None
    assert noise.LaneNoise.from_json(found.to_json(), found.measured_at) == found


def test_a_new_incumbent_makes_a_measurement_old() -> None:
    """What was measured with another model says so."""
    assert noise.view(lane_noise(), incumbent_digest="other")["another_incumbent"]
    assert noise.view(None) is None
