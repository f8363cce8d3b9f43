"""`gatectl plan`: what it warns of, where its numbers come from, what it says when it can't know."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.cli.app import run
from controller.core.policy import Assignment, Criterion, Gate, Mode, Requires, Role, Stage
from controller.errors import UserError
from controller.schema import POLICIES
from controller.schema.scenario import load_scenario
from controller.sim.plan import Traffic, make_plan
from controller.sim.world import World
from controller.stats.tally import Arm, WindowTally
from tests.unit.world import World as LoopWorld

SCENARIO = POLICIES / "scenarios" / "story-identical.yaml"
CANDIDATE = str(POLICIES / "candidates" / "turbo.yaml")
WORLD = load_scenario(SCENARIO)
HISTORY = World(WORLD, 1, 0).history().tally()


def plan(
    rate_per_s: float = 5.0, history: WindowTally = HISTORY, *, per_user: float = 1.0, **changes: Any
) -> dict[str, Any]:
    return make_plan(replace(WORLD.policy, **changes), WORLD.timeout_s, Traffic(rate_per_s, per_user), history)


def test_more_images_find_smaller_changes() -> None:
    """The smallest change shrinks with the images and never falls below what is allowed."""
    for item in plan()["criteria"]:
        found = [value for value in item["smallest_change"].values() if value is not None]
        assert found == sorted(found, reverse=True)
        if item["unit"] == "ratio" and found:
            assert min(found) > 1.09


def test_users_see_nothing_of_what_shadow_finds() -> None:
    """A model 3.5 times slower is found among the mirrored images; a small regression reaches users."""
    small, _, large = plan()["regressions"]
    assert large["users_see"] == 0
    assert 0 < large["candidate_images"] < 10
    assert 0 < small["users_see"] < small["candidate_images"]
    assert plan()["shadow"] == {
        "images": 50,
        "seconds": 100.0,  # a tenth of five a second
        "compute_s": pytest.approx(50 * 0.89, rel=0.03),
        "usd_at_the_incumbents_cost": pytest.approx(6.4, abs=0.2),
    }


def test_a_policy_that_cannot_decide_is_called_so() -> None:
    """Too little traffic for the deadline is a warning that names the dearest criterion; enough is none."""
    [late, *_] = plan(rate_per_s=0.05)["warnings"]
    assert late.startswith("the policy can't decide before its deadline of 72 h")
    assert "latency p99 is the dearest" in late
    assert plan(rate_per_s=50.0)["warnings"] == []


def test_silence_is_foreseen() -> None:
    """A share at which candidate images come more rarely than the evidence timeout is a warning."""
    found = plan(rate_per_s=0.2, evidence_timeout_s=900.0, deadline_s=1e9)["warnings"]
    assert [warning.split(" a candidate image")[0] for warning in found] == ["at 1 %"]
    assert "about 100 % of rollouts are held there" in found[0]


def test_what_was_never_seen_is_said() -> None:
    """A guardrail on a metric that the incumbent's record lacks is a warning, not a number."""
    found = plan(criteria=(*WORLD.policy.criteria, Criterion("queue_s", "p95", max_ratio=2.0)))
    assert found["criteria"][-1]["smallest_change"] == dict.fromkeys(found["criteria"][0]["smallest_change"])
    assert found["warnings"][0].startswith("queue time p95: the incumbent's record has no queue_s")


def test_one_stage_without_shadow() -> None:
    """A policy that starts with users shows them every image it needs, and those under way."""
    found = plan(stages=(Stage(Mode.SHARE, 0.1, 10, Requires.PASS),))
    swap = found["regressions"][-1]
    assert swap["users_see"] > swap["candidate_images"]
    assert found["shadow"]["images"] == 0


def test_the_gate_is_counted() -> None:
    """Every repeat draws every prompt on both arms; without the suite the images are not known, nor what they cost."""
    gate = Gate("core", "", 3, 12, (1,), None, ())
    found = plan(gate=gate)["gate"]
    assert (found["suite"], found["prompts"], found["least"]["images"]) == ("core", None, None)
    found = make_plan(replace(WORLD.policy, gate=gate), WORLD.timeout_s, Traffic(5.0), HISTORY, prompts=100)["gate"]
    assert (found["least"]["images"], found["most"]["images"]) == (600, 2400)
    assert found["least"]["seconds"] == pytest.approx(600 * 0.89, rel=0.03)
    assert found["least"]["usd_at_the_incumbents_cost"] == pytest.approx(600 * 0.128, rel=0.03)
    assert plan(gate=None)["gate"] is None


