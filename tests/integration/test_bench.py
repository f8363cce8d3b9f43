"""The offline gate for real: the model that ships and the scorers on Ray Serve, the truth in PostgreSQL."""

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controller.adapters import embedded, migrate
from controller.adapters.blobs import FsspecBlobs
from controller.adapters.clock import SystemClock
from controller.adapters.database import Database
from controller.adapters.notifier import LogNotifier
from controller.adapters.postgres_bench import PostgresBenchBook
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.bench_keeper import BenchKeeper
from controller.benches import Benches, BenchWish
from controller.benching import Benching
from controller.core.policy import Criterion, Gate
from controller.core.suite import Category, Expectation, Prompt, Suite
from controller.errors import UnavailableError
from controller.fleet_keeper import FleetKeeper
from controller.gate.run import Runner
from controller.loop import Loop
from controller.schema import POLICIES, load_candidate, load_lane
from controller.schema.suite import LoadedSuite
from controller.service import Proposal, Service
from controller.stats.tally import Arm
from controller.wiring import register_lanes
from serving.fleet import RayFleet
from serving.names import MODEL_DEPLOYMENT, SCORERS_APP
from serving.studio import RayStudio
from serving.watchdog import problem_of
from tests.contract.values import LINTED
from tests.integration.ray_cluster import Cluster
from tests.integration.serving_world import until
from tests.unit.core.values import POLICY

SUITE = Suite(
    name="quick",
    version=1,
    title="Three words",
    prompts=tuple(
        Prompt(
            word.lower(), Category.TYPOGRAPHY, f'the word "{word}" in black on white', (11, 12), Expectation(text=word)
        )
        for word in ("OPEN", "SALE", "EXIT")
    ),
)
GATE = Gate(
    suite="quick",
    suite_digest="",
    min_repeats=2,
    max_repeats=8,
    concurrency=(1,),
    rate_per_s=None,
    criteria=(Criterion("text_accuracy", "mean", max_drop=0.6), Criterion("soundness", "mean", limit=0.5)),
)
GATED = replace(POLICY, gate=GATE, ready_timeout_s=300.0)
PATIENCE_S = 420.0


