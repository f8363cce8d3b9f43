"""Every rule, by family, in the order of the documentation."""

from collections.abc import Iterator, Mapping

from controller.errors import UserError
from controller.lint import (
    arguments,
    cost,
    frames,
    identity,
    lanes,
    precision,
    providers,
    samples,
    sampling,
    seeds,
    waivers,
)
from controller.lint.finding import Hit, Severity
from controller.lint.rule import Rule, rule
from controller.lint.subject import Subject
from controller.schema.faults import nearest


@rule(Severity.ERROR, fix="what the message names; the JSON Schemas in policies/schema help editors")
def schema(_: Subject) -> Iterator[Hit]:
    """A file says exactly what its kind allows: a misspelt key would otherwise be a setting that nobody made."""
    yield from ()  # What it finds is found by the schema, with the file's own faults.


FAMILIES: Mapping[str, tuple[Rule, ...]] = {
    "The file itself": (schema, *waivers.RULES),
    "Precision and memory": precision.RULES,
    "Sampling": (*sampling.RULES, *frames.RULES, *arguments.RULES),
    "Identity and licence": identity.RULES,
    "Seeds": seeds.RULES,
    "Hosted providers": providers.RULES,
    "Lanes and tenants": lanes.RULES,
    "Cost": cost.RULES,
    "Statistics": samples.RULES,
}
OVERRIDABLE = frozenset(rule.id for family in FAMILIES.values() for rule in family) - waivers.FOREVER
"""What a person may decide to let pass."""
RULES: Mapping[str, Rule] = {rule.id: rule for family in FAMILIES.values() for rule in family}


def find(name: str) -> Rule:
    """Return the rule of an id; UserError naming the nearest when there is none."""
    if name not in RULES:
        raise UserError(f"there is no rule {name!r}; {nearest(name, tuple(RULES))}")
    return RULES[name]


def family(of: Rule) -> str:
    """Return the family that a rule belongs to."""
    return next(name for name, rules in FAMILIES.items() if of in rules)
