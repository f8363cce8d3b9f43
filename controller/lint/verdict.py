"""One run over one file: every rule, the schema's faults, the waivers, in the order of the file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from controller.errors import Problem
from controller.lint import waivers
from controller.lint.catalogue import RULES, schema
from controller.lint.facts import Facts
from controller.lint.finding import Finding, Hit, Severity, Waiver
from controller.lint.rule import Rule
from controller.lint.subject import Subject
from controller.schema.document import Document


def judge(document: Document, text: str, facts: Facts, problems: Iterable[Problem] = ()) -> tuple[Finding, ...]:
    """Return what is to be said about a file; `text` holds its comments, `problems` what its schema refuses.

    A problem at a key where a rule tells of an error too is left out: the rule says more.
    """
    subject = Subject(document, facts)
    read = tuple(waivers.read(text, RULES, facts.today))
    held = {waiver.rule: waiver for waiver in read if isinstance(waiver, Waiver)}
    found = [_waived(finding, held) for finding in _findings(subject)]
    found += [_fault(fault) for fault in read if isinstance(fault, waivers.Fault)]
    errors = {finding.key for finding in found if finding.severity is Severity.ERROR}
    found += [of_problem(problem) for problem in problems if problem.key not in errors]
    return tuple(sorted(found, key=lambda one: (one.line, one.column, one.rule)))


def refuses(findings: Iterable[Finding], overrides: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return the errors that stand when some rules are overridden."""
    return tuple(one for one in findings if one.severity is Severity.ERROR and one.rule not in overrides)


def of_problem(problem: Problem) -> Finding:
    """Return a schema's problem as a finding."""
    return Finding(
        schema.id, schema.severity, problem.key, problem.line, problem.column, problem.message, schema.fix
    )  # fmt: skip


def _findings(subject: Subject) -> Iterator[Finding]:
    for rule in RULES.values():
        if subject.topic in rule.topics:
            for hit in rule.check(subject):
                yield _finding(subject.document, rule, hit)


def _finding(document: Document, rule: Rule, hit: Hit) -> Finding:
    at_key = not (hit.loc and isinstance(hit.loc[-1], int))
    place = document.problem(hit.loc, hit.message, at_key=at_key)
    severity = hit.severity or rule.severity
    return Finding(rule.id, severity, place.key, place.line, place.column, hit.message, hit.fix or rule.fix)


def _waived(finding: Finding, held: dict[str, Waiver]) -> Finding:
    waiver = held.get(finding.rule)
    if waiver is None:
        return finding
    message = f"{finding.message} (waived until {waiver.until}: {waiver.reason})"
    return replace(finding, severity=Severity.INFO, message=message, waiver=waiver)


def _fault(fault: waivers.Fault) -> Finding:
    rule = fault.rule
    return Finding(rule.id, rule.severity, "file", fault.line, fault.column, fault.message, rule.fix)
