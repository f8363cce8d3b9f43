"""Tallies of one gateway replica: cumulative counts by lane, epoch, window, arm and request class.

Counted on the event loop, flushed by the link's thread: a lock guards both, held for microseconds. A row
stays here until all its requests are resolved and its last state is flushed; a database that is away only
delays it.

Where a split is sticky, a user has one vote in a rollout, whichever gateway it comes to: the first request that a
gateway sees of a user is a *claim*, counted nowhere until the database has said whose the vote is (`claims`,
`settle`). Who has voted only has the answers counted, for the sentence that says what users saw. Claims hold the
watermark back, so no window is read before they are settled.
"""

import logging
import math
import threading
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from controller.core.policy import METRICS
from controller.stats.bins import Axis, cell_of
from controller.stats.tally import ANSWERED, FAILED, REPEAT, UNDER_WAY, WINDOW_S, Arm, ClassTally, WindowTally
from serving.outcome import Outcome

MAX_CLASSES: Final = 16
MAX_ROWS: Final = 20_000
MAX_CLAIMS: Final = 100_000
"""Claims that wait for the database; who comes beyond may vote another time."""
CLAIMS_AT_ONCE: Final = 5_000
"""Claims that are settled with one flush, so that a backlog after an outage never meets the statement timeout."""
MAX_VOTERS: Final = 500_000
"""Voters of a rollout that a gateway remembers, about 50 MB; beyond, it asks the database again."""
OTHER_CLASS: Final = "other"
INVALID: Final = "invalid"
_AXES: Final = {name: metric.axis for name, metric in METRICS.items()} | {INVALID: Axis.BINARY}
_ABSURD: Final = {"latency_s": 86_400.0, "service_s": 86_400.0, "queue_s": 86_400.0} | {
    "cost_usd": 10_000.0,
    "memory_gib": 100_000.0,
}

log = logging.getLogger(__name__)


