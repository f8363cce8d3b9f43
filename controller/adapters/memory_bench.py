"""Suites, benches, their results and blobs in memory, with the errors of the real ones."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controller.adapters.memory import MemoryStore
from controller.bench_ports import BenchOutcome, BenchRow
from controller.core.bench import Bench
from controller.core.spec import Digest, canonical_json
from controller.core.suite import Suite
from controller.errors import ConflictError, MissingBlobError
from controller.ports import AuditDraft


@dataclass
class MemoryBenchBook:
    """Implements `BenchBook` beside a `MemoryStore`, whose clock, leader and audit log it shares."""

    store: MemoryStore
    _suites: dict[str, Suite] = field(default_factory=dict)
    _rows: dict[str, BenchRow] = field(default_factory=dict)
    _shots: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    _without_images: set[str] = field(default_factory=set)

    def add_suite(self, suite: Suite) -> None:
        """Keep a suite under its digest; a no-op when it is there."""
        with self.store.transaction():
            self._suites.setdefault(suite.digest, suite)

    def suite(self, digest: str) -> Suite | None:
        """Return the suite of a digest, None when it was never stored."""
        with self.store.transaction():
            return self._suites.get(digest)

    def open(self, bench: Bench, audit: AuditDraft) -> Bench:
        """Store a bench under a fresh id and audit it; the one that is there when the question is the same."""
        with self.store.transaction():
            for row in self._rows.values():
                same_rollout = bench.rollout is not None and row.bench.rollout == bench.rollout
                if same_rollout or (row.bench.key == bench.key and row.outcome is None):
                    return row.bench
            stored = replace(bench, id=f"b-{len(self._rows) + 1:04d}", created_at_s=self.store.clock_s())
            self._rows[stored.id] = BenchRow(stored)
            self._shots[stored.id] = {}
            detail = {**audit.detail, "bench": stored.id}
            self.store.append([replace(audit, lane=stored.lane, rollout=stored.rollout, detail=detail)])
            return stored

    def benches(self, bench: str | None = None, rollout: str | None = None, limit: int = 100) -> Sequence[BenchRow]:
        """Read benches, newest first, or the one named, or that of a rollout."""
        with self.store.transaction():
            return [
                row
                for row in reversed(self._rows.values())
                if bench in {None, row.bench.id} and rollout in {None, row.bench.rollout}
            ][:limit]

    def pending(self) -> Sequence[BenchRow]:
        """Read what the loop must know of, oldest first: unfinished benches, and those of open rollouts."""
        with self.store.transaction():
            return [
                row
                for row in self._rows.values()
                if row.outcome is None or self.store.rollout_is_open(row.bench.rollout)
            ]

    def shots(self, bench: str) -> Mapping[str, Mapping[str, Any]]:
        """Read every stored result of a bench by its key."""
        with self.store.transaction():
            return dict(self._shots.get(bench, {}))

    def old_images(self, before_s: float) -> Mapping[str, Sequence[str]]:
        """Read the images that only benches have which ended before a time, by bench, oldest first."""
        with self.store.transaction():
            kept = [row for name, row in self._rows.items() if name not in self._without_images]
            old = [row.bench.id for row in kept if row.finished_at_s is not None and row.finished_at_s < before_s]
            needed = {image for row in kept if row.bench.id not in old for image in self._images(row.bench.id)}
            return {name: sorted(self._images(name) - needed) for name in old}

    def images_removed(self, bench: str, audit: AuditDraft) -> None:
        """Store and audit that a bench's images are gone; a no-op when that is known."""
        with self.store.transaction():
            if bench not in self._without_images:
                self._without_images.add(bench)
                self.store.append([audit])

    def _images(self, bench: str) -> set[str]:
        return {shot["image"] for shot in self._shots[bench].values() if shot.get("image")}

    def add_shot(self, bench: str, key: str, payload: Mapping[str, Any], fencing_token: int) -> Mapping[str, Any]:
        """Store a result unless its key is taken, and return what is stored: the first write wins."""
        with self.store.transaction():
            self.store.require_leader(fencing_token)
            row = self._unfinished(bench)
            # Through JSON, as a database would: what is no plain value fails here, too.
            stored = self._shots[bench].setdefault(key, json.loads(canonical_json(payload)))
            now_s = self.store.clock_s()
            first_s = now_s if row.first_shot_s is None else row.first_shot_s
            self._rows[bench] = replace(row, shots=len(self._shots[bench]), first_shot_s=first_s, last_shot_s=now_s)
            return stored

    def finish(self, bench: str, outcome: BenchOutcome, audit: AuditDraft, fencing_token: int | None) -> None:
        """Close a bench; ConflictError when the token is stale or it is over already."""
        with self.store.transaction():
            if fencing_token is not None:
                self.store.require_leader(fencing_token)
            row = self._unfinished(bench)
            self._rows[bench] = replace(row, outcome=outcome, finished_at_s=self.store.clock_s())
            self.store.append([audit])

    def _unfinished(self, bench: str) -> BenchRow:
        row = self._rows.get(bench)
        if row is None or row.outcome is not None:
            raise ConflictError(f"the bench {bench} is over already, or was never opened: read it again")
        return row


@dataclass
class MemoryBlobs:
    """Implements `Blobs`."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def put(self, content: bytes) -> Digest:
        """Keep content and return its digest; a no-op when it is there."""
        digest = Digest(hashlib.sha256(content).hexdigest())
        self.contents.setdefault(digest, content)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the content of a digest; MissingBlobError when there is none."""
        if digest not in self.contents:
            raise MissingBlobError(f"there is no blob {digest[:12]} in memory")
        return self.contents[digest]

    def remove(self, digest: str) -> None:
        """Remove the content of a digest; a no-op when there is none."""
        self.contents.pop(digest, None)
