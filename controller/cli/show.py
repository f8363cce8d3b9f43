"""`gatectl show`: one page about one rollout."""

import sys

import typer

from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.page import as_text


def show(rollout: str = typer.Argument(help="The rollout's id, such as r-0001."), output: Output = OUTPUT) -> None:
    """Show one rollout: stages, evidence, verdicts."""
    view = Client.here().get(f"/rollouts/{rollout}")
    emit(output, view, lambda: as_text(view, colour=sys.stdout.isatty()))
