"""Waivers hold for a rule, a reason and a time, and for nothing else."""

import pytest

from controller.lint import Severity
from tests.unit.lint.desk import lint, ours, rules

FP32 = ours({"model.precision": "float32", "resources.gpu": "A100-40GB"})
RULE = "precision-fp32-on-gpu"


def test_a_waiver_lets_an_error_pass_and_stays_visible() -> None:
    """The finding becomes an info that names the last day and the reason."""
    comment = f"lint: allow {RULE} until 2027-01-31: the vendor's kernel needs it"
    (found,) = (one for one in lint(FP32, comment=comment) if one.rule == RULE)
    assert found.severity is Severity.INFO
    assert "waived until 2027-01-31: the vendor's kernel needs it" in found.message


def test_a_waiver_holds_on_its_last_day() -> None:
    """The day that is named is included."""
    comment = f"lint: allow {RULE} until 2026-11-24: a day is a day"
    assert RULE not in rules(lint(FP32, comment=comment), Severity.ERROR)


def test_an_expired_waiver_is_an_error_and_waives_nothing() -> None:
    """After its last day both the waiver and what it waived are errors."""
    found = lint(FP32, comment=f"lint: allow {RULE} until 2026-11-23: soon")
    assert {RULE, "waiver-expired"} <= rules(found, Severity.ERROR)


@pytest.mark.parametrize(
    "comment",
    [
        f"lint: allow {RULE} until 2027-01-31",
        f"lint: allow {RULE} until 2027-01-31:   ",
        f"lint: allow {RULE}: because",
        f"lint: allow {RULE} until 2027-02-30: because",
        "lint: allow no-such-rule until 2027-01-31: because",
        "lint: allow schema until 2027-01-31: because",
        "lint: allow waiver-expired until 2027-01-31: because",
        "lint: ignore everything",
    ],
)
def test_a_waiver_needs_rule_day_and_reason(comment: str) -> None:
    """Without one of them, or for what nobody can waive, it is an error at its own line and waives nothing."""
    found = lint(FP32, comment=comment)
    assert {RULE, "waiver-invalid"} <= rules(found, Severity.ERROR)
    lines = [one.line for one in found if one.rule == "waiver-invalid"]
    assert lines == [len([*_lines()]) + 1]


def test_a_waiver_holds_for_its_rule_alone() -> None:
    """Other errors of the same file stand."""
    comment = "lint: allow vram-budget-exceeded until 2027-01-31: measured, it fits"
    assert RULE in rules(lint(FP32, comment=comment), Severity.ERROR)


def _lines() -> list[str]:
    import json

    return json.dumps(FP32, indent=1).splitlines()
