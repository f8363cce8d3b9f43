"""A lane served for real: PostgreSQL, gateway, models and scorers, and a hand on the split in the database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from controller.core.lane import Lane
from controller.core.spec import ModelSpec, app_name
from controller.stats.tally import WindowTally, merge
from serving.fleet import RayFleet
from tests.unit.serving.worlds import fake_spec

PATH = "/v1/images/generations"
INCUMBENT = fake_spec(4, latency_s=0.02, memory_gib=1.5)
LANE = Lane("preview", 6.0, INCUMBENT)
USD_PER_HOUR = {"cpu": 0.04}

_T = TypeVar("_T")


def until(what: str, look: Callable[[], _T | None], timeout_s: float = 120.0) -> _T:
    """Return the first truthy thing that `look` sees; fail when it takes too long."""
    give_up_s = time.monotonic() + timeout_s
    while time.monotonic() < give_up_s:
        if seen := look():
            return seen
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s:g} s: {what}")


@dataclass
class Traffic:
    """What clients got: (status, arm, fallback) -> how often."""

    seen: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def errors(self) -> int:
        """Count answers other than 200."""
        return sum(count for (status, _, _), count in self.seen.items() if status != 200)

    def arm(self, arm: str) -> int:
        """Count answers that the coin gave to an arm."""
        return sum(count for (_, found, _), count in self.seen.items() if found == arm)


@dataclass
class LaneRows:
    """The lane `preview` in the database, and a hand on its split; `gateways` must acknowledge what it writes."""

    database_url: str
    gateways: int

    def store(self, lane: Lane) -> None:
        """Write a lane with its first split."""
        with self.connection() as connection:
            self.learn(lane.incumbent)
            connection.execute("INSERT INTO lanes (name, value) VALUES (%s, %s)", [lane.name, Jsonb(lane.to_json())])
            connection.execute(
                "INSERT INTO splits (lane, epoch, incumbent, share, mode, salt, timeout_s)"
                " VALUES (%s, 1, %s, 0, 'share', 'salt', %s)",
                [lane.name, app_name(lane.name, lane.incumbent.digest), lane.timeout_s],
            )

    def learn(self, spec: ModelSpec) -> None:
        """Write a model."""
        with self.connection() as connection:
            connection.execute(
                "INSERT INTO models (digest, spec) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [spec.digest, Jsonb(spec.to_json())],
            )

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A connection that may do anything."""
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            yield connection

    def split(
        self, candidate: str | None, share: float, *, mode: str = "share", lease_s: float = 600.0, sticky: bool = False
    ) -> int:
        """Write the next split, wait until every gateway has acknowledged it, and return its epoch."""
        with self.connection() as connection:
            row = connection.execute(
                "UPDATE splits SET epoch = epoch + 1, candidate = %s, share = %s, mode = %s, sticky = %s,"
                " lease_until = clock_timestamp() + make_interval(secs => %s) WHERE lane = 'preview'"
                " RETURNING epoch",
                [candidate, share, mode, sticky, lease_s],
            ).fetchone()
            assert row is not None
            connection.execute("SELECT pg_notify('swapgate_split', 'preview')")
            until("every gateway applied the split", lambda: self._acks(connection, row["epoch"]))
            return int(row["epoch"])

    def _acks(self, connection: psycopg.Connection[dict[str, Any]], epoch: int) -> bool:
        acks = connection.execute("SELECT replica FROM acks WHERE epoch = %s", [epoch]).fetchall()
        return len(acks) >= self.gateways

    def tallies(self, epoch: int) -> WindowTally:
        """Merge everything that was flushed for an epoch."""
        with self.connection() as connection:
            rows = connection.execute("SELECT tally FROM tallies WHERE epoch = %s", [epoch]).fetchall()
        return merge(WindowTally.from_json(row["tally"]) for row in rows)


@dataclass
class ServedLane(LaneRows):
    """The lane as it is served."""

    fleet: RayFleet
    url: str
    database_folder: Path

    def deploy(self, spec: ModelSpec) -> str:
        """Start a model and wait until it is ready; return its application."""
        name = app_name(LANE.name, spec.digest)
        self.learn(spec)
        self.fleet.deploy(name, spec, LANE)
        until(f"{name} ready", lambda: self.phase(name) == "ready", 180.0)
        return name

    def phase(self, name: str) -> str:
        """Return the phase of an application, `absent` when it isn't there."""
        status = self.fleet.status().get(name)
        return status.phase if status else "absent"

    def draw(self, client: httpx.Client, prompt: str = "a red square", **more: Any) -> httpx.Response:
        """Ask for one image."""
        return client.post(self.url + PATH, json={"model": "preview", "prompt": prompt, **more}, timeout=30.0)

    @contextmanager
    def traffic(self, clients: int = 3) -> Iterator[Traffic]:
        """Keep drawing with several clients while the block runs."""
        traffic, stop = Traffic(), threading.Event()

        def draw() -> None:
            with httpx.Client() as client:
                while not stop.is_set():
                    response = self.draw(client)
                    arm = response.headers.get("x-swapgate-arm", "")
                    fallback = response.headers.get("x-swapgate-fallback", "")
                    with traffic.lock:
                        traffic.seen[response.status_code, arm, fallback] += 1

        threads = [threading.Thread(target=draw) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield traffic
        finally:
            stop.set()
            for thread in threads:
                thread.join()
