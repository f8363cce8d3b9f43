"""`gatectl load`: traffic."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.output import OUTPUT, Output, emit, note
from controller.cli.words import columns
from controller.errors import UnavailableError, UserError
from controller.platform.home import Home

if TYPE_CHECKING:
    from controller.cli.traffic import Traffic

SHOW_EVERY_S = 1.0
NOTE_EVERY_S = 5.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def load(
    rate: float = typer.Option(1.5, min=0.01, max=1000.0, help="Requests a second, on average (Poisson arrivals)."),
    duration: float | None = typer.Option(None, min=1.0, help="Stop after so many seconds (default: at Ctrl-C)."),
    count: int | None = typer.Option(None, min=1, help="Stop after so many requests."),
    lane: str = typer.Option("preview", help="The lane to ask."),
    seed: int = typer.Option(1, help="Same seed, same arrivals and prompts."),
    max_in_flight: int = typer.Option(
        64, min=1, max=10_000, help="More awaited answers: further requests are dropped."
    ),
    users: int | None = typer.Option(None, min=1, help="Let each request name one of so many users."),
    record: Path | None = typer.Option(None, help="Write a JSON line per answer to this file."),
    url: str | None = typer.Option(None, help="Another gateway than the local platform's."),
    output: Output = OUTPUT,
) -> None:
    """Send steady traffic and show what users see."""
    import asyncio

    from controller.cli.traffic import Plan, Traffic

    target = url or gateway_here()
    plan = Plan(target.rstrip("/"), lane, rate, duration, count, seed, max_in_flight, users)
    with record.open("w") if record else nullcontext() as file:
        traffic = Traffic(plan, file)
        with showing(traffic, output):
            asyncio.run(_run(traffic))
    emit(output, traffic.summary(), lambda: table_text(traffic.summary()))


async def _run(traffic: "Traffic") -> None:
    import asyncio
    import signal

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    await traffic.run(stopping.is_set)


def gateway_here() -> str:
    """Return the local platform's gateway; UnavailableError when there is none, UserError when it is elsewhere."""
    platform = Home.current().read()
    if platform is None or platform.gateway_url is None:
        raise UnavailableError("no platform runs here; `gatectl up` starts one, --url names a gateway elsewhere")
    host = platform.gateway_url.split("://", 1)[-1].rsplit(":", 1)[0].strip("[]")
    if host not in LOOPBACK:
        raise UserError(f"the gateway {platform.gateway_url} is not on this machine; say --url to load it on purpose")
    return platform.gateway_url


@contextmanager
def showing(traffic: "Traffic", output: Output) -> Iterator[None]:
    """Show the counters while the run goes on: a live table on a terminal, a line now and then elsewhere."""
    import threading

    done = threading.Event()
    live = output is Output.TEXT and sys.stdout.isatty()
    thread = threading.Thread(target=_live if live else _lines, args=(traffic, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _live(traffic: "Traffic", done: Any) -> None:
    from rich.live import Live

    with Live(auto_refresh=False, transient=True) as live:
        while not done.wait(SHOW_EVERY_S):
            live.update(table_text(traffic.summary()), refresh=True)


def _lines(traffic: "Traffic", done: Any) -> None:
    while not done.wait(NOTE_EVERY_S):
        note(line(traffic.summary()))


def line(summary: dict[str, Any]) -> str:
    """Return the counters in one line."""
    arms = "; ".join(
        f"{name} {arm['answers']} answers, p50 {_seconds(arm['p50_s'])}, p95 {_seconds(arm['p95_s'])}"
        for name, arm in summary["arms"].items()
    )
    counted = f"{summary['answered']} answers, {summary['failures']} failures"
    return f"{time.strftime('%H:%M:%S')} {counted}: {arms or 'none yet'}"


def table_text(summary: dict[str, Any]) -> str:
    """Return the counters as a table with a line of totals."""
    rows = (
        (name, str(arm["answers"]), str(arm["failures"]), *(_seconds(arm[key]) for key in ("p50_s", "p95_s", "p99_s")))
        for name, arm in summary["arms"].items()
    )
    dropped = f", {summary['dropped']} dropped (too many in flight)" if summary["dropped"] else ""
    return (
        columns(rows, ("ARM", "ANSWERS", "FAILURES", "P50", "P95", "P99"))
        + f"\n{summary['answered']} of {summary['sent']} answered in {summary['elapsed_s']:.0f} s, "
        + f"{summary['failures']} failures{dropped}"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"
