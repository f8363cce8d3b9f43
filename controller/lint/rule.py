"""A rule: a pure function with an id, a severity, a reason and a fix.

The id is the function's name with hyphens, the reason its docstring, so neither can disagree with the rule.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from controller.lint.finding import Hit, Severity
from controller.lint.subject import Subject, Topic

Check = Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`topics` are the kinds of document that it judges."""

    id: str
    severity: Severity
    why: str
    fix: str
    check: Check
    topics: frozenset[Topic]


def rule(severity: Severity, fix: str, topics: tuple[Topic, ...] = (Topic.ARM,)) -> Callable[[Check], Rule]:
    """Make a rule of a function; its name is the id, its docstring says why."""

    def make(check: Check) -> Rule:
        name = check.__name__.replace("_", "-")
        why = " ".join((inspect.getdoc(check) or "").split())
        return Rule(name, severity, why, fix, check, frozenset(topics))

    return make
