"""`gatectl simulate`: stable keys, the same answer on any number of processes, errors like everywhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli.app import run
from controller.schema.scenario import Scenario
from controller.sim.report import OUTCOMES, report, simulate
from controller.sim.run import Result
from tests.unit.sim.worlds import scenario, written

KEYS = {
    "scenario", "policy", "policy_digest", "runs", "seed", "outcomes", "candidate_images", "duration_s",
    "users_exposed", "reasons", "requests", "wall_s", "requests_per_s",
}  # fmt: skip
SLOW = {"arms.candidate.scale": {"latency_s": 3.5}}


def timeless(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in {"wall_s", "requests_per_s"}}


def test_the_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with the documented keys on stdout and nothing else; the counts add up."""
    path = written(tmp_path, SLOW)
    assert run(["simulate", str(path), "--runs", "5", "--seed", "3", "--jobs", "1", "-o", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert set(found) == KEYS | {"detection_rate"}
    assert tuple(found["outcomes"]) == OUTCOMES
    assert found["outcomes"]["reverted"] == found["detection_rate"]["count"] == 5
    assert found["detection_rate"]["low"] == pytest.approx(0.478, abs=1e-3)  # Clopper-Pearson, 5 of 5
    assert found["candidate_images"]["p50"] <= found["candidate_images"]["p99"] <= 15
    assert run(["simulate", str(path), "--runs", "5", "--seed", "3", "--jobs", "1"]) == 0
    assert "100 % found and reverted (95 % interval 47.8 % to 100 %)" in capsys.readouterr().out


def test_processes_do_not_change_the_answer(tmp_path: Path) -> None:
    """Two worker processes give what one does, run by run."""
    found = scenario(tmp_path, SLOW)
    assert timeless(simulate(found, 6, 1, 2)) == timeless(simulate(found, 6, 1, 1))


def result(outcome: str, images: int = 10) -> Result:
    return Result(outcome, images, 60.0, images, 100, 0, f"{outcome} because")


def test_only_decisions_count_as_delays(tmp_path: Path) -> None:
    """Runs that ended undecided or held do not enter the images to a decision; every run enters the exposure."""
    found = report(
        scenario(tmp_path), 1, [result("promoted", 20), result("held", 5), result("inconclusive", 5000)], 2.0
    )
    assert found["candidate_images"] == {"n": 1, "mean": 20.0, "p50": 20, "p95": 20, "p99": 20}
    assert found["users_exposed"]["n"] == 3
    assert found["false_revert_rate"]["rate"] == 0.0
    assert found["requests_per_s"] == 150.0
    assert [item["reason"] for item in found["reasons"]] == [
        "promoted because",
        "inconclusive because",
        "held because",
    ]


def test_nothing_decided_has_no_delay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a decision the delays are null, in text a dash."""
    path = written(tmp_path, {"max_duration_h": 0.01})
    assert run(["simulate", str(path), "--runs", "1", "--jobs", "1", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["duration_s"]["mean"] is None
    assert run(["simulate", str(path), "--runs", "1", "--jobs", "1"]) == 0
    assert "time to the decision              -" in capsys.readouterr().out


def test_an_invalid_scenario_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a fault ends with exit code 3 and its place."""
    path = written(tmp_path, {"rate_per_sec": 1})
    assert run(["simulate", str(path)]) == 3
    assert "rate_per_sec: unknown key; did you mean rate_per_s?" in capsys.readouterr().err


def test_progress_is_reported_per_run(tmp_path: Path) -> None:
    """The callback sees every run once."""
    seen: list[Result] = []
    found: Scenario = scenario(tmp_path, SLOW)
    simulate(found, 3, 1, 1, seen.append)
    assert [item.outcome for item in seen] == ["reverted"] * 3
