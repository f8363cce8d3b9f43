"""`gatectl lane`: what serves now."""

from typing import Any

import typer

from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import columns, percent

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
    for replica, epoch in lane["gateways"].items():
        behind = "" if epoch == split["epoch"] else f"  (behind: {split['epoch']} is current)"
        lines.append(f"  gateway         {replica[:20]} at epoch {epoch}{behind}")
    if not lane["gateways"]:
        lines.append("  gateway         none reports; see `gatectl doctor`")
    return "\n".join(lines)
