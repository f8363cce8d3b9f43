"""What a verb prints: text for people or one JSON document, on stdout; everything else on stderr."""

import json
import sys
from collections.abc import Callable
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import typer


class Output(StrEnum):
    """The form of the answer."""

    TEXT = "text"
    JSON = "json"


_chosen: ContextVar[Output] = ContextVar("output", default=Output.TEXT)


def choose(value: Output) -> Output:
    """Remember the form that was asked for, so that errors have it too."""
    _chosen.set(value)
    return value


OUTPUT = typer.Option(
    Output.TEXT,
    "--output",
    "-o",
    callback=choose,
    is_eager=True,
    help="`text` for people, `json` for one JSON document on stdout.",
)
REASON = typer.Option(..., "--reason", "-r", help="Why; it goes into the audit log.")


def wants_json() -> bool:
    """Say whether this run prints JSON, for errors, which know no parameters."""
    return _chosen.get() is Output.JSON


def forget_choice() -> None:
    """Start a run without the choice of one before it in the same process."""
    _chosen.set(Output.TEXT)


def emit(output: Output, value: Any, text: Callable[[], str]) -> None:
    """Print the answer: the value as JSON, or the text made of it."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(text().rstrip("\n") + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Print progress or a remark, on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
