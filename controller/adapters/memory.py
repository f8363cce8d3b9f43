"""The truth in memory, with the errors of the real one: for simulations and tests of what stands on it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from controller.core.audit import AuditEntry, Break, seal, verify
from controller.core.lane import Lane
from controller.core.rollout import Rollout
from controller.core.spec import ModelSpec
from controller.core.split import Split
from controller.errors import ConflictError, UnavailableError, UserError
from controller.ports import (
    AuditDraft,
    Change,
    Command,
    EvidenceRow,
    Gateway,
    LaneRow,
    TallyRow,
    World,
)
from controller.stats.tally import WindowTally, merge

NEVER_S = float("-inf")
SILENT_S = 10.0


@dataclass
class _Lane:
    lane: Lane
    split: Split
    written_at_s: float
    lease_until_s: float = NEVER_S


@dataclass
class _Gateway:
    watermark_s: float
    epochs: Mapping[str, int]
    in_flight: Mapping[str, int]
    born_at_s: float
    seen_at_s: float


@dataclass
class _Leader:
    holder: str = ""
    token: int = 0
    until_s: float = NEVER_S


@dataclass
class MemoryStore:
    """Implements `Store` and `Catalog`, and the gateways' side of the database.

    `clock_s` is the database's clock. While `available` is False every method raises UnavailableError.
    """

    clock_s: Callable[[], float]
    available: bool = True
    leader: _Leader = field(default_factory=_Leader)
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _rollouts: dict[str, Rollout] = field(default_factory=dict)
    _commands: dict[int, Command] = field(default_factory=dict)
    _outcomes: dict[int, str] = field(default_factory=dict)
    _gateways: dict[str, _Gateway] = field(default_factory=dict)
    _acks: dict[tuple[str, int, str], float] = field(default_factory=dict)
    _history: dict[tuple[str, int], float] = field(default_factory=dict)
    _tallies: dict[tuple[str, int, int, str], WindowTally] = field(default_factory=dict)
    _evidence: dict[str, list[EvidenceRow]] = field(default_factory=dict)
    _audit: list[AuditEntry] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Exclude every other thread, or raise UnavailableError."""
        if not self.available:
            raise UnavailableError("the database does not answer")
        with self._lock:
            yield

    def world(self) -> World:
        """Read lanes, open rollouts, gateways and waiting commands in one snapshot."""
        with self.transaction():
            now_s = self.clock_s()
            waiting = (command for key, command in self._commands.items() if key not in self._outcomes)
            return World(
                now_s=now_s,
                lanes=tuple(
                    LaneRow(row.lane, row.split, now_s - row.written_at_s, self._open(name))
                    for name, row in sorted(self._lanes.items())
                ),
                gateways=tuple(
                    Gateway(replica, row.watermark_s, now_s - row.seen_at_s, row.epochs, row.in_flight)
                    for replica, row in sorted(self._gateways.items())
                ),
                commands=tuple(waiting),
            )

    def tallies(self, lane: str, epochs: tuple[int, int], from_window: int) -> Sequence[TallyRow]:
        """Read the tallies of the epochs first..last from a window on, ordered by epoch, window and replica."""
        with self.transaction():
            return [
                TallyRow(*key[1:], tally=tally)
                for key, tally in sorted(self._tallies.items(), key=lambda item: item[0])
                if key[0] == lane and epochs[0] <= key[1] <= epochs[1] and key[2] >= from_window
            ]

    def evidence(self, rollout: str, after_seq: int = 0) -> Sequence[EvidenceRow]:
        """Read a rollout's evidence in order."""
        with self.transaction():
            return [row for row in self._evidence.get(rollout, []) if row.seq > after_seq]

    def totals(self, lane: str, epochs: Sequence[int]) -> WindowTally:
        """Merge everything tallied in the epochs so far, decided or not."""
        with self.transaction():
            return merge(
                tally for (name, epoch, *_), tally in self._tallies.items() if name == lane and epoch in epochs
            )

    def settled_s(self, lane: str, epoch: int) -> float | None:
        """Return seconds from writing a split to the last live gateway's acknowledgement, None while one is missing."""
        with self.transaction():
            written_at_s = self._history.get((lane, epoch))
            if written_at_s is None:
                return None
            waits: list[float | None] = []
            for replica, row in self._gateways.items():
                acks = [at_s for key, at_s in self._acks.items() if key[::2] == (lane, replica) and key[1] >= epoch]
                alive = self.clock_s() - row.seen_at_s < SILENT_S
                if row.born_at_s <= written_at_s and (acks or alive):
                    waits.append(min(acks) - written_at_s if acks else None)
            known = [wait for wait in waits if wait is not None]
            return max(known) if known and len(known) == len(waits) else None

    def commit(self, change: Change, fencing_token: int) -> None:
        """Write a change; ConflictError, with nothing written, when the token, version or epoch is stale."""
        with self.transaction():
            self.require_leader(fencing_token)
            self._require_fresh(change)
            if change.rollout is not None:
                self._rollouts[change.rollout.id] = change.rollout
            if change.lane is not None:
                self._lanes[change.lane.name].lane = change.lane
            if change.split is not None:
                row = self._lanes[change.split.lane]
                row.split, row.written_at_s = change.split, self.clock_s()
                self._history[row.split.lane, row.split.epoch] = row.written_at_s
            for evidence in change.evidence:
                self._evidence.setdefault(evidence.rollout, []).append(evidence)
            self._outcomes.update(change.outcomes)
            self.append(change.audit)

    def renew(self, lanes: Mapping[str, float], fencing_token: int) -> None:
        """Extend the lease of each lane's split by the given seconds; ConflictError when the token is stale."""
        with self.transaction():
            self.require_leader(fencing_token)
            for name in lanes.keys() & self._lanes.keys():
                self._lanes[name].lease_until_s = self.clock_s() + lanes[name]

    def propose(self, rollout: Rollout, spec: ModelSpec, audit: AuditDraft) -> Rollout:  # noqa: ARG002  # the port's
        """Store a new rollout under a fresh id; ConflictError naming the holder when the lane is busy."""
        with self.transaction():
            lane = self._lanes.get(rollout.lane)
            if lane is None:
                known = ", ".join(sorted(self._lanes)) or "none"
                raise UserError(f"there is no lane {rollout.lane}; known: {known}")
            if lane.lane.incumbent.digest != rollout.incumbent.digest:
                raise ConflictError(f"the incumbent of {rollout.lane} has changed: propose again")
            if holder := self._open(rollout.lane):
                raise ConflictError(
                    f"lane {rollout.lane} is held by {holder.id} ({holder.state}): wait for it, abort it, or"
                    " supersede it with a reason"
                )
            stored = replace(rollout, id=f"r-{len(self._rollouts) + 1:04d}")
            self._rollouts[stored.id] = stored
            self.append([replace(audit, lane=stored.lane, rollout=stored.id)])
            return stored

    def add_lane(self, lane: Lane, spec: ModelSpec, split: Split, audit: AuditDraft) -> bool:  # noqa: ARG002  # the port's
        """Store a lane unless one of that name is there; say whether it was new."""
        with self.transaction():
            if lane.name in self._lanes:
                return False
            self._lanes[lane.name] = _Lane(lane, split, self.clock_s())
            self._history[lane.name, split.epoch] = self.clock_s()
            self.append([replace(audit, lane=lane.name)])
            return True

    def rollouts(self, rollout: str | None = None, limit: int = 100) -> Sequence[Rollout]:
        """Read rollouts, newest first, or the one named."""
        with self.transaction():
            newest_first = reversed(self._rollouts.values())
            return [value for value in newest_first if rollout in {None, value.id}][:limit]

    def last_evidence(self, rollout: str) -> EvidenceRow | None:
        """Read a rollout's newest evidence."""
        rows = self.evidence(rollout)
        return rows[-1] if rows else None

    def verify_audit(self) -> tuple[int, Break | None]:
        """Return how many audit entries there are and the first break of the chain."""
        with self.transaction():
            return len(self._audit), verify(self._audit)

    def record(self, audit: AuditDraft) -> None:
        """Append an entry to the audit log for something that moves no rollout."""
        with self.transaction():
            self.append([audit])

    def last_entry(self, lane: str, action: str) -> AuditEntry | None:
        """Read the newest audit entry of an action on a lane that belongs to no rollout, None when there is none."""
        with self.transaction():
            mine = (e for e in reversed(self._audit) if (e.lane, e.action, e.rollout) == (lane, action, None))
            return next(mine, None)

    def request(self, command: Command) -> int:
        """Queue a command and return its id; UserError when there is no such rollout."""
        with self.transaction():
            if command.rollout not in self._rollouts:
                raise UserError(f"there is no rollout {command.rollout}; `gatectl list` shows them")
            number = len(self._commands) + 1
            self._commands[number] = replace(command, id=number)
            return number

    def outcome(self, command_id: int) -> str | None:
        """Return what became of a command, None while it waits."""
        with self.transaction():
            if command_id not in self._commands:
                raise UserError(f"there is no command {command_id}")
            return self._outcomes.get(command_id)

    def audit(self, rollout: str | None = None, after_seq: int = 0) -> Iterator[AuditEntry]:
        """Stream the audit log in order."""
        with self.transaction():
            entries = list(self._audit)
        return (entry for entry in entries if entry.seq > after_seq and rollout in {None, entry.rollout})

    def report(
        self, replica: str, watermark_s: float, epochs: Mapping[str, int], in_flight: Mapping[str, int] | None = None
    ) -> None:
        """Record what a gateway replica says about itself."""
        with self.transaction():
            now_s = self.clock_s()
            known = self._gateways.get(replica)
            born_at_s = known.born_at_s if known else now_s
            self._gateways[replica] = _Gateway(watermark_s, dict(epochs), dict(in_flight or {}), born_at_s, now_s)

    def acknowledge(self, lane: str, epoch: int, replica: str) -> None:
        """Record that a gateway replica applied an epoch of a lane."""
        with self.transaction():
            self._acks.setdefault((lane, epoch, replica), self.clock_s())

    def put_tally(self, lane: str, row: TallyRow) -> None:
        """Replace a gateway replica's tally of one window."""
        with self.transaction():
            self._tallies[lane, row.epoch, row.window, row.replica] = row.tally

    def split(self, lane: str) -> tuple[Split, float]:
        """Return a lane's split and the seconds left of its lease, as a gateway reads it."""
        with self.transaction():
            row = self._lanes[lane]
            return row.split, row.lease_until_s - self.clock_s()

    def rollout_is_open(self, rollout: str | None) -> bool:
        """Say whether there is an open rollout of that id."""
        return rollout in self._rollouts and self._rollouts[rollout].open

    def _open(self, lane: str) -> Rollout | None:
        return next((r for r in self._rollouts.values() if r.lane == lane and r.open), None)

    def require_leader(self, token: int) -> None:
        """Raise ConflictError when the token is stale."""
        if token != self.leader.token:
            raise ConflictError(f"the fencing token {token} is stale: {self.leader.holder or 'nobody'} leads")

    def _require_fresh(self, change: Change) -> None:
        if (new := change.rollout) is not None:
            old = self._rollouts.get(new.id)
            if old is None or old.version != new.version - 1:
                raise ConflictError(f"rollout {new.id} is not at version {new.version - 1}: read it again")
        if change.lane is not None and change.lane.name not in self._lanes:
            raise ConflictError(f"there is no lane {change.lane.name}")
        if (split := change.split) is not None:
            row = self._lanes.get(split.lane)
            if row is None or row.split.epoch != split.epoch - 1:
                raise ConflictError(f"the split of {split.lane} is not at epoch {split.epoch - 1}: read it again")
        for evidence in change.evidence:
            known = self._evidence.get(evidence.rollout)
            if known and known[-1].seq >= evidence.seq:
                raise ConflictError(f"evidence {evidence.seq} of {evidence.rollout} is already written: read it again")
        for number in change.outcomes:
            if number not in self._commands or number in self._outcomes:
                raise ConflictError(f"command {number} is not waiting: read the world again")

    def append(self, drafts: Sequence[AuditDraft]) -> None:
        """Seal drafts at the end of the audit log; the caller holds the transaction."""
        for draft in drafts:
            at = datetime.fromtimestamp(self.clock_s(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            previous = self._audit[-1] if self._audit else None
            self._audit.append(seal(previous, at=at, **{**asdict(draft), "detail": draft.detail}))
