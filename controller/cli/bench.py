"""`gatectl bench`: a candidate against the incumbent on a suite, without a rollout and without traffic."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.client import Client
from controller.cli.exits import Exit
from controller.cli.output import OUTPUT, Output, emit, note
from controller.cli.propose import policies_folder, suite_body
from controller.cli.words import columns, duration
from controller.errors import UnavailableError, UserError

if TYPE_CHECKING:
    from controller.core.policy import Gate, Policy
    from controller.core.spec import ModelSpec

PERIOD_S = 0.5
MAX_CONCURRENCY = 64
INCUMBENT = "incumbent"
OF_VERDICT = {"pass": Exit.DONE, "fail": Exit.REJECTED}
Json = dict[str, Any]


def bench(
    file: Path = typer.Argument(help="The candidate manifest."),
    against: str = typer.Option(INCUMBENT, help="`incumbent` for what the lane serves, or another manifest."),
    suite: str = typer.Option("", help="Another suite than the policy's gate names: a name or a path."),
    policy: str = typer.Option("", help="Another policy than the manifest's: a name or a path."),
    concurrency: str = typer.Option(
        "", metavar="N,N,...", help="Loads of so many requests at a time, such as 1,2,4, in place of the policy's."
    ),
    rate: float = typer.Option(None, min=0.001, help="A load of so many requests a second, arriving by chance."),
    repeats: int = typer.Option(None, min=1, max=400, help="Draw every prompt exactly so often."),
    reason: str = typer.Option("", "--reason", "-r", help="Why; it goes into the audit log."),
    output: Output = OUTPUT,
) -> None:
    """Draw a suite with a candidate and with the incumbent side by side, and judge the candidate by the policy's gate.

    The same question asked again while it is unfinished goes on where it was. The exit code is the verdict: 0 pass,
    3 fail, 6 inconclusive or no evidence.
    """
    body = _wish(file, against, suite, policy, reason, lambda gate: _changed(gate, concurrency, rate, repeats))
    client = Client.here()
    row = client.post("/benches", body)
    goes_on = f"goes on after {row['shots']} images" if row["shots"] else "is open"
    note(f"{row['id']} {goes_on}; Ctrl-C stops the watching, not the bench")
    try:
        row = _followed(client, row)
    except KeyboardInterrupt:
        row = client.get(f"/benches/{row['id']}")
        note(f"stopped watching; {row['id']} runs on by itself, and the same command follows it again")
        emit(output, row, lambda: bench_line(row))
        raise typer.Exit(Exit.UNDECIDED) from None
    emit(output, row, lambda: bench_page(row))
    raise typer.Exit(OF_VERDICT.get(row["verdict"], Exit.UNDECIDED))


def _wish(file: Path, against: str, suite: str, policy: str, reason: str, change: Callable[["Gate"], "Gate"]) -> Json:
    """Return what `POST /benches` takes; InvalidFileError with every fault of the files."""
    from controller.schema import PRICE_BOOK, load_candidate, load_policy, load_prices
    from controller.schema.suite import load_suite

    policies = policies_folder()
    gpus = load_prices(policies / PRICE_BOOK.name)
    candidate = load_candidate(file, gpus=gpus)
    frozen = load_policy(policy, policies) if policy else load_policy(candidate.policy, policies, file.parent)
    gate = frozen.gate or _gate_of(frozen, suite)
    loaded = load_suite(suite, policies) if suite else load_suite(gate.suite, policies, file.parent)
    other: ModelSpec | None = None
    if against != INCUMBENT:
        other = load_candidate(Path(against), gpus=gpus).spec
    gate = change(replace(gate, suite=loaded.suite.name, suite_digest=loaded.suite.digest))
    return {
        "name": candidate.name,
        "lane": candidate.lane,
        "reason": reason or f"benched from {file.name}",
        "candidate": asdict(candidate.spec),
        "policy": asdict(replace(frozen, gate=gate)),
        "suite": suite_body(loaded),
        "against": asdict(other) if other else None,
    }


def _gate_of(policy: "Policy", suite: str) -> "Gate":
    """Return a gate for a policy that declares none: its own criteria, each prompt drawn at least once."""
    from controller.schema.gate import GateFile, unprovable

    if not suite:
        raise UserError(f"policy {policy.name} declares no `gate`; say which suite to draw with --suite")
    faults = list(unprovable(policy.criteria))
    if faults:
        raise UserError(f"policy {policy.name}: " + "; ".join(faults))
    return GateFile(suite="given", min_repeats=1).core(policy.criteria)


def _changed(gate: "Gate", concurrency: str, rate: float | None, repeats: int | None) -> "Gate":
    if concurrency:
        gate = replace(gate, concurrency=_levels(concurrency))
    if rate is not None:
        gate = replace(gate, rate_per_s=rate)
    return gate if repeats is None else replace(gate, min_repeats=repeats, max_repeats=repeats)


def _levels(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= MAX_CONCURRENCY for part in parts):
        raise UserError(f"--concurrency: {text!r} is no list of numbers from 1 to {MAX_CONCURRENCY}, such as 1,2,4")
    return tuple(dict.fromkeys(map(int, parts)))


def _followed(client: Client, row: Json) -> Json:
    """Return the bench when it is over; a controller that is gone meanwhile is tried again."""
    with _shown() as show:
        while row["state"] != "finished":
            show(row)
            time.sleep(PERIOD_S)
            try:
                row = client.get(f"/benches/{row['id']}")
            except UnavailableError:
                show({**row, "state": "unreachable"})
    return row


@contextmanager
def _shown() -> Iterator[Callable[[Json], None]]:
    """Give what shows progress: a bar on a terminal, a line per tenth elsewhere, on stderr."""
    import sys

    if not sys.stderr.isatty():
        yield _Lines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    text = TextColumn("{task.description}"), TextColumn("{task.fields[left]}")
    with Progress(text[0], BarColumn(), MofNCompleteColumn(), text[1], console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, left="")

        def show(row: Json) -> None:
            words = f"{row['id']} {row['state']}"
            bar.update(task, description=words, completed=row["shots"], total=row["due"], left=_left(row))

        yield show


class _Lines:
    """Progress as lines: when the state changes, and at every tenth."""

    def __init__(self) -> None:
        self._seen: tuple[str, int] | None = None

    def show(self, row: Json) -> None:
        """Print a line when there is news."""
        now = (row["state"], 10 * row["shots"] // max(1, row["due"]))
        if now != self._seen:
            self._seen = now
            note(f"{row['id']} {row['state']}: {row['shots']} of at least {row['due']} images{_left(row)}")


def _left(row: Json) -> str:
    left = "" if row["eta_s"] is None else f", about {duration(row['eta_s'])} left"
    return left + (", giving way to users" if row["gives_way"] else "")


def bench_line(row: Json) -> str:
    """Return a bench in one line."""
    words = row["verdict"].replace("_", " ") if row["verdict"] else row["state"]
    return f"{row['id']} {row['name']} on {row['lane']}: {words}" + (f": {row['reason']}" if row["reason"] else "")


def bench_page(row: Json) -> str:
    """Return a finished bench as text: the verdict, then every criterion."""
    lines = [bench_line(row)]
    if row["criteria"]:
        cells = (
            (item["title"], item["allowed"], item["verdict"].replace("_", " "), item["reason"])
            for item in row["criteria"]
        )
        lines += ["", columns(cells, ("CRITERION", "ALLOWED", "VERDICT", "WHY"))]
    if row["result"]:
        lines += ["", f"`gatectl report {row['id']}` writes the whole report"]
    return "\n".join(lines)
