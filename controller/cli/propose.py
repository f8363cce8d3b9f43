"""`gatectl propose`: open a rollout of a candidate."""

import base64
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.client import Client
from controller.cli.exits import Exit, of_state
from controller.cli.lint import passing
from controller.cli.output import OUTPUT, Output, emit, note
from controller.cli.watch import emit_end, follow
from controller.cli.words import rollout_line
from controller.errors import ForbiddenError, UnavailableError, UserError

if TYPE_CHECKING:
    from controller.core.lane import Lane
    from controller.schema.suite import LoadedSuite


def propose(
    file: Path = typer.Argument(help="The candidate manifest."),
    wait: bool = typer.Option(False, "--wait", help="Stay until the outcome; it is the exit code."),
    reason: str = typer.Option("", "--reason", "-r", help="Why; it goes into the audit log."),
    policy: str = typer.Option("", help="Another policy than the manifest's: a name or a path."),
    override: list[str] = typer.Option(
        [],
        "--override",
        metavar="RULE",
        help="Let a rule of lint, or the offline `gate`, pass; needs --reason; audited.",
    ),
    output: Output = OUTPUT,
) -> None:
    """Open a rollout of a candidate.

    The file, its policy and its model are checked here first, and linted; what is wrong with them never reaches the
    controller.
    """
    body = proposal(file, policy, reason)
    body["overrides"] = passing(file, policy, override, reason, _lane_now(body["lane"]))
    client = Client.here()
    row = _opened(client, file, body)
    if not wait:
        emit(output, row, lambda: f"{rollout_line(row)}\n`gatectl watch {row['id']}` follows it")
        return
    note(f"{row['id']} is open; Ctrl-C stops the waiting, not the rollout")
    try:
        view = follow(client, row["id"], output, until_held=True)
    except KeyboardInterrupt:
        view = client.get(f"/rollouts/{row['id']}")
        note(f"stopped waiting; {row['id']} goes on by itself")
        emit(output, view, lambda: rollout_line(view))
        raise typer.Exit(of_state(view["state"])) from None
    emit_end(output, view)


def _opened(client: Client, file: Path, body: dict[str, Any]) -> dict[str, Any]:
    """Return the rollout that a proposal opened; its warnings go to stderr."""
    try:
        row: dict[str, Any] = client.post("/rollouts", body)
    except UserError as error:
        # The manifest asks for something that makes no sense on this lane: the file is what must change.
        note(f"gatectl: {file}: {error}")
        raise typer.Exit(Exit.REJECTED) from error
    for warning in row["warnings"]:
        note(f"warning: {warning}")
    return row


def _lane_now(name: str) -> "Lane | None":
    """Return the lane as it serves now; None when that can't be asked: then lint knows the lane's file only."""
    from controller.core.lane import Lane
    from controller.core.spec import ModelSpec

    try:
        view = Client.here().get(f"/lanes/{name}")
    except (UnavailableError, ForbiddenError, UserError):
        return None
    return Lane(view["name"], view["timeout_s"], ModelSpec.from_json(view["incumbent"]["spec"]), view["title"])


def proposal(file: Path, policy: str = "", reason: str = "") -> dict[str, Any]:
    """Return what `POST /rollouts` takes; InvalidFileError lists every fault of the manifest and its policy."""
    from controller.schema import PRICE_BOOK, load_candidate, load_policy, load_prices
    from controller.schema.suite import load_suite

    policies = policies_folder()
    candidate = load_candidate(file, gpus=load_prices(policies / PRICE_BOOK.name))
    frozen = load_policy(policy, policies) if policy else load_policy(candidate.policy, policies, file.parent)
    suite = load_suite(frozen.gate.suite, policies, file.parent) if frozen.gate else None
    if suite is not None and frozen.gate is not None:
        frozen = replace(frozen, gate=replace(frozen.gate, suite_digest=suite.suite.digest))
    return {
        "name": candidate.name,
        "lane": candidate.lane,
        "owner": candidate.owner,
        "reason": reason or f"proposed from {file.name}",
        "candidate": asdict(candidate.spec),
        "policy": asdict(frozen),
        "tradeoffs": dict(candidate.tradeoffs),
        "license_ack": candidate.license_ack,
        "suite": suite_body(suite) if suite else None,
    }


def suite_body(suite: "LoadedSuite") -> dict[str, Any]:
    """Return a suite with its pictures as the API takes it."""
    assets = {name: base64.b64encode(content).decode() for name, content in suite.assets.items()}
    return {"value": suite.suite.to_json(), "assets": assets}


def policies_folder() -> Path:
    """Return the folder of policies, lanes, candidates and prices: $SWAPGATE_POLICIES, or the one that ships."""
    from controller.schema import POLICIES

    return Path(os.environ.get("SWAPGATE_POLICIES") or POLICIES).absolute()
