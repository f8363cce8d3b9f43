"""The pages about the rules, written from the rules."""

from collections.abc import Mapping

from controller.lint.catalogue import FAMILIES
from controller.lint.rule import Rule
from controller.lint.waivers import FORM

GENERATED = "Generated from `controller/lint` by `python -m controller.docs generate`."
_INDEX = f"""\
# What lint knows

{GENERATED}

`gatectl lint FILE...` reads candidates, lanes, policies, price books and foreign configurations, and says everything
at once; `gatectl propose` runs the same rules and refuses on an error. `gatectl lint --explain RULE` prints an entry
of these pages.

An **error** refuses a proposal, a **warning** is shown with it, an **info** is worth knowing. A rule may fire more
mildly than its severity where the case is mild; its message says why.

Two ways let an error pass, both with a reason:

- a waiver in the file, `{FORM}`; it ends after that day, and an expired one is an error itself
- `gatectl propose --override RULE --reason ...`, which the audit log keeps
"""


def pages() -> Mapping[str, str]:
    """Return name -> Markdown of every page: one for a family, and the index."""
    rows = [
        f"| [`{rule.id}`]({_slug(name)}.md#{rule.id}) | {rule.severity} | {rule.why} |"
        for name, rules in FAMILIES.items()
        for rule in rules
    ]
    index = "\n".join([_INDEX, "| rule | severity | why |", "|---|---|---|", *rows, ""])
    return {"README.md": index} | {f"{_slug(name)}.md": _family(name, rules) for name, rules in FAMILIES.items()}


def _family(name: str, rules: tuple[Rule, ...]) -> str:
    return (
        "\n".join([f"# {name}", "", GENERATED, "", *(line for rule in rules for line in _entry(rule))]).rstrip() + "\n"
    )


def _entry(rule: Rule) -> tuple[str, ...]:
    return (f"## {rule.id}", "", f"**{rule.severity}** · {rule.why}", "", f"Fix: {rule.fix}.", "")


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
