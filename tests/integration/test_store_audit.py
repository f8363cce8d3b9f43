"""The audit log on a real server: append-only for everybody, and verifiable against those who get around that."""

from dataclasses import replace

import psycopg
import pytest

from controller.adapters import embedded
from controller.adapters.database import Database
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.core.audit import Break
from controller.core.rollout import Rollout
from controller.ports import Change
from tests.contract.values import ADD_LANE, LANE, PROPOSE, ROLLOUT, candidate_split, evidence, first_split, step
from tests.integration.postgres import PrivateServer, database, database_url, postgres_server, private_server

__all__ = ["database", "database_url", "postgres_server", "private_server"]

TABLES = ("audit", "evidence")
STATEMENTS = (
    "UPDATE {} SET digest = 'x'",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "UPDATE {} SET digest = digest WHERE false",
)
ROLES = ("swapgate", "swapgate_controller", "swapgate_gateway", "owner")


def filled(database: Database) -> tuple[PostgresTruth, Rollout, int]:
    """Return a store whose audit log has three entries, its open rollout and the leader's token."""
    truth = PostgresTruth(database)
    truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    token = PostgresLease(database, "leader", 600.0).acquire()
    assert token is not None
    rollout = truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)
    change = step(rollout, evidence=(evidence(rollout, 1),), split=candidate_split(2, rollout))
    truth.commit(change, token)
    assert change.rollout is not None
    return truth, change.rollout, token


def behind_the_triggers_back(url: str, *statements: str) -> None:
    """Change the log as only a superuser can who switches its protection off."""
    with psycopg.connect(url) as connection:
        for table in ("audit", "audit_head"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_the_log(database: Database, database_url: str, role: str) -> None:
    """UPDATE, DELETE and TRUNCATE of audit and evidence are refused for the owner, a superuser and our roles."""
    filled(database)
    with psycopg.connect(database_url, autocommit=True) as connection:
        if role == "owner":
            connection.execute(
                "CREATE ROLE owner; ALTER TABLE audit OWNER TO owner; ALTER TABLE evidence OWNER TO owner"
            )
        connection.execute(f"SET ROLE {role}")
        for table in TABLES:
            for statement in STATEMENTS:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.format(table))
        connection.execute("RESET ROLE")
        if role == "owner":
            connection.execute("REASSIGN OWNED BY owner TO swapgate; DROP OWNED BY owner; DROP ROLE owner")
    assert PostgresTruth(database).verify_audit() == (3, None)


def test_playing_replica_does_not_help(database: Database, database_url: str) -> None:
    """A session that skips ordinary triggers still can't change the log."""
    filled(database)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                connection.execute(f"DELETE FROM {table}")


def test_an_entry_must_follow_the_last(database: Database, database_url: str) -> None:
    """The database itself refuses an entry that leaves a gap or links to something else than the last one."""
    truth, _, _ = filled(database)
    last = list(truth.audit())[-1]
    insert = "INSERT INTO audit VALUES (%s, 'now', 'eve', 'note', NULL, NULL, NULL, NULL, 'x', '{}', %s, 'd')"
    with psycopg.connect(database_url, autocommit=True, options="-c role=swapgate_controller") as connection:
        for seq, previous in ((5, last.digest), (4, "0" * 64), (3, last.previous)):
            with pytest.raises(psycopg.errors.SerializationFailure):
                connection.execute(insert, [seq, previous])


@pytest.mark.parametrize("statement", ["UPDATE audit_head SET seq = 1", "DELETE FROM audit_head"])
def test_our_roles_cannot_move_the_head(database: Database, database_url: str, statement: str) -> None:
    """The record of the last entry moves by appending only."""
    filled(database)
    with psycopg.connect(database_url, options="-c role=swapgate_controller") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
        connection.rollback()


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET reason = 'nicer' WHERE seq = 2", Break(2, "entry 2 was altered")),
        ("UPDATE audit SET detail = '{}' WHERE seq = 3", Break(3, "entry 3 was altered")),
        ("DELETE FROM audit WHERE seq = 2", Break(2, "entry 2 is missing")),
        ("DELETE FROM audit WHERE seq = 1", Break(1, "entry 1 is missing")),
        ("DELETE FROM audit WHERE seq = 3", Break(3, "entries 3 to 3 are missing at the end")),
        ("DELETE FROM audit", Break(1, "entries 1 to 3 are missing at the end")),
        ("UPDATE audit_head SET digest = repeat('1', 64)", Break(3, "entry 3 is not the one recorded as the last")),
        ("DELETE FROM audit_head", Break(4, "the record of the last entry is missing")),
    ],
)
def test_a_forgery_is_found(database: Database, database_url: str, statement: str, broken: Break) -> None:
    """What somebody altered or deleted behind the triggers' back is named by `verify_audit`, the end included."""
    truth, _, _ = filled(database)
    behind_the_triggers_back(database_url, statement)
    _, found = truth.verify_audit()
    assert found is not None
    assert found.seq == broken.seq
    assert found.problem.startswith(broken.problem)


def test_a_cut_log_can_still_be_continued(database: Database, database_url: str) -> None:
    """Deleting the end of the log can't keep a rollout from being aborted, and stays visible afterwards."""
    truth, rollout, token = filled(database)
    behind_the_triggers_back(
        database_url,
        "DELETE FROM audit WHERE seq = 3",
        "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_extend",
    )
    truth.commit(step(rollout), token)
    assert [entry.seq for entry in truth.audit()] == [1, 2, 4]
    _, found = truth.verify_audit()
    assert found is not None
    assert found.seq == 3


def test_a_killed_server_loses_nothing(private_server: PrivateServer) -> None:
    """After kill -9 in the middle of a transaction the log is whole and holds every committed entry, no other."""
    database = Database(private_server.url)
    truth, rollout, token = filled(database)
    unfinished = psycopg.connect(private_server.url, options="-c role=swapgate_controller")
    unfinished.execute("UPDATE rollouts SET version = 99")
    private_server.processes()[0].kill()
    assert embedded.start(private_server.folder) == private_server.url
    unfinished.close()
    assert truth.verify_audit() == (3, None)
    assert truth.rollouts() == [rollout]
    truth.commit(step(rollout), token)
    assert truth.verify_audit() == (4, None)
    database.close()


def test_the_numbers_of_a_change_survive(database: Database) -> None:
    """Fractions, tiny and huge numbers in audit and evidence come back as the values whose digest was taken."""
    truth, rollout, _ = filled(database)
    assert dict(list(truth.audit())[-1].detail) == {"share": 0.25, "tiny": 1e-7, "big": 1e22, "words": ["a", "ü"]}
    assert truth.last_evidence(rollout.id) == evidence(rollout, 1)
    assert truth.commit(Change(), 1) is None
