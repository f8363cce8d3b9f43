"""Policy files: every rule fires on what breaks it and is silent on what does not."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.policy import METRICS, Criterion, Gate, Mode, OnDeadline, Policy, Requires, Role
from controller.errors import InvalidFileError
from controller.schema import load_policy, policy_names
from controller.schema.criteria import FITS
from controller.stats.setting import CriterionSetting, Statistic

from .conftest import REMOVED, Changed, Refusal


def criterion(**values: Any) -> dict[str, Any]:
    """Return an entry about the median latency unless `values` say otherwise."""
    return {"metric": "latency_s", "statistic": "p50", **values}


def test_a_sound_policy_becomes_core_values(changed: Changed) -> None:
    """Hours become seconds, omitted keys their defaults, and the last stage requires proof."""
    policy = load_policy(changed("policy"))
    assert policy.deadline_s == 72 * 3600
    assert policy.bake_s == 24 * 3600
    assert policy.on_deadline is OnDeadline.REVERT
    assert (policy.ready_timeout_s, policy.evidence_timeout_s) == (600, 900)
    assert (policy.holdback, policy.max_invalid_share) == (0.02, 0.05)
    assert policy.gate == Gate("core", "", 3, 12, (1,), None, policy.criteria)
    assert [(stage.mode, stage.share, stage.min_images, stage.requires) for stage in policy.stages] == [
        (Mode.SHADOW, 0.1, 50, Requires.IMAGES),
        (Mode.SHARE, 0.05, 100, Requires.IMAGES),
        (Mode.SHARE, 0.5, 100, Requires.PASS),
    ]
    assert [stage.approval for stage in policy.stages] == [False, False, True]
    assert policy.criteria[0] == Criterion("latency_s", "p95", max_ratio=1.15)
    assert policy.criteria[1].role is Role.WATCH


def test_a_policy_survives_its_own_json(changed: Changed) -> None:
    """A policy read back from its JSON is the same value with the same digest, with a gate and without."""
    for changes in ({}, {"gate": REMOVED}):
        policy = load_policy(changed("policy", changes))
        assert Policy.from_json(policy.to_json()) == policy
        assert Policy.from_json(policy.to_json()).digest == policy.digest


def test_stated_knobs_win_over_defaults(changed: Changed) -> None:
    """What a policy states is what the core gets."""
    policy = load_policy(
        changed(
            "policy",
            {
                "ready_timeout_s": 30,
                "evidence_timeout_s": 60,
                "holdback": 0,
                "max_invalid_share": 0.2,
                "on_deadline": "hold",
                "stages.1": {"share": 0.05, "min_images": 7, "requires": "pass"},
                "stages.2": {"share": 0.5, "requires": "pass"},
            },
        )
    )
    assert (policy.ready_timeout_s, policy.evidence_timeout_s, policy.holdback) == (30, 60, 0)
    assert (policy.max_invalid_share, policy.on_deadline) == (0.2, OnDeadline.HOLD)
    assert (policy.stages[1].min_images, policy.stages[1].requires) == (7, Requires.PASS)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"stages": []}, "stages", "must not be empty"),
        ({"stages.1": {"min_images": 5}}, "stages[1]", "needs either `shadow` or `share`"),
        ({"stages.1": {"share": 0.1, "shadow": 0.1}}, "stages[1]", "needs either `shadow` or `share`"),
        ({"stages.1.share": 0}, "stages[1].share", "must be greater than 0"),
        ({"stages.2.share": 1}, "stages[2].share", "must be less than 1"),
        ({"stages.2.share": 0.05}, "stages[2].share", "must be more than 0.05, the share before it; found 0.05"),
        ({"stages.2.share": 0.01}, "stages[2].share", "must be more than 0.05"),
        ({"stages.3": {"shadow": 0.2}}, "stages[3].shadow", "stands after a share"),
        ({"stages.2.requires": "images"}, "stages[2].requires", "the last stage promotes"),
        ({"stages.0.approval": True}, "stages[0].approval", "the first stage starts when the gate has passed"),
        ({"stages.1.aproval": True}, "stages[1].aproval", "unknown key; did you mean approval?"),
        ({"stages.1.min_images": 0}, "stages[1].min_images", "must be at least 1"),
        ({"budget.false_revert": 0}, "budget.false_revert", "must be greater than 0"),
        ({"budget.false_promote": 0.5}, "budget.false_promote", "must be less than 0.5"),
        ({"deadline_h": 0}, "deadline_h", "must be greater than 0"),
        ({"deadline_h": "72h"}, "deadline_h", "expected a number"),
        ({"on_deadline": "revrt"}, "on_deadline", 'unknown value "revrt"; did you mean revert? allowed: revert, hold'),
        ({"holdback": 0.5}, "holdback", "must be less than 0.5"),
        ({"assignment": "user"}, "assignment", 'unknown value "user"; allowed: request, sticky'),
        ({"gate.min_repeats": 0}, "gate.min_repeats", "must be at least 1"),
        ({"gate": None}, "gate", "has no value"),
    ],
)
def test_rules_of_a_policy(changed: Changed, refusal: Refusal, changes: dict[str, Any], key: str, words: str) -> None:
    """Each breach is one problem at the key that has to change."""
    path = changed("policy", changes)
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == key
    assert problem.message.startswith(words)


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        (criterion(), "", "needs exactly one limit, found none; allowed here: max_ratio, limit"),
        (criterion(max_ratio=1.1, limit=2), "", "needs exactly one limit, found max_ratio and limit"),
        (criterion(max_ratio=0.9), ".max_ratio", "must be at least 1"),
        (criterion(max_drop=0.1), ".max_drop", "max_drop does not fit latency_s p50; allowed: max_ratio, limit"),
        (criterion(statistic="rate", max_ratio=1.1), ".statistic", "rate does not fit latency_s, which is a positive"),
        (criterion(statistic="p90", max_ratio=1.1), ".statistic", 'unknown value "p90"; did you mean p'),
        (criterion(metric="latency", max_ratio=1.1), ".metric", 'unknown metric "latency"; did you mean latency_s?'),
        (criterion(max_ratio=1.1, weight=0), ".weight", "must be greater than 0"),
        (criterion(max_ratio=1.1, role="guard"), ".role", 'unknown value "guard"; did you mean guardrail?'),
        (criterion(statistic="p95", max_ratio=1.3), "", "latency_s p95 max_ratio is already criterion 1 of the list"),
        (criterion(statistic="p95", max_ratio=1.3, test="block"), ".test", "block judges the typical value"),
        (criterion(limit=2, test="block"), ".test", "block judges the typical value, stretch by stretch: it needs p50"),
        (criterion(max_ratio=1.1, block_s=300), ".block_s", "is the length of a block; add `test: block`"),
        (criterion(max_ratio=1.1, test="block", block_s=1), ".block_s", "must be at least 5"),
        (criterion(max_ratio=1.1, test="batch"), ".test", 'unknown value "batch"'),
        (criterion(max_ratio=1.1, role="watch", dry_run=True), ".dry_run", "a watch changes nothing anyway"),
        (criterion(max_ratio=1.1, role="watch", min_images=9), ".min_images", "only a guardrail holds a rollout back"),
        (criterion(max_ratio=1.1, dry_run=True, min_images=9), ".min_images", "only a guardrail holds a rollout back"),
        ({"metric": "failure", "statistic": "rate", "max_increase": 1}, ".max_increase", "must be less than 1"),
        ({"metric": "failure", "statistic": "rate", "limit": 1}, ".limit", "must be less than 1 for a rate"),
        ({"metric": "failure", "statistic": "p95", "max_ratio": 1.1}, ".statistic", "p95 does not fit failure, which"),
        ({"metric": "text_accuracy", "statistic": "mean", "max_drop": 0}, ".max_drop", "must be greater than 0"),
        ({"metric": "text_accuracy", "statistic": "mean", "max_ratio": 1.1}, ".max_ratio", "max_ratio does not fit"),
        ({"metric": "memory_gib", "statistic": "max", "max_ratio": 1.1}, ".max_ratio", "max_ratio does not fit"),
    ],
)
def test_rules_of_a_criterion(changed: Changed, refusal: Refusal, entry: dict[str, Any], key: str, words: str) -> None:
    """A criterion that can't be judged is one problem at the key that has to change."""
    path = changed("policy", {"criteria.2": entry})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == f"criteria[2]{key}"
    assert problem.message.startswith(words)


