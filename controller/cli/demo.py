"""`gatectl demo`."""

import typer

from controller.cli.output import OUTPUT, Output


def demo(
    keep: bool = typer.Option(False, "--keep", help="Leave the platform running at the end."),
    output: Output = OUTPUT,
) -> None:
    """demo."""
    del keep, output
