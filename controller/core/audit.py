"""The audit chain: every entry holds the digest of the one before it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.spec import Digest, digest_of

GENESIS = Digest("0" * 64)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, why, from which state to which, on what evidence.

    `at` is an ISO 8601 UTC time. `detail` holds plain JSON values: digests of policy and models, the verdicts with
    their numbers, the evidence's digest and sequence number, versions of code and scorers.
    """

    seq: int
    at: str
    actor: str
    action: str
    lane: str | None
    rollout: str | None
    from_state: str | None
    to_state: str | None
    reason: str
    detail: Mapping[str, Any]
    previous: Digest
    digest: Digest


def seal(
    previous: AuditEntry | None,
    *,
    at: str,
    actor: str,
    action: str,
    reason: str,
    lane: str | None = None,
    rollout: str | None = None,
    from_state: str | None = None,
    to_state: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Return the entry that follows `previous` in the chain."""
    body: dict[str, Any] = {
        "seq": previous.seq + 1 if previous else 1,
        "at": at,
        "actor": actor,
        "action": action,
        "lane": lane,
        "rollout": rollout,
        "from_state": from_state,
        "to_state": to_state,
        "reason": reason,
        "detail": dict(detail or {}),
        "previous": previous.digest if previous else GENESIS,
    }
    return AuditEntry(**body, digest=digest_of(body))


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain stops being whole, and how."""

    seq: int
    problem: str


def verify(entries: Iterable[AuditEntry]) -> Break | None:
    """Return the first break of a chain given in order from its first entry, or None when it is whole."""
    expected_seq, previous = 1, GENESIS
    for entry in entries:
        if entry.seq != expected_seq:
            return Break(expected_seq, f"entry {expected_seq} is missing (found {entry.seq})")
        if entry.previous != previous:
            return Break(
                entry.seq,
                f"entry {entry.seq} does not follow entry {entry.seq - 1}: its link is {entry.previous[:12]}",
            )
        if entry.digest != digest_of(_body(entry)):
            return Break(entry.seq, f"entry {entry.seq} was altered: its content does not match its digest")
        expected_seq, previous = entry.seq + 1, entry.digest
    return None


def _body(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__ if name != "digest"} | {"detail": dict(entry.detail)}
