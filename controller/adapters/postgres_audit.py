"""The audit chain in PostgreSQL: appended under a lock, read in pages, verified against its recorded head."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from json import loads

from controller.adapters.database import Cursor, Database, Row
from controller.core.audit import GENESIS, AuditEntry, Break, seal, verify
from controller.core.spec import Digest, canonical_json
from controller.ports import AuditDraft

_LOCK = 7_309_251_605
_PAGE = 1000
_VERIFY_LIMIT_S = 3600.0
_NOW = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def append(cursor: Cursor, drafts: Sequence[AuditDraft]) -> None:
    """Seal the drafts and write them at the end of the chain; holds the chain's lock until the transaction ends."""
    if not drafts:
        return
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    # Read in a statement of its own, after the lock: an older snapshot would miss the entries we waited for.
    last = _last(cursor)
    at = cursor.execute(f"SELECT {_NOW} AS at").fetchall()[0]["at"]
    entries = []
    for draft in drafts:
        last = seal(last, at=at, **{**asdict(draft), "detail": draft.detail})
        entries.append({**asdict(last), "detail": canonical_json(last.detail)})
    cursor.executemany(
        "INSERT INTO audit (seq, at, actor, action, lane, rollout, from_state, to_state, reason, detail,"
        " previous, digest) VALUES (%(seq)s, %(at)s, %(actor)s, %(action)s, %(lane)s, %(rollout)s,"
        " %(from_state)s, %(to_state)s, %(reason)s, %(detail)s, %(previous)s, %(digest)s)",
        entries,
    )


def read(database: Database, rollout: str | None, after_seq: int) -> Iterator[AuditEntry]:
    """Stream entries in order; the log only grows, so pages need no common snapshot."""
    while True:
        with database.transaction() as cursor:
            page = _page(cursor, rollout, after_seq)
        yield from page
        if len(page) < _PAGE:
            return
        after_seq = page[-1].seq


def last_of(database: Database, lane: str, action: str) -> AuditEntry | None:
    """Return the newest entry of an action on a lane that belongs to no rollout; such entries are few."""
    rows = database.rows(
        "SELECT seq, at, actor, action, lane, rollout, from_state, to_state, reason, detail, previous, digest"
        " FROM audit WHERE rollout IS NULL AND lane = %s AND action = %s ORDER BY seq DESC LIMIT 1",
        [lane, action],
    )
    return _entry(rows[0]) if rows else None


def check(database: Database) -> tuple[int, Break | None]:
    """Verify the whole chain and its recorded head; return the number of entries read and the first break."""
    count = 0
    last: AuditEntry | None = None

    def counted(cursor: Cursor) -> Iterator[AuditEntry]:
        nonlocal count, last
        pages = iter(lambda: _page(cursor, None, last.seq if last else 0), [])
        for entry in chain.from_iterable(pages):
            count, last = count + 1, entry
            yield entry

    with database.transaction(snapshot=True, limit_s=_VERIFY_LIMIT_S) as cursor:
        broken = verify(counted(cursor))
        head = cursor.execute("SELECT seq, digest FROM audit_head").fetchone()
    return count, broken or _wrong_end(head, last)


def _wrong_end(head: Row | None, last: AuditEntry | None) -> Break | None:
    """Compare a whole chain's last entry with the one recorded as the last."""
    seq, digest = (last.seq, last.digest) if last else (0, GENESIS)
    if head is None:
        return Break(seq + 1, "the record of the last entry is missing")
    if head["seq"] > seq:
        return Break(seq + 1, f"entries {seq + 1} to {head['seq']} are missing at the end")
    if head["seq"] < seq or head["digest"] != digest:
        return Break(seq, f"entry {seq} is not the one recorded as the last")
    return None


def _last(cursor: Cursor) -> AuditEntry | None:
    """Return the chain's end as recorded; only its place and digest matter, so a cut log can still be continued."""
    head = cursor.execute("SELECT seq, digest FROM audit_head").fetchone()
    if head is None or head["seq"] == 0:
        return None
    return AuditEntry(
        seq=head["seq"],
        digest=head["digest"],
        at="",
        actor="",
        action="",
        lane=None,
        rollout=None,
        from_state=None,
        to_state=None,
        reason="",
        detail={},
        previous=Digest(""),
    )


def _page(cursor: Cursor, rollout: str | None, after_seq: int) -> list[AuditEntry]:
    rows = cursor.execute(
        "SELECT seq, at, actor, action, lane, rollout, from_state, to_state, reason, detail, previous, digest"
        " FROM audit WHERE seq > %s AND (%s::text IS NULL OR rollout = %s) ORDER BY seq LIMIT %s",
        [after_seq, rollout, rollout, _PAGE],
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(**{**row, "detail": loads(row["detail"])})
