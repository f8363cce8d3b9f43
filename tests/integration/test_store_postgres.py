"""What only the store in PostgreSQL does: wake people up, forget, keep tokens, and grant no more than needed."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from controller.adapters import migrate
from controller.adapters.database import Database
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.adapters.tokens import Tokens
from controller.adapters.wakeup import OUTCOME_CHANNEL, REQUEST_CHANNEL, SPLIT_CHANNEL, Wakeup
from controller.core.rollout import Rollout
from controller.core.states import State
from controller.errors import ConflictError, UnavailableError, UserError
from controller.ports import Change, TallyRow
from controller.stats.tally import WINDOW_S, merge
from tests.contract.stores import PostgresGateways
from tests.contract.values import ADD_LANE, LANE, PROPOSE, ROLLOUT, candidate_split, first_split, moved, tally, wish
from tests.integration.postgres import PrivateServer, database, database_url, postgres_server, private_server

__all__ = ["database", "database_url", "postgres_server", "private_server"]

PATIENCE_S = 60.0
DAY_S = 86_400


@pytest.fixture
def truth(database: Database) -> PostgresTruth:
    """A store with one lane."""
    truth = PostgresTruth(database)
    truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    return truth


@pytest.fixture
def token(database: Database) -> int:
    """The leader's token."""
    found = PostgresLease(database, "leader", 600.0).acquire()
    assert found is not None
    return found


@pytest.fixture
def rollout(truth: PostgresTruth) -> Rollout:
    """An open rollout."""
    return truth.propose(ROLLOUT, ROLLOUT.candidate, PROPOSE)


def woken_by(url: str, channel: str, act: Callable[[], object]) -> bool:
    """Say whether an act ends a wait on a channel long before its time."""
    wakeup = Wakeup(url, channel)
    wakeup.wait(PATIENCE_S)  # connecting counts as news
    waiting = threading.Thread(target=wakeup.wait, args=(PATIENCE_S,), daemon=True)
    waiting.start()
    act()
    waiting.join(PATIENCE_S / 2)
    ended = not waiting.is_alive()
    wakeup.close()
    return ended


def test_closing_ends_a_wait(database_url: str) -> None:
    """Closing a wakeup ends the wait that another thread is in, and there is no later one."""
    wakeup = Wakeup(database_url)
    wakeup.wait(PATIENCE_S)
    waiting = threading.Thread(target=wakeup.wait, args=(PATIENCE_S,), daemon=True)
    waiting.start()
    wakeup.close()
    waiting.join(PATIENCE_S / 2)
    assert not waiting.is_alive()
    wakeup.wait(PATIENCE_S)


def test_a_request_wakes_the_loop(truth: PostgresTruth, rollout: Rollout, database_url: str) -> None:
    """A person's wish ends the loop's wait."""
    assert woken_by(database_url, REQUEST_CHANNEL, lambda: truth.request(wish(rollout)))


def test_a_split_wakes_the_gateways(truth: PostgresTruth, token: int, rollout: Rollout, database_url: str) -> None:
    """A new split ends the gateways' wait."""
    change = Change(split=candidate_split(2, rollout))
    assert woken_by(database_url, SPLIT_CHANNEL, lambda: truth.commit(change, token))


def test_an_answer_wakes_who_asked(truth: PostgresTruth, token: int, rollout: Rollout, database_url: str) -> None:
    """The outcome of a wish ends the wait of whoever asked."""
    number = truth.request(wish(rollout))
    assert woken_by(database_url, OUTCOME_CHANNEL, lambda: truth.commit(Change(outcomes={number: "done"}), token))


def test_a_notification_between_two_waits_is_heard(truth: PostgresTruth, rollout: Rollout, database_url: str) -> None:
    """A wish that comes while nobody waits ends the next wait at once."""
    wakeup = Wakeup(database_url)
    wakeup.wait(PATIENCE_S)
    truth.request(wish(rollout))
    started_s = time.monotonic()
    wakeup.wait(PATIENCE_S)
    assert time.monotonic() - started_s < PATIENCE_S / 2
    wakeup.close()