def test_a_policy_without_guardrail_is_refused(changed: Changed, refusal: Refusal) -> None:
    """A policy whose criteria only watch would never revert, so it is refused."""
    path = changed("policy", {"criteria.0.role": "watch"})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.key == "criteria"
    assert problem.message.startswith("has no guardrail")


def test_a_policy_of_dry_runs_is_refused(changed: Changed, refusal: Refusal) -> None:
    """A dry run never reverts, so it is no guardrail."""
    path = changed("policy", {"criteria.0.dry_run": True})
    [problem] = refusal(lambda: load_policy(path))
    assert problem.message.startswith("has no guardrail")


def test_modes_of_a_criterion(changed: Changed) -> None:
    """`dry_run`, `min_images` and `test: block` become core values; a block that says no length has 600 s."""
    entries = {
        "criteria.2": criterion(max_ratio=1.05, test="block"),
        "criteria.3": criterion(max_ratio=1.25, min_images=200),
        "criteria.4": criterion(metric="service_s", max_ratio=1.1, test="block", block_s=900, dry_run=True),
    }
    _, _, block, least, dry = load_policy(changed("policy", entries)).criteria
    assert (block.block_s, block.title) == (600.0, "latency p50 by blocks")
    assert (least.min_images, least.block_s, least.role) == (200, None, Role.GUARDRAIL)
    assert (dry.role, dry.block_s) == (Role.DRY_RUN, 900.0)