class WallClock:
    """Unix seconds that never jump: the wall clock at the start plus monotonic time since."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self._offset_s + time.monotonic()


@dataclass(frozen=True, slots=True)
class RowKey:
    """What a row of the table is about."""

    lane: str
    epoch: int
    window: int


@dataclass(frozen=True, slots=True)
class Vote:
    """What a user has one of in a rollout: a request; `voter` is a keyed hash of the user (`core.assign.voter`)."""

    rollout: str
    voter: int
    request: str


@dataclass(slots=True)
class _Counts:
    assigned: int = 0
    cells: dict[str, dict[int, int]] = field(default_factory=dict)
    missing: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, metric: str, cell: int, n: int = 1) -> None:
        cells = self.cells.setdefault(metric, {})
        cells[cell] = cells.get(cell, 0) + n

    def add_missing(self, metric: str, reason: str, n: int = 1) -> None:
        reasons = self.missing.setdefault(metric, {})
        reasons[reason] = reasons.get(reason, 0) + n

    def add_all(self, other: "_Counts") -> None:
        self.assigned += other.assigned
        for metric, cells in other.cells.items():
            for cell, n in cells.items():
                self.add(metric, cell, n)
        for metric, reasons in other.missing.items():
            for reason, n in reasons.items():
                self.add_missing(metric, reason, n)

    def frozen(self) -> ClassTally:
        return ClassTally(
            self.assigned,
            {metric: dict(cells) for metric, cells in self.cells.items()},
            {metric: dict(reasons) for metric, reasons in self.missing.items()},
        )


@dataclass(slots=True)
class _Row:
    arms: dict[Arm, dict[str, _Counts]] = field(default_factory=dict)
    version: int = 0  # grows with every change
    flushed: int = 0  # the version that is in the database
    unresolved: int = 0  # what will still change this row: requests under way, scores to come, claims

    def counts(self, arm: Arm, request_class: str) -> _Counts:
        return self.arms.setdefault(arm, {}).setdefault(request_class, _Counts())

    def frozen(self) -> WindowTally:
        return WindowTally(
            {arm: {name: counts.frozen() for name, counts in of.items()} for arm, of in self.arms.items()}
        )


class Ticket:
    """One assigned request: resolved once, scored at most once after that."""

    def __init__(
        self,
        lock: threading.Lock,
        row: _Row,
        counts: _Counts,
        *,
        leads_nowhere: bool = False,
        is_repeat: bool = False,
    ) -> None:
        self._lock, self._row, self._counts = lock, row, counts
        self._is_repeat = is_repeat
        self.leads_nowhere = leads_nowhere or is_repeat
        """Nobody reads a score of it."""
        self._end: int | None = None  # the cell of REPEAT in which it ended

    def resolve(self, outcome: Outcome, *, score_follows: bool = False) -> None:
        """Count the outcome; a value that its metric can't hold is rejected, and that is counted too."""
        with self._lock:
            self._end = FAILED if outcome.values.get("failure") else ANSWERED
            if self._is_repeat:
                self._counts.add(REPEAT, UNDER_WAY, -1)
                self._counts.add(REPEAT, self._end)
            else:
                self._count_all(outcome)
            self._row.version += 1
            self._row.unresolved -= not score_follows

    def score(self, metric: str, score: float | None, reason: str = "") -> None:
        """Count a quality score that was promised to `resolve`, or the reason why there is none."""
        with self._lock:
            if self._is_repeat:
                pass
            elif score is None:
                self._counts.add_missing(metric, reason)
            else:
                self._count(metric, score)
            self._row.version += 1
            self._row.unresolved -= 1

    def settle(self, counts: _Counts, *, granted: bool) -> None:
        """Count a claim, where the vote was granted with all that became of it so far; the lock is held."""
        if granted:
            counts.add_all(self._counts)
        else:
            counts.add(REPEAT, UNDER_WAY if self._end is None else self._end)
            self._is_repeat = self.leads_nowhere = True
        self._counts = counts
        self._row.version += 1
        self._row.unresolved -= 1

    def _count_all(self, outcome: Outcome) -> None:
        invalid = False
        for metric, value in outcome.values.items():
            invalid |= not self._count(metric, value)
        for metric, reason in outcome.missing.items():
            self._counts.add_missing(metric, reason)
        self._count(INVALID, float(invalid))

    def _count(self, metric: str, value: float) -> bool:
        try:
            if value > _ABSURD.get(metric, math.inf):
                raise ValueError(f"{value!r} is absurd")  # noqa: TRY301 - one path for all that is rejected
            cell = cell_of(_AXES[metric], value)
        except ValueError as error:
            log.warning("rejected a value of %s: %s", metric, error)
            self._counts.add_missing(metric, INVALID)
            return False
        self._counts.add(metric, cell)
        return True


@dataclass(frozen=True, slots=True)
class _Claim:
    """A request that is its user's vote if the database says so."""

    vote: Vote
    arm: Arm
    request_class: str
    row: _Row
    ticket: Ticket
    at_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows to flush with the versions they had, and the wall clock up to which they are complete."""

    rows: Mapping[RowKey, WindowTally]
    versions: Mapping[RowKey, int]
    watermark_s: float

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as plain JSON values, named like the table's columns."""
        return [
            {"lane": key.lane, "epoch": key.epoch, "window_no": key.window, "tally": tally.to_json()}
            for key, tally in self.rows.items()
        ]


