"""The command `gatectl`: its verbs, and what becomes of an error.

Nothing heavy is imported here or at the top of a verb's module: `gatectl --help` must be instant.
"""

import json
import sys
from dataclasses import asdict
from typing import Any, NoReturn

import typer

from controller.cli import (
    audit,
    bench,
    demo,
    doctor,
    down,
    explain,
    lane,
    lint,
    list_rollouts,
    load,
    plan,
    propose,
    report,
    serve_controller,
    show,
    simulate,
    suite,
    up,
    watch,
    wishes,
)
from controller.cli.exits import Exit, of_error
from controller.cli.output import forget_choice, note, wants_json
from controller.errors import GatectlError, InvalidFileError, InvariantError

app = typer.Typer(
    name="gatectl",
    help="Safe model swaps for image generation: propose a model, watch it prove itself, get it back when it fails.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("down")(down.down)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(lane.app, name="lane")
app.command("lint")(lint.lint)
app.add_typer(suite.app, name="suite")
app.command("bench")(bench.bench)
app.command("propose")(propose.propose)
app.command("list")(list_rollouts.list_rollouts)
app.command("show")(show.show)
app.command("watch")(watch.watch)
app.command("explain")(explain.explain)
app.command("report")(report.report)
wishes.register(app)
app.add_typer(audit.app, name="audit")
app.command("load")(load.load)
app.command("plan")(plan.plan)
app.command("simulate")(simulate.simulate)
app.command("serve-controller", hidden=True)(serve_controller.serve_controller)


def main() -> NoReturn:
    """Run a verb and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a verb and return its exit code; errors become one sentence on stderr, never a traceback."""
    forget_choice()
    try:
        app(arguments, prog_name="gatectl")
    except GatectlError as error:
        _report(error)
        return of_error(error)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.DONE
    return Exit.DONE


def _report(error: GatectlError) -> None:
    if wants_json():
        body: dict[str, Any] = {"kind": type(error).__name__.removesuffix("Error").lower(), "message": str(error)}
        if isinstance(error, InvalidFileError):
            body["problems"] = [asdict(problem) for problem in error.problems]
        sys.stdout.write(json.dumps({"error": body}, indent=2, ensure_ascii=False) + "\n")
    if isinstance(error, InvariantError):
        note(f"gatectl: this is a bug of ours, please report it: {error}")
    elif isinstance(error, InvalidFileError):
        note(str(error))
    else:
        note(f"gatectl: {error}")