def test_blocks_take_time_and_noise() -> None:
    """A criterion judged by blocks takes images in proportion to traffic, and more where replicas differ more."""
    block = Criterion("latency_s", "p50", max_ratio=1.10, block_s=600.0)

    def images(rate_per_s: float, sigma: float = 0.0) -> float:
        policy = replace(WORLD.policy, criteria=(block,), stages=(Stage(Mode.SHARE, 0.5, 1, Requires.PASS),))
        found = make_plan(policy, WORLD.timeout_s, Traffic(rate_per_s), HISTORY, sigma=sigma)
        return found["decide"]["criteria"]["latency p50 by blocks"]["mean"]

    assert images(10.0) == pytest.approx(2 * images(5.0), rel=0.3)
    assert images(5.0, sigma=0.06) > 1.2 * images(5.0)


def test_a_criterion_may_ask_for_more_images() -> None:
    """`min_images` of a guardrail is waited for; a dry run is judged as if it were one, and waited for by nobody."""
    first, *rest = WORLD.policy.criteria
    more = plan(criteria=(replace(first, min_images=100_000), *rest))
    assert more["decide"]["candidate_images"]["mean"] == 100_000
    dry = plan(criteria=(replace(first, role=Role.DRY_RUN), *rest))
    assert first.title not in dry["decide"]["criteria"]
    assert dry["criteria"][0]["smallest_change"] == plan()["criteria"][0]["smallest_change"]


def test_stickiness_has_a_price() -> None:
    """Where only first requests count, shares take longer and show more; mirrored images and what is found do not."""
    one, four = plan(), plan(per_user=4.0, assignment=Assignment.STICKY)
    assert four["criteria"] == one["criteria"]
    assert four["shadow"] == one["shadow"]
    shadow_h = one["shadow"]["seconds"] / 3600
    assert four["decide"]["hours"]["mean"] - shadow_h == pytest.approx(4 * (one["decide"]["hours"]["mean"] - shadow_h))
    assert four["regressions"][0]["users_see"] > 3.5 * one["regressions"][0]["users_see"]
    assert "one request in 4 is evidence" in four["warnings"][-1]
    assert "say --requests-per-user" in plan(assignment=Assignment.STICKY)["warnings"][-1]


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """As text and as one JSON document with the same numbers, from a scenario's incumbent."""
    arguments = ["plan", CANDIDATE, "--policy", "preview-standard", "--rate", "2", "--scenario", str(SCENARIO)]
    assert run([*arguments, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["candidate"], found["rate_per_s"]) == ("turbo", 2.0)
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert "planned with the incumbent of scenario story-identical" in text
    assert f"is promoted after {found['decide']['candidate_images']['mean']:,.0f}" in text


def test_without_a_controller_a_rate_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without --rate and without a lane to ask, the error says what to give; with --rate the plan says its source."""
    monkeypatch.setenv("SWAPGATE_HOME", str(tmp_path))
    monkeypatch.delenv("SWAPGATE_URL", raising=False)
    assert run(["plan", CANDIDATE]) == 2
    assert "give --rate, in requests a second" in capsys.readouterr().err
    assert run(["plan", CANDIDATE, "--rate", "2"]) == 0
    text = capsys.readouterr().out
    assert "planned with the reference workload" in text
    assert "has no" not in text, "a metric that the planned policy judges is part of the reference workload"


def test_traffic_is_what_the_lane_served() -> None:
    """The service tells a lane's rate and its incumbent's outcomes of the last hour; unknown lanes are an error."""
    world = LoopWorld()
    world.run(100.0)
    found = world.service.traffic("preview")
    assert found["requests_per_s"] == pytest.approx(8.0, rel=0.1)
    assert WindowTally.from_json(found["incumbent"]).assigned(Arm.INCUMBENT) == found["requests"] > 500
    with pytest.raises(UserError, match="known lanes: preview"):
        world.service.traffic("export")
