"""What a platform costs: its start, the controller's memory, and how fast a verdict takes effect everywhere.

    python -m tests.benchmarks.bench_platform

Starts a platform of its own in a temporary folder, sends it a little traffic, and pauses and resumes one rollout again
and again: a pause writes share 0 exactly as a revert does. The time is the database's own, from writing the split to
the last gateway's acknowledgement.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import psutil  # type: ignore[import-untyped]  # ships no types
import typer

from controller.adapters.database import Database
from controller.adapters.postgres_catalog import PostgresTruth
from controller.cli.client import Client
from controller.cli.propose import proposal
from controller.cli.story import audience
from controller.platform.home import Home, Platform
from controller.platform.lifecycle import bring_up, database_url, take_down
from controller.schema import POLICIES

LANE = "preview"
AIM_SHARE_ZERO_S = 1.0
AIM_CONTROLLER_MB = 250.0
AIM_FIRST_IMAGE_S = 45.0
REST_S = 15.0


def main(rounds: Annotated[int, typer.Option(min=1)] = 10, rate: Annotated[float, typer.Option(min=0.1)] = 0.5) -> None:
    """Measure once and print one line a figure."""
    with tempfile.TemporaryDirectory(prefix="sg-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        started_s = time.monotonic()
        platform = bring_up(home, lambda _text: None)
        first_image_s = time.monotonic() - started_s
        try:
            at_rest = _processor_share(platform)
            with audience(str(platform.gateway_url), rate):
                waits_s = _pauses(home, platform, rounds)
            memory_mb = _memory_mb(platform)
        finally:
            take_down(home, lambda _text: None)
    worst_s, typical_s = max(waits_s), statistics.median(waits_s)
    typer.echo(f"gatectl up to the first image: {first_image_s:.1f} s (aim {AIM_FIRST_IMAGE_S:.0f} s)")
    typer.echo(
        f"verdict to share 0 at every gateway, {rounds} times: median {1000 * typical_s:.0f} ms, "
        f"worst {1000 * worst_s:.0f} ms (aim {1000 * AIM_SHARE_ZERO_S:.0f} ms)"
    )
    typer.echo(f"controller at rest: {100 * at_rest:.1f} % of a core over {REST_S:.0f} s")
    typer.echo(f"controller memory: {memory_mb:.0f} MB (proportional set size), aim {AIM_CONTROLLER_MB:.0f} MB")


def _pauses(home: Home, platform: Platform, rounds: int) -> list[float]:
    """Return how long each of the pauses took to reach the last gateway."""
    client = Client(str(platform.api_url), str(home.token()))
    database = Database(database_url(platform))
    truth = PostgresTruth(database)
    rollout = client.post("/rollouts", proposal(POLICIES / "candidates" / "turbo.yaml", reason="benchmark"))["id"]
    waits_s = []
    try:
        for _ in range(rounds):
            _until(lambda: client.get(f"/rollouts/{rollout}")["state"] == "observing", 600.0)  # the gate comes first
            client.post(f"/rollouts/{rollout}/pause", {"reason": "benchmark"})
            epoch = next(row.split.epoch for row in truth.world().lanes if row.lane.name == LANE)
            waits_s.append(_until(lambda epoch=epoch: truth.settled_s(LANE, epoch), 10.0))
            client.post(f"/rollouts/{rollout}/resume", {"reason": "benchmark"})
        client.post(f"/rollouts/{rollout}/abort", {"reason": "benchmark"})
    finally:
        database.close()
    return waits_s


def _until(found: Any, timeout_s: float) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while not (value := found()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s:.0f} s")
        time.sleep(0.05)
    return value


def _processor_share(platform: Platform) -> float:
    return psutil.Process(platform.processes["controller"].pid).cpu_percent(REST_S) / 100


def _memory_mb(platform: Platform) -> float:
    return float(psutil.Process(platform.processes["controller"].pid).memory_full_info().pss) / 1e6


if __name__ == "__main__":
    typer.run(main)
