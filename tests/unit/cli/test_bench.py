"""`gatectl bench`, and `propose` with a gate: suites travel along, progress is told, verdicts are exit codes."""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from structlog.testing import capture_logs

from controller.cli import bench
from controller.cli.client import Client
from controller.schema import POLICIES
from tests.unit.api.desk import OPERATOR, VIEWER, Desk, open_desk, until
from tests.unit.cli.conftest import Gatectl

Manifest = Callable[..., Path]

POLICY = """\
schema_version: 1
kind: policy
name: gated
budget: {false_revert: 0.01, false_promote: 0.10}
deadline_h: 1
stages:
  - {share: 0.5, min_images: 10}
bake_h: 0
gate:
  suite: three
  min_repeats: 2
  max_repeats: 12
  criteria:
    - {metric: latency_s, statistic: p50, max_ratio: 1.5}
    - {metric: text_accuracy, statistic: mean, max_drop: 0.3}
criteria:
  - {metric: latency_s, statistic: p50, max_ratio: 1.5}
"""
PLAIN = (
    "".join(POLICY.partition("gate:")[:1]).replace("gated", "plain")
    + """\
criteria:
  - {metric: latency_s, statistic: p50, max_ratio: 3.0}
"""
)
SUITE = """\
schema_version: 1
kind: suite
name: three
version: 1
title: Three prompts
seeds: [1, 2]
assets: {mark: mark.png}
prompts:
  - {id: open, category: typography, prompt: 'the word "OPEN"', expect: {text: OPEN}}
  - {id: sale, category: typography, prompt: 'the word "SALE"', expect: {text: SALE}}
  - {id: mark, category: logos, prompt: 'the mark', expect: {logo: mark, text: M}}
"""


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A controller whose candidates are ready at once."""
    with capture_logs(), open_desk(ready_after_s=0.0) as desk:
        monkeypatch.setenv("SWAPGATE_URL", desk.url)
        monkeypatch.setenv("SWAPGATE_TOKEN", OPERATOR)
        yield desk


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of policies with one that has a gate, and its suite with a reference picture; return the suite."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies, ignore=shutil.ignore_patterns("suites", "scenarios", "candidates"))
    suites = policies / "suites"
    suites.mkdir()
    mark = Image.new("RGB", (8, 8), "white")
    mark.putpixel((3, 3), (255, 0, 0))
    mark.save(suites / "mark.png")
    (suites / "three.yaml").write_text(SUITE)
    (policies / "gated.yaml").write_text(POLICY)
    monkeypatch.setenv("SWAPGATE_POLICIES", str(policies))
    return suites / "three.yaml"


@pytest.fixture
def files(suite: Path, manifest: Manifest) -> Path:
    """A manifest whose policy has a gate."""
    return manifest(("policy: demo", "policy: gated"))


def test_a_good_candidate_is_exit_code_0(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """A passing bench prints its verdict and every criterion, and the result can be fetched with its pictures."""
    ran = gatectl("bench", str(files), "--reason", "just to know")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("b-0001 quick on preview: pass")
    assert "text accuracy" in ran.out
    assert "b-0001 is open; Ctrl-C stops the watching" in ran.err
    client = Client(desk.url, OPERATOR)
    document = json.loads(client.content("/benches/b-0001/result"))
    assert document["verdict"] == "pass"
    image = client.content(f"/blobs/{document['pairs'][0]['candidate']['image']}")
    assert hashlib.sha256(image).hexdigest() == document["pairs"][0]["candidate"]["image"]
    assert (document["suite"]["name"], document["candidate"]["name"]) == ("three", "quick")
    opened = next(entry for entry in desk.service.audit() if entry.action == "bench")
    assert (opened.actor, opened.reason) == ("ana", "just to know")


def test_a_bad_candidate_is_exit_code_3(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """A failing bench is exit code 3, and in JSON the one document says which criterion failed."""
    desk.studio.scores[10] = 0.1
    ran = gatectl("bench", str(files), "-o", "json")
    assert ran.code == 3
    assert ran.json["verdict"] == "fail"
    assert [item["verdict"] for item in ran.json["criteria"]][1] == "fail"


def test_an_undecided_bench_is_exit_code_6(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """A candidate at the edge proves nothing; `--repeats` says how often every prompt is drawn, no more and no less."""
    desk.studio.scores[10] = 0.6
    ran = gatectl("bench", str(files), "--repeats", "13", "-o", "json")
    assert (ran.code, ran.json["verdict"]) == (6, "inconclusive")
    document = json.loads(Client(desk.url, OPERATOR).content("/benches/b-0001/result"))
    assert document["repeats"] == 13
    ran = gatectl("bench", str(files), "--repeats", "1")
    assert ran.code == 2
    assert "can't be proven" in ran.err


def test_loads_in_place_of_the_policys(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """`--concurrency` and `--rate` are drawn and reported; nonsense is exit code 2 with what is allowed."""
    ran = gatectl("bench", str(files), "--concurrency", "1,2", "--rate", "200")
    assert ran.code == 0, ran.err
    document = json.loads(Client(desk.url, OPERATOR).content("/benches/b-0001/result"))
    assert {row["level"] for row in document["load"]} == {"c2", "r200"}
    ran = gatectl("bench", str(files), "--concurrency", "1,many")
    assert ran.code == 2
    assert "1,2,4" in ran.err


def test_a_policy_without_a_gate_needs_a_suite(gatectl: Gatectl, desk: Desk, suite: Path, manifest: Manifest) -> None:
    """Without a gate the policy's own criteria are judged on the suite that --suite names, and one must be named."""
    (suite.parents[1] / "plain.yaml").write_text(PLAIN)
    plain = manifest(("policy: demo", "policy: plain"))
    ran = gatectl("bench", str(plain))
    assert ran.code == 2
    assert "--suite" in ran.err
    ran = gatectl("bench", str(plain), "--suite", str(suite), "--repeats", "12", "-o", "json")
    assert ran.json["suite"]["name"] == "three"
    assert [item["title"] for item in ran.json["criteria"]] == ["latency p50"]


