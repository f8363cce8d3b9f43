"""`gatectl lane noise`: measuring is a wish of an operator, and what came of it is seen wherever it matters."""

import random
import time
from dataclasses import replace

import pytest

from controller.core.policy import Mode
from controller.core.rollout import Epoch
from controller.core.states import State
from controller.ports import TallyRow
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally
from tests.contract.values import LANE, ROLLOUT
from tests.unit.api.desk import VIEWER, Desk
from tests.unit.cli.conftest import Gatectl


def serve_aa(desk: Desk, windows: int = 60, slower: int = 0) -> None:
    """Let an A/A rollout have run: `slower` cells between its pools, twenty images of each in every window."""
    rng = random.Random(3)
    twin = replace(LANE.incumbent, variant="a-a")
    epochs = (Epoch(5, 0, 0.5, Mode.SHARE, flipped=False),)
    desk.store._rollouts["r-0001"] = replace(ROLLOUT, candidate=twin, state=State.REVERTED, epochs=epochs)
    last = (int(time.time() // WINDOW_S) - 20) // 2 * 2  # where a block of two windows begins
    for window in range(last - windows, last):
        arms = {}
        for arm in Arm:
            shift = slower if arm is Arm.CANDIDATE else 0
            cells: dict[int, int] = {}
            for _ in range(20):
                cell = round(rng.gauss(shift, 10))
                cells[cell] = cells.get(cell, 0) + 1
            arms[arm] = {"small": ClassTally(20, {"latency_s": cells})}
        desk.store.put_tally(LANE.name, TallyRow(5, window, "g", WindowTally(arms)))


def test_noise_is_measured_kept_and_shown(gatectl: Gatectl, desk: Desk) -> None:
    """The verb says what was measured and from what, in words and as one document; the lane and its list keep it."""
    assert "not measured: run an A/A rollout" in gatectl("lane", "show", "preview").out
    serve_aa(desk, slower=12)
    ran = gatectl("lane", "noise", "preview", "--reason", "at install")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("preview: measured from A/A rollout r-0001 of ")
    assert "1,200 and 1,200 images in 30 blocks of 10 s" in ran.out
    assert "can't be told" in ran.out
    found = gatectl("lane", "noise", "preview", "-o", "json").json
    assert found["sigma"] == pytest.approx(0.119, abs=0.01)
    page = gatectl("lane", "show", "preview").out
    assert "noise           s = 0.11" in page
    assert "supports allowed ratios from 1.4" in page
    [first, second] = [entry for entry in desk.service.audit() if entry.action == "measure_noise"]
    assert first.reason.startswith("at install: replicas of one model differ by s = 0.11")
    assert second.actor == "ana"


def test_nothing_to_measure_is_a_conflict(gatectl: Gatectl, desk: Desk) -> None:
    """Without an A/A rollout, exit code 4 and how to make one; hours that make no sense are a usage error."""
    ran = gatectl("lane", "noise", "preview")
    assert ran.code == 4
    assert "policies/candidates/same.yaml" in ran.err
    assert gatectl("lane", "noise", "preview", "--hours", "400").code == 2
    assert gatectl("lane", "noise", "export").code == 2


def test_only_an_operator_measures(desk: Desk) -> None:
    """Measuring changes what may be proposed, so a viewer may not."""
    assert desk.call("POST", "/api/v1/lanes/preview/noise", token=VIEWER, json={}).status_code == 403
    wrong = desk.call("POST", "/api/v1/lanes/preview/noise", json={"hours": "all"})
    assert wrong.status_code == 400
    assert "hours" in wrong.json()["error"]["message"]


def test_a_change_below_the_noise_is_never_proposed(gatectl: Gatectl, desk: Desk, manifest) -> None:
    """Exit code 3 with the figure; before anybody measured it is a warning, and the rollout opens."""
    ran = gatectl("propose", str(manifest()))
    assert ran.code == 0
    assert "warning: nobody has measured how far replicas of one model differ" in ran.err
    gatectl("abort", "r-0001", "--reason", "measure first")
    desk.wait("r-0001", {"rejected"})
    serve_aa(desk, slower=25)
    assert gatectl("lane", "noise", "preview").code == 0
    ran = gatectl("propose", str(manifest()))
    assert ran.code == 3
    assert "latency p50 allows 1.25x, but replicas of one and the same model differ by s = 0.24" in ran.err
    assert "which supports 2." in ran.err
