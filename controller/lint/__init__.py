"""What is known to go wrong, judged before anything runs: rules over a file, values in and values out."""

from controller.lint.catalogue import FAMILIES, OVERRIDABLE, RULES, family, find
from controller.lint.facts import Facts, ModelFolder, Price
from controller.lint.finding import Finding, Severity
from controller.lint.rule import Rule
from controller.lint.verdict import judge, of_problem, refuses

__all__ = [
    "FAMILIES",
    "OVERRIDABLE",
    "RULES",
    "Facts",
    "Finding",
    "ModelFolder",
    "Price",
    "Rule",
    "Severity",
    "family",
    "find",
    "judge",
    "of_problem",
    "refuses",
]
