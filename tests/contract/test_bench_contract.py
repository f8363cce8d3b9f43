"""What every bench book and blob store must do, whether in memory, in PostgreSQL or in a folder."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.adapters.blobs import FsspecBlobs
from controller.adapters.memory import MemoryStore
from controller.adapters.memory_bench import MemoryBenchBook, MemoryBlobs
from controller.adapters.postgres_bench import PostgresBenchBook
from controller.bench_ports import BenchBook, BenchOutcome, Blobs
from controller.core.bench import Bench
from controller.core.policy import Criterion, Gate
from controller.core.rollout import Rollout
from controller.core.states import State
from controller.core.suite import Category, Expectation, Prompt, Suite, Thing
from controller.errors import ConflictError, InvariantError, MissingBlobError, UserError
from controller.ports import AuditDraft, Change
from tests.contract.stores import Installation, in_memory, in_postgres
from tests.contract.values import ADD_LANE, LANE, PROPOSE, ROLLOUT, first_split, moved, spec
from tests.integration.postgres import database, database_url, postgres_server
from tests.unit.core.values import POLICY

__all__ = ["database", "database_url", "postgres_server"]

SUITE = Suite(
    name="small",
    version=1,
    title="Three prompts",
    prompts=(
        Prompt("open", Category.TYPOGRAPHY, 'the word "ÖPEN"', (1, 2), Expectation(text="ÖPEN"), ("preview",)),
        Prompt("dots", Category.SMALL_OBJECTS, "3 red dots", (1,), Expectation(things=(Thing(3, "red", "circle"),))),
    ),
    assets={},
)
GATE = Gate("small", SUITE.digest, 1, 4, (1, 2), None, (Criterion("text_accuracy", "mean", max_drop=0.1),))
GATED = replace(POLICY, gate=GATE)
BENCH = Bench("", "preview", "turbo", "ana", "is it faster?", spec(10), LANE.incumbent, GATED, 20.0)
OPENED = AuditDraft("ana", "bench", "is it faster?", detail={"x": 0.1})
DONE = AuditDraft("swapgate", "bench_finished", "pass", lane="preview")
PASS = BenchOutcome("pass", "all is well", SUITE.digest, {"criteria": [], "tiny": 1e-7})
SHOT = {"latency_s": 0.1 + 0.2, "tiny": 1e-7, "scores": {"words": {"value": None, "reason": "scorer_down"}}}


@dataclass(frozen=True, slots=True)
class Desk:
    """A book beside the store whose leader and audit log it shares."""

    store: Installation
    book: BenchBook
    token: int


@pytest.fixture(params=["memory", "postgres"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """A book with one lane and a leader, of each kind."""
    if request.param == "memory":
        store = in_memory()
        assert isinstance(store.truth, MemoryStore)
        book: BenchBook = MemoryBenchBook(store.truth)
    else:
        database = request.getfixturevalue("database")
        store, book = in_postgres(database), PostgresBenchBook(database)
    assert store.truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    token = store.lease("leader", 60.0).acquire()
    assert token is not None
    return Desk(store, book, token)


def propose(desk: Desk) -> Rollout:
    return desk.store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)


def test_a_suite_comes_back_equal(desk: Desk) -> None:
    """A suite is found under its digest as the same value, however often it is stored; another digest is unknown."""
    desk.book.add_suite(SUITE)
    desk.book.add_suite(SUITE)
    found = desk.book.suite(SUITE.digest)
    assert found == SUITE
    assert found.digest == SUITE.digest
    assert desk.book.suite("0" * 64) is None


def test_a_bench_comes_back_equal(desk: Desk) -> None:
    """What was opened is read back as the same value under its id, and the audit log has its actor and reason."""
    bench = desk.book.open(BENCH, OPENED)
    assert bench == replace(BENCH, id="b-0001", created_at_s=bench.created_at_s)
    assert bench.created_at_s > 0
    (row,) = desk.book.benches()
    assert (row.bench, row.outcome, row.shots, row.first_shot_s) == (bench, None, 0, None)
    assert desk.book.benches("b-0001") == [row]
    assert desk.book.benches("b-0002") == []
    entry = list(desk.store.truth.audit())[-1]
    assert (entry.actor, entry.action, entry.reason, entry.lane) == ("ana", "bench", "is it faster?", "preview")
    assert entry.detail == {"x": 0.1, "bench": "b-0001"}


def test_the_same_question_continues(desk: Desk) -> None:
    """While a bench is unfinished the same question gets it; other settings, or the time after, get a new one."""
    first = desk.book.open(BENCH, OPENED)
    assert desk.book.open(replace(BENCH, actor="ben", reason="again", name="other"), OPENED) == first
    repeats = replace(GATED, gate=replace(GATE, min_repeats=2))
    assert desk.book.open(replace(BENCH, policy=repeats), OPENED).id != first.id
    desk.book.finish(first.id, PASS, DONE, desk.token)
    assert desk.book.open(BENCH, OPENED).id != first.id


def test_of_two_who_ask_at_once_both_get_one(desk: Desk) -> None:
    """When several ask the same question at the same moment they all get the same bench."""
    start, got = threading.Barrier(4), []

    def ask() -> None:
        start.wait()
        got.append(desk.book.open(BENCH, OPENED).id)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(got)) == 1
    assert len(desk.book.benches()) == 1


def test_a_rollout_has_one_bench(desk: Desk) -> None:
    """A rollout's bench is opened once, even after it is over, and pending until the rollout is."""
    rollout = propose(desk)
    bench = Bench.of(replace(rollout, policy=GATED), LANE)
    first = desk.book.open(bench, OPENED)
    desk.book.finish(first.id, PASS, DONE, desk.token)
    assert desk.book.open(bench, OPENED) == first
    (row,) = desk.book.pending()
    assert row.outcome == PASS
    assert row.finished_at_s is not None
    assert [item.bench.id for item in desk.book.benches(rollout=rollout.id)] == [first.id]
    desk.store.truth.commit(Change(rollout=moved(rollout, State.REJECTED)), desk.token)
    assert desk.book.pending() == []


