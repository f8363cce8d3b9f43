"""Requests counted instead of drawn one by one, where windows hold many.

Requests of one second on one arm and of one class are a *lot*. What becomes of a lot is multinomial over the cells of
each law, so the counts have exactly the law that drawing every request would give them: late requests are failures,
failed and refused ones have no value, as in `world`. Time is told in seconds: a latency stands for the middle of its
cell, and the age at which it is known, which processes read in whole seconds, is drawn from where in its second a
request arrived.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from controller.core.batch import Span
from controller.stats.bins import LOG_HIGHEST, LOG_LOWEST, Axis
from controller.stats.columns import NO_VALUE, Bools, Columns, Floats, Ints, values_of
from controller.stats.tally import WINDOW_S

Rng = np.random.Generator
_COLUMNS = ("window", "begin_s", "candidate", "kind", "n", "answered")


@dataclass(frozen=True, slots=True)
class Counts:
    """One metric's outcomes: `n` requests of a lot at a cell, known `known_s` after the window's end."""

    lot: Ints
    cell: Ints
    n: Ints
    known_s: Ints

    def of(self, kept: Bools) -> "Counts":
        """Return the rows that are kept."""
        return Counts(self.lot[kept], self.cell[kept], self.n[kept], self.known_s[kept])


@dataclass(frozen=True, slots=True)
class Lots:
    """Lots in order of time, each with its window, when it begins, arm, class, requests, and images that went out."""

    names: tuple[str, ...]
    window: Ints
    begin_s: Floats
    candidate: Bools
    kind: Ints
    n: Ints
    answered: Ints
    counts: Mapping[str, Counts]

    @property
    def requests(self) -> int:
        """Return how many requests there are."""
        return int(self.n.sum())

    @property
    def candidates(self) -> int:
        """Return how many of them were assigned to the candidate."""
        return int(self.n[self.candidate].sum())

    @property
    def shown(self) -> int:
        """Return how many images of the candidate went out."""
        return int(self.answered[self.candidate].sum())

    def in_window(self, window: int) -> int:
        """Return how many requests a window has."""
        return int(self.n[self.window == window].sum())

    def before(self, moment_s: float) -> "Lots":
        """Return the lots that begin before a moment; all but those of a second under way are whole."""
        kept = self.begin_s < moment_s
        place = np.cumsum(kept) - 1
        counts = {metric: item.of(kept[item.lot]) for metric, item in self.counts.items()}
        return Lots(
            self.names,
            self.window[kept],
            self.begin_s[kept],
            self.candidate[kept],
            self.kind[kept],
            self.n[kept],
            self.answered[kept],
            {metric: replace(item, lot=place[item.lot]) for metric, item in counts.items()},
        )

    def after(self, earlier: "Lots") -> "Lots":
        """Return these lots behind earlier ones."""
        counts = {}
        for metric, item in self.counts.items():
            moved = replace(item, lot=item.lot + len(earlier.n))
            counts[metric] = Counts(*_joined(earlier.counts[metric], moved, Counts.__slots__))
        window, begin_s, candidate, kind, n, answered = _joined(earlier, self, _COLUMNS)
        return Lots(self.names, window, begin_s, candidate, kind, n, answered, counts)

    def span(self, epoch: int, stage: int, share: float) -> Span:
        """Return the lots as windows of one epoch, alike outcomes of a window together."""
        used = self.n > 0
        windows, index = np.unique(self.window[used], return_inverse=True)
        of_lot = np.zeros(len(self.n), dtype=np.int64)
        of_lot[used] = index
        columns = {metric: self._columns(item, windows, of_lot) for metric, item in self.counts.items()}
        on_candidate = np.bincount(of_lot[used], weights=(self.n * self.candidate)[used], minlength=len(windows))
        requests = np.bincount(of_lot[used], weights=self.n[used], minlength=len(windows)).astype(np.int64)
        candidates = on_candidate.astype(np.int64)
        return Span(epoch, stage, share, columns, windows, requests - candidates, candidates)

    def _columns(self, item: Counts, windows: Ints, of_lot: Ints) -> Columns:
        lowest = int(np.min(item.cell, initial=NO_VALUE))
        cell = np.where(item.cell == NO_VALUE, 0, item.cell - lowest + 1)
        width, ages = int(np.max(cell, initial=0)) + 1, int(np.max(item.known_s, initial=1)) + 1
        key = of_lot[item.lot]
        for value, size in (
            (self.candidate[item.lot], 2),
            (self.kind[item.lot], len(self.names)),
            (item.known_s, ages),
            (cell, width),
        ):
            key = key * size + value
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        lot = item.lot[first]
        return Columns(
            windows=windows,
            starts=np.searchsorted(of_lot[lot], np.arange(len(windows) + 1)),
            names=self.names,
            candidate=self.candidate[lot],
            kind=self.kind[lot],
            cell=item.cell[first],
            n=np.bincount(inverse, weights=item.n, minlength=len(first)).astype(np.int64),
            known_s=item.known_s[first].astype(np.float64),
        )


@dataclass(frozen=True, slots=True)
class Odds:
    """What becomes of one request: the masses of each metric's cells, LOG_HIGHEST for latencies beyond the timeout.

    `rates`: of failures, refusals and invalid values; `absent`: probability that a score never comes.
    """

    masses: Mapping[str, Floats]
    rates: Mapping[str, float]
    absent: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Slices:
    """Seconds or parts of one, in order: window, begin, length."""

    window: Ints
    begin_s: Floats
    length_s: Floats


def slices(from_s: float, n_windows: int) -> Slices:
    """Cut the time from a moment to the end of the n-th window that ends after it at every whole second."""
    first = int(from_s // WINDOW_S)
    edges = np.arange(np.floor(from_s), (first + n_windows) * WINDOW_S + 1.0)
    edges[0] = from_s
    return Slices((edges[:-1] // WINDOW_S).astype(np.int64), edges[:-1], np.diff(edges))


Part = tuple[bool, int, Ints, Odds]
"""Candidate or not, class, requests in each slice, and what becomes of them."""


def draw(rng: Rng, at: Slices, names: tuple[str, ...], parts: Sequence[Part]) -> Lots:
    """Draw lots, part after part, and return them in order of time."""
    drawn = reduce(lambda earlier, later: later.after(earlier), (_lots(rng, at, names, part) for part in parts))
    order = np.argsort(drawn.begin_s, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = {metric: replace(item, lot=place[item.lot]) for metric, item in drawn.counts.items()}
    window, begin_s, candidate, kind, n, answered = (getattr(drawn, name)[order] for name in _COLUMNS)
    return Lots(names, window, begin_s, candidate, kind, n, answered, counts)


def _lots(rng: Rng, at: Slices, names: tuple[str, ...], part: Part) -> Lots:
    candidate, kind, n, odds = part
    answered, counts = _draw(rng, at, n, odds)
    size = len(n)
    return Lots(names, at.window, at.begin_s, np.full(size, candidate), np.full(size, kind), n, answered, counts)


def _draw(rng: Rng, at: Slices, n: Ints, odds: Odds) -> tuple[Ints, dict[str, Counts]]:
    """Return the images that went out in each slice, and every metric's counts by slice."""
    latency = rng.multinomial(n, odds.masses["latency_s"])
    late = latency[:, -1]
    failed = late + rng.binomial(n - late, odds.rates["failure"])
    refused = rng.binomial(n - failed, odds.rates["refusal"])
    answered = n - failed - refused
    counts = {"latency_s": _latencies(rng, at, latency, odds.timeout_s)}
    for metric, masses in odds.masses.items():
        if metric == "text_accuracy":
            valued = answered - rng.binomial(answered, odds.absent)
            counts[metric] = _values(rng.multinomial(valued, masses), n - valued, 0)
        elif metric != "latency_s":
            counts[metric] = _values(rng.multinomial(answered, masses), n - answered, LOG_LOWEST)
    invalid = rng.binomial(n, odds.rates["invalid"])
    for metric, happened in (("failure", failed), ("refusal", refused), ("invalid", invalid)):
        counts[metric] = _values(np.stack((n - happened, happened), axis=1), np.zeros_like(n), 0)
    return answered, counts


