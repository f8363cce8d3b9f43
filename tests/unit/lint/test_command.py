"""`gatectl lint`, and lint inside `gatectl propose`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.lint import RULES
from controller.schema import POLICIES
from tests.unit.api.desk import Desk
from tests.unit.cli.conftest import Gatectl
from tests.unit.lint.test_rules import WRONG

Manifest = Callable[..., Path]

TURBO = str(POLICIES / "candidates" / "turbo.yaml")
SCHEDULER = str(POLICIES / "candidates" / "wrong-scheduler.yaml")
RULE = "scheduler-not-flow-match"


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    """Write the wrong configuration of the story."""
    path = tmp_path / "wrong, 100%.json"
    path.write_text(json.dumps(WRONG, indent=2))
    return str(path)


def test_an_error_is_exit_code_3(gatectl: Gatectl, wrong: str) -> None:
    """The text has path, line, column, rule, key and fix of each finding, and the totals."""
    ran = gatectl("lint", wrong)
    assert ran.code == 3
    assert f"{wrong}:5:3: error [scheduler-unknown] scheduler: diffusers has no scheduler fast_ema" in ran.out
    assert "fix: FlowMatchEulerDiscreteScheduler" in ran.out
    assert ran.out.splitlines()[-1] == "1 file: 10 errors, 2 warnings"


def test_no_error_is_exit_code_0(gatectl: Gatectl) -> None:
    """Warnings are said and don't fail."""
    ran = gatectl("lint", TURBO)
    assert ran.code == 0, ran.out


def test_json_has_the_promised_shape(gatectl: Gatectl, wrong: str) -> None:
    """One document: `ok`, and for every file its path and findings with the seven fields."""
    ran = gatectl("lint", wrong, TURBO, "-o", "json")
    assert ran.code == 3
    assert ran.json.keys() == {"ok", "files"}
    assert ran.json["ok"] is False
    assert [file["path"] for file in ran.json["files"]] == [wrong, TURBO]
    fields = {"rule", "severity", "key", "line", "column", "message", "fix"}
    assert all(finding.keys() == fields for file in ran.json["files"] for finding in file["findings"])
    assert gatectl("lint", TURBO, "-o", "json").json["ok"] is True


def test_sarif_names_every_rule_and_place(gatectl: Gatectl, wrong: str) -> None:
    """A SARIF 2.1.0 log: every result's rule is declared, with a region."""
    log = gatectl("lint", wrong, "-o", "sarif").json
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == RULES.keys()
    assert {result["level"] for result in run["results"]} == {"error", "warning"}
    for result in run["results"]:
        assert result["ruleId"] in RULES
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


def test_github_annotations_are_escaped(gatectl: Gatectl, wrong: str) -> None:
    """Each finding is a workflow command; what would end a property is escaped."""
    lines = gatectl("lint", wrong, "-o", "github").out.splitlines()
    escaped = wrong.replace("%", "%25").replace(",", "%2C")
    assert f"::error file={escaped},line=5,col=3,title=scheduler-unknown::scheduler: diffusers has no" in "\n".join(
        lines
    )
    assert len(lines) == 12


def test_explain_says_why_and_how(gatectl: Gatectl) -> None:
    """A rule is explained without a file; an unknown one is a usage error that names the nearest."""
    ran = gatectl("lint", "--explain", RULE)
    assert ran.code == 0
    assert RULES[RULE].why in ran.out
    assert gatectl("lint", "--explain", RULE, "-o", "json").json["severity"] == "error"
    ran = gatectl("lint", "--explain", "scheduler-not-flow")
    assert ran.code == 2
    assert f"did you mean {RULE}?" in ran.err


def test_nothing_to_lint_is_a_usage_error(gatectl: Gatectl) -> None:
    """Without a file and without a rule there is nothing to do: exit code 2."""
    assert gatectl("lint").code == 2


def test_a_missing_file_does_not_hide_the_others(gatectl: Gatectl, wrong: str, tmp_path: Path) -> None:
    """Every file of a run is judged, exit code 3."""
    ran = gatectl("lint", str(tmp_path / "nothing.yaml"), wrong)
    assert ran.code == 3
    assert "no such file" in ran.out
    assert "scheduler-unknown" in ran.out


def test_propose_refuses_errors(gatectl: Gatectl, desk: Desk) -> None:
    """The wrong scheduler never reaches the controller: exit code 3, with rule, place and fix."""
    ran = gatectl("propose", SCHEDULER, "-o", "json")
    assert ran.code == 3
    (problem,) = (one for one in ran.json["error"]["problems"] if RULE in one["message"])
    assert (problem["line"], problem["key"]) == (12, "model.scheduler.class")
    assert "FlowMatchEulerDiscreteScheduler" in problem["message"]
    assert desk.service.rollouts() == []


def test_an_override_is_audited(gatectl: Gatectl, desk: Desk) -> None:
    """With --override and a reason it is proposed, and the audit log holds both."""
    silent = "turbo-with-cfg"
    ran = gatectl("propose", SCHEDULER, "--override", RULE, "--override", silent, "--reason", "a question of taste")
    assert ran.code == 0, ran.err
    assert f"{silent} finds nothing here" in ran.err
    entries = list(desk.service.audit("r-0001"))
    assert entries[0].reason == "a question of taste"
    assert entries[0].detail["overrides"] == [RULE]
    assert f"lets lint's findings pass: {RULE}" in gatectl("explain", "r-0001").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--override", RULE), "needs --reason"),
        (("--override", "schema", "--reason", "why not"), "can't be overridden"),
        (("--override", "no-such-rule", "--reason", "why not"), "there is no rule"),
    ],
)
def test_an_override_needs_a_rule_and_a_reason(
    gatectl: Gatectl, desk: Desk, arguments: tuple[str, ...], told: str
) -> None:
    """Otherwise it is a usage error, and nothing is proposed."""
    ran = gatectl("propose", SCHEDULER, *arguments)
    assert ran.code == 2
    assert told in ran.err
    assert desk.service.rollouts() == []


def test_a_waiver_is_audited(gatectl: Gatectl, desk: Desk, tmp_path: Path) -> None:
    """A waived error passes, is said, and stands in the audit log with its day and reason."""
    path = tmp_path / "wrong-scheduler.yaml"
    path.write_text(Path(SCHEDULER).read_text() + f"# lint: allow {RULE} until 2999-01-01: we like noise\n")
    ran = gatectl("propose", str(path))
    assert ran.code == 0, ran.err
    assert f"[{RULE}]" in ran.err
    (entry,) = (one for one in desk.service.audit("r-0001") if one.action == "propose")
    assert entry.detail["overrides"] == [f"{RULE} (waived until 2999-01-01: we like noise)"]


def test_the_lane_as_it_serves_now_counts(gatectl: Gatectl, desk: Desk, manifest: Manifest) -> None:
    """A size that the lane does not serve is refused by the rule, before the controller has to."""
    ran = gatectl("propose", str(manifest(("width_px: 96", "width_px: 128"))))
    assert ran.code == 3
    assert "[resolution-mismatch-vs-incumbent]" in ran.err