@dataclass
class Controllers:
    """Controllers that share a database, a blob store and Ray; each can be stopped as by a crash of its process."""

    fleet: RayFleet
    url: str
    folder: Path
    running: dict[str, tuple[threading.Event, BenchKeeper, list[threading.Thread]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = Database(self.url, connections=8)
        self.truth = PostgresTruth(self.database)
        self.book = PostgresBenchBook(self.database)
        self.blobs = FsspecBlobs(str(self.folder / "blobs"))
        self.benches = Benches(self.truth, self.book, self.blobs)
        self.service = Service(self.truth, self.benches, LINTED)

    def start(self, name: str) -> None:
        stop, clock, keeper = threading.Event(), SystemClock(), FleetKeeper(self.fleet)
        versions = {"code": "test"}
        runner = Runner(RayStudio(), self.blobs, self.book, versions, {"cpu": 0.04}, clock, time.time)
        bench_keeper = BenchKeeper(runner, retry_s=0.5)
        benching = Benching(self.book, runner, bench_keeper, keeper, clock)
        # A lease of two seconds, so that a successor is not waited for.
        lease = PostgresLease(self.database, name, ttl_s=2.0)
        loop = Loop(self.truth, lease, keeper, benching, LogNotifier(), clock, versions)
        threads = [
            threading.Thread(target=keeper.run, args=(stop,)),
            threading.Thread(target=bench_keeper.run, args=(stop,)),
            threading.Thread(target=loop.run, args=(stop, lambda: stop.wait(0.1))),
        ]
        for thread in threads:
            thread.start()
        self.running[name] = (stop, bench_keeper, threads)

    def stop(self, name: str) -> None:
        stop, bench_keeper, threads = self.running.pop(name)
        stop.set()
        bench_keeper.close()
        for thread in threads:
            thread.join()

    def shots(self, bench: str) -> dict[str, dict]:
        return dict(self.book.shots(bench))

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """Wait until `look` sees something truthy; a database that is slow for a moment is asked again."""

        def patient() -> Any:
            with suppress(UnavailableError):
                return look()
            return None

        return until(what, patient, PATIENCE_S)

    def drawn(self, bench: str, count: int) -> None:
        self.wait(f"{count} images", lambda: len(self.shots(bench)) >= count)

    def finished(self, bench: str) -> dict[str, Any]:
        found: dict[str, Any] = self.wait(
            f"{bench} over", lambda: matching(self.benches.bench(bench), state="finished")
        )
        return found


def matching(row: dict[str, Any], **wanted: Any) -> dict[str, Any] | None:
    return row if all(row[name] == value for name, value in wanted.items()) else None


@pytest.fixture(scope="module")
def controllers(ray_cluster: Cluster) -> Iterator[Controllers]:
    folder = Path(tempfile.mkdtemp(prefix="sgb"))
    url = embedded.start(folder / "postgres")
    migrate.upgrade(url)
    ray_cluster.fleet.ensure_scorers()
    made = Controllers(ray_cluster.fleet, url, folder)
    register_lanes(made.truth)
    yield made
    for name in list(made.running):
        made.stop(name)
    made.database.close()
    for name in made.fleet.status():
        made.fleet.remove(name)
    embedded.stop(folder / "postgres")
    shutil.rmtree(folder)


def wish(reason: str, **gate) -> BenchWish:
    turbo = load_candidate(POLICIES / "candidates" / "turbo.yaml")
    policy = replace(GATED, gate=replace(GATE, **gate))
    return BenchWish("turbo", "preview", reason, turbo.spec, policy, LoadedSuite(SUITE, {}))


def kill_scorers() -> None:
    """Kill the scorers' replica where it stands."""
    import ray

    found = [item for item in ray.util.list_named_actors(all_namespaces=True) if f"::{SCORERS_APP}#" in item["name"]]
    assert found
    for item in found:
        ray.kill(ray.get_actor(item["name"], namespace=item["namespace"]))


def kill_model(app: str) -> None:
    """Kill -9 a model's replica."""
    from ray import serve

    handle = serve.get_deployment_handle(MODEL_DEPLOYMENT, app)
    os.kill(handle.pid.remote().result(timeout_s=30.0), signal.SIGKILL)


def test_whatever_dies_the_bench_resumes_and_repeats(controllers: Controllers) -> None:
    """Scorers, a model and the controller die in the middle: each image counts once, as if nothing had died."""
    controllers.start("one")
    bench = controllers.benches.start(wish("with disturbances"), "ana")["id"]
    controllers.drawn(bench, 8)
    kill_scorers()
    controllers.drawn(bench, 11)
    kill_model(controllers.book.benches(bench)[0].bench.apps[Arm.CANDIDATE])
    controllers.drawn(bench, 14)
    controllers.stop("one")
    before = controllers.shots(bench)
    controllers.start("two")
    row = controllers.finished(bench)
    after = controllers.shots(bench)
    assert row["verdict"] == "pass", row["reason"]
    assert {key: after[key] for key in before} == before
    assert len(after) > len(before)
    assert {(shot["fault"], shot["message"]) for shot in after.values()} == {(None, "")}
    document = json.loads(controllers.benches.result(bench))
    keys = [f"pair/{pair['repeat']}/{pair['prompt_id']}" for pair in document["pairs"]]
    assert len(keys) == len(set(keys))
    assert document["machine"]["torch"]
    for pair in document["pairs"]:
        for arm in Arm:
            shot = pair[arm.value]
            assert shot["fault"] is None
            assert problem_of(controllers.blobs.get(shot["image"]), 96, 64) is None
            assert shot["memory_source"]
            assert shot["queue_s"] + shot["service_s"] == pytest.approx(shot["latency_s"])

    again = controllers.benches.start(wish("once more, undisturbed", min_repeats=1), "ana")["id"]
    controllers.finished(again)
    second = controllers.shots(again)
    same = [key for key in second if key in after and key.startswith(("pair", "again"))]
    assert len(same) >= 6
    for key in same:
        assert second[key]["image"] == after[key]["image"], key
        assert second[key]["scores"] == after[key]["scores"], key
    controllers.stop("two")


@pytest.mark.slow  # the demo's test refuses one as well
def test_a_rollout_is_refused_at_the_gate(controllers: Controllers) -> None:
    """A candidate that draws garbage is rejected by its bench with the words named, before any user sees it."""
    controllers.start("three")
    wrong = load_candidate(POLICIES / "candidates" / "wrong-scheduler.yaml")
    criteria = (Criterion("text_accuracy", "mean", max_drop=0.2),)
    strict = replace(GATED, gate=replace(GATE, max_repeats=60, criteria=criteria))
    suite = LoadedSuite(SUITE, {})
    proposal = Proposal("wrong", "preview", "imaging", "why not", wrong.spec, strict, "salt", suite=suite)
    rollout = controllers.service.propose(proposal, "ana")["id"]
    view = controllers.wait("the rollout over", lambda: matching(controllers.service.rollout(rollout), open=False))
    assert view["state"] == "rejected"
    assert "offline gate: fail: text accuracy" in view["reason"]
    assert view["requests"]["candidate"] == 0
    (row,) = controllers.benches.benches(rollout)
    entry = next(entry for entry in controllers.truth.audit(rollout) if entry.action == "bench_failed")
    assert entry.detail["bench"]["result"] == row["result"]
    assert controllers.service.verify()["ok"]
    lane = load_lane(POLICIES / "lanes" / "preview.yaml")
    assert controllers.service.lane("preview")["incumbent"]["digest"] == lane.incumbent.digest
    controllers.stop("three")
