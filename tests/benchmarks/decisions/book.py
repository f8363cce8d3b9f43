"""Results by cell and chunk of runs, kept as they come, so that a measurement that was cut short goes on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.decisions.outcome import Call

CHUNK_RUNS = 10


class Cell(Protocol):
    """Something that ends in the same way whenever it is run with the same seed and number."""

    @property
    def key(self) -> str:
        """Name the cell."""
        ...

    def decide(self, seed: int, run: int) -> Sequence[Call]:
        """Return how a run ends under each of the cell's rules."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A cell's runs first..first + n - 1."""

    cell: Cell
    first: int
    n: int


class Book:
    """A file of JSON lines, one a chunk; None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._calls: dict[str, dict[int, list[Call]]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._note(json.loads(line))

    def calls(self, key: str) -> list[list[Call]]:
        """Return what is known of a cell, run by run."""
        return [calls for _, calls in sorted(self._calls.get(key, {}).items())]

    def missing(self, cells: Mapping[str, tuple[Cell, int]]) -> Iterator[Chunk]:
        """Yield what is to be done, the first chunk of every cell before any second one; value: (cell, runs)."""
        for first in range(0, max(runs for _, runs in cells.values()), CHUNK_RUNS):
            for key, (cell, runs) in cells.items():
                known = self._calls.get(key, {})
                todo = [run for run in range(first, min(first + CHUNK_RUNS, runs)) if run not in known]
                if todo:
                    yield Chunk(cell, todo[0], len(todo))

    def fill(self, chunk: Chunk, seed: int) -> None:
        """Run a chunk and keep its results."""
        runs = range(chunk.first, chunk.first + chunk.n)
        calls = [[(c.outcome, c.images, c.after_s) for c in chunk.cell.decide(seed, run)] for run in runs]
        found = {"cell": chunk.cell.key, "seed": seed, "first": chunk.first, "calls": calls}
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found, separators=(",", ":")) + "\n")
        self._note(found)

    def _note(self, found: dict[str, object]) -> None:
        first, calls = found["first"], found["calls"]
        assert isinstance(first, int)
        assert isinstance(calls, list)
        mine = self._calls.setdefault(str(found["cell"]), {})
        for run, of_run in enumerate(calls, first):
            mine[run] = [Call(*call) for call in of_run]


def work(book: Book, cells: Mapping[str, tuple[Cell, int]], seed: int) -> None:
    """Fill the book, chunk by chunk."""
    for chunk in list(book.missing(cells)):
        book.fill(chunk, seed)
