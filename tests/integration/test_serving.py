"""The gate on one real Ray cluster and a real PostgreSQL: whatever dies, users get images."""

import base64
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from controller.adapters import embedded, migrate
from controller.content import content_digest
from controller.core.spec import ModelSpec, app_name
from controller.stats.tally import Arm
from serving.names import GATEWAY_APP, MODEL_DEPLOYMENT
from serving.watchdog import problem_of
from tests.integration.ray_cluster import Cluster
from tests.integration.serving_world import INCUMBENT, LANE, USD_PER_HOUR, ServedLane, until
from tests.unit.serving.tiny_pipeline import HEIGHT_PX, WIDTH_PX, save_tiny_pipeline
from tests.unit.serving.worlds import fake_spec

GATEWAYS = 2
GOOD = fake_spec(5, latency_s=0.02)
BROKEN = fake_spec(6, broken_share=1.0)


@pytest.fixture(scope="module")
def lane(ray_cluster: Cluster) -> Iterator[ServedLane]:
    folder = Path(tempfile.mkdtemp(prefix="sgd"))
    url = embedded.start(folder)
    migrate.upgrade(url)
    lane = ServedLane(url, GATEWAYS, ray_cluster.fleet, ray_cluster.url, folder)
    lane.store(LANE)
    for spec in (INCUMBENT, GOOD, BROKEN):
        lane.fleet.deploy(app_name(LANE.name, spec.digest), spec, LANE)
    lane.fleet.ensure_scorers()
    lane.fleet.ensure_gateway(url, [LANE], USD_PER_HOUR, num_replicas=GATEWAYS)
    lane.deploy(INCUMBENT)
    lane.deploy(GOOD)
    lane.deploy(BROKEN)
    yield lane
    embedded.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture
def good(lane: ServedLane) -> str:
    return app_name(LANE.name, GOOD.digest)


def pid_of(name: str) -> int:
    from ray import serve

    handle = serve.get_deployment_handle(MODEL_DEPLOYMENT, name)
    pid: int = handle.pid.remote().result(timeout_s=30.0)
    return pid