def _joined(first: object, second: object, fields: Iterable[str]) -> Iterator[Any]:
    return (np.concatenate((getattr(first, name), getattr(second, name))) for name in fields)


def _values(drawn: Ints, without: Ints, lowest: int) -> Counts:
    """Return counts of (slice, cell) as rows, with those that have no value."""
    lot, cell = np.nonzero(drawn)
    silent = np.flatnonzero(without)
    rows = len(lot) + len(silent)
    return Counts(
        np.concatenate((lot, silent)),
        np.concatenate((cell + lowest, np.full(len(silent), NO_VALUE))),
        np.concatenate((drawn[lot, cell], without[silent])),
        np.ones(rows, dtype=np.int64),
    )


def _latencies(rng: Rng, at: Slices, drawn: Ints, timeout_s: float) -> Counts:
    """Return latencies as rows, split by the whole second after the window's end at which they are known."""
    lot, cell = np.nonzero(drawn)
    n = drawn[lot, cell]
    window_end_s = (at.window[lot] + 1.0) * WINDOW_S
    latency_s = np.minimum(values_of(Axis.LOG, cell + LOG_LOWEST), timeout_s)
    earliest_s = at.begin_s[lot] + latency_s - window_end_s
    known_s = np.ceil(earliest_s).astype(np.int64)
    # A request that arrived late in its second may be known only in the next one.
    soon = rng.binomial(n, np.clip((known_s - earliest_s) / at.length_s[lot], 0.0, 1.0))
    later = n - soon
    kept, moved = soon > 0, later > 0
    return Counts(
        np.concatenate((lot[kept], lot[moved])),
        np.concatenate((cell[kept], cell[moved])) + LOG_LOWEST,
        np.concatenate((soon[kept], later[moved])),
        np.maximum(np.concatenate((known_s[kept], known_s[moved] + 1)), 1),
    )


def late_masses(masses: Floats, timeout_s: float) -> Floats:
    """Return the masses of a latency's cells where what lies beyond the timeout is at LOG_HIGHEST."""
    middles = values_of(Axis.LOG, np.arange(LOG_LOWEST, LOG_HIGHEST + 1))
    late = middles > timeout_s
    found = np.where(late, 0.0, masses)
    found[-1] = masses[late].sum()
    return np.asarray(found)
