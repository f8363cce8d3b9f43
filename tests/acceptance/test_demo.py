"""The demo, whole: everything real, from an empty folder to models promoted, refused and reverted, back to nothing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 4000.0


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The report of one run, and the folder that was its data directory."""
    with tempfile.TemporaryDirectory(prefix="sg-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        environment = {key: val for key, val in os.environ.items() if not key.startswith(("SWAPGATE_", "RAY_"))}
        ran = subprocess.run(
            [sys.executable, "-m", "controller.cli", "demo", "-o", "json"],
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=environment | {"SWAPGATE_HOME": str(home)},
        )
        report = json.loads(ran.stdout)
        assert ran.returncode == (0 if report["ok"] else 1)
        yield home, report


def test_the_good_model_is_promoted(told: tuple[Path, dict[str, Any]]) -> None:
    """Half the steps is promoted on proof, with a reason that says so."""
    good = told[1]["chapters"][0]
    assert good["state"] == "promoted", good
    assert good["images"]["candidate"] > 0


def test_the_bad_model_is_refused_before_any_user(told: tuple[Path, dict[str, Any]]) -> None:
    """The offline gate names what is wrong with it, and nobody gets one of its images."""
    refused = told[1]["chapters"][1]
    assert refused["state"] == "rejected", refused
    assert "text accuracy" in refused["reason"]
    assert (refused["seen"], refused["seen_by_client"], refused["images"]["candidate"]) == (0, 0, 0)


def test_the_bad_model_is_reverted_when_the_gate_is_overridden(told: tuple[Path, dict[str, Any]]) -> None:
    """Garbled words are taken back with a reason in numbers, and both sides count the same exposed users."""
    bad = told[1]["chapters"][2]
    assert bad["state"] == "reverted", bad
    assert "of 100 needed" in bad["reason"]
    assert bad["seen"] == bad["seen_by_client"]
    assert bad["exposed_s"] > 0


def test_what_only_live_load_shows_is_reverted(told: tuple[Path, dict[str, Any]]) -> None:
    """A candidate that the gate let pass and that wears out under traffic is taken back for its latency."""
    worn = told[1]["chapters"][3]
    assert worn["state"] == "reverted", worn
    assert "latency" in worn["reason"] or "service time" in worn["reason"] or "cost" in worn["reason"]
    assert worn["images"]["candidate"] > 0


def test_no_user_sees_an_error(told: tuple[Path, dict[str, Any]]) -> None:
    """Every request of the whole story is answered with an image."""
    traffic = told[1]["traffic"]
    assert (traffic["failures"], traffic["dropped"]) == (0, 0)


def test_the_record_is_whole(told: tuple[Path, dict[str, Any]]) -> None:
    """The audit chain verifies and every assessment follows from its stored evidence."""
    found = told[1]["audit"]
    assert found["ok"]
    assert found["replayed"] > 0


def test_nothing_is_left_behind(told: tuple[Path, dict[str, Any]]) -> None:
    """Without --keep the demo stops what it started and removes the data directory that it made."""
    home, report = told
    assert report["ok"], report
    assert not home.exists()
