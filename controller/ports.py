"""The seams between the loop and the world: small Protocols, each with a real adapter and one in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.core.audit import AuditEntry, Break
from controller.core.lane import Lane
from controller.core.rollout import Event, Rollout
from controller.core.spec import Digest, ModelSpec
from controller.core.split import Split
from controller.stats.tally import WindowTally


@dataclass(frozen=True, slots=True)
class Command:
    """A person's wish, waiting for the loop: approve, abort, pause, resume, promote, undo, supersede."""

    id: int
    rollout: str
    kind: str
    actor: str
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway replica as it last reported itself.

    `watermark_s` is the gateway's own wall clock (Unix seconds) up to which its tallies are flushed; `silent_s` is
    how long ago it reported by the database's clock; `epochs` maps a lane to the epoch it applied, `in_flight` an
    application to the calls for users that it has not answered.
    """

    replica: str
    watermark_s: float
    silent_s: float
    epochs: Mapping[str, int]
    in_flight: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane with everything the loop needs to know about it."""

    lane: Lane
    split: Split
    split_age_s: float  # since the current epoch was written, by the database's clock
    rollout: Rollout | None  # the open one


@dataclass(frozen=True, slots=True)
class World:
    """One consistent read of everything small. `now_s` is the database's clock (Unix seconds)."""

    now_s: float
    lanes: tuple[LaneRow, ...]
    gateways: tuple[Gateway, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class TallyRow:
    """One gateway replica's cumulative tally of one window of one epoch."""

    epoch: int
    window: int
    replica: str
    tally: WindowTally


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What the judge read in one tick, in order; chained by digest like the audit log."""

    rollout: str
    seq: int
    payload: Mapping[str, Any]
    digest: Digest


@dataclass(frozen=True, slots=True)
class AuditDraft:
    """An audit entry before the store gives it its time and place in the chain."""

    actor: str
    action: str
    reason: str
    lane: str | None = None
    rollout: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """Everything one step writes, in one transaction.

    `rollout` replaces the stored value if its stored version is `rollout.version - 1`. `split` replaces the lane's
    split if its stored epoch is `split.epoch - 1`, and notifies the gateways. `lane` replaces the lane (promotion
    moves its incumbent). `outcomes` answers commands by id.
    """

    rollout: Rollout | None = None
    split: Split | None = None
    lane: Lane | None = None
    evidence: Sequence[EvidenceRow] = ()
    audit: Sequence[AuditDraft] = ()
    outcomes: Mapping[int, str] = field(default_factory=dict)


class Store(Protocol):
    """The truth. Every method raises UnavailableError when the database can't answer."""

    def world(self) -> World:
        """Read lanes, open rollouts, gateways and waiting commands in one snapshot."""
        ...

    def tallies(self, lane: str, epochs: tuple[int, int], from_window: int) -> Sequence[TallyRow]:
        """Read the tallies of the epochs first..last from a window on, ordered by epoch, window and replica."""
        ...

    def evidence(self, rollout: str, after_seq: int = 0) -> Sequence[EvidenceRow]:
        """Read a rollout's evidence in order."""
        ...

    def totals(self, lane: str, epochs: Sequence[int]) -> WindowTally:
        """Merge everything tallied in the epochs so far, decided or not."""
        ...

    def settled_s(self, lane: str, epoch: int) -> float | None:
        """Return seconds from writing a split to the last live gateway's acknowledgement, None while one is missing."""
        ...

    def commit(self, change: Change, fencing_token: int) -> None:
        """Write a change in one transaction; ConflictError when the token, version or epoch is stale."""
        ...

    def renew(self, lanes: Mapping[str, float], fencing_token: int) -> None:
        """Extend the lease of each lane's split by the given seconds; ConflictError when the token is stale."""
        ...


class Catalog(Protocol):
    """What API and CLI ask of the truth, outside the loop. Raises UnavailableError like `Store`."""

    def propose(self, rollout: Rollout, spec: ModelSpec, audit: AuditDraft) -> Rollout:
        """Store a new rollout under a fresh id; ConflictError naming the holder when the lane is busy."""
        ...

    def add_lane(self, lane: Lane, spec: ModelSpec, split: Split, audit: AuditDraft) -> bool:
        """Store a lane unless one of that name is there; say whether it was new."""
        ...

    def rollouts(self, rollout: str | None = None, limit: int = 100) -> Sequence[Rollout]:
        """Read rollouts, newest first, or the one named."""
        ...

    def last_evidence(self, rollout: str) -> EvidenceRow | None:
        """Read a rollout's newest evidence."""
        ...

    def verify_audit(self) -> tuple[int, Break | None]:
        """Return how many audit entries were read and the first break of the chain, None when it is whole."""
        ...

    def record(self, audit: AuditDraft) -> None:
        """Append an entry to the audit log for something that moves no rollout."""
        ...

    def last_entry(self, lane: str, action: str) -> AuditEntry | None:
        """Read the newest audit entry of an action on a lane that belongs to no rollout, None when there is none."""
        ...

    def request(self, command: Command) -> int:
        """Queue a command and return its id."""
        ...

    def outcome(self, command_id: int) -> str | None:
        """Return what became of a command, None while it waits."""
        ...

    def audit(self, rollout: str | None = None, after_seq: int = 0) -> Iterator[AuditEntry]:
        """Stream the audit log in order."""
        ...


class Lease(Protocol):
    """Leadership among controllers, kept by the database."""

    def acquire(self) -> int | None:
        """Take or renew leadership; return the fencing token, or None while another controller leads."""
        ...

    def release(self) -> None:
        """Give leadership up."""
        ...


@dataclass(frozen=True, slots=True)
class AppStatus:
    """A serving application: `absent`, `deploying`, `ready`, `unhealthy` or `failed`, and why."""

    name: str
    phase: str
    message: str = ""
    replicas_ready: int = 0


class Fleet(Protocol):
    """Model applications. Every call returns within its deadline or raises UnavailableError."""

    def status(self) -> Mapping[str, AppStatus]:
        """Return every model application that exists."""
        ...

    def deploy(self, name: str, spec: ModelSpec, lane: Lane) -> None:
        """Start an application without waiting for it; a no-op when it exists."""
        ...

    def remove(self, name: str) -> None:
        """Stop an application without waiting for it; a no-op when it doesn't exist."""
        ...

    def probe(self, name: str, spec: ModelSpec, timeout_s: float) -> str | None:
        """Draw one image; return None when it is sound, else what is wrong with it."""
        ...


class Notifier(Protocol):
    """Tells people; never blocks and never raises."""

    def notify(self, rollout: Rollout, event: Event) -> None:
        """Announce a step."""
        ...

    def close(self) -> None:
        """Deliver or drop what is waiting, within seconds."""
        ...


class Clock(Protocol):
    """Time that holds and deadlines are measured with."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        ...
