"""`gatectl explain`: why a rollout is where it is, in plain words."""

from collections.abc import Iterator
from typing import Any

import typer

from controller.cli.audit import entry_line
from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.page import number
from controller.cli.words import percent, stage_text

ROLES = {
    "guardrail": "",
    "watch": " (watched, never reverts)",
    "dry_run": " (dry run: as a guardrail would be judged, never reverts)",
}


def explain(rollout: str = typer.Argument(help="The rollout's id, such as r-0001."), output: Output = OUTPUT) -> None:
    """Say why a rollout is where it is.

    The last reason, what each criterion found, what would change it, and the way here from the audit log.
    """
    client = Client.here()
    view = client.get(f"/rollouts/{rollout}")
    log = list(client.audit(rollout))
    emit(output, {"rollout": view, "changes_it": list(levers(view)), "audit": log}, lambda: "\n".join(_text(view, log)))


def _text(view: dict[str, Any], log: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{view['id']}: {view['name']} on lane {view['lane']} is {stage_text(view)}"
    yield f"  because: {view['reason']}"
    if view["waiting"]:
        yield f"  {view['waiting']}"
    yield ""
    yield from _evidence(view)
    yield "What would change it"
    yield from (f"  - {lever}" for lever in levers(view))
    yield ""
    yield "How it came here"
    yield from (f"  {entry_line(entry)}" for entry in log)


def _evidence(view: dict[str, Any]) -> Iterator[str]:
    yield "What the evidence says"
    if not view["criteria"]:
        yield "  nothing was read yet: there was no traffic to compare"
    for item in view["criteria"]:
        yield f"  - {item['title']}{ROLES[item['role']]}: {item['verdict'].replace('_', ' ')}. {item['reason']}"
    evidence = view["evidence"]
    if evidence["needed"] is not None:
        yield (
            f"  All guardrails together: evidence of harm {number(evidence['harm'])}; {number(evidence['needed'])} "
            f"reverts, so a harmless one is reverted in at most {percent(1 / evidence['needed'])} of all rollouts."
        )
    for key in ("untrusted", "environment"):
        if evidence[key]:
            yield f"  {key}: {evidence[key]}"
    yield ""


def levers(view: dict[str, Any]) -> Iterator[str]:
    """Yield what can move the rollout from where it is."""
    match view["state"]:
        case "promoted":
            yield "nothing: it is over, the candidate serves; going back is a new proposal of the old model"
        case "reverted" | "rejected" | "superseded":
            yield "nothing: it is over, the incumbent serves; propose again once the candidate is mended"
        case "held":
            yield f"`gatectl resume {view['id']} --reason ...` once the cause is gone, or `gatectl abort`"
        case "awaiting_approval":
            yield f"`gatectl approve {view['id']} --reason ...`; the share stays as it is until then"
        case "baking" | "promoting":
            yield "evidence of harm takes it back by itself; `gatectl undo` does so now"
        case "observing":
            yield "proof: more candidate images decide the criteria above"
            yield f"evidence of harm reverts it by itself; `gatectl abort {view['id']} --reason ...` does so now"
        case _:
            yield "it goes on by itself; `gatectl abort` rejects it before any traffic"