def test_a_refused_change_wakes_nobody(truth: PostgresTruth, token: int, rollout: Rollout, database_url: str) -> None:
    """A change that is rolled back notifies nobody."""
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(b"LISTEN swapgate_split")
        with pytest.raises(ConflictError):
            truth.commit(Change(split=candidate_split(2, rollout), outcomes={99: "done"}), token)
        assert list(listener.notifies(timeout=0.2)) == []
        truth.commit(Change(split=candidate_split(2, rollout)), token)
        (heard,) = listener.notifies(timeout=PATIENCE_S, stop_after=1)
    assert heard.payload == "preview"


def test_splits_are_remembered(truth: PostgresTruth, token: int, rollout: Rollout) -> None:
    """Every split that a lane had can be read back, oldest first, with a time that does not go back."""
    truth.commit(Change(split=candidate_split(2, rollout)), token)
    (first, first_s), (second, second_s) = truth.split_history("preview")
    assert (first, second) == (first_split(), candidate_split(2, rollout))
    assert second_s >= first_s


def test_a_sticky_split_is_stored_and_one_from_before_them_is_read(
    truth: PostgresTruth, token: int, rollout: Rollout, database_url: str
) -> None:
    """Gateways and replay read what was written; the history of older rollouts stays readable."""
    sticky = replace(candidate_split(2, rollout), sticky=True)
    truth.commit(Change(split=sticky), token)
    [row] = truth.world().lanes
    assert row.split == sticky
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE split_history SET value = (value::jsonb - 'sticky')::json")
    assert [split.sticky for split, _ in truth.split_history("preview")] == [False, False]


def test_a_split_carries_the_lanes_timeout(
    truth: PostgresTruth, token: int, rollout: Rollout, database_url: str
) -> None:
    """Gateways find the lane's current timeout in the split's row."""
    truth.commit(Change(split=candidate_split(2, rollout)), token)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT timeout_s FROM splits").fetchone() == (LANE.timeout_s,)


def test_pruning_forgets_only_what_nobody_needs(
    database_url: str, truth: PostgresTruth, token: int, rollout: Rollout
) -> None:
    """Old tallies and votes go unless a rollout is open that needs them; silent gateways go with their acks."""
    gateways = PostgresGateways(database_url)
    now = int(truth.world().now_s)
    old, new = (now - 8 * DAY_S) // WINDOW_S, now // WINDOW_S
    truth.commit(Change(split=candidate_split(2, rollout)), token)
    for epoch, window in ((1, old), (1, new), (2, old)):
        gateways.put_tally("preview", TallyRow(epoch, window, "g1", tally(1)))
    for replica in ("g1", "g2"):
        gateways.report(replica, 1.0, {})
        gateways.acknowledge("preview", 1, replica)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE gateways SET seen_at = now() - interval '25 hours' WHERE replica = 'g1'")
        connection.execute(
            "INSERT INTO votes VALUES (%s, 1, gen_random_uuid()), ('r-9999', 1, gen_random_uuid())", [rollout.id]
        )
    truth.prune()
    assert [(row.epoch, row.window) for row in truth.tallies("preview", (1, 9), 0)] == [(1, new), (2, old)]
    assert [gateway.replica for gateway in truth.world().gateways] == ["g2"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT replica FROM acks").fetchall() == [("g2",)]
        assert connection.execute("SELECT rollout FROM votes").fetchall() == [(rollout.id,)]
    truth.commit(Change(rollout=moved(rollout, State.REJECTED)), token)
    truth.prune()
    assert [(row.epoch, row.window) for row in truth.tallies("preview", (1, 9), 0)] == [(1, new)]


def test_tokens_are_known_by_their_hash_alone(database: Database, database_url: str) -> None:
    """A token opens its role until it is removed, and stands nowhere in the database."""
    tokens = Tokens(database)
    token = tokens.add_token("ana", "operator")
    assert tokens.role_of(token) == ("ana", "operator")
    assert tokens.role_of(token + "x") is None
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tokens::text FROM tokens").fetchall()
    assert len(rows) == 1
    assert token not in str(rows)
    assert tokens.remove_token("ana")
    assert tokens.role_of(token) is None
    assert not tokens.remove_token("ana")


def test_bad_tokens_are_refused(database: Database) -> None:
    """An unknown role is a user error that names the known ones; a taken name is a conflict."""
    tokens = Tokens(database)
    with pytest.raises(UserError, match="viewer, operator"):
        tokens.add_token("ana", "admin")
    tokens.add_token("ana", "viewer")
    with pytest.raises(ConflictError, match="ana"):
        tokens.add_token("ana", "operator")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM rollouts",
        "SELECT * FROM tokens",
        "SELECT * FROM audit",
        "SELECT * FROM requests",
        "UPDATE splits SET share = 1",
        "UPDATE splits SET lease_until = 'infinity'",
        "UPDATE leader SET token = token + 1",
        "DELETE FROM tallies",
        "INSERT INTO models VALUES ('d', '{}')",
        "CREATE TABLE mine ()",
    ],
)
def test_gateways_may_do_nothing_more(database_url: str, statement: str) -> None:
    """The gateways' role can't read secrets or rollouts, nor give itself traffic or a lease."""
    with psycopg.connect(database_url, options="-c role=swapgate_gateway") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
        connection.rollback()