@pytest.mark.parametrize(
    "entry",
    [
        criterion(max_ratio=1),
        criterion(statistic="p95", limit=2.0),
        criterion(statistic="law", max_ratio=1.2),
        {"metric": "failure", "statistic": "rate", "max_ratio": 2.0},
        {"metric": "failure", "statistic": "rate", "limit": 0.2},
        {"metric": "refusal", "statistic": "rate", "max_increase": 0.01},
        {"metric": "memory_gib", "statistic": "max", "limit": 20},
        {"metric": "cost_usd", "statistic": "mean", "max_ratio": 1.1, "weight": 3},
    ],
)
def test_sound_criteria_are_accepted(changed: Changed, entry: dict[str, Any]) -> None:
    """A criterion that can be judged passes, also a second limit on a metric that has another kind of limit."""
    path = changed("policy", {"criteria.2": entry, "gate": REMOVED})
    assert load_policy(path).criteria[2].metric == entry["metric"]


def test_what_a_policy_accepts_is_what_the_statistics_can_judge() -> None:
    """Every combination of axis, statistic and limit that a file may hold is one that a test exists for."""
    for metric in METRICS.values():
        for statistic, bounds in FITS[metric.axis].items():
            for bound in bounds:
                margin = {bound: 1.2 if bound == "max_ratio" else 0.1}
                assert CriterionSetting(
                    metric.name, metric.axis, metric.higher_is_worse, Statistic(statistic), **margin
                ).kind


def test_a_policy_is_found_by_name_or_path(changed: Changed, tmp_path: Path) -> None:
    """A name is looked up in the folder of policies; a path, absolute or relative to a base, is read as it is."""
    path = changed("policy")
    path.rename(tmp_path / "careful.yaml")
    (tmp_path / "other.yaml").write_text("kind: prices\n")
    assert policy_names(tmp_path) == ("careful",)
    by_name = load_policy("careful", tmp_path)
    assert by_name == load_policy(str(tmp_path / "careful.yaml")) == load_policy("careful.yaml", base=tmp_path)


def test_an_unknown_policy_names_the_nearest(changed: Changed, tmp_path: Path) -> None:
    """A misspelt name is refused with the policies that exist."""
    changed("policy").rename(tmp_path / "careful.yaml")
    with pytest.raises(
        InvalidFileError, match=r"no policy is called carefull; did you mean careful\? allowed: careful"
    ):
        load_policy("carefull", tmp_path)


def test_a_policy_answers_to_its_file_name(changed: Changed, tmp_path: Path) -> None:
    """A file found by name that calls itself something else is refused: the audit log would name the wrong one."""
    changed("policy").rename(tmp_path / "bold.yaml")
    with pytest.raises(InvalidFileError, match=r"name: the file bold.yaml must call its policy bold, found careful"):
        load_policy("bold", tmp_path)
