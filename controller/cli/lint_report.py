"""What `gatectl lint` prints: for people, scripts, code scanning (SARIF 2.1.0) and pull requests on GitHub."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from controller.lint import RULES, Finding, Rule, Severity, family, refuses
from controller.version import VERSION

Report = Mapping[str, Sequence[Finding]]

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITHUB_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def line(path: str, finding: Finding) -> str:
    """Return a finding as one line that editors can jump to, with what to do below it."""
    at = f"{path}:{finding.line}:{finding.column}"
    return f"{at}: {finding.severity} [{finding.rule}] {finding.key}: {finding.message}\n    fix: {finding.fix}"


def as_text(report: Report) -> str:
    """Return every finding and the totals."""
    lines = [line(path, finding) for path, findings in report.items() for finding in findings]
    every = [finding.severity for findings in report.values() for finding in findings]
    said = [_counted(every.count(severity), severity) for severity in Severity if severity in every]
    return "\n".join([*lines, f"{_counted(len(report), 'file')}: {', '.join(said) or 'nothing to say'}"])


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON values; `ok` says that no error stands."""
    files = [
        {"path": path, "findings": [finding.to_json() for finding in findings]} for path, findings in report.items()
    ]
    return {"ok": not any(refuses(findings) for findings in report.values()), "files": files}


def as_sarif(report: Report) -> dict[str, Any]:
    """Return the report as a SARIF log with every rule."""
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.why},
            "help": {"text": f"Fix: {rule.fix}."},
            "defaultConfiguration": {"level": _SARIF_LEVELS[rule.severity]},
            "properties": {"tags": [family(rule)]},
        }
        for rule in RULES.values()
    ]
    results = [_sarif_result(path, finding) for path, findings in report.items() for finding in findings]
    driver = {"name": "gatectl lint", "version": VERSION, "rules": rules}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _sarif_result(path: str, finding: Finding) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": quote(PurePath(path).as_posix())},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    waiver = finding.waiver
    return {
        "ruleId": finding.rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": f"{finding.key}: {finding.message}. Fix: {finding.fix}."},
        "locations": [{"physicalLocation": place}],
        "suppressions": [{"kind": "inSource", "justification": waiver.reason}] if waiver else [],
    }


def as_github(report: Report) -> str:
    """Return workflow commands, which GitHub shows at the lines of a pull request."""
    return "\n".join(
        f"::{_GITHUB_WORDS[one.severity]} file={_property(path)},line={one.line},col={one.column},"
        f"title={_property(one.rule)}::{_data(f'{one.key}: {one.message}; fix: {one.fix}')}"
        for path, findings in report.items()
        for one in findings
    )


def rule_json(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain JSON values."""
    return {
        "rule": rule.id,
        "family": family(rule),
        "severity": rule.severity.value,
        "why": rule.why,
        "fix": rule.fix,
    }


def rule_text(rule: Rule) -> str:
    """Return a rule as people read it."""
    return f"{rule.id}: {rule.severity}, {family(rule).lower()}\n  why: {rule.why}\n  fix: {rule.fix}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