def test_the_migrations_make_the_snapshot() -> None:
    """The schema that people read is the one that the migrations make."""
    assert not migrate.drift()


def test_migrating_is_repeatable(postgres_server: str) -> None:
    """An empty database lacks every revision, a migrated one none, and concurrent migrations are one."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare")
    url = postgres_server.replace("/postgres?", "/bare?")
    try:
        assert migrate.current(url) is None
        assert migrate.pending(url)[0] == "0001"
        threads = [threading.Thread(target=migrate.upgrade, args=(url,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert migrate.pending(url) == ()
        assert migrate.current(url) is not None
        migrate.upgrade(url)
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute("DROP DATABASE bare WITH (FORCE)")


def test_an_unreachable_database_cannot_be_migrated() -> None:
    """Migrating a server that isn't there is UnavailableError."""
    with pytest.raises(UnavailableError):
        migrate.pending("postgresql://nobody@/none?host=/nonexistent")


def test_an_owner_who_is_no_superuser_can_migrate_and_run(private_server: PrivateServer) -> None:
    """On somebody else's server a role that may create roles, but is no superuser, suffices for everything."""
    with psycopg.connect(private_server.url, autocommit=True) as connection:
        connection.execute(
            "DROP OWNED BY swapgate_controller, swapgate_gateway; DROP ROLE swapgate_controller, swapgate_gateway"
        )
        connection.execute("CREATE ROLE tenant LOGIN CREATEROLE")
        connection.execute("CREATE DATABASE theirs OWNER tenant")
    url = private_server.url.replace("swapgate@/postgres?", "tenant@/theirs?")
    migrate.upgrade(url)
    database = Database(url)
    truth = PostgresTruth(database)
    assert truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    assert truth.verify_audit() == (1, None)
    PostgresGateways(url).report("g1", 1.0, {})
    assert len(truth.world().gateways) == 1
    database.close()


def test_late_tallies_change_the_totals(truth: PostgresTruth, database_url: str) -> None:
    """Sums that are kept for old windows notice a window that came late and one that changed late."""
    gateways = PostgresGateways(database_url)
    now = int(truth.world().now_s) // WINDOW_S
    old, older = now - 10_000, now - 20_000
    for window, assigned in ((older, 1), (old, 2), (now, 3)):
        gateways.put_tally("preview", TallyRow(2, window, "g1", tally(assigned)))
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE tallies DISABLE TRIGGER USER")
        connection.execute("UPDATE tallies SET changed_at = now() - interval '1 hour'")
        connection.execute("ALTER TABLE tallies ENABLE TRIGGER USER")
    assert truth.totals("preview", [2]) == merge([tally(1), tally(2), tally(3)])
    gateways.put_tally("preview", TallyRow(2, now, "g1", tally(4)))
    assert truth.totals("preview", [2]) == merge([tally(1), tally(2), tally(4)])
    gateways.put_tally("preview", TallyRow(2, old, "g1", tally(5)))
    gateways.put_tally("preview", TallyRow(2, older, "g2", tally(6)))
    assert truth.totals("preview", [2]) == merge([tally(1), tally(5), tally(6), tally(4)])
    assert truth.totals("preview", [2]) == merge([tally(1), tally(5), tally(6), tally(4)])
