"""Writes the documentation that is generated from code, and checks that it is up to date.

`python -m controller.docs generate` writes it, `python -m controller.docs check` fails when it differs.
"""

import sys
from pathlib import Path

from controller.core import states
from controller.core.states import TERMINAL, TRANSITIONS, State

STATES_PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "states.md"


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


def main(arguments: list[str]) -> int:
    """Generate or check; return the exit code."""
    match arguments:
        case ["generate"]:
            STATES_PAGE.parent.mkdir(parents=True, exist_ok=True)
            STATES_PAGE.write_text(states_page())
            return 0
        case ["check"]:
            if STATES_PAGE.exists() and STATES_PAGE.read_text() == states_page():
                return 0
            sys.stderr.write(f"{STATES_PAGE} is out of date: run `python -m controller.docs generate`\n")
            return 1
        case _:
            sys.stderr.write("usage: python -m controller.docs generate|check\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
