"""The verbs that ask something of an open rollout. They differ by one word, so they share one function."""

import typer

from controller.cli.bench import bench_line
from controller.cli.client import Client
from controller.cli.output import OUTPUT, REASON, Output, emit
from controller.cli.words import rollout_line

WISHES = {
    "abort": "Stop a rollout: share 0 at once. Or a bench of its own.",
    "supersede": "End a rollout because another one takes its place.",
    "undo": "Take a promotion back while it bakes.",
    "pause": "Hold a rollout at share 0.",
    "resume": "Go on with a held rollout.",
    "approve": "Let a rollout go on to the next stage.",
    "promote": "Promote now, without waiting for proof.",
}


def register(app: typer.Typer) -> None:
    """Add every wish as a verb."""
    for kind, help_text in WISHES.items():
        _register(app, kind, help_text)


def _register(app: typer.Typer, kind: str, help_text: str) -> None:
    @app.command(kind, help=help_text)
    def wish(
        rollout: str = typer.Argument(help="The rollout's id, such as r-0001."),
        reason: str = REASON,
        output: Output = OUTPUT,
    ) -> None:
        if kind == "abort" and rollout.startswith("b-"):
            row = Client.here().post(f"/benches/{rollout}/abort", {"reason": reason})
            emit(output, row, lambda: bench_line(row))
            return
        row = Client.here().post(f"/rollouts/{rollout}/{kind}", {"reason": reason})
        emit(output, row, lambda: rollout_line(row))
