"""`gatectl list`."""

import typer

from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import ago, columns


def list_rollouts(
    limit: int = typer.Option(20, min=1, max=1000, help="How many, newest first."), output: Output = OUTPUT
) -> None:
    """List rollouts, newest first."""
    rows = Client.here().get("/rollouts", limit=limit)
    lines = (
        (row["id"], row["lane"], row["name"], row["state"], ago(row["created_at_s"]), row["reason"]) for row in rows
    )
    emit(
        output,
        rows,
        lambda: (
            columns(lines, ("ROLLOUT", "LANE", "CANDIDATE", "STATE", "AGE", "REASON"))
            if rows
            else "no rollouts yet; `gatectl propose candidate.yaml` makes one"
        ),
    )
