"""The seams between the loop and the world: small Protocols, each with a real adapter and one in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.core.audit import AuditEntry, Break
from controller.core.bench import Bench
from controller.core.lane import Lane
from controller.core.rollout import Event, Rollout
from controller.core.spec import Digest, ModelSpec
from controller.core.split import Split
from controller.core.suite import Suite
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
    how long ago it reported by the database's clock; `epochs` maps a lane to the epoch it applied.
    """

    replica: str
    watermark_s: float
    silent_s: float
    epochs: Mapping[str, int]


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


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image (PNG) and what drawing it took, or the fault that stood in its way; None is unknown, never 0.

    `latency_s` is what a caller waits, `queue_s` its part before the model began. `compute_s`: CPU seconds, or on an
    accelerator wall seconds times devices. `memory_source` says what `memory_gib` is the peak of, or why it is None.
    """

    image: bytes | None
    latency_s: float | None = None
    queue_s: float | None = None
    service_s: float | None = None
    compute_s: float | None = None
    memory_gib: float | None = None
    memory_source: str = ""
    steps: int | None = None
    fault: str | None = None
    message: str = ""


Scores = Mapping[str, Mapping[str, Any]]
"""Metric -> {"value": a number in [0, 1] or None, "reason": why there is none, "detail": {...}}."""


class Studio(Protocol):
    """Draws and looks at pictures. Every call returns within its deadline or raises UnavailableError: try again."""

    def draw(self, app: str, spec: ModelSpec, prompt: str, seed: int, timeout_s: float) -> Drawn:
        """Draw one image; a fault of the model is a value, a part that is away is UnavailableError."""
        ...

    def examine(self, prompt: str, expect: Mapping[str, Any], image: bytes, assets: Mapping[str, bytes]) -> Scores:
        """Score one image against what its prompt expects."""
        ...

    def compare(self, first: bytes, second: bytes) -> Scores:
        """Score how alike two images are: `likeness` and `reproducibility`."""
        ...

    def spread(self, images: Sequence[bytes]) -> Scores:
        """Score how alike the images of one prompt are over its seeds: `stability`."""
        ...

    def machine(self, app: str) -> Mapping[str, Any]:
        """Describe the machine that an application draws on: processor, cores, device, versions."""
        ...


class Blobs(Protocol):
    """Content that is known by its SHA-256: images, assets, results. UnavailableError when the store can't answer."""

    def put(self, content: bytes) -> Digest:
        """Keep content and return its digest; a no-op when it is there."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the content of a digest; MissingBlobError when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class BenchOutcome:
    """What came of a bench: a verdict of `core.verdict`, why in one sentence, and the digest of the whole result.

    `detail` holds what the audit log keeps of it: the verdict of every criterion, versions.
    """

    verdict: str
    reason: str
    result: Digest | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchRow:
    """A bench as it is stored; without an `outcome` it is not over.

    `shots` counts the images stored so far, drawn from `first_shot_s` to `last_shot_s` (Unix seconds of the database's
    clock, like `finished_at_s`).
    """

    bench: Bench
    outcome: BenchOutcome | None = None
    finished_at_s: float | None = None
    shots: int = 0
    first_shot_s: float | None = None
    last_shot_s: float | None = None


class BenchBook(Protocol):
    """Suites, benches and every image's result. Every method raises UnavailableError when the database can't answer.

    Writes of results carry the leader's fencing token: a controller that lost leadership in the middle of an image
    can't add it any more.
    """

    def add_suite(self, suite: Suite) -> None:
        """Keep a suite under its digest; a no-op when it is there."""
        ...

    def suite(self, digest: str) -> Suite | None:
        """Return the suite of a digest, None when it was never stored."""
        ...

    def open(self, bench: Bench, audit: AuditDraft) -> Bench:
        """Store a bench under a fresh id and audit it; the one that is there when the question is the same.

        That is the bench of the same rollout, or for one without a rollout an unfinished one of the same key.
        """
        ...

    def benches(self, bench: str | None = None, rollout: str | None = None, limit: int = 100) -> Sequence[BenchRow]:
        """Read benches, newest first, or the one named, or that of a rollout."""
        ...

    def pending(self) -> Sequence[BenchRow]:
        """Read what the loop must know of, oldest first: unfinished benches, and those of open rollouts."""
        ...

    def shots(self, bench: str) -> Mapping[str, Mapping[str, Any]]:
        """Read every stored result of a bench by its key."""
        ...

    def add_shot(self, bench: str, key: str, payload: Mapping[str, Any], fencing_token: int) -> Mapping[str, Any]:
        """Store a result unless its key is taken, and return what is stored: the first write wins.

        ConflictError when the token is stale or the bench is over.
        """
        ...

    def finish(self, bench: str, outcome: BenchOutcome, audit: AuditDraft, fencing_token: int) -> None:
        """Close a bench; ConflictError when the token is stale or it is over already."""
        ...