def test_the_openai_client_works(lane: ServedLane) -> None:
    """The official client gets an image, and its own exceptions for what is wrong."""
    with openai.OpenAI(base_url=f"{lane.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.images.generate(model="preview", prompt='the word "OPEN"', size="24x16", n=2)  # type: ignore[call-overload]
        assert [problem_of(base64.b64decode(image.b64_json), 24, 16) for image in answer.data] == [None, None]
        with pytest.raises(openai.BadRequestError) as wrong_size:
            client.images.generate(model="preview", prompt="x", size="1024x1024")
        assert (wrong_size.value.code, wrong_size.value.param) == ("invalid_size", "size")
        with pytest.raises(openai.NotFoundError) as unknown:
            client.images.generate(model="nobody", prompt="x")
        assert unknown.value.code == "model_not_found"
        assert [model.id for model in client.models.list()] == ["preview"]


def test_a_split_reaches_every_gateway_and_the_tallies_come_back(lane: ServedLane, good: str) -> None:
    """Both replicas acknowledge; what was counted equals what clients sent, with cost, memory and score."""
    epoch, sent = lane.split(good, 0.5), 40
    with httpx.Client() as client:
        arms = [lane.draw(client, 'the word "OK"').headers["x-swapgate-arm"] for _ in range(sent)]
    counted = until("all tallies flushed and scored", lambda: _scored(lane, epoch, sent))
    for arm in Arm:
        (tally,) = counted.arms[arm].values()
        assert tally.assigned == arms.count(arm)
        for metric in ("latency_s", "service_s", "queue_s", "cost_usd", "failure", "refusal"):
            assert sum(tally.of(metric).values()) == tally.assigned
    assert counted.arms[Arm.CANDIDATE].keys() == {"1x24x16-text"}
    (tally,) = counted.arms[Arm.CANDIDATE].values()
    assert tally.missing["memory_gib"] == {"undeclared": tally.assigned}


def _scored(lane: ServedLane, epoch: int, sent: int):
    merged = lane.tallies(epoch)
    tallies = [tally for classes in merged.arms.values() for tally in classes.values()]
    done = sum(sum(tally.of("text_accuracy").values()) for tally in tallies)
    lost = sum(sum(tally.missing.get("text_accuracy", {}).values()) for tally in tallies)
    return merged if done + lost == sent and done else None


def test_a_user_stays_on_an_arm_and_votes_once_over_both_gateways(lane: ServedLane, good: str) -> None:
    """Whichever replica answers, a user's arm is the same, the first request is the vote, and all answers are seen."""
    epoch, users, rounds = lane.split(good, 0.5, sticky=True), 20, 6
    arms: dict[int, list[str]] = {user: [] for user in range(users)}
    for _ in range(rounds):
        for user, seen in arms.items():
            with httpx.Client() as client:  # a connection of its own, so that replicas take turns
                seen.append(lane.draw(client, user=f"user-{user}").headers["x-swapgate-arm"])
    assert {len(set(seen)) for seen in arms.values()} == {1}

    def counted():
        tally = lane.tallies(epoch)
        classes = [tally for names in tally.arms.values() for tally in names.values()]
        return tally if sum(item.answered for item in classes) == users * rounds else None

    tally = until("every answer counted", counted)
    for arm in Arm:
        assert tally.assigned(arm) == sum(seen[0] == arm for seen in arms.values())
    with lane.connection() as connection:
        replicas = connection.execute("SELECT DISTINCT replica FROM tallies WHERE epoch = %s", [epoch]).fetchall()
    assert len(replicas) == GATEWAYS


def test_gateways_report_their_watermark_and_epoch(lane: ServedLane, good: str) -> None:
    """The watermark follows the wall clock within seconds, and the epochs are the applied ones."""
    epoch = lane.split(good, 0.5)

    def reported():
        with lane.connection() as connection:
            rows = connection.execute("SELECT watermark_s, epochs FROM gateways").fetchall()
        return len(rows) == GATEWAYS and all(
            row["epochs"] == {"preview": epoch} and abs(time.time() - row["watermark_s"]) < 10 for row in rows
        )

    until("every gateway reported", reported)


def test_a_candidate_that_raises_is_never_seen(lane: ServedLane) -> None:
    """Every request of a broken candidate is answered by the incumbent and counted as its failure."""
    epoch = lane.split(app_name(LANE.name, BROKEN.digest), 1.0)
    with httpx.Client() as client:
        answers = [lane.draw(client) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-swapgate-fallback"] for answer in answers} <= {"broken", "ejected"}

    def failures():
        classes = lane.tallies(epoch).arms.get(Arm.CANDIDATE, {}).values()
        return sum(tally.of("failure").get(1, 0) for tally in classes) == 10

    until("ten failures counted", failures)


def test_killing_the_candidate_during_traffic_fails_nobody(lane: ServedLane, good: str) -> None:
    """Kill -9 of the sole candidate replica: no client error, and its share comes back afterwards."""
    lane.split(good, 0.5)
    with lane.traffic() as traffic:
        until("candidate traffic", lambda: traffic.arm("candidate") > 10)
        victim = pid_of(good)
        os.kill(victim, signal.SIGKILL)
        until("another replica", lambda: lane.phase(good) == "ready" and pid_of(good) != victim)
        before = traffic.seen[200, "candidate", ""]
        until("the candidate answers again", lambda: traffic.seen[200, "candidate", ""] > before + 5)
    assert traffic.errors == 0


def test_shadow_shows_nobody_the_candidate(lane: ServedLane, good: str) -> None:
    """Mirrored requests are answered by the incumbent and counted for the candidate alone."""
    epoch = lane.split(good, 1.0, mode="shadow")
    with httpx.Client() as client:
        arms = {lane.draw(client).headers["x-swapgate-arm"] for _ in range(10)}
    assert arms == {"incumbent"}

    def mirrored():
        tally = lane.tallies(epoch)
        resolved = sum(sum(t.of("failure").values()) for t in tally.arms.get(Arm.CANDIDATE, {}).values())
        return tally if resolved == 10 else None

    assert until("ten mirrored requests counted", mirrored).assigned(Arm.INCUMBENT) == 0


def test_without_the_database_only_the_incumbent_serves(lane: ServedLane, good: str) -> None:
    """The lease runs out by itself; nobody sees an error; with the database the share comes back."""
    lane.split(good, 1.0, lease_s=3.0)
    embedded.stop(lane.database_folder)
    stopped_s = time.monotonic()
    with httpx.Client() as client:
        until("only the incumbent", lambda: _arm(lane, client) == "incumbent", 5.0)
        assert time.monotonic() - stopped_s < 5.0
        assert {_arm(lane, client) for _ in range(20)} == {"incumbent"}
        assert embedded.start(lane.database_folder) == lane.database_url
        lane.split(good, 1.0)
        assert _arm(lane, client) == "candidate"


def _arm(lane: ServedLane, client: httpx.Client) -> str:
    response = lane.draw(client)
    assert response.status_code == 200
    return response.headers["x-swapgate-arm"]


def test_a_real_pipeline_is_served_and_probed(lane: ServedLane, tmp_path: Path) -> None:
    """A diffusers pipeline goes through the same door, and its first image is sound."""
    folder = save_tiny_pipeline(tmp_path / "model")
    sampling = {"steps": 2, "guidance_scale": 2.0, "width_px": WIDTH_PX, "height_px": HEIGHT_PX}
    revision = content_digest(folder)
    change = {
        "provider": "diffusers",
        "source": str(folder),
        "revision": revision,
        "options": {"max_sequence_length": 4},
    }
    base = fake_spec().to_json()
    spec = ModelSpec.from_json(base | change | {"sampling": base["sampling"] | sampling})
    name = lane.deploy(spec)
    assert lane.fleet.probe(name, spec, 30.0) is None
    lane.fleet.remove(name)
    until("removed", lambda: lane.phase(name) == "absent")


def test_what_can_not_be_served_says_why(lane: ServedLane) -> None:
    """A model that never loads ends as failed with its exception; probing what hangs ends in time."""
    failing, hanging = fake_spec(7, load_failure=1), fake_spec(8, load_s=600.0)
    for spec in (failing, hanging):
        lane.fleet.deploy(app_name(LANE.name, spec.digest), spec, LANE)
    name = app_name(LANE.name, failing.digest)
    until("failed", lambda: lane.phase(name) == "failed")
    assert "options.load_failure is set" in lane.fleet.status()[name].message
    assert lane.phase(app_name(LANE.name, hanging.digest)) == "deploying"
    problem = lane.fleet.probe(app_name(LANE.name, hanging.digest), hanging, 1.0)
    assert problem is not None
    assert "no image within 1 s" in problem
    for spec in (failing, hanging):
        lane.fleet.remove(app_name(LANE.name, spec.digest))
        gone = app_name(LANE.name, spec.digest)
        until("removed", lambda gone=gone: lane.phase(gone) == "absent")


def test_a_gateway_that_stops_flushes_what_it_counted(lane: ServedLane, good: str) -> None:
    """Taking the gateway down loses no count of what it answered; asking for it again brings it back."""
    from ray import serve

    epoch = lane.split(good, 0.5)
    with httpx.Client() as client:
        for _ in range(20):
            assert lane.draw(client).status_code == 200
        serve.delete(GATEWAY_APP)
        counted = lane.tallies(epoch)
        assert sum(counted.assigned(arm) for arm in Arm) == 20
        lane.fleet.ensure_gateway(lane.database_url, [LANE], USD_PER_HOUR, num_replicas=GATEWAYS)
        until("the gateway answers", lambda: lane.draw(client).status_code == 200)
