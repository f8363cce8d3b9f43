"""`gatectl lane`: what serves now."""

import math
from collections.abc import Iterator
from typing import Any

import typer

from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import columns, duration, percent

app = typer.Typer(no_args_is_help=True, help="The lanes and what serves on them.", rich_markup_mode=None)


@app.command("list")
def list_lanes(output: Output = OUTPUT) -> None:
    """List the lanes."""
    lanes = Client.here().get("/lanes")
    emit(
        output, lanes, lambda: columns(map(_row, lanes), ("LANE", "INCUMBENT", "SHARE", "EPOCH", "ROLLOUT", "GATEWAYS"))
    )


@app.command("show")
def show_lane(name: str = typer.Argument(help="The lane's name."), output: Output = OUTPUT) -> None:
    """Show one lane: its incumbent, its split, its gateways."""
    lane = Client.here().get(f"/lanes/{name}")
    emit(output, lane, lambda: _page(lane))


@app.command("noise")
def lane_noise(
    name: str = typer.Argument(help="The lane's name."),
    hours: float = typer.Option(24.0, help="How far back to look, at most a week."),
    reason: str = typer.Option("", "--reason", "-r", help="Why; it goes into the audit log."),
    output: Output = OUTPUT,
) -> None:
    """Measure how far replicas of one and the same model differ, from the lane's A/A rollouts, and keep it.

    An A/A rollout proposes the incumbent's own model under another `variant`. From then on a policy that allows a
    ratio smaller than what was measured is refused.
    """
    found = Client.here().post(f"/lanes/{name}/noise", {"hours": hours, "reason": reason})
    emit(output, found, lambda: "\n".join(_measured(found)))


def _measured(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['lane']}: measured from {found['source']}"
    rows = [
        (
            metric,
            f"{noise['sigma']:.3f} (at most {noise['sigma_high']:.3f})",
            f"{math.exp(noise['offset']):.3f}x",
            duration(noise["correlation_s"]) if noise["correlation_s"] else "can't be told",
            f"{noise['smallest_ratio']:.2f}x",
        )
        for metric, noise in found["metrics"].items()
    ]
    yield columns(rows, ("METRIC", "S OF THE LOG DIFFERENCE", "THROUGHOUT", "LASTS", "SUPPORTS RATIOS FROM"))


def _noise_lines(lane: dict[str, Any]) -> Iterator[str]:
    noise = lane["noise"]
    if noise is None:
        yield f"  noise           not measured: run an A/A rollout, then `gatectl lane noise {lane['name']}`"
        return
    yield f"  noise           s = {noise['sigma']:.3f}: supports allowed ratios from {noise['smallest_ratio']:.2f}x"
    yield f"                  {noise['source']}"
    if noise["another_incumbent"]:
        yield "                  measured with another incumbent: measure again"


def _row(lane: dict[str, Any]) -> tuple[str, ...]:
    rollout = lane["rollout"]
    return (
        lane["name"],
        lane["incumbent"]["digest"][:12],
        percent(lane["split"]["share"]),
        str(lane["split"]["epoch"]),
        f"{rollout['id']} {rollout['name']} {rollout['state']}" if rollout else "-",
        str(len(lane["gateways"])),
    )


def _page(lane: dict[str, Any]) -> str:
    spec, split, rollout = lane["incumbent"]["spec"], lane["split"], lane["rollout"]
    sampling = spec["sampling"]
    drawn = (
        f"{sampling['steps']} steps, guidance {sampling['guidance_scale']:g}, "
        f"{sampling['width_px']}x{sampling['height_px']} px, {spec['precision']}"
    )
    lines = [
        f"{lane['name']}  {lane['title']}",
        f"  answers within  {lane['timeout_s']:g} s",
        f"  incumbent       {lane['incumbent']['digest'][:12]}  {spec['provider']} {spec['source']}",
        f"                  {drawn}",
        f"  split           epoch {split['epoch']}, candidate share {percent(split['share'])} ({split['mode']})",
        f"  rollout         {rollout['id']} {rollout['name']}: {rollout['state']}"
        if rollout
        else "  rollout         none",
    ]
    lines += _noise_lines(lane)
    for replica, epoch in lane["gateways"].items():
        behind = "" if epoch == split["epoch"] else f"  (behind: {split['epoch']} is current)"
        lines.append(f"  gateway         {replica[:20]} at epoch {epoch}{behind}")
    if not lane["gateways"]:
        lines.append("  gateway         none reports; see `gatectl doctor`")
    return "\n".join(lines)