def test_another_manifest_may_be_the_incumbent(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """`--against FILE` compares with that manifest's model instead of what the lane serves."""
    other = files.with_name("other.yaml")
    other.write_text(files.read_text().replace("steps: 10", "steps: 12"))
    ran = gatectl("bench", str(files), "--against", str(other), "-o", "json")
    assert ran.code == 0, ran.err
    document = json.loads(Client(desk.url, OPERATOR).content("/benches/b-0001/result"))
    assert document["incumbent"]["spec"]["sampling"]["steps"] == 12


def test_ctrl_c_leaves_it_running(gatectl: Gatectl, desk: Desk, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is exit code 6 and says that the bench runs on; the same command goes on with it."""
    gate, followed = threading.Event(), bench._followed
    desk.studio.before = lambda drawn: gate.wait(20.0) if drawn == 9 else None

    def interrupted(*_arguments):
        until(lambda: desk.studio.at_once)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_followed", interrupted)
    ran = gatectl("bench", str(files))
    assert ran.code == 6
    assert "b-0001 runs on by itself" in ran.err
    monkeypatch.setattr(bench, "_followed", followed)
    until(lambda: desk.studio.drawn.total() == 9)
    threading.Timer(0.3, gate.set).start()
    ran = gatectl("bench", str(files))
    assert ran.code == 0, ran.err
    assert "b-0001 goes on after 8 images" in ran.err


def test_a_bad_suite_never_reaches_the_controller(gatectl: Gatectl, desk: Desk, files: Path, suite: Path) -> None:
    """A fault in the suite is exit code 3 with its place, for `bench` and for `propose`, and nothing is opened."""
    suite.write_text(suite.read_text().replace("category: logos", "category: logoz"))
    for verb in ("bench", "propose"):
        ran = gatectl(verb, str(files))
        assert ran.code == 3
        assert "three.yaml:11:" in ran.err
    assert desk.call("GET", "/api/v1/benches").json() == []


def test_propose_waits_for_the_gate(gatectl: Gatectl, desk: Desk, files: Path) -> None:
    """`propose --wait` sends the suite along, and a candidate that fails the gate is exit code 3 with the reason."""
    desk.studio.scores[10] = 0.1
    ran = gatectl("propose", str(files), "--wait")
    assert ran.code == 3
    assert "offline gate: fail: text accuracy" in ran.out
    (row,) = desk.call("GET", "/api/v1/benches", params={"rollout": "r-0001"}).json()
    assert row["verdict"] == "fail"


def test_who_may_bench_and_look(desk: Desk, gatectl: Gatectl, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer starts no bench but reads benches, results and blobs; without a token nobody reads anything."""
    gatectl("bench", str(files))
    digest = desk.call("GET", "/api/v1/benches/b-0001").json()["result"]
    for path in ("/benches", "/benches/b-0001", "/benches/b-0001/result", f"/blobs/{digest}"):
        assert desk.call("GET", f"/api/v1{path}", token=VIEWER).status_code == 200
        assert desk.call("GET", f"/api/v1{path}", token=None).status_code == 401
    monkeypatch.setenv("SWAPGATE_TOKEN", VIEWER)
    assert gatectl("bench", str(files)).code == 8


@pytest.mark.parametrize(
    "path", ["/benches/b-9999", "/benches/b-9999/result", f"/blobs/{'0' * 64}", "/blobs/..%2Ftoken"]
)
def test_what_is_not_there_is_404(desk: Desk, path: str) -> None:
    """A bench, a result or a blob that does not exist is 404, and no path leads out of the blob store."""
    assert desk.call("GET", f"/api/v1{path}").status_code == 404


def test_a_blob_is_never_taken_for_a_page(desk: Desk, gatectl: Gatectl, files: Path) -> None:
    """Blobs come as images or plain bytes, with sniffing forbidden, so that none can act as a page of ours."""
    gatectl("bench", str(files))
    row = desk.call("GET", "/api/v1/benches/b-0001").json()
    answer = desk.call("GET", f"/api/v1/blobs/{row['result']}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda body: body["suite"]["value"]["prompts"].append(body["suite"]["value"]["prompts"][0]),
            "stands there twice",
        ),
        (lambda body: body["suite"]["value"]["prompts"][0].update(seeds=[]), "needs at least one"),
        (lambda body: body["suite"].update(assets={}), "not those whose digests"),
        (lambda body: body["suite"]["value"]["prompts"][2]["expect"].update(logo="nobody"), "not among the assets"),
        (lambda body: body["suite"]["value"].update(colour="red"), "suite.value.colour"),
        (lambda body: body.update(suite=None), "send it along"),
        (lambda body: body.update(reason=" "), "needs a reason"),
        (lambda body: body["policy"]["gate"].update(max_repeats=0), "min_repeats <= max_repeats"),
        (lambda body: body["policy"]["gate"].update(concurrency=[1, 10_000]), "outside 1 to 64"),
        (lambda body: body["policy"]["gate"]["criteria"][0].update(metric="beauty"), "'beauty' is not a metric"),
        (lambda body: body["policy"]["gate"]["criteria"][0].update(max_ratio=-1.0), "gate.criteria"),
    ],
)
def test_an_unsound_body_is_refused(
    gatectl: Gatectl, desk: Desk, files: Path, monkeypatch: pytest.MonkeyPatch, change, told: str
) -> None:
    """A body that no file would have passed is 400 with what is wrong, and opens nothing."""
    bodies = []
    real = Client.post

    def post(self, path, body):
        bodies.append(json.loads(json.dumps(body)))
        return real(self, path, body)

    monkeypatch.setattr(Client, "post", post)
    gatectl("bench", str(files))
    (body,) = bodies
    change(body)
    before = len(desk.call("GET", "/api/v1/benches").json())
    # Another digest than the one that the first call stored.
    body["policy"]["gate"]["suite_digest"] = "f" * 64
    answer = httpx.post(
        f"{desk.url}/api/v1/benches", json=body, headers={"Authorization": f"Bearer {OPERATOR}"}, timeout=20.0
    )
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert len(desk.call("GET", "/api/v1/benches").json()) == before
