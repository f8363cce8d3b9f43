"""Writes the documentation that is generated from code, and checks that it is up to date.

`python -m controller.docs generate` writes it, `python -m controller.docs check` fails when it differs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from controller.core import states
from controller.core.states import TERMINAL, TRANSITIONS, State
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


def drifted(folder: Path = REFERENCE) -> list[str]:
    """Return the pages that do not say what the code says, missing and left-over ones too."""
    expected = pages()
    left_over = {f"lint/{path.name}" for path in (folder / "lint").glob("*.md")} - expected.keys()
    stale = {
        name
        for name, text in expected.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    }
    return sorted(stale | left_over)


def generate(folder: Path = REFERENCE) -> None:
    """Write every page and remove those about nothing."""
    for path in (folder / "lint").glob("*.md"):
        path.unlink()
    for name, text in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Generate or check; return the exit code."""
    match arguments:
        case ["generate"]:
            generate()
            return 0
        case ["check"]:
            names = drifted()
            if names:
                sys.stderr.write(f"{', '.join(names)}: out of date, run `python -m controller.docs generate`\n")
            return 1 if names else 0
        case _:
            sys.stderr.write("usage: python -m controller.docs generate|check\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
