"""The truth in PostgreSQL, as the loop reads and writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from json import loads

from psycopg.types.json import Json

from controller.adapters import postgres_audit
from controller.adapters.database import Cursor, Database, Row
from controller.adapters.postgres_lease import require_leader
from controller.adapters.postgres_totals import Totals
from controller.adapters.wakeup import OUTCOME_CHANNEL, SPLIT_CHANNEL
from controller.core.lane import Lane
from controller.core.policy import Mode
from controller.core.rollout import Rollout
from controller.core.spec import ModelSpec, canonical_json
from controller.core.split import Split
from controller.errors import ConflictError
from controller.ports import Change, Command, EvidenceRow, Gateway, LaneRow, TallyRow, World
from controller.stats.tally import WINDOW_S, WindowTally

SILENT_S = 10.0
KEEP_TALLIES_D = 7
KEEP_SILENT_GATEWAYS_D = 1


class PostgresStore:
    """Implements `controller.ports.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._totals = Totals(database)

    def world(self) -> World:
        """Read lanes, open rollouts, gateways and waiting commands in one snapshot."""
        with self._database.transaction(snapshot=True) as cursor:
            lanes = cursor.execute(
                "SELECT l.value AS lane_value, r.value AS rollout_value, s.lane, s.epoch, s.incumbent, s.candidate,"
                " s.share, s.mode, s.salt, s.rollout, s.flipped, s.sticky,"
                " extract(epoch FROM clock_timestamp() - s.written_at)::float8 AS age_s"
                " FROM lanes l JOIN splits s ON s.lane = l.name"
                " LEFT JOIN rollouts r ON r.lane = l.name AND r.open ORDER BY l.name"
            ).fetchall()
            gateways = cursor.execute(
                "SELECT replica, watermark_s, epochs, in_flight,"
                " extract(epoch FROM clock_timestamp() - seen_at)::float8 AS silent_s"
                " FROM gateways ORDER BY replica"
            ).fetchall()
            commands = cursor.execute(
                "SELECT id, rollout, kind, actor, reason, detail FROM requests WHERE outcome IS NULL ORDER BY id"
            ).fetchall()
            now = cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s").fetchall()
        return World(
            now_s=now[0]["now_s"],
            lanes=tuple(_lane_row(row) for row in lanes),
            gateways=tuple(Gateway(**row) for row in gateways),
            commands=tuple(Command(**row) for row in commands),
        )

    def tallies(self, lane: str, epochs: tuple[int, int], from_window: int) -> Sequence[TallyRow]:
        """Read the tallies of the epochs first..last from a window on, ordered by epoch, window and replica."""
        rows = self._database.rows(
            "SELECT epoch, window_no, replica, tally FROM tallies"
            " WHERE lane = %s AND epoch BETWEEN %s AND %s AND window_no >= %s"
            " ORDER BY epoch, window_no, replica",
            [lane, *epochs, from_window],
        )
        return [
            TallyRow(row["epoch"], row["window_no"], row["replica"], WindowTally.from_json(row["tally"]))
            for row in rows
        ]

    def evidence(self, rollout: str, after_seq: int = 0) -> Sequence[EvidenceRow]:
        """Read a rollout's evidence in order."""
        rows = self._database.rows(
            "SELECT rollout, seq, payload, digest FROM evidence WHERE rollout = %s AND seq > %s ORDER BY seq",
            [rollout, after_seq],
        )
        return [evidence_from(row) for row in rows]

    def totals(self, lane: str, epochs: Sequence[int]) -> WindowTally:
        """Merge everything tallied in the epochs so far, decided or not."""
        return self._totals.read(lane, epochs)

    def settled_s(self, lane: str, epoch: int) -> float | None:
        """Return seconds from writing a split to the last live gateway's acknowledgement, None while one is missing.

        Gateways that came later don't count, nor do silent ones that never answered: their lease has run out. A
        gateway that went straight to a later epoch has left this one behind and counts from then.
        """
        rows = self._database.rows(
            """
            SELECT extract(epoch FROM max(ack.applied_at) - h.written_at)::float8 AS seconds,
                bool_and(ack.applied_at IS NOT NULL) AS complete
            FROM split_history h JOIN gateways g ON g.born_at <= h.written_at
            LEFT JOIN LATERAL (SELECT min(applied_at) AS applied_at FROM acks a
                WHERE a.lane = h.lane AND a.replica = g.replica AND a.epoch >= h.epoch) ack ON true
            WHERE h.lane = %s AND h.epoch = %s AND (ack.applied_at IS NOT NULL
                OR g.seen_at > clock_timestamp() - %s * interval '1 second')
            GROUP BY h.written_at
            """,
            [lane, epoch, SILENT_S],
        )
        return rows[0]["seconds"] if rows and rows[0]["complete"] else None

    def commit(self, change: Change, fencing_token: int) -> None:
        """Write a change in one transaction; ConflictError when the token, version or epoch is stale."""
        with self._database.transaction() as cursor:
            require_leader(cursor, fencing_token)
            if change.rollout is not None:
                _replace_rollout(cursor, change.rollout)
            if change.lane is not None:
                _replace_lane(cursor, change.lane)
            if change.split is not None:
                _replace_split(cursor, change.split)
            for evidence in change.evidence:
                _insert_evidence(cursor, evidence)
            for command_id, outcome in change.outcomes.items():
                _answer(cursor, command_id, outcome)
            # Last, because the chain's lock keeps every other writer waiting until we are done.
            postgres_audit.append(cursor, change.audit)

    def renew(self, lanes: Mapping[str, float], fencing_token: int) -> None:
        """Extend the lease of each lane's split by the given seconds; ConflictError when the token is stale."""
        with self._database.transaction() as cursor:
            require_leader(cursor, fencing_token)
            cursor.execute(
                "UPDATE splits SET lease_until = clock_timestamp() + lease.seconds * interval '1 second'"
                " FROM unnest(%s::text[], %s::float8[]) AS lease (name, seconds) WHERE splits.lane = lease.name",
                [list(lanes), list(lanes.values())],
            )

    def prune(self) -> None:
        """Forget what is needed no more.

        Tallies that no open rollout needs after a week, gateways silent for a day with their acks, and who voted in
        rollouts that are over.
        """
        with self._database.transaction(limit_s=60.0) as cursor:
            cursor.execute(
                "DELETE FROM tallies t WHERE t.window_no < extract(epoch FROM clock_timestamp()"
                " - %s * interval '1 day') / %s AND NOT EXISTS (SELECT FROM split_history h JOIN rollouts r"
                " ON r.id = h.rollout AND r.open WHERE h.lane = t.lane AND h.epoch = t.epoch)",
                [KEEP_TALLIES_D, WINDOW_S],
            )
            cursor.execute(
                "DELETE FROM gateways WHERE seen_at < clock_timestamp() - %s * interval '1 day'",
                [KEEP_SILENT_GATEWAYS_D],
            )
            cursor.execute(
                "DELETE FROM votes v WHERE NOT EXISTS (SELECT FROM rollouts r WHERE r.id = v.rollout AND r.open)"
            )
            cursor.execute("DELETE FROM acks a WHERE NOT EXISTS (SELECT FROM gateways g WHERE g.replica = a.replica)")


def insert_model(cursor: Cursor, spec: ModelSpec) -> None:
    """Store a model spec under its digest; a no-op when it is known."""
    cursor.execute(
        "INSERT INTO models (digest, spec) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [spec.digest, Json(spec.to_json(), dumps=canonical_json)],
    )


def insert_split_history(cursor: Cursor, split: Split) -> None:
    """Remember a split, with the moment at which it was written."""
    cursor.execute(
        "INSERT INTO split_history (lane, epoch, rollout, value) VALUES (%s, %s, %s, %s)",
        [split.lane, split.epoch, split.rollout, Json(asdict(split), dumps=canonical_json)],
    )


def evidence_from(row: Row) -> EvidenceRow:
    """Parse an evidence row; its payload is stored as the canonical text that the digest was made of."""
    return EvidenceRow(**{**row, "payload": loads(row["payload"])})


def split_from(row: Row) -> Split:
    """Parse a split's columns or its stored JSON, which have the same names; the oldest know nothing of `sticky`."""
    values = {"sticky": False, **row}
    return Split(**{**{name: values[name] for name in Split.__slots__}, "mode": Mode(row["mode"])})


def _lane_row(row: Row) -> LaneRow:
    rollout = row["rollout_value"]
    return LaneRow(
        lane=Lane.from_json(row["lane_value"]),
        split=split_from(row),
        split_age_s=row["age_s"],
        rollout=Rollout.from_json(rollout) if rollout is not None else None,
    )


def _replace_rollout(cursor: Cursor, rollout: Rollout) -> None:
    cursor.execute(
        "UPDATE rollouts SET state = %s, open = %s, version = %s, value = %s, updated_at = clock_timestamp()"
        " WHERE id = %s AND version = %s",
        [
            rollout.state,
            rollout.open,
            rollout.version,
            Json(rollout.to_json(), dumps=canonical_json),
            rollout.id,
            rollout.version - 1,
        ],
    )
    if not cursor.rowcount:
        raise ConflictError(f"rollout {rollout.id} is not at version {rollout.version - 1}: read it again")


def _replace_lane(cursor: Cursor, lane: Lane) -> None:
    insert_model(cursor, lane.incumbent)
    cursor.execute(
        "UPDATE lanes SET value = %s WHERE name = %s", [Json(lane.to_json(), dumps=canonical_json), lane.name]
    )
    if not cursor.rowcount:
        raise ConflictError(f"there is no lane {lane.name}")


def _replace_split(cursor: Cursor, split: Split) -> None:
    # The lease stays as it is: a lease that ran out must be renewed before a new share takes effect.
    cursor.execute(
        "UPDATE splits SET epoch = %(epoch)s, incumbent = %(incumbent)s, candidate = %(candidate)s,"
        " share = %(share)s, mode = %(mode)s, salt = %(salt)s, rollout = %(rollout)s, flipped = %(flipped)s,"
        " sticky = %(sticky)s,"
        " timeout_s = (SELECT (value ->> 'timeout_s')::float8 FROM lanes WHERE name = %(lane)s),"
        " written_at = clock_timestamp() WHERE lane = %(lane)s AND epoch = %(epoch)s - 1",
        asdict(split),
    )
    if not cursor.rowcount:
        raise ConflictError(f"the split of {split.lane} is not at epoch {split.epoch - 1}: read it again")
    insert_split_history(cursor, split)
    cursor.execute("SELECT pg_notify(%s, %s)", [SPLIT_CHANNEL, split.lane])


def _insert_evidence(cursor: Cursor, row: EvidenceRow) -> None:
    cursor.execute(
        "INSERT INTO evidence (rollout, seq, payload, digest) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [row.rollout, row.seq, canonical_json(row.payload), row.digest],
    )
    if not cursor.rowcount:
        raise ConflictError(f"evidence {row.seq} of {row.rollout} is already written: read it again")


def _answer(cursor: Cursor, command_id: int, outcome: str) -> None:
    cursor.execute(
        "UPDATE requests SET outcome = %s, done_at = clock_timestamp() WHERE id = %s AND outcome IS NULL",
        [outcome, command_id],
    )
    if not cursor.rowcount:
        raise ConflictError(f"command {command_id} is not waiting: read the world again")
    cursor.execute("SELECT pg_notify(%s, %s)", [OUTCOME_CHANNEL, str(command_id)])
