"""The stores under contract, each with the gateways' side of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from controller.adapters.clock import ManualClock
from controller.adapters.database import Database
from controller.adapters.memory import MemoryStore
from controller.adapters.memory_lease import MemoryLease
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.ports import Lease, TallyRow
from controller.service import Truth


class Gateways(Protocol):
    """What gateways do to a store."""

    def report(
        self, replica: str, watermark_s: float, epochs: Mapping[str, int], in_flight: Mapping[str, int] | None = None
    ) -> None: ...

    def put_tally(self, lane: str, row: TallyRow) -> None: ...

    def acknowledge(self, lane: str, epoch: int, replica: str) -> None: ...

    def lease_left_s(self, lane: str) -> float: ...


class PostgresGateways:
    """Writes as the role of the gateways."""

    def __init__(self, url: str) -> None:
        self._url = url

    def report(
        self, replica: str, watermark_s: float, epochs: Mapping[str, int], in_flight: Mapping[str, int] | None = None
    ) -> None:
        self._run(
            "INSERT INTO gateways (replica, watermark_s, epochs, in_flight) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (replica) DO UPDATE SET watermark_s = excluded.watermark_s, epochs = excluded.epochs,"
            " in_flight = excluded.in_flight, seen_at = clock_timestamp()",
            [replica, watermark_s, Jsonb(dict(epochs)), Jsonb(dict(in_flight or {}))],
        )

    def put_tally(self, lane: str, row: TallyRow) -> None:
        self._run(
            "INSERT INTO tallies (lane, epoch, window_no, replica, tally) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (lane, epoch, window_no, replica) DO UPDATE SET tally = excluded.tally",
            [lane, row.epoch, row.window, row.replica, Jsonb(row.tally.to_json())],
        )

    def acknowledge(self, lane: str, epoch: int, replica: str) -> None:
        self._run(
            "INSERT INTO acks (lane, epoch, replica) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [lane, epoch, replica],
        )

    def lease_left_s(self, lane: str) -> float:
        query = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM splits WHERE lane = %s"
        with psycopg.connect(self._url, options="-c role=swapgate_gateway") as connection:
            row = connection.execute(query, [lane]).fetchone()
        assert row is not None
        return float(row[0])

    def _run(self, query: Any, parameters: list[Any]) -> None:
        with psycopg.connect(self._url, options="-c role=swapgate_gateway") as connection:
            connection.execute(query, parameters)


class MemoryGateways:
    """Writes through the store itself."""

    def __init__(self, store: MemoryStore) -> None:
        self.report = store.report
        self.put_tally = store.put_tally
        self.acknowledge = store.acknowledge
        self._store = store

    def lease_left_s(self, lane: str) -> float:
        return self._store.split(lane)[1]


@dataclass
class Installation:
    """A store with everything around it."""

    truth: Truth
    lease: Callable[[str, float], Lease]
    gateways: Gateways


def in_memory() -> Installation:
    """Return an empty store in memory."""
    store = MemoryStore(ManualClock().monotonic_s)
    return Installation(store, lambda holder, ttl_s: MemoryLease(store, holder, ttl_s), MemoryGateways(store))


def in_postgres(database: Database) -> Installation:
    """Return an empty store in PostgreSQL."""
    return Installation(
        PostgresTruth(database),
        lambda holder, ttl_s: PostgresLease(database, holder, ttl_s),
        PostgresGateways(database.url),
    )
