"""Lint over proposals that reach the controller: nobody gets past it by leaving `gatectl` out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.lint_files import Surroundings
from controller.cli.propose import proposal
from controller.core.lane import Lane
from controller.core.policy import Policy
from controller.core.spec import canonical_json
from controller.lint import Finding
from controller.schema import POLICIES, load_candidate, load_policy
from controller.schema.candidate import Candidate, parse_candidate
from controller.schema.document import parse
from tests.unit.api.desk import Desk, open_desk

TODAY = date(2026, 11, 1)
SHIPPED = sorted((POLICIES / "candidates").glob("*.yaml"))
WRONG = POLICIES / "candidates" / "wrong-scheduler.yaml"
RULE = "scheduler-not-flow-match"


def lint(lane: Lane | None, candidate: Candidate, policy: Policy) -> tuple[Finding, ...]:
    return Surroundings(TODAY, POLICIES, lane).lint_proposal(candidate, policy)


@pytest.fixture
def strict() -> Iterator[Desk]:
    """A controller that lints as the one that ships."""
    with open_desk(lint=lint) as desk:
        yield desk


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_manifest_says_all_that_its_candidate_is(path: Path) -> None:
    """Written down and read again, every shipped candidate is what it was, the agreement on its weights included."""
    candidate = replace(load_candidate(path), license_ack="Enterprise agreement 7")
    document = parse(canonical_json(candidate.manifest()).encode(), "proposal")
    assert parse_candidate(document, path.parent) == candidate


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_proposal_is_judged_as_its_file(path: Path) -> None:
    """The same rules fire at the same keys."""
    candidate = load_candidate(path)
    here = lint(None, candidate, load_policy(candidate.policy, POLICIES, path.parent))
    file = Surroundings(TODAY, POLICIES).lint(path)
    assert sorted((one.rule, one.key, one.severity) for one in here) == sorted(
        (one.rule, one.key, one.severity) for one in file
    )


def test_a_body_is_refused_as_a_file_would_be(strict: Desk) -> None:
    """A proposal that nobody linted opens nothing, and the answer names key, rule and fix."""
    answer = strict.call("POST", "/api/v1/rollouts", json=proposal(WRONG))
    assert answer.status_code == 400, answer.text
    assert "model.scheduler.class: " in answer.text
    assert f"[{RULE}]; fix: " in answer.text
    assert strict.service.rollouts() == []


@pytest.mark.parametrize("entry", [RULE, f"{RULE} (waived until 2999-01-01: we like noise)"])
def test_an_override_counts_here_too(strict: Desk, entry: str) -> None:
    """What was overridden or waived with a reason passes, and is on the record."""
    answer = strict.call("POST", "/api/v1/rollouts", json=proposal(WRONG, reason="taste") | {"overrides": [entry]})
    assert answer.status_code == 201, answer.text
    assert strict.service.rollout(answer.json()["id"])["overrides"] == [entry]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"overrides": ["no-such-rule"]}, "no-such-rule can't be overridden"),
        ({"overrides": ["schema"]}, "schema can't be overridden"),
        ({"overrides": [RULE], "reason": " "}, "need a reason"),
    ],
)
def test_an_override_needs_a_rule_and_a_reason(strict: Desk, change: dict[str, Any], told: str) -> None:
    """Otherwise nothing is opened, whoever asks."""
    answer = strict.call("POST", "/api/v1/rollouts", json=proposal(WRONG) | change)
    assert answer.status_code == 400
    assert told in answer.text
    assert strict.service.rollouts() == []


def test_values_that_no_file_may_have_are_refused(strict: Desk) -> None:
    """A body may come from anywhere: what the schema of files refuses is refused here, key by key."""
    body = proposal(POLICIES / "candidates" / "turbo.yaml")
    body["candidate"]["precision"] = "int3"
    body["candidate"]["resources"] |= {"gpu": "abacus", "num_gpus": 1.0}
    answer = strict.call("POST", "/api/v1/rollouts", json=body)
    assert answer.status_code == 400
    assert "model.precision" in answer.text
    assert "resources.gpu" in answer.text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_json_number_is_refused(strict: Desk, number: float) -> None:
    """Options may hold any value of JSON; parsers accept three words more, which no digest can hold."""
    body = proposal(POLICIES / "candidates" / "turbo.yaml")
    body["candidate"]["options"] = {"strength": number}
    answer = strict.call("POST", "/api/v1/rollouts", content=json.dumps(body))
    assert answer.status_code == 400
    assert "is no JSON number" in answer.text


def test_a_folder_that_lies_elsewhere_is_no_fault() -> None:
    """Pinned by its content, it is compared with it where it is loaded."""
    candidate = load_candidate(POLICIES / "candidates" / "turbo.yaml")
    moved = replace(candidate, spec=replace(candidate.spec, source="/models/of/another/machine"))
    policy = load_policy(candidate.policy, POLICIES)
    assert [one for one in lint(None, moved, policy) if one.key == "model.source"] == []
    unpinned = replace(moved, spec=replace(moved.spec, revision=""))
    assert [one.rule for one in lint(None, unpinned, policy) if one.key == "model.source"] == ["schema"]
