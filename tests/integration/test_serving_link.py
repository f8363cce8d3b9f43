"""The gateway's tie to a real PostgreSQL: fenced, leased by the database's clock, and never in a hurry to forget."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import errors

from controller.adapters import embedded
from controller.core.spec import app_name
from controller.stats.tally import Arm
from serving.link import Link
from serving.outcome import Outcome
from serving.recorder import Recorder, Vote
from serving.routes import Route, RouteTable
from tests.integration.postgres import PrivateServer, database_url, postgres_server, private_server
from tests.integration.serving_world import LANE, LaneRows, until
from tests.unit.serving.worlds import fake_spec

__all__ = ["database_url", "postgres_server", "private_server"]

CANDIDATE = fake_spec(9)
CANDIDATE_APP = app_name(LANE.name, CANDIDATE.digest)


@dataclass
class Tied:
    """A table and a recorder tied to a database."""

    url: str
    table: RouteTable = field(default_factory=lambda: RouteTable([]))
    recorder: Recorder = field(default_factory=Recorder)
    changes: list[frozenset[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = LaneRows(self.url, gateways=1)
        self.rows.store(LANE)
        self.rows.learn(CANDIDATE)
        self.link = Link(self.url, "gw-test", self.table, self.recorder, self.changes.append, lambda: {"model-a": 2})
        self.link.start()
        until("the first split", lambda: self.table.get("preview"))

    @property
    def route(self) -> Route:
        route = self.table.get("preview")
        assert route is not None
        return route

    def live(self) -> bool:
        return self.route.live(time.monotonic())

    def count(self, epoch: int, arm: Arm = Arm.CANDIDATE) -> None:
        self.recorder.assign("preview", epoch, arm, "a").resolve(Outcome({"latency_s": 1.0}))


@pytest.fixture
def tie() -> Iterator[Callable[[str], Tied]]:
    made: list[Tied] = []

    def make(url: str) -> Tied:
        made.append(Tied(url))
        return made[-1]

    yield make
    for tied in made:
        tied.link.stop()


@pytest.fixture
def tied(tie: Callable[[str], Tied], database_url: str) -> Tied:
    return tie(database_url)


def vote_of(user: int) -> Vote:
    return Vote("r-0001", user, uuid.uuid4().hex)


def test_a_split_is_applied_and_acknowledged(tied: Tied) -> None:
    """What the controller wrote is what the router reads, specs included; who has to be warm is told."""
    epoch = tied.rows.split(CANDIDATE_APP, 0.25)
    assert (tied.route.split.epoch, tied.route.split.share) == (epoch, 0.25)
    assert tied.route.candidate == CANDIDATE
    assert tied.route.incumbent == LANE.incumbent
    assert tied.route.timeout_s == LANE.timeout_s
    assert tied.live()
    assert CANDIDATE_APP in tied.changes[-1]


def test_no_lease_is_no_candidate(tied: Tied) -> None:
    """A split whose lease was never given, or lies in the past, is known and not used."""
    with tied.rows.connection() as connection:
        connection.execute(
            "UPDATE splits SET epoch = 7, candidate = %s, share = 1, lease_until = '-infinity'", [CANDIDATE_APP]
        )
        connection.execute("NOTIFY swapgate_split")
    until("epoch 7", lambda: tied.route.split.epoch == 7)
    assert not tied.live()
    tied.rows.split(CANDIDATE_APP, 1.0, lease_s=-1.0)
    assert not tied.live()


def test_a_lease_runs_out_by_itself(tied: Tied) -> None:
    """Nobody has to tell a gateway to stop."""
    tied.rows.split(CANDIDATE_APP, 1.0, lease_s=1.5)
    assert tied.live()
    until("the lease ran out", lambda: not tied.live(), 5.0)


def test_a_renewed_lease_keeps_the_candidate(tied: Tied) -> None:
    """The poll picks a renewal up without a notification."""
    tied.rows.split(CANDIDATE_APP, 1.0, lease_s=1.0)
    first = tied.route.lease_until_s
    with tied.rows.connection() as connection:
        connection.execute("UPDATE splits SET lease_until = clock_timestamp() + interval '60 s'")
    until("the renewal", lambda: tied.route.lease_until_s > first + 30)


def test_an_older_epoch_is_not_obeyed(tied: Tied) -> None:
    """A row restored from yesterday can't bring its share back."""
    epoch = tied.rows.split(None, 0.0)
    with tied.rows.connection() as connection:
        connection.execute("UPDATE splits SET epoch = 0, candidate = %s, share = 1", [CANDIDATE_APP])
        connection.execute("NOTIFY swapgate_split")
        read_at_s = tied.table.read_at_s
        until("another read", lambda: tied.table.read_at_s != read_at_s)
    assert (tied.route.split.epoch, tied.route.split.share) == (epoch, 0.0)


