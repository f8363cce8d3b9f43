"""`gatectl report`: where it writes, what it prints, and what it refuses."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.core.policy import Criterion, Gate
from controller.core.suite import Category, Expectation, Prompt, Suite
from controller.gate.report import images_wanted
from tests.contract.values import LANE, spec
from tests.unit.api.desk import OPERATOR, Desk, open_desk, until
from tests.unit.cli.conftest import Gatectl
from tests.unit.core.values import POLICY
from tests.unit.gate.report_reader import Reader


@pytest.fixture
def rollout(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A rollout of the real controller, with the caller in an empty folder."""
    monkeypatch.chdir(tmp_path)
    desk.propose(overrides=["steps-below-model-floor"], tradeoffs={"gives_up": "long text"})
    desk.wait("r-0001", {"preparing"})
    return "r-0001"


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A controller that deploys and benches at once, with the caller in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with capture_logs(), open_desk(ready_after_s=0.0) as desk:
        monkeypatch.setenv("SWAPGATE_URL", desk.url)
        monkeypatch.setenv("SWAPGATE_TOKEN", OPERATOR)
        yield desk


@pytest.fixture
def bench(gated: Desk) -> Desk:
    """A controller that has run the bench b-0001."""
    wish = {"name": "turbo", "lane": LANE.name, "reason": "to see", "candidate": asdict(spec(10))} | asked()
    assert gated.call("POST", "/api/v1/benches", json=wish).status_code == 201
    until(lambda: gated.call("GET", "/api/v1/benches/b-0001").json()["state"] == "finished")
    return gated


def asked() -> dict[str, Any]:
    """Return a policy with a gate, and its suite, as the API takes them."""
    suite = Suite("tiny", 1, "Signs", tuple(_prompt(index) for index in range(24)))
    gate = Gate("tiny", suite.digest, 1, 2, (1,), None, (Criterion("text_accuracy", "mean", max_drop=0.1),))
    return {"policy": asdict(replace(POLICY, gate=gate)), "suite": {"value": suite.to_json(), "assets": {}}}


def _prompt(index: int) -> Prompt:
    return Prompt(f"p{index}", Category.TYPOGRAPHY, f"sign {index}", (1, 2), Expectation(text=f"SIGN{index}"))


def test_html_goes_to_a_file_of_the_ids_name(gatectl: Gatectl, rollout: str, tmp_path: Path) -> None:
    """Without options the report is ID.html in the current folder; stdout stays empty."""
    ran = gatectl("report", rollout)
    assert (ran.code, ran.out) == (0, "")
    assert "r-0001.html" in ran.err
    shown = Reader((tmp_path / "r-0001.html").read_text()).shown
    assert "Still open: preparing" in shown
    assert "steps-below-model-floor" in shown


def test_a_bench_has_its_pictures(gatectl: Gatectl, bench: Desk, tmp_path: Path) -> None:
    """The images are fetched and put into the file that was named."""
    ran = gatectl("report", "b-0001", "--output", "told.html")
    assert (ran.code, ran.out) == (0, "")
    read = Reader((tmp_path / "told.html").read_text())
    assert len(read.all("img")) == 2 * len(read.all("article")) > 0
    assert gatectl("report", "b-0001", "-o", "json").json["reason"] in read.shown
    assert "The candidate passes the offline gate" in gatectl("report", "b-0001", "-o", "md").out


def test_a_bench_that_is_over_cannot_be_aborted(gatectl: Gatectl, bench: Desk) -> None:
    """`gatectl abort b-0001` reaches benches: one that is over is a conflict, one that never was a usage error."""
    assert bench.call("GET", "/api/v1/benches/b-0001").json()["verdict"] == "pass"
    ran = gatectl("abort", "b-0001", "--reason", "enough")
    assert ran.code == 4
    assert "over already" in ran.err
    assert gatectl("abort", "b-0009", "--reason", "enough").code == 2


