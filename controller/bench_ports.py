"""The seams of the offline gate: who draws and scores, where images are kept, and the book of benches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.core.bench import Bench
from controller.core.spec import Digest, ModelSpec
from controller.core.suite import Suite
from controller.ports import AuditDraft


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

    def remove(self, digest: str) -> None:
        """Remove the content of a digest; a no-op when there is none."""
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

    def old_images(self, before_s: float) -> Mapping[str, Sequence[str]]:
        """Read benches that ended before a time (Unix seconds) and whose images are kept, oldest first.

        Each with the digests of images that no bench drew which ended later or is under way.
        """
        ...

    def images_removed(self, bench: str, audit: AuditDraft) -> None:
        """Store and audit that a bench's images are gone; a no-op when that is known."""
        ...

    def add_shot(self, bench: str, key: str, payload: Mapping[str, Any], fencing_token: int) -> Mapping[str, Any]:
        """Store a result unless its key is taken, and return what is stored: the first write wins.

        ConflictError when the token is stale or the bench is over.
        """
        ...

    def finish(self, bench: str, outcome: BenchOutcome, audit: AuditDraft, fencing_token: int | None) -> None:
        """Close a bench; ConflictError when the token is stale or it is over already.

        Without a token a person closes it, who needs no leader; whoever draws for it learns that at its next image.
        """
        ...
