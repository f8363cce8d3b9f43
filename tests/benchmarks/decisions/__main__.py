"""Measure what is missing, a chunk of runs at a time, and write `docs/decisions`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.decisions import efficiency, head, tables
from tests.benchmarks.decisions.book import Book, Cell, work

SEED = 1
BOOK = Path(__file__).parents[3] / "build" / "decisions.jsonl"
QUICK_RUNS = 8


def plan(floor_runs: int, same_runs: int, fault_runs: int) -> dict[str, tuple[Cell, int]]:
    """Return every cell and how many runs it gets; the slowest of the efficiency get a fifth."""
    cells: dict[str, tuple[Cell, int]] = {}
    for cell in efficiency.cells():
        slow = cell.floor / cell.share > 100_000
        cells[cell.key] = (cell, -(-floor_runs // 5) if slow else floor_runs)
    for setting in head.settings():
        runs = same_runs if setting.fault == "same" else fault_runs
        for made in (head.OursCell(setting), head.OthersCell(setting)):
            cells[made.key] = (made, runs)
    for fault in tables.FAULT_TEXT:
        cell = head.each_request(fault)
        cells[cell.key] = (cell, fault_runs)
    return cells


def quick() -> dict[str, tuple[Cell, int]]:
    """Return the few cells that show the point."""
    every = plan(QUICK_RUNS, QUICK_RUNS, QUICK_RUNS)
    floors = ("law 1.1x/0.1", "cost 1.25x/0.1", "text .95 to .90/0.1")
    worlds = ("same/600/steady", "same/600/ramp", "3.5x/600/steady")
    return {key: value for key, value in every.items() if key.split("/", 1)[1] in (*floors, *worlds)}


def main(
    floor_runs: Annotated[int, typer.Option(help="Runs of each test against the floor.")] = 400,
    same_runs: Annotated[int, typer.Option(help="Runs of each world with an identical candidate.")] = 200,
    fault_runs: Annotated[int, typer.Option(help="Runs of each world with a fault.")] = 100,
    only: Annotated[str, typer.Option(help="Only cells whose name contains this.")] = "",
    book: Annotated[Path, typer.Option(help="Where results are kept; what is there is not measured again.")] = BOOK,
    *,
    is_quick: Annotated[bool, typer.Option("--quick", help="A few runs of a few cells, printed.")] = False,
) -> None:
    """Measure what is missing and write the tables and plots."""
    if is_quick:
        results = Book(None)
        work(results, quick(), SEED)
        typer.echo("\n".join(tables.floor_rows(results)))
        typer.echo(f"\n{tables.same_table(results)}\n\n{tables.fault_table(results, 600)}")
        return
    book.parent.mkdir(parents=True, exist_ok=True)
    results = Book(book)
    work(results, _chosen(plan(floor_runs, same_runs, fault_runs), only), SEED)
    tables.write(results)


def _chosen(cells: Mapping[str, tuple[Cell, int]], only: str) -> dict[str, tuple[Cell, int]]:
    chosen = {key: value for key, value in cells.items() if only in key}
    if not chosen:
        raise typer.BadParameter(f"no cell's name contains {only!r}; names look like {', '.join(list(cells)[:3])}")
    return chosen


if __name__ == "__main__":
    typer.run(main)