def test_a_lost_picture_costs_no_report(gatectl: Gatectl, bench: Desk, tmp_path: Path) -> None:
    """An image that is stored no longer is named in the place where it stood."""
    told = gatectl("report", "b-0001", "-o", "json").json
    lost = images_wanted(told)[0]
    del bench.service._benches._blobs.contents[lost]
    assert gatectl("report", "b-0001").code == 0
    assert f"the image is not stored : {lost[:12]}" in Reader((tmp_path / "b-0001.html").read_text()).shown


def test_a_refused_rollout_names_its_bench(gatectl: Gatectl, gated: Desk, tmp_path: Path) -> None:
    """A rollout that failed at the gate shows the bench's verdict and reason, and where its report is."""
    gated.studio.scores[10] = 0.1
    assert gated.propose(10, **asked()).status_code == 201
    gated.wait("r-0001", {"rejected"})
    assert gatectl("report", "r-0001").code == 0
    shown = Reader((tmp_path / "r-0001.html").read_text()).shown
    told = gatectl("report", "r-0001", "-o", "json").json["bench"]
    assert told["verdict"] == "fail"
    assert "text accuracy" in told["reason"]
    assert f"verdict fail reason {told['reason']}" in shown
    assert f"gatectl report {told['id']}" in shown
    assert gatectl("report", told["id"]).code == 0


def test_an_overridden_gate_is_said_to_be(gatectl: Gatectl, gated: Desk) -> None:
    """A rollout that went on against its bench's verdict never looks as if it had passed."""
    gated.studio.scores[10] = 0.1
    assert gated.propose(10, overrides=["gate"], **asked()).status_code == 201
    gated.wait("r-0001", {"observing"})
    told = gatectl("report", "r-0001", "-o", "md").out
    assert "❌ fail" in told
    assert "the rollout went on all the same" in told


def test_markdown_goes_to_stdout(gatectl: Gatectl, rollout: str) -> None:
    """The summary can be piped into a pull request."""
    ran = gatectl("report", rollout, "-o", "md")
    assert ran.out.startswith("### Still open: preparing\n")
    assert "gives up: long text" in ran.out


def test_json_holds_the_facts(gatectl: Gatectl, rollout: str, tmp_path: Path) -> None:
    """JSON is one document with the view, the audit log and the bench, and can be written to a file as well."""
    told = gatectl("report", rollout, "-o", "json").json
    assert told["rollout"]["overrides"] == ["steps-below-model-floor"]
    assert [entry["action"] for entry in told["audit"]][:1] == ["propose"]
    assert told["bench"] is None
    assert gatectl("report", rollout, "-o", "json", "--output", "facts.json").out == ""
    assert json.loads((tmp_path / "facts.json").read_text())["rollout"]["id"] == rollout


def test_the_page_shows_what_people_let_pass(gatectl: Gatectl, rollout: str) -> None:
    """`show` names overrides and trade-offs."""
    page = gatectl("show", rollout).out
    assert "overridden or waived: steps-below-model-floor" in page
    assert "gives up: long text" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("x-1",), "neither a bench"),
        (("../r-0001",), "neither a bench"),
        (("r-0001", "--output", "json"), "say -o json"),
        (("r-0001", "--output", "no/such/folder/r.html"), "can't be written"),
        (("r-0099",), "gatectl list"),
    ],
)
def test_bad_words_are_usage_errors(gatectl: Gatectl, rollout: str, arguments: tuple[str, ...], told: str) -> None:
    """A wrong id, a form where a file belongs, a folder that isn't there: exit code 2 and what to do."""
    ran = gatectl("report", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_a_bench_that_is_not_there_is_an_error(gatectl: Gatectl, rollout: str, tmp_path: Path) -> None:
    """A bench that the controller does not know makes no file."""
    assert gatectl("report", "b-0007").code == 2
    assert not (tmp_path / "b-0007.html").exists()
