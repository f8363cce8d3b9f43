"""The gateway's only tie to the database: splits in, acknowledgements and tallies out, on one thread of its own.

Never on the request path. The lease travels as the seconds that the *database* says remain and becomes a
deadline of this process's monotonic clock, counted from before the question was asked: clocks need not
agree, and a slow answer only shortens the lease. A database that hangs, dies or lies behind a cut needs no
handling for safety: the lease runs out. Here it only means to reconnect, and to flush later what was
counted meanwhile.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from controller.core.policy import Mode
from controller.core.spec import ModelSpec
from controller.core.split import Split
from serving.recorder import Recorder, Vote
from serving.routes import Route, RouteTable

CHANNEL: Final = "swapgate_split"
POLL_S: Final = 0.5
FLUSH_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 2.0
_CONNECTION: Final[Mapping[str, Any]] = {
    "autocommit": True,
    "application_name": "swapgate-gateway",
    "options": "-c role=swapgate_gateway -c statement_timeout=5000",
    "connect_timeout": 3,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
}

# lease_until is -infinity when there never was a lease: clamp it, older servers can't subtract it.
_SPLITS: Final = """
SELECT lane, epoch, incumbent, candidate, share, mode, salt, rollout, flipped, sticky, timeout_s,
       extract(epoch FROM greatest(lease_until, 'epoch'::timestamptz) - clock_timestamp())::float8 AS lease_s
  FROM splits
"""
_SPECS: Final = "SELECT left(digest, 12) AS prefix, spec FROM models WHERE left(digest, 12) = ANY(%s)"
_ACK: Final = "INSERT INTO acks (lane, epoch, replica) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
# In order, so that two gateways never wait for each other; committed by itself, because who asks again after an answer
# was lost must find the votes that were granted.
_CLAIM: Final = """
INSERT INTO votes (rollout, voter, request)
SELECT rollout, voter, request
  FROM jsonb_to_recordset(%s::jsonb) AS given (rollout text, voter bigint, request uuid)
 ORDER BY rollout, voter
    ON CONFLICT DO NOTHING
"""
_GRANTED: Final = """
SELECT rollout, voter, request
  FROM jsonb_to_recordset(%s::jsonb) AS given (rollout text, voter bigint, request uuid)
  JOIN votes USING (rollout, voter, request)
"""
_TALLIES: Final = """
INSERT INTO tallies (lane, epoch, window_no, replica, tally)
SELECT lane, epoch, window_no, %s, tally
  FROM jsonb_to_recordset(%s::jsonb) AS given (lane text, epoch bigint, window_no bigint, tally jsonb)
    ON CONFLICT (lane, epoch, window_no, replica) DO UPDATE SET tally = excluded.tally
"""
_GATEWAY: Final = """
INSERT INTO gateways (replica, watermark_s, epochs, in_flight) VALUES (%s, %s, %s::jsonb, %s::jsonb)
    ON CONFLICT (replica) DO UPDATE
   SET watermark_s = excluded.watermark_s, epochs = excluded.epochs, in_flight = excluded.in_flight,
       seen_at = clock_timestamp()
