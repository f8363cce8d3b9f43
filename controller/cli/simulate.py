"""`gatectl simulate`: many synthetic rollouts through the real decision engine."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import columns, duration, percent


def simulate(
    file: Path = typer.Argument(help="The scenario."),
    runs: int = typer.Option(100, min=1, max=1_000_000, help="How many rollouts."),
    seed: int = typer.Option(1, min=0, help="With the run's number it determines the run."),
    jobs: int = typer.Option(0, min=0, max=256, help="Processes; 0: one for each processor."),
    output: Output = OUTPUT,
) -> None:
    """Run synthetic rollouts through the very engine that decides real ones.

    Says how often the candidate was promoted and reverted, after how many of its images, and what users saw of it.
    """
    from controller.schema.scenario import load_scenario
    from controller.sim.report import default_jobs
    from controller.sim.report import simulate as run

    scenario = load_scenario(file)
    with _bar(f"{scenario.name}", runs) as advance:
        found = run(scenario, runs, seed, jobs or default_jobs(), lambda _: advance())
    emit(output, found, lambda: text(found))


def text(found: dict[str, Any]) -> str:
    """Return the report for people."""
    name = "false_revert_rate" if "false_revert_rate" in found else "detection_rate"
    rate = found[name]
    rows = [
        (title, *(_number(found[key][part], is_time=key == "duration_s") for part in ("mean", "p50", "p95", "p99")))
        for title, key in (
            ("candidate images to the decision", "candidate_images"),
            ("time to the decision", "duration_s"),
            ("images that users saw", "users_exposed"),
        )
    ]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in found["outcomes"].items() if count)
    what = "reverted, though within every allowed change" if name == "false_revert_rate" else "found and reverted"
    return "\n".join(
        [
            f"{found['scenario']} under {found['policy']}: {found['runs']} runs, seed {found['seed']}: {outcomes}",
            f"{percent(rate['rate'])} {what} (95 % interval {percent(rate['low'])} to {percent(rate['high'])})",
            columns(rows, ("", "MEAN", "P50", "P95", "P99")),
            *(f"first {item['outcome']}: {item['reason']}" for item in found["reasons"]),
            f"{found['requests']:,} requests in {found['wall_s']:.1f} s, {found['requests_per_s']:,.0f} a second",
        ]
    )


def _number(value: float | None, *, is_time: bool) -> str:
    if value is None:
        return "-"
    return duration(value) if is_time else f"{value:,.1f}"


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show progress on stderr, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)
