"""The truth in PostgreSQL, as API and CLI ask for it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from psycopg.types.json import Json

from controller.adapters import postgres_audit
from controller.adapters.database import Cursor, Database
from controller.adapters.postgres_store import (
    PostgresStore,
    evidence_from,
    insert_model,
    insert_split_history,
    split_from,
)
from controller.adapters.wakeup import REQUEST_CHANNEL
from controller.core.audit import AuditEntry, Break
from controller.core.lane import Lane
from controller.core.rollout import Rollout
from controller.core.spec import ModelSpec, canonical_json
from controller.core.split import Split
from controller.errors import ConflictError, UserError
from controller.ports import AuditDraft, Command, EvidenceRow


class PostgresCatalog:
    """Implements `controller.ports.Catalog`, and what only people look at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(self, rollout: Rollout, spec: ModelSpec, audit: AuditDraft) -> Rollout:
        """Store a new rollout under a fresh id, and its audit entry; return it with the id.

        ConflictError names the holder when the lane is busy, and says so when the lane's incumbent is another one
        by now; UserError when there is no such lane.
        """
        with self._database.transaction() as cursor:
            _require_incumbent(cursor, rollout)
            insert_model(cursor, spec)
            row = cursor.execute(
                "INSERT INTO rollouts (lane, state, open, version, value) VALUES (%s, %s, %s, %s, '{}')"
                " ON CONFLICT (lane) WHERE open DO NOTHING RETURNING id",
                [rollout.lane, rollout.state, rollout.open, rollout.version],
            ).fetchone()
            if row is None:
                raise _busy(cursor, rollout.lane)
            stored = replace(rollout, id=row["id"])
            value = Json(stored.to_json(), dumps=canonical_json)
            cursor.execute("UPDATE rollouts SET value = %s WHERE id = %s", [value, stored.id])
            postgres_audit.append(cursor, [replace(audit, lane=stored.lane, rollout=stored.id)])
            cursor.execute("SELECT pg_notify(%s, %s)", [REQUEST_CHANNEL, stored.id])
        return stored

    def add_lane(self, lane: Lane, spec: ModelSpec, split: Split, audit: AuditDraft) -> bool:
        """Store a lane with its first split unless one of that name is there; say whether it was new."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO lanes (name, value) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [lane.name, Json(lane.to_json(), dumps=canonical_json)],
            )
            if not cursor.rowcount:
                return False
            insert_model(cursor, spec)
            cursor.execute(
                "INSERT INTO splits (lane, epoch, incumbent, candidate, share, mode, salt, rollout, flipped,"
                " sticky, timeout_s) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [*(getattr(split, name) for name in Split.__slots__), lane.timeout_s],
            )
            insert_split_history(cursor, split)
            postgres_audit.append(cursor, [replace(audit, lane=lane.name)])
        return True

    def rollouts(self, rollout: str | None = None, limit: int = 100) -> Sequence[Rollout]:
        """Read rollouts, newest first, or the one named."""
        rows = self._database.rows(
            "SELECT value FROM rollouts WHERE %s::text IS NULL OR id = %s ORDER BY number DESC LIMIT %s",
            [rollout, rollout, limit],
        )
        return [Rollout.from_json(row["value"]) for row in rows]

    def record(self, audit: AuditDraft) -> None:
        """Append an entry to the audit log for something that moves no rollout."""
        with self._database.transaction() as cursor:
            postgres_audit.append(cursor, [audit])

    def last_entry(self, lane: str, action: str) -> AuditEntry | None:
        """Read the newest audit entry of an action on a lane that belongs to no rollout, None when there is none."""
        return postgres_audit.last_of(self._database, lane, action)

    def request(self, command: Command) -> int:
        """Queue a command (its id is ignored) and return its id; UserError when there is no such rollout."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "INSERT INTO requests (rollout, kind, actor, reason, detail)"
                " SELECT id, %s, %s, %s, %s FROM rollouts WHERE id = %s RETURNING id",
                [
                    command.kind,
                    command.actor,
                    command.reason,
                    Json(dict(command.detail), dumps=canonical_json),
                    command.rollout,
                ],
            ).fetchone()
            if row is None:
                raise UserError(f"there is no rollout {command.rollout}; `gatectl list` shows them")
            cursor.execute("SELECT pg_notify(%s, %s)", [REQUEST_CHANNEL, command.rollout])
        return int(row["id"])

    def outcome(self, command_id: int) -> str | None:
        """Return what became of a command, None while it waits."""
        rows = self._database.rows("SELECT outcome FROM requests WHERE id = %s", [command_id])
        if not rows:
            raise UserError(f"there is no command {command_id}")
        outcome: str | None = rows[0]["outcome"]
        return outcome

    def audit(self, rollout: str | None = None, after_seq: int = 0) -> Iterator[AuditEntry]:
        """Stream the audit log in order."""
        return postgres_audit.read(self._database, rollout, after_seq)

    def verify_audit(self) -> tuple[int, Break | None]:
        """Return how many audit entries were read and the first break of the chain, its end included."""
        return postgres_audit.check(self._database)

    def split_history(self, lane: str) -> Sequence[tuple[Split, float]]:
        """Read every split that a lane had, oldest first, with the Unix time at which it was written."""
        rows = self._database.rows(
            "SELECT value, extract(epoch FROM written_at)::float8 AS written_at_s FROM split_history"
            " WHERE lane = %s ORDER BY epoch",
            [lane],
        )
        return [(split_from(row["value"]), row["written_at_s"]) for row in rows]

    def last_evidence(self, rollout: str) -> EvidenceRow | None:
        """Read a rollout's newest evidence."""
        rows = self._database.rows(
            "SELECT rollout, seq, payload, digest FROM evidence WHERE rollout = %s ORDER BY seq DESC LIMIT 1",
            [rollout],
        )
        return evidence_from(rows[0]) if rows else None


class PostgresTruth(PostgresStore, PostgresCatalog):
    """Both sides in one object."""


def _require_incumbent(cursor: Cursor, rollout: Rollout) -> None:
    row = cursor.execute("SELECT value FROM lanes WHERE name = %s FOR SHARE", [rollout.lane]).fetchone()
    if row is None:
        names = [row["name"] for row in cursor.execute("SELECT name FROM lanes ORDER BY name")]
        raise UserError(f"there is no lane {rollout.lane}; known: {', '.join(names) or 'none'}")
    if Lane.from_json(row["value"]).incumbent.digest != rollout.incumbent.digest:
        raise ConflictError(f"the incumbent of {rollout.lane} has changed: propose again")


def _busy(cursor: Cursor, lane: str) -> ConflictError:
    row = cursor.execute("SELECT id, state FROM rollouts WHERE lane = %s AND open", [lane]).fetchone()
    holder = f"held by {row['id']} ({row['state']})" if row else "busy a moment ago"
    return ConflictError(f"lane {lane} is {holder}: wait for it, abort it, or supersede it with a reason")
