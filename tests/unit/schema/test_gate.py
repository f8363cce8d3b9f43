"""`gate:` of a policy: what a bench may judge, and what is refused where it stands."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core.policy import METRICS, Criterion, Gate, Policy, Role
from controller.schema import load_policy
from controller.schema.gate import GATE_FITS, LIKENESS_FITS
from controller.stats.setting import CriterionSetting, Statistic

from .conftest import REMOVED, Changed, Refusal

WORDS = {"metric": "words", "statistic": "mean", "max_drop": 0.1}
SPEED = {"metric": "latency_s", "statistic": "p50", "max_ratio": 1.1}
HARM_ONLY = {"metric": "latency_s", "statistic": "law", "max_ratio": 1.1}


def test_a_gate_judges_its_own_criteria(changed: Changed) -> None:
    """Criteria of the gate replace the policy's, levels and rate are kept, and the suite's digest waits for a bench."""
    gate = {"suite": "tiny", "min_repeats": 2, "concurrency": [1, 4], "rate_per_s": 2, "criteria": [WORDS, SPEED]}
    policy = load_policy(changed("policy", {"gate": gate}))
    criteria = (Criterion("words", "mean", max_drop=0.1), Criterion("latency_s", "p50", max_ratio=1.1))
    assert policy.gate == Gate("tiny", "", 2, 8, (1, 4), 2.0, criteria)
    assert policy.criteria[0].metric == "latency_s"


def test_a_gate_without_criteria_judges_the_policys(changed: Changed) -> None:
    """Blocks and minimal numbers of images, which belong to live traffic, are left behind."""
    live = {"criteria.0": {**SPEED, "test": "block", "min_images": 50}}
    policy = load_policy(changed("policy", live))
    assert policy.gate is not None
    assert policy.gate.criteria[0] == replace(policy.criteria[0], block_s=None, min_images=0)
    assert policy.gate.criteria[1] == policy.criteria[1]


def test_a_gated_policy_survives_json(changed: Changed) -> None:
    """A policy with a gate is the same value with the same digest after a round trip through JSON."""
    policy = load_policy(changed("policy", {"gate.criteria": [WORDS, {**SPEED, "role": "watch"}]}))
    again = Policy.from_json(policy.to_json())
    assert again == policy
    assert again.digest == policy.digest
    assert again.gate is not None
    assert again.gate.criteria[1].role is Role.WATCH


def test_a_suites_content_is_part_of_what_was_declared(changed: Changed) -> None:
    """Two policies whose gates name different contents of one suite have different digests."""
    policy = load_policy(changed("policy"))
    assert policy.gate is not None
    assert replace(policy, gate=replace(policy.gate, suite_digest="a" * 64)).digest != policy.digest


@pytest.mark.parametrize("metric", [name for name, metric in METRICS.items() if metric.offline])
def test_live_traffic_can_not_be_judged_by_what_only_a_bench_measures(
    changed: Changed, refusal: Refusal, metric: str
) -> None:
    """A policy's own criterion that names an offline metric is refused, with the place where it belongs."""
    path = changed("policy", {"criteria.2": {**WORDS, "metric": metric}})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == "criteria[2].metric"
    assert problem.message == (
        f"{metric} is measured in the offline gate alone, not on live traffic; list it under `gate: criteria:`"
    )


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"gate.max_repeats": 2}, "gate.max_repeats", "must be at least min_repeats, 3; found 2"),
        ({"gate.max_repeats": 401}, "gate.max_repeats", "must be at most 400"),
        ({"gate.concurrency": []}, "gate.concurrency", "must not be empty"),
        ({"gate.concurrency": [0]}, "gate.concurrency[0]", "must be at least 1"),
        ({"gate.concurrency": [2, 2]}, "gate.concurrency", "names a level twice"),
        ({"gate.rate_per_s": 0}, "gate.rate_per_s", "must be greater than 0"),
        ({"gate.criteria": []}, "gate.criteria", "must not be empty"),
        ({"gate.criteria": [WORDS, WORDS]}, "gate.criteria[1]", "words mean max_drop is already criterion 1"),
        (
            {"gate.criteria": [{**WORDS, "role": "watch"}]},
            "gate.criteria",
            "has no guardrail: nothing would ever refuse",
        ),
        ({"gate.criteria": [HARM_ONLY]}, "gate.criteria", "law only looks for harm and proves nothing"),
        ({"criteria.0": HARM_ONLY}, "gate", "law only looks for harm and proves nothing"),
        (
            {"criteria.2": {"metric": "failure", "statistic": "rate", "max_ratio": 2}},
            "gate",
            "criteria[2], failure rate as a ratio, can't be proven",
        ),
    ],
)
def test_rules_of_a_gate(changed: Changed, refusal: Refusal, changes: dict[str, Any], key: str, words: str) -> None:
    """Each breach is one problem at the key that has to change."""
    path = changed("policy", changes)
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == key
    assert problem.message.startswith(words)


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({**WORDS, "max_drop": REMOVED}, "", "needs exactly one limit, found none; allowed here: max_drop, limit"),
        ({**WORDS, "max_drop": REMOVED, "limit": 1}, ".limit", "must be less than 1 for a score"),
        ({**WORDS, "metric": "likeness"}, ".max_drop", "max_drop does not fit likeness mean; allowed: limit"),
        ({**WORDS, "metric": "wrods"}, ".metric", 'unknown metric "wrods"; did you mean words?'),
        ({"metric": "failure", "statistic": "rate", "max_ratio": 2}, ".max_ratio", "max_ratio does not fit failure"),
        ({**SPEED, "test": "block"}, ".test", "blocks are stretches of live traffic"),
        ({**WORDS, "min_images": 9}, ".min_images", "is for live traffic"),
    ],
)
def test_rules_of_a_gates_criterion(
    changed: Changed, refusal: Refusal, entry: dict[str, Any], key: str, words: str
) -> None:
    """A criterion that a bench can't judge is one problem at the key that has to change."""
    given = {name: value for name, value in entry.items() if value is not REMOVED}
    path = changed("policy", {"gate.criteria": [SPEED, given]})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == f"gate.criteria[1]{key}"
    assert problem.message.startswith(words)


def test_stability_needs_a_second_seed(changed: Changed, refusal: Refusal) -> None:
    """A gate on stability whose bench draws every prompt once is refused."""
    gate = {"suite": "tiny", "min_repeats": 1, "max_repeats": 1, "criteria": [{**WORDS, "metric": "stability"}]}
    path = changed("policy", {"gate": gate})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == "gate.criteria[0].metric"


def test_what_a_gate_accepts_is_what_the_statistics_can_judge() -> None:
    """Every combination of metric, statistic and limit that a gate may hold is one that a test exists for."""
    for metric in METRICS.values():
        fits = LIKENESS_FITS if metric.name == "likeness" else GATE_FITS
        for statistic, bounds in fits[metric.axis].items():
            for bound in bounds:
                margin = {bound: 1.2 if bound == "max_ratio" else 0.1}
                assert CriterionSetting(
                    metric.name, metric.axis, metric.higher_is_worse, Statistic(statistic), **margin
                ).kind