"""

log = logging.getLogger(__name__)

Connection = psycopg.Connection[dict[str, Any]]


class Link(threading.Thread):
    """See the module's docstring.

    On this thread, `on_change` hears the applications to keep and `in_flight` is asked how many calls are under way.
    """

    def __init__(
        self,
        database_url: str,
        replica: str,
        table: RouteTable,
        recorder: Recorder,
        on_change: Callable[[frozenset[str]], None],
        in_flight: Callable[[], Mapping[str, int]],
    ) -> None:
        super().__init__(name="swapgate-link", daemon=True)
        self._url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._replica = replica
        self._table = table
        self._recorder = recorder
        self._on_change = on_change
        self._in_flight = in_flight
        self._specs: dict[str, ModelSpec] = {}  # by the digest's first 12 digits; specs never change
        self._stopping = threading.Event()

    def run(self) -> None:
        """Stay connected until stopped."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    pause_s = FIRST_PAUSE_S
                    self._session(connection)
            except psycopg.Error as error:
                log.warning("no database (%s); the incumbent serves", type(error).__name__)
            except Exception:
                log.exception("the link to the database failed; the incumbent serves until it works again")
            self._recorder.trim()
            self._stopping.wait(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Flush once more if the database is there, and end."""
        self._stopping.set()
        self.join(timeout_s)

    def _connect(self) -> Connection:
        return psycopg.connect(self._url, row_factory=dict_row, **_CONNECTION)

    def _session(self, connection: Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self.pull(connection, acknowledge_all=True)
        flush_at_s = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() >= flush_at_s:
                flush_at_s = time.monotonic() + FLUSH_S
                self.push(connection)
            for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                pass
            self.pull(connection)
        self.push(connection)

    def pull(self, connection: Connection, *, acknowledge_all: bool = False) -> None:
        """Read the splits, apply those that aren't older than what is known, acknowledge the new ones."""
        asked_at_s = time.monotonic()
        rows = connection.execute(_SPLITS).fetchall()
        self._learn_specs(connection, rows)
        routes = [route for row in rows if (route := self._route(row, asked_at_s))]
        fresh = self._table.apply(routes, asked_at_s)
        epochs = self._table.epochs() if acknowledge_all else {s.lane: s.epoch for s in fresh}
        for lane, epoch in epochs.items():
            connection.execute(_ACK, (lane, epoch, self._replica))
        if fresh:
            self._on_change(self._table.names())

    def push(self, connection: Connection) -> None:
        """Write the tallies that have changed and the watermark up to which they are complete, as one."""
        self._claim(connection)
        snapshot = self._recorder.snapshot()
        with connection.transaction():
            if snapshot.rows:
                connection.execute(_TALLIES, (self._replica, json.dumps(snapshot.to_records())))
            epochs = json.dumps(self._table.epochs())
            in_flight = json.dumps(self._in_flight())
            connection.execute(_GATEWAY, (self._replica, snapshot.watermark_s, epochs, in_flight))
        self._recorder.flushed(snapshot)

    def _claim(self, connection: Connection) -> None:
        """Ask the database which requests are their users' votes, and have them counted."""
        votes = self._recorder.claims()
        if not votes:
            return
        asked = json.dumps([asdict(vote) for vote in votes])
        connection.execute(_CLAIM, (asked,))
        rows = connection.execute(_GRANTED, (asked,)).fetchall()
        self._recorder.settle(votes, {Vote(row["rollout"], row["voter"], row["request"].hex) for row in rows})

    def _learn_specs(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        wanted = {_prefix(row[arm]) for row in rows for arm in ("incumbent", "candidate") if row[arm]}
        unknown = sorted(wanted - self._specs.keys())
        if unknown:
            for row in connection.execute(_SPECS, (unknown,)):
                self._specs[row["prefix"]] = ModelSpec.from_json(row["spec"])

    def _route(self, row: dict[str, Any], asked_at_s: float) -> Route | None:
        incumbent = self._specs.get(_prefix(row["incumbent"]))
        if incumbent is None:
            log.error("lane %s: the model of %s is not in the database", row["lane"], row["incumbent"])
            return None
        return Route(
            split=Split(
                lane=row["lane"],
                epoch=row["epoch"],
                incumbent=row["incumbent"],
                candidate=row["candidate"],
                share=row["share"],
                mode=Mode(row["mode"]),
                salt=row["salt"],
                rollout=row["rollout"],
                flipped=row["flipped"],
                sticky=row["sticky"],
            ),
            timeout_s=row["timeout_s"],
            lease_until_s=asked_at_s + row["lease_s"],
            incumbent=incumbent,
            candidate=self._specs.get(_prefix(row["candidate"])) if row["candidate"] else None,
        )


def _prefix(name: str) -> str:
    """Return the digest's first 12 digits, with which every application's name ends."""
    return name.rsplit("-", 1)[-1]