def test_a_model_nobody_knows_changes_nothing(tied: Tied) -> None:
    """A split that names an incumbent without a model is neither used nor acknowledged."""
    epoch = tied.route.split.epoch
    with tied.rows.connection() as connection:
        connection.execute("UPDATE splits SET epoch = epoch + 1, incumbent = 'model-preview-000000000000'")
        connection.execute("NOTIFY swapgate_split")
        read_at_s = tied.table.read_at_s
        until("another read", lambda: tied.table.read_at_s != read_at_s)
        acks = connection.execute("SELECT epoch FROM acks WHERE epoch > %s", [epoch]).fetchall()
    assert tied.route.split.epoch == epoch
    assert acks == []


def test_tallies_are_replaced_and_never_added(tied: Tied) -> None:
    """However often a window is flushed, the database holds what was counted."""
    for total in (1, 2, 3):
        tied.count(5)
        until("flushed", lambda total=total: tied.rows.tallies(5).assigned(Arm.CANDIDATE) == total)
    assert tied.recorder.snapshot().rows == {}


def test_an_outage_loses_no_count(tie: Callable[[str], Tied], private_server: PrivateServer) -> None:
    """What is counted while the database is away is there when it is back."""
    tied = tie(private_server.url)
    embedded.stop(private_server.folder)
    for _ in range(10):
        tied.count(5)
    assert embedded.start(private_server.folder) == private_server.url
    until("flushed", lambda: tied.rows.tallies(5).assigned(Arm.CANDIDATE) == 10)


def test_a_frozen_database_is_no_lease(tie: Callable[[str], Tied], private_server: PrivateServer) -> None:
    """A server that neither answers nor hangs up ends the candidate's traffic as well, and only until it thaws."""
    tied = tie(private_server.url)
    tied.rows.split(CANDIDATE_APP, 1.0, lease_s=3.0)
    with private_server.frozen():
        until("the lease ran out", lambda: not tied.live(), 5.0)
    tied.rows.split(CANDIDATE_APP, 1.0)
    assert tied.live()


def test_a_user_votes_once_whichever_gateway_it_comes_to(tied: Tied, database_url: str) -> None:
    """Two gateways that meet the same users at once count each of them once, together."""
    users = range(-50, 50)
    other = Recorder()
    link = Link(database_url, "gw-other", RouteTable([]), other, lambda _: None, dict)
    link.start()
    for user in users:
        for recorder in (tied.recorder, other):
            ticket = recorder.assign_user("preview", 5, Arm.CANDIDATE, "a", vote_of(user))
            ticket.resolve(Outcome({"latency_s": 1.0, "failure": 0.0}))
    until("settled", lambda: not tied.recorder.claims() and not other.claims())
    until("flushed", lambda: not tied.recorder.snapshot().rows and not other.snapshot().rows)
    link.stop()
    [counted] = tied.rows.tallies(5).arms[Arm.CANDIDATE].values()
    assert counted.assigned == len(users)
    assert counted.answered == 2 * len(users)


def test_a_vote_survives_a_lost_answer(tied: Tied) -> None:
    """A request that asks again for what it was granted gets it again; another one of that user never does."""
    with tied.rows.connection() as connection:
        mine, others = vote_of(1), vote_of(2)
        connection.execute(
            "INSERT INTO votes VALUES ('r-0001', 1, %s), ('r-0001', 2, gen_random_uuid())", [mine.request]
        )
    for vote in (mine, others):
        tied.recorder.assign_user("preview", 6, Arm.CANDIDATE, "a", vote)
    until("flushed", lambda: tied.rows.tallies(6).assigned(Arm.CANDIDATE) == 1)
    assert tied.recorder.claims() == []


def test_votes_wait_for_a_database_that_is_away(tie: Callable[[str], Tied], private_server: PrivateServer) -> None:
    """Nobody is counted twice or not at all because of an outage."""
    tied = tie(private_server.url)
    embedded.stop(private_server.folder)
    for user in (1, 2, 1):
        tied.recorder.assign_user("preview", 5, Arm.CANDIDATE, "a", vote_of(user))
    assert len(tied.recorder.claims()) == 2
    assert embedded.start(private_server.folder) == private_server.url
    until("flushed", lambda: tied.rows.tallies(5).assigned(Arm.CANDIDATE) == 2)


def test_a_gateway_may_not_write_what_it_obeys(tied: Tied) -> None:
    """The role under which it connects can't give itself a share, nor touch rollouts and audit."""
    with psycopg.connect(tied.url, autocommit=True, options="-c role=swapgate_gateway") as connection:
        for statement in (
            "UPDATE splits SET share = 1",
            "DELETE FROM tallies",
            "DELETE FROM votes",
            "UPDATE votes SET voter = 1",
            "SELECT * FROM rollouts",
            "INSERT INTO audit DEFAULT VALUES",
            "SELECT * FROM tokens",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
