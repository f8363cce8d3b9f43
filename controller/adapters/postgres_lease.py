"""Leadership among controllers, kept in one row."""

from controller.adapters.database import Cursor, Database
from controller.errors import ConflictError


class PostgresLease:
    """`holder` names this process and nobody else; leadership lapses `ttl_s` after the last `acquire`."""

    def __init__(self, database: Database, holder: str, ttl_s: float = 10.0) -> None:
        self._database = database
        self._holder = holder
        self._ttl_s = ttl_s

    def acquire(self) -> int | None:
        """Take or renew leadership; return the fencing token, or None while another controller leads."""
        rows = self._database.rows(
            """
            INSERT INTO leader (holder, token, until)
            VALUES (%(holder)s, 1, clock_timestamp() + %(ttl_s)s * interval '1 second')
            ON CONFLICT (only_row) DO UPDATE SET
                token = leader.token + (leader.holder <> excluded.holder)::int,
                holder = excluded.holder,
                until = clock_timestamp() + %(ttl_s)s * interval '1 second'
            WHERE leader.holder = excluded.holder OR leader.until < clock_timestamp()
            RETURNING token
            """,
            {"holder": self._holder, "ttl_s": self._ttl_s},
        )
        return rows[0]["token"] if rows else None

    def release(self) -> None:
        """Give leadership up; a no-op when another controller has it."""
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE leader SET until = '-infinity' WHERE holder = %s", [self._holder])


def require_leader(cursor: Cursor, fencing_token: int) -> None:
    """Hold leadership until the transaction ends; ConflictError when the token is stale.

    The share lock makes a takeover wait for this transaction, so no write of ours can come after its token.
    """
    leader = cursor.execute("SELECT holder, token FROM leader FOR SHARE").fetchone()
    if leader is None or leader["token"] != fencing_token:
        holder = f"{leader['holder']} leads with token {leader['token']}" if leader else "nobody leads"
        raise ConflictError(f"the fencing token {fencing_token} is stale: {holder}")
