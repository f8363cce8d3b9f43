"""Suites, benches and their results in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, LiteralString

from psycopg.types.json import Json

from controller.adapters import postgres_audit
from controller.adapters.database import Cursor, Database, Row
from controller.adapters.postgres_lease import require_leader
from controller.adapters.wakeup import REQUEST_CHANNEL
from controller.bench_ports import BenchOutcome, BenchRow
from controller.core.bench import Bench
from controller.core.spec import canonical_json
from controller.core.suite import Suite
from controller.errors import ConflictError
from controller.ports import AuditDraft

_ROWS: LiteralString = """
SELECT b.value, b.verdict, b.reason, b.result, b.detail, extract(epoch FROM b.finished_at)::float8 AS finished_at_s,
    drawn.shots, drawn.first_shot_s, drawn.last_shot_s
FROM benches b LEFT JOIN rollouts r ON r.id = b.rollout, LATERAL (
    SELECT count(*) AS shots, extract(epoch FROM min(s.created_at))::float8 AS first_shot_s,
        extract(epoch FROM max(s.created_at))::float8 AS last_shot_s
    FROM bench_shots s WHERE s.bench = b.id) AS drawn
"""
_OLD_IMAGES: LiteralString = """
WITH kept AS (
    SELECT id, number, coalesce(finished_at < to_timestamp(%(before_s)s), false) AS old
    FROM benches b WHERE NOT EXISTS (SELECT FROM removed_images r WHERE r.bench = b.id)
), drawn AS (
    SELECT DISTINCT s.bench, s.payload->>'image' AS image FROM bench_shots s WHERE s.payload->>'image' IS NOT NULL
), needed AS (
    SELECT DISTINCT d.image FROM drawn d JOIN kept k ON k.id = d.bench AND NOT k.old
)
SELECT k.id, coalesce(array_agg(d.image ORDER BY d.image) FILTER (WHERE d.image IS NOT NULL), '{}') AS images
FROM kept k LEFT JOIN drawn d ON d.bench = k.id AND d.image NOT IN (SELECT image FROM needed)
WHERE k.old GROUP BY k.id, k.number ORDER BY k.number
"""


class PostgresBenchBook:
    """Implements `controller.bench_ports.BenchBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_suite(self, suite: Suite) -> None:
        """Keep a suite under its digest; a no-op when it is there."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO suites (digest, value) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [suite.digest, _json(suite.to_json())],
            )

    def suite(self, digest: str) -> Suite | None:
        """Return the suite of a digest, None when it was never stored."""
        rows = self._database.rows("SELECT value FROM suites WHERE digest = %s", [digest])
        return Suite.from_json(rows[0]["value"]) if rows else None

    def open(self, bench: Bench, audit: AuditDraft) -> Bench:
        """Store a bench under a fresh id and audit it; the one that is there when the question is the same."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "INSERT INTO benches (lane, rollout, key, value) VALUES (%s, %s, %s, '{}') ON CONFLICT DO NOTHING"
                " RETURNING id, extract(epoch FROM created_at)::float8 AS created_at_s",
                [bench.lane, bench.rollout, bench.key],
            ).fetchone()
            if row is None:
                return _known(cursor, bench)
            stored = replace(bench, id=row["id"], created_at_s=row["created_at_s"])
            cursor.execute("UPDATE benches SET value = %s WHERE id = %s", [_json(stored.to_json()), stored.id])
            detail = {**audit.detail, "bench": stored.id}
            postgres_audit.append(cursor, [replace(audit, lane=stored.lane, rollout=stored.rollout, detail=detail)])
            _wake(cursor, stored.id)
        return stored

    def benches(self, bench: str | None = None, rollout: str | None = None, limit: int = 100) -> Sequence[BenchRow]:
        """Read benches, newest first, or the one named, or that of a rollout."""
        rows = self._database.rows(
            _ROWS + "WHERE (%s::text IS NULL OR b.id = %s) AND (%s::text IS NULL OR b.rollout = %s)"
            " ORDER BY b.number DESC LIMIT %s",
            [bench, bench, rollout, rollout, limit],
        )
        return [_row(row) for row in rows]

    def pending(self) -> Sequence[BenchRow]:
        """Read what the loop must know of, oldest first: unfinished benches, and those of open rollouts."""
        return [_row(row) for row in self._database.rows(_ROWS + "WHERE b.verdict IS NULL OR r.open ORDER BY b.number")]

    def shots(self, bench: str) -> Mapping[str, Mapping[str, Any]]:
        """Read every stored result of a bench by its key."""
        rows = self._database.rows("SELECT key, payload FROM bench_shots WHERE bench = %s", [bench])
        return {row["key"]: row["payload"] for row in rows}

    def old_images(self, before_s: float) -> Mapping[str, Sequence[str]]:
        """Read the images that only benches have which ended before a time, by bench, oldest first."""
        rows = self._database.rows(_OLD_IMAGES, {"before_s": before_s})
        return {row["id"]: row["images"] for row in rows}

    def images_removed(self, bench: str, audit: AuditDraft) -> None:
        """Store and audit that a bench's images are gone; a no-op when that is known."""
        with self._database.transaction() as cursor:
            cursor.execute("INSERT INTO removed_images (bench) VALUES (%s) ON CONFLICT DO NOTHING", [bench])
            if cursor.rowcount:
                postgres_audit.append(cursor, [audit])

    def add_shot(self, bench: str, key: str, payload: Mapping[str, Any], fencing_token: int) -> Mapping[str, Any]:
        """Store a result unless its key is taken, and return what is stored: the first write wins."""
        with self._database.transaction() as cursor:
            require_leader(cursor, fencing_token)
            # The share lock makes a finish wait, so that no result comes after the verdict.
            found = cursor.execute("SELECT verdict FROM benches WHERE id = %s FOR SHARE", [bench]).fetchone()
            if found is None or found["verdict"] is not None:
                raise _over(bench)
            cursor.execute(
                "INSERT INTO bench_shots (bench, key, payload) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [bench, key, _json(payload)],
            )
            query = "SELECT payload FROM bench_shots WHERE bench = %s AND key = %s"
            stored: Mapping[str, Any] = cursor.execute(query, [bench, key]).fetchall()[0]["payload"]
        return stored

    def finish(self, bench: str, outcome: BenchOutcome, audit: AuditDraft, fencing_token: int | None) -> None:
        """Close a bench; ConflictError when the token is stale or it is over already."""
        with self._database.transaction() as cursor:
            if fencing_token is not None:
                require_leader(cursor, fencing_token)
            cursor.execute(
                "UPDATE benches SET verdict = %s, reason = %s, result = %s, detail = %s,"
                " finished_at = clock_timestamp() WHERE id = %s AND verdict IS NULL",
                [outcome.verdict, outcome.reason, outcome.result, _json(dict(outcome.detail)), bench],
            )
            if not cursor.rowcount:
                raise _over(bench)
            postgres_audit.append(cursor, [audit])
            _wake(cursor, bench)


def _known(cursor: Cursor, bench: Bench) -> Bench:
    row = cursor.execute(
        "SELECT value FROM benches WHERE rollout = %s OR (key = %s AND verdict IS NULL)", [bench.rollout, bench.key]
    ).fetchone()
    if row is None:
        raise ConflictError("the same bench ended this moment: ask again")
    return Bench.from_json(row["value"])


def _over(bench: str) -> ConflictError:
    return ConflictError(f"the bench {bench} is over already, or was never opened: read it again")


def _wake(cursor: Cursor, bench: str) -> None:
    cursor.execute("SELECT pg_notify(%s, %s)", [REQUEST_CHANNEL, bench])


def _json(value: Any) -> Json:
    return Json(value, dumps=canonical_json)


def _row(row: Row) -> BenchRow:
    outcome = BenchOutcome(row["verdict"], row["reason"], row["result"], row["detail"]) if row["verdict"] else None
    counted = {name: row[name] for name in ("finished_at_s", "shots", "first_shot_s", "last_shot_s")}
    return BenchRow(Bench.from_json(row["value"]), outcome, **counted)
