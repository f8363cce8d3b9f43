"""`gatectl audit`: who did what, why, on what evidence."""

import json
import sys
from typing import Any

import typer

from controller.cli.client import Client
from controller.cli.exits import Exit
from controller.cli.output import OUTPUT, Output, emit

app = typer.Typer(no_args_is_help=True, help="The audit log and its proof.", rich_markup_mode=None)


@app.command("log")
def log(
    rollout: str | None = typer.Option(None, help="Only this rollout."),
    after: int = typer.Option(0, min=0, help="Only entries after this number."),
    output: Output = OUTPUT,
) -> None:
    """Print the audit log in order; JSON is one array, written as it arrives."""
    entries = Client.here().audit(rollout, after)
    if output is Output.TEXT:
        for entry in entries:
            sys.stdout.write(entry_line(entry) + "\n")
        return
    before = "["
    for entry in entries:
        sys.stdout.write(f"{before}\n{json.dumps(entry, ensure_ascii=False)}")
        before = ","
    sys.stdout.write("]\n" if before == "," else "[]\n")


@app.command("verify")
def verify(output: Output = OUTPUT) -> None:
    """Check that no entry is missing or altered, and recompute every decision from its stored evidence."""
    found = Client.here().get("/audit/verify")
    emit(output, found, lambda: verified(found))
    if not found["ok"]:
        raise typer.Exit(Exit.FAILED)


def verified(found: dict[str, Any]) -> str:
    """Return the outcome of a verification as a sentence."""
    if not found["ok"]:
        return f"BROKEN after {found['entries']} entries: {found['problem']}"
    others = found["other_engine"]
    return (
        f"whole: {found['entries']} entries, each holding the digest of the one before, up to {found['head'][:16]}; "
        f"{found['replayed']} assessments recomputed from their evidence, all equal"
    ) + (f"; {others} more are whole, but only the version that recorded them can recompute them" if others else "")


def entry_line(entry: dict[str, Any]) -> str:
    """Return one entry as a line."""
    states = "" if not entry["to_state"] else f" {entry['from_state'] or '-'} -> {entry['to_state']}"
    about = entry["rollout"] or entry["lane"] or "-"
    who = f"{entry['actor']}: {entry['action']}{states}"
    passed = entry["detail"].get("overrides")
    lint = f" (lets lint's findings pass: {', '.join(passed)})" if passed else ""
    return f"{entry['seq']:>5}  {entry['at'][:19]}  {about:<10} {who}: {entry['reason']}{lint}"