def test_pending_benches_are_in_order(desk: Desk) -> None:
    """Unfinished benches come oldest first, finished ones without a rollout not at all."""
    ids = [desk.book.open(replace(BENCH, candidate=spec(steps)), OPENED).id for steps in (3, 4, 5)]
    desk.book.finish(ids[1], PASS, DONE, desk.token)
    assert [row.bench.id for row in desk.book.pending()] == [ids[0], ids[2]]
    assert [row.bench.id for row in desk.book.benches(limit=2)] == [ids[2], ids[1]]


def test_the_first_result_wins(desk: Desk) -> None:
    """A second result under a key changes nothing, and its writer gets the first one."""
    bench = desk.book.open(BENCH, OPENED).id
    assert desk.book.add_shot(bench, "pair/0/open/candidate", SHOT, desk.token) == SHOT
    assert desk.book.add_shot(bench, "pair/0/open/candidate", {"latency_s": 9.0}, desk.token) == SHOT
    desk.book.add_shot(bench, "pair/0/open/incumbent", SHOT, desk.token)
    assert desk.book.shots(bench) == {"pair/0/open/candidate": SHOT, "pair/0/open/incumbent": SHOT}
    (row,) = desk.book.benches()
    assert row.shots == 2
    assert row.first_shot_s is not None
    assert row.last_shot_s is not None
    assert row.first_shot_s <= row.last_shot_s


def test_only_the_leader_writes_results(desk: Desk) -> None:
    """A controller that lost leadership can neither add a result nor end a bench."""
    bench = desk.book.open(BENCH, OPENED).id
    desk.store.lease("leader", 60.0).release()
    fresh = desk.store.lease("other", 60.0).acquire()
    assert fresh is not None
    with pytest.raises(ConflictError, match="stale"):
        desk.book.add_shot(bench, "late", SHOT, desk.token)
    with pytest.raises(ConflictError, match="stale"):
        desk.book.finish(bench, PASS, DONE, desk.token)
    desk.book.add_shot(bench, "in time", SHOT, fresh)
    assert list(desk.book.shots(bench)) == ["in time"]
    assert desk.book.benches()[0].outcome is None


def test_a_bench_ends_once(desk: Desk) -> None:
    """After its end a bench takes no result and no other end, and the audit log has one entry of it."""
    bench = desk.book.open(BENCH, OPENED).id
    desk.book.finish(bench, PASS, DONE, desk.token)
    with pytest.raises(ConflictError, match="over"):
        desk.book.add_shot(bench, "late", SHOT, desk.token)
    with pytest.raises(ConflictError, match="over"):
        desk.book.finish(bench, BenchOutcome("fail", "no"), DONE, desk.token)
    with pytest.raises(ConflictError, match="over"):
        desk.book.add_shot("b-9999", "nowhere", SHOT, desk.token)
    assert desk.book.benches()[0].outcome == PASS
    assert [entry.action for entry in desk.store.truth.audit()] == ["add_lane", "bench", "bench_finished"]


