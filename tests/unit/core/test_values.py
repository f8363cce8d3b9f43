"""Core values as people and the database see them: texts, JSON, digests."""

import json
from dataclasses import replace

import pytest

from controller.core.lane import Lane
from controller.core.policy import Criterion, Gate, Policy
from controller.core.shot import Score, ShotResult
from controller.core.spec import digest_of, size_problem
from controller.core.split import Split
from controller.core.suite import Category, Expectation, Prompt, Suite, Thing
from controller.core.verdict import allowed_text, change_text, finding, value_text
from controller.stats.criterion import Summary
from tests.unit.core.values import LANE, NOTHING, POLICY

GATE = Gate("core", "d" * 64, 3, 12, (1, 4), 2.0, (Criterion("text_accuracy", "mean", max_drop=0.02),))


def test_a_policy_survives_json_and_keeps_its_digest() -> None:
    """With and without a gate a policy read back is the policy, and its digest follows its content."""
    for policy in (POLICY, replace(POLICY, gate=GATE)):
        assert Policy.from_json(policy.to_json()) == policy
        assert Policy.from_json(policy.to_json()).digest == policy.digest
    assert Gate.from_json(GATE.to_json()) == GATE
    assert replace(POLICY, bake_s=61).digest != POLICY.digest


def test_a_lane_survives_json() -> None:
    """A lane read back is the lane."""
    assert Lane.from_json(LANE.to_json()) == LANE


def test_a_shot_survives_json() -> None:
    """What is stored under a shot's key is read back as the same value, scores and reasons included."""
    result = ShotResult(latency_s=1.0, scores={"words": Score(None, "scorer_down", {"read": ["A"]})}, fault="deadline")
    assert ShotResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_arms_of_different_size_are_not_compared() -> None:
    """Equal sizes have no problem whatever else differs; others are told with both sizes."""
    ours = LANE.incumbent.sampling
    assert size_problem(replace(ours, steps=ours.steps + 1), ours) is None
    wide = size_problem(replace(ours, width_px=ours.width_px + 8), ours)
    assert wide is not None
    assert f"draws {ours.width_px + 8}x{ours.height_px} px, the incumbent {ours.width_px}x{ours.height_px} px" in wide


def test_only_an_empty_expectation_can_not_be_checked() -> None:
    """Whatever is expected, a program can check it."""
    assert not Expectation().checkable
    assert Expectation(no_text=True).checkable
    assert Expectation(logo="disc").checkable


def test_a_suite_survives_json() -> None:
    """A suite read back is the suite, with the same digest."""
    expect = Expectation(text="OPEN", things=(Thing(3, "red", "circle"),), logo="disc")
    prompt = Prompt("sign", Category.TYPOGRAPHY, 'a sign "OPEN"', (1, 2), expect, ("preview",))
    suite = Suite("core", 1, "Core", (prompt,), {"disc": digest_of("disc")}, "ours")
    assert Suite.from_json(suite.to_json()) == suite
    assert Suite.from_json(suite.to_json()).digest == suite.digest
    assert Prompt.from_json(prompt.to_json()) == prompt
    assert Expectation.from_json(expect.to_json()) == expect


def test_routing_is_compared_without_the_epoch() -> None:
    """Two splits route alike whatever their epoch, and differ by their share."""
    split = Split("preview", 1, "model-a")
    assert split.same_routing(replace(split, epoch=9))
    assert not split.same_routing(replace(split, share=0.1))


@pytest.mark.parametrize(
    ("criterion", "text"),
    [
        (Criterion("latency_s", "p95", max_ratio=1.25), "<= 1.25x"),
        (Criterion("failure", "rate", max_increase=0.005), "<= +0.5 pp"),
        (Criterion("text_accuracy", "mean", max_drop=0.02), ">= -0.02"),
        (Criterion("memory_gib", "max", limit=20.0), "<= 20 GiB"),
        (Criterion("cost_usd", "mean", limit=0.02), "<= $0.02"),
        (Criterion("words", "mean", limit=0.95), ">= 0.950"),
        (Criterion("failure", "rate", limit=0.01), "<= 1.00 %"),
    ],
)
def test_allowed_changes_in_words(criterion: Criterion, text: str) -> None:
    """Every kind of limit has its sign and the metric's unit."""
    assert allowed_text(criterion) == text


RATIO, RATE = Criterion("latency_s", "p95", max_ratio=1.25), Criterion("failure", "rate", max_increase=0.01)
SCORE = Criterion("text_accuracy", "mean", max_drop=0.02)


def seen(**numbers: float) -> Summary:
    return replace(NOTHING, **numbers)


@pytest.mark.parametrize(
    ("criterion", "summary", "text"),
    [
        (RATIO, seen(change=1.05, change_low=0.88, change_high=1.31), "1.05x [0.88, 1.31]"),
        (RATIO, seen(change=1.05), "1.05x"),
        (RATE, seen(change=0.0005, change_low=-0.001, change_high=0.004), "+0.05 pp [-0.10, +0.40]"),
        (RATE, seen(change=0.0005), "+0.05 pp"),
        (SCORE, seen(change=-0.24, change_low=-0.33, change_high=-0.16), "-0.240 [-0.330, -0.160]"),
        (SCORE, seen(change=-0.24), "-0.240"),
        (SCORE, NOTHING, "-"),
    ],
)
def test_changes_in_words(criterion: Criterion, summary: Summary, text: str) -> None:
    """A change has the form of its limit, with bounds where both are known."""
    assert change_text(criterion, summary) == text


def test_an_absent_value_is_a_dash() -> None:
    """Nothing stands for what was not measured, and a finding says so."""
    assert value_text(Criterion("cost_usd", "mean", max_ratio=1.1), None) == "-"
    assert finding(POLICY.criteria[0], NOTHING).startswith("latency p95 - against - (0 and 0 images, change -, allowed")


def test_a_law_that_is_worse_where_its_median_is_not_says_where() -> None:
    """Or else a reader of "0.13 s against 0.12 s, allowed 1.25x" would not know why it was reverted."""
    law = Criterion("latency_s", "law", max_ratio=1.25)
    seen = replace(NOTHING, candidate=0.13, incumbent=0.124, change=1.02, n_candidate=27, n_incumbent=65)
    assert finding(law, replace(seen, candidate_slow=1.8, incumbent_slow=0.128)) == (
        "latency law 0.13 s against 0.124 s (27 and 65 images, change 1.02x, p90 1.8 s against 0.128 s, "
        "allowed <= 1.25x)"
    )
    assert "p90" not in finding(law, replace(seen, candidate_slow=1.8))


def test_an_estimate_that_is_a_lower_bound_is_called_one() -> None:
    """Requests that had not been answered when they were read may have taken any time."""
    seen = replace(NOTHING, candidate=9.0, incumbent=2.0, change=4.5, candidate_at_least=True)
    assert finding(POLICY.criteria[0], seen).startswith("latency p95 at least 9 s against 2 s (")
