"""Writes the documentation that is generated from code, and checks that it is up to date.

`python -m controller.docs generate` writes it, `python -m controller.docs check` fails when it differs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from controller.core import states
from controller.core.states import TERMINAL, TRANSITIONS, State
from controller.generated import Generated
from controller.lint.page import pages as lint_pages

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"


def states_page() -> str:
    """Return the page about the states of a rollout: the theory, the diagram and the table."""
    theory = (states.__doc__ or "").split("Theory of operation\n-------------------\n")[1].strip()
    edges: dict[tuple[State, State], list[str]] = {}
    for (source, kind), target in TRANSITIONS.items():
        edges.setdefault((source, target), []).append(kind.value)
    diagram = [f"    {source} --> {target}: {', '.join(kinds)}" for (source, target), kinds in edges.items()]
    ends = [f"    {state} --> [*]" for state in State if state in TERMINAL]
    rows = [f"| {source} | {kind} | {target} |" for (source, kind), target in TRANSITIONS.items()]
    return "\n".join(
        [
            "# The states of a rollout",
            "",
            "Generated from `controller/core/states.py` by `python -m controller.docs generate`.",
            "",
            theory,
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {State.PROPOSED}",
            *diagram,
            *ends,
            "```",
            "",
            "| from | event | to |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def pages() -> Mapping[str, str]:
    """Return name (below docs/reference) -> text of everything that is generated."""
    return {"states.md": states_page()} | {f"lint/{name}": text for name, text in lint_pages().items()}


DOCS = Generated("controller.docs", REFERENCE, pages)

if __name__ == "__main__":
    sys.exit(DOCS.main(sys.argv[1:]))