def test_a_person_ends_a_bench_without_a_leader(desk: Desk) -> None:
    """An abort needs no fencing token; after it the leader can add nothing, and a second one is told."""
    bench = desk.book.open(BENCH, OPENED).id
    desk.store.lease("leader", 60.0).release()
    aborted = BenchOutcome("no_evidence", "aborted by ana: enough")
    desk.book.finish(bench, aborted, DONE, None)
    with pytest.raises(ConflictError, match="over"):
        desk.book.finish(bench, aborted, DONE, None)
    assert desk.book.benches()[0].outcome == aborted
    assert desk.book.pending() == []


def test_images_are_old_when_no_younger_bench_has_them(desk: Desk) -> None:
    """Of a bench that ended before, the images that one under way drew as well are kept; what is gone is told once."""
    first = desk.book.open(BENCH, OPENED)
    for key, image in (("a", "0" * 64), ("b", "1" * 64), ("c", None)):
        desk.book.add_shot(first.id, key, {**SHOT, "image": image}, desk.token)
    assert desk.book.old_images(4e9) == {}
    desk.book.finish(first.id, PASS, DONE, desk.token)
    second = desk.book.open(BENCH, OPENED)
    desk.book.add_shot(second.id, "a", {**SHOT, "image": "1" * 64}, desk.token)
    [row] = desk.book.benches(first.id)
    assert row.finished_at_s is not None
    assert desk.book.old_images(row.finished_at_s - 1) == {}
    assert desk.book.old_images(row.finished_at_s + 1) == {first.id: ["0" * 64]}
    gone = AuditDraft("swapgate", "remove_images", "images are kept for 1 days", detail={"bench": first.id})
    for _ in range(2):
        desk.book.images_removed(first.id, gone)
    assert desk.book.old_images(row.finished_at_s + 1) == {}
    assert [entry.action for entry in desk.store.truth.audit()].count("remove_images") == 1
    desk.book.finish(second.id, PASS, DONE, desk.token)
    assert set(desk.book.old_images(4e9)) == {second.id}


@pytest.fixture(params=["memory", "folder", "url"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty blob store of each kind; `memory://` is fsspec's own, which takes the path of object stores."""
    kinds: dict[str, Callable[[], Blobs]] = {
        "memory": MemoryBlobs,
        "folder": lambda: FsspecBlobs(str(tmp_path / "blobs")),
        "url": lambda: FsspecBlobs(f"memory://{tmp_path.name}"),
    }
    return kinds[request.param]()


def test_content_is_found_by_its_digest(blobs: Blobs) -> None:
    """The digest is the SHA-256 of the content; storing twice is storing once; what is not there is said."""
    digest = blobs.put(b"a picture")
    assert digest == hashlib.sha256(b"a picture").hexdigest()
    assert blobs.put(b"a picture") == digest
    assert blobs.get(digest) == b"a picture"
    with pytest.raises(MissingBlobError):
        blobs.get("0" * 64)


def test_what_is_removed_is_gone(blobs: Blobs) -> None:
    """Removing twice is removing once, and nothing else goes."""
    digest, other = blobs.put(b"a picture"), blobs.put(b"another")
    for _ in range(2):
        blobs.remove(digest)
    with pytest.raises(MissingBlobError):
        blobs.get(digest)
    assert blobs.get(other) == b"another"


@pytest.mark.parametrize("digest", ["", "../../token", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_name_files(tmp_path: Path, digest: str) -> None:
    """Nothing but 64 lower-case hexadecimal digits gets as far as a path."""
    (tmp_path / "token").write_text("secret")
    blobs = FsspecBlobs(str(tmp_path / "blobs"))
    for act in (blobs.get, blobs.remove):
        with pytest.raises(MissingBlobError):
            act(digest)
    assert (tmp_path / "token").exists()


def test_changed_content_is_noticed(tmp_path: Path) -> None:
    """A file that was changed behind our back is never taken for what was stored."""
    blobs = FsspecBlobs(str(tmp_path))
    digest = blobs.put(b"a picture")
    (path,) = (item for item in tmp_path.rglob("*") if item.is_file())
    path.write_bytes(b"another picture")
    with pytest.raises(InvariantError, match=digest[:12]):
        blobs.get(digest)


def test_a_folder_of_blobs_is_private(tmp_path: Path) -> None:
    """Folders and files are for their owner alone, and no half-written file stays behind."""
    blobs = FsspecBlobs(str(tmp_path / "blobs"))
    blobs.put(b"a picture")
    paths = list((tmp_path / "blobs").rglob("*"))
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "blobs", *paths)} == {0}
    assert len([path for path in paths if path.is_file()]) == 1


def test_an_unknown_store_is_told() -> None:
    """A URL that nothing can reach is refused with the variable that holds it and what is allowed."""
    with pytest.raises(UserError, match=r"SWAPGATE_BLOBS.*allowed: a folder"):
        FsspecBlobs("nowhere://bucket/key")