class Recorder:
    """See the module's docstring."""

    def __init__(self, clock: WallClock | None = None) -> None:
        self._now_s = clock or WallClock()
        self._lock = threading.Lock()
        self._rows: dict[RowKey, _Row] = {}
        self._classes: dict[str, set[str]] = {}
        self._claims: dict[Vote, _Claim] = {}  # in order of time
        self._voters: dict[str, tuple[str, set[int]]] = {}  # lane -> rollout, who voted or claims to

    def assign(self, lane: str, epoch: int, arm: Arm, request_class: str) -> Ticket:
        """Count a request as assigned, in the window of now."""
        with self._lock:
            row = self._row(lane, epoch)
            counts = row.counts(arm, self._class(lane, request_class))
            counts.assigned += 1
        return Ticket(self._lock, row, counts)

    def assign_user(self, lane: str, epoch: int, arm: Arm, request_class: str, vote: Vote) -> Ticket:
        """Count a user's request: as the vote if it is the first and the database agrees, else apart."""
        with self._lock:
            row, name = self._row(lane, epoch), self._class(lane, request_class)
            if self._votes_now(lane, vote):
                ticket = Ticket(self._lock, row, _Counts(assigned=1))
                row.unresolved += 1
                self._claims[vote] = _Claim(vote, arm, name, row, ticket, self._now_s())
                return ticket
            counts = row.counts(arm, name)
            counts.add(REPEAT, UNDER_WAY)
        return Ticket(self._lock, row, counts, is_repeat=True)

    def aside(self) -> Ticket:
        """Return a ticket that leads nowhere: for requests about which no coin was tossed."""
        return Ticket(self._lock, _Row(), _Counts(), leads_nowhere=True)

    def claims(self) -> list[Vote]:
        """Return the votes that wait to be granted or denied, the oldest CLAIMS_AT_ONCE of them."""
        with self._lock:
            return list(islice(self._claims, CLAIMS_AT_ONCE))

    def settle(self, votes: Iterable[Vote], granted: AbstractSet[Vote]) -> None:
        """Count claims: those granted as votes, the others as requests of users who voted elsewhere."""
        with self._lock:
            for vote in votes:
                claim = self._claims.pop(vote)
                claim.ticket.settle(claim.row.counts(claim.arm, claim.request_class), granted=vote in granted)

    def snapshot(self) -> Snapshot:
        """Copy what has changed since it was last flushed."""
        with self._lock:
            changed = {key: row for key, row in self._rows.items() if row.version != row.flushed}
            return Snapshot(
                rows={key: row.frozen() for key, row in changed.items()},
                versions={key: row.version for key, row in changed.items()},
                watermark_s=min([self._now_s(), *(claim.at_s for claim in islice(self._claims.values(), 1))]),
            )

    def flushed(self, snapshot: Snapshot) -> None:
        """Take note that a snapshot is in the database, and let go of rows that can't change any more."""
        current = int(self._now_s() // WINDOW_S)
        with self._lock:
            for key, version in snapshot.versions.items():
                if key in self._rows:
                    self._rows[key].flushed = version
            settled = [
                key
                for key, row in self._rows.items()
                if row.unresolved == 0 and row.flushed == row.version and key.window < current
            ]
            self._forget(settled)

    def trim(self) -> None:
        """Forget the oldest rows when the database has been away for so long that there are too many."""
        with self._lock:
            excess = len(self._rows) - MAX_ROWS
            if excess > 0:
                log.error("the database has been away for too long: %d windows of evidence are lost", excess)
                self._forget(list(self._rows)[:excess])

    def _forget(self, keys: Iterable[RowKey]) -> None:
        for key in keys:
            del self._rows[key]  # a ticket still out counts into the detached row, which nobody reads

    def _row(self, lane: str, epoch: int) -> _Row:
        """Return the row of now with one more request."""
        row = self._rows.setdefault(RowKey(lane, epoch, int(self._now_s() // WINDOW_S)), _Row())
        row.version += 1
        row.unresolved += 1
        return row

    def _votes_now(self, lane: str, vote: Vote) -> bool:
        """Say whether a request may be its user's vote, and remember the user."""
        rollout, voters = self._voters.get(lane, (None, set()))
        if rollout != vote.rollout or len(voters) >= MAX_VOTERS:
            voters = set()
            self._voters[lane] = vote.rollout, voters
        if vote.voter in voters or len(self._claims) >= MAX_CLAIMS:
            return False
        voters.add(vote.voter)
        return True

    def _class(self, lane: str, request_class: str) -> str:
        known = self._classes.setdefault(lane, set())
        if request_class not in known and len(known) >= MAX_CLASSES - 1:
            return OTHER_CLASS
        known.add(request_class)
        return request_class


def request_class(images: int, width_px: int, height_px: int, *, text: bool) -> str:
    """Return the class of a request: what makes it slow or hard whatever the model."""
    return f"{images}x{width_px}x{height_px}-{'text' if text else 'plain'}"
