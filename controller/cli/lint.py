"""`gatectl lint`: everything that is known to go wrong with a file, before anything runs."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from controller.cli.exits import Exit
from controller.cli.output import Output, choose, emit, note
from controller.errors import InvalidFileError, Problem, UserError

if TYPE_CHECKING:
    from controller.adapters.lint_files import Surroundings
    from controller.core.lane import Lane


class Form(StrEnum):
    """The form of the answer."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def _choose(value: Form) -> Form:
    choose(Output.JSON if value in {Form.JSON, Form.SARIF} else Output.TEXT)
    return value


def lint(
    files: list[Path] = typer.Argument(None, help="Candidates, lanes, policies, price books, foreign configurations."),
    explain: str = typer.Option("", "--explain", metavar="RULE", help="Say why a rule is there and how to satisfy it."),
    output: Form = typer.Option(
        Form.TEXT,
        "--output",
        "-o",
        callback=_choose,
        is_eager=True,
        help="`text` for people, `json`, `sarif` for code scanning, `github` for annotations of a pull request.",
    ),
) -> None:
    """Say everything that is known to go wrong with files, before anything runs.

    Exit code 3 when an error stands.
    """
    from controller.cli import lint_report
    from controller.lint import find, refuses

    if explain:
        rule = find(explain)
        emit(_plain(output), lint_report.rule_json(rule), lambda: lint_report.rule_text(rule))
        return
    if not files:
        raise UserError("nothing to lint: name a file, or a rule with --explain")
    here = surroundings()
    report = {str(path): here.lint(path) for path in files}
    match output:
        case Form.JSON | Form.SARIF:
            value = lint_report.as_json(report) if output is Form.JSON else lint_report.as_sarif(report)
            emit(Output.JSON, value, lambda: "")
        case Form.GITHUB:
            emit(Output.TEXT, None, lambda: lint_report.as_github(report))
        case Form.TEXT:
            emit(Output.TEXT, None, lambda: lint_report.as_text(report))
    if any(refuses(findings) for findings in report.values()):
        raise typer.Exit(Exit.REJECTED)


def passing(file: Path, policy: str, overrides: Sequence[str], reason: str, lane: "Lane | None") -> list[str]:
    """Return which rules were overridden or waived for a proposal; InvalidFileError with the errors that stand.

    What does not refuse is said on stderr. UserError for an override without a reason, or of no rule. The offline gate
    is overridden by the name `gate` and judges all the same.
    """
    from controller.cli import lint_report
    from controller.core.rollout import GATE
    from controller.lint import OVERRIDABLE, Severity, find, refuses

    if overrides and not reason.strip():
        raise UserError("--override needs --reason: both go into the audit log")
    gate = {GATE}.intersection(overrides)
    overrides = [name for name in overrides if name != GATE]
    for name in overrides:
        if find(name).id not in OVERRIDABLE:
            raise UserError(f"{name} can't be overridden: mend the file")
    findings = surroundings(lane, policy).lint(file)
    standing = refuses(findings, overrides)
    if standing:
        raise InvalidFileError(
            tuple(
                Problem(str(file), one.line, one.column, one.key, f"{one.message} [{one.rule}]; fix: {one.fix}")
                for one in standing
            )
        )
    for one in findings:
        if one.severity is not Severity.INFO or one.waiver:
            note(lint_report.line(str(file), one))
    fired = {one.rule for one in refuses(findings)}
    for name in sorted(set(overrides) - fired):
        note(f"gatectl: {name} finds nothing here; there was nothing to override")
    waived = {f"{one.rule} (waived until {one.waiver.until}: {one.waiver.reason})" for one in findings if one.waiver}
    return sorted(fired | waived | gate)


def surroundings(lane: "Lane | None" = None, policy: str = "") -> "Surroundings":
    """Return where a run looks for policies, lanes and prices.

    `lane` is the lane as it serves now, where that is known; `policy` another one than the manifest's.
    """
    from datetime import UTC, datetime

    from controller.adapters.lint_files import Surroundings
    from controller.schema import POLICIES

    policies = Path(os.environ.get("SWAPGATE_POLICIES") or POLICIES)
    return Surroundings(datetime.now(UTC).date(), policies, lane, policy)


def _plain(form: Form) -> Output:
    return Output.TEXT if form in {Form.TEXT, Form.GITHUB} else Output.JSON
