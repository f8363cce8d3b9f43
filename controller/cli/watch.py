"""`gatectl watch`."""

import sys
from typing import Any

import typer

from controller.cli.client import Client
from controller.cli.exits import of_state
from controller.cli.follow import Changes, glimpses
from controller.cli.output import OUTPUT, Output, emit, note
from controller.cli.page import as_text, render


def watch(rollout: str = typer.Argument(help="The rollout's id, such as r-0001."), output: Output = OUTPUT) -> None:
    """Watch a rollout to its end.

    The exit code is the outcome: 0 promoted, 5 reverted, 3 rejected, 6 superseded or still open at Ctrl-C.
    """
    client = Client.here()
    view: dict[str, Any] | None = None
    try:
        live = sys.stdout.isatty() and output is Output.TEXT
        view = _live(client, rollout) if live else follow(client, rollout, output)
    except KeyboardInterrupt:
        note(f"stopped watching; {rollout} goes on by itself")
        view = client.get(f"/rollouts/{rollout}")
    emit_end(output, view)


def emit_end(output: Output, view: dict[str, Any]) -> None:
    """Print the last page and end with the exit code of the rollout's state."""
    emit(output, view, lambda: as_text(view, colour=sys.stdout.isatty()))
    raise typer.Exit(of_state(view["state"]))


def _live(client: Client, rollout: str) -> dict[str, Any]:
    from rich.console import Console
    from rich.live import Live

    last: dict[str, Any] = {}
    # The alternate screen: the page is printed once more at the end, where it stays.
    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        for glimpse in glimpses(client, rollout):
            if glimpse.view is not None:
                last = glimpse.view
                live.update(render(last, glimpse.problem), refresh=True)
            else:
                live.update(glimpse.problem or "", refresh=True)
    return last


def follow(client: Client, rollout: str, output: Output, *, until_held: bool = False) -> dict[str, Any]:
    """Print a line per change until the rollout is over, or waits for a person; return it as seen last."""
    changes = Changes()
    last: dict[str, Any] = {}
    for glimpse in glimpses(client, rollout):
        for line in changes.of(glimpse):
            # Progress is stdout's business only when no JSON document goes there.
            (note if output is Output.JSON else print)(line)
        last = glimpse.view or last
        if until_held and last.get("state") == "held":
            break
    return last
