"""A database that is stopped, killed, frozen or empty: a clear error within bounded time, and recovery."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from controller.adapters import embedded
from controller.adapters.database import Database
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.adapters.wakeup import Wakeup
from controller.core.rollout import Rollout
from controller.errors import UnavailableError
from controller.ports import Change
from tests.contract.values import ADD_LANE, LANE, PROPOSE, ROLLOUT, first_split, wish
from tests.integration.postgres import PrivateServer, postgres_server, private_server

__all__ = ["postgres_server", "private_server"]

HANG_S = 60.0


def calls(database: Database) -> list[Callable[[], object]]:
    """Return every question and wish that a store can be asked."""
    truth, lease = PostgresTruth(database), PostgresLease(database, "one", 60.0)
    rollout: Rollout = ROLLOUT
    return [
        truth.world,
        lambda: truth.tallies("preview", (1, 2), 0),
        lambda: truth.evidence("r-0001"),
        lambda: truth.last_evidence("r-0001"),
        lambda: truth.totals("preview", [1]),
        lambda: truth.settled_s("preview", 1),
        lambda: truth.commit(Change(), 1),
        lambda: truth.renew({"preview": 3.0}, 1),
        lambda: truth.propose(rollout, rollout.candidate, PROPOSE),
        lambda: truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE),
        truth.rollouts,
        lambda: truth.request(wish(rollout)),
        lambda: truth.outcome(1),
        lambda: list(truth.audit()),
        truth.verify_audit,
        truth.prune,
        lease.acquire,
        lease.release,
    ]


def error_within(seconds: float, call: Callable[[], object]) -> BaseException | None:
    """Return what a call raised, failing when it takes longer."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # handed to the test
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"still waiting after {seconds} s"
    return raised[0] if raised else None


def test_a_stopped_server_is_unavailable_and_comes_back(private_server: PrivateServer) -> None:
    """Every call raises UnavailableError with its cause while the server is down, and works at once when it is up."""
    database = Database(private_server.url)
    PostgresTruth(database).world()
    embedded.stop(private_server.folder)
    for call in calls(database):
        error = error_within(HANG_S, call)
        assert isinstance(error, UnavailableError)
        assert isinstance(error.__cause__, psycopg.Error)
    embedded.start(private_server.folder)
    assert PostgresTruth(database).world().lanes == ()
    database.close()


def test_a_frozen_server_is_unavailable(private_server: PrivateServer) -> None:
    """A server that hangs raises UnavailableError on an open connection and on a new one."""
    database = Database(private_server.url)
    truth = PostgresTruth(database)
    truth.world()
    with private_server.frozen():
        errors = [error_within(HANG_S, truth.world) for _ in range(2)]
    assert [type(error) for error in errors] == [UnavailableError, UnavailableError]
    assert truth.world().lanes == ()
    database.close()


def test_a_restart_between_two_calls_goes_unnoticed(private_server: PrivateServer) -> None:
    """Connections that died while idle are replaced, not handed out."""
    database = Database(private_server.url)
    truth = PostgresTruth(database)
    truth.world()
    private_server.processes()[0].kill()
    embedded.start(private_server.folder)
    assert truth.world().lanes == ()
    database.close()


def test_an_empty_database_says_what_to_do(postgres_server: str) -> None:
    """Without the schema the error says to migrate."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    database = Database(postgres_server.replace("/postgres?", "/empty?"))
    with pytest.raises(UnavailableError, match="migrate"):
        PostgresTruth(database).world()
    database.close()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE empty WITH (FORCE)")


def test_busy_connections_are_an_error_not_a_queue(private_server: PrivateServer) -> None:
    """When every connection is in use the next caller hears so instead of waiting for ever."""
    database = Database(private_server.url, connections=1)
    with database.transaction():
        error = error_within(HANG_S, PostgresTruth(database).world)
    assert isinstance(error, UnavailableError)
    assert "busy" in str(error)
    assert PostgresTruth(database).world().lanes == ()
    database.close()


def test_a_wakeup_without_a_database_waits(private_server: PrivateServer) -> None:
    """A missing database neither raises nor spins: the wait takes its time, until the wakeup is closed."""
    embedded.stop(private_server.folder)
    wakeup = Wakeup(private_server.url)
    wakeup.wait(0.05)
    waiting = threading.Thread(target=wakeup.wait, args=(HANG_S,), daemon=True)
    waiting.start()
    wakeup.close()
    waiting.join(HANG_S / 2)
    assert not waiting.is_alive()
