"""Waivers: comments that let a rule pass, for a reason and until a day.

`# lint: allow RULE until 2027-01-31: reason`, anywhere in the file, holds for the whole file.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from controller.lint.finding import Hit, Severity, Waiver
from controller.lint.rule import Rule, rule
from controller.lint.subject import Subject

_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*lint:\s*(?P<text>.*)$")
_WAIVER = re.compile(r"allow\s+(?P<rule>[\w-]+)\s+until\s+(?P<until>\d{4}-\d\d-\d\d)\s*:\s*(?P<reason>\S.*)")
FORM = "# lint: allow RULE until YYYY-MM-DD: reason"


@rule(Severity.ERROR, fix=FORM)
def waiver_invalid(_: Subject) -> Iterator[Hit]:
    """A waiver without a rule, a last day or a reason would let something pass that nobody decided."""
    yield from ()  # Found where waivers are read.


@rule(Severity.ERROR, fix="mend what it waives, or decide again and give a later day")
def waiver_expired(_: Subject) -> Iterator[Hit]:
    """A waiver ends on the day that was decided; what it waived counts again."""
    yield from ()  # Found where waivers are read.


RULES: tuple[Rule, ...] = (waiver_invalid, waiver_expired)
FOREVER = frozenset({"schema", waiver_invalid.id, waiver_expired.id})
"""What nothing can waive."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A waiver that does not hold."""

    rule: Rule
    line: int
    column: int
    message: str


def read(text: str, rules: Collection[str], today: date) -> Iterator[Waiver | Fault]:
    """Yield the waivers of a file that hold on a day, and the faults of the others."""
    for line, content in enumerate(text.splitlines(), 1):
        comment = _COMMENT.search(content)
        if comment:
            yield _one(comment["text"].strip(), rules, today, line, comment.start() + 1)


def _one(text: str, rules: Collection[str], today: date, line: int, column: int) -> Waiver | Fault:
    match = _WAIVER.fullmatch(text)
    if not match:
        return Fault(waiver_invalid, line, column, f"a waiver reads `{FORM}`")
    name = match["rule"]
    if name not in rules or name in FOREVER:
        what = "can't be waived" if name in FOREVER else "is no rule"
        return Fault(waiver_invalid, line, column, f"{name} {what}")
    try:
        until = date.fromisoformat(match["until"])
    except ValueError:
        return Fault(waiver_invalid, line, column, f"{match['until']} is no day")
    if until < today:
        return Fault(waiver_expired, line, column, f"the waiver of {name} ended on {until}")
    return Waiver(name, until, match["reason"], line)
