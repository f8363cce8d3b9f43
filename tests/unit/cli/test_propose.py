"""`gatectl propose`: bad files are told where they are bad, good ones become rollouts."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.api.desk import VIEWER, Desk, until
from tests.unit.cli.conftest import Gatectl

Manifest = Callable[..., Path]


def test_a_sound_manifest_becomes_a_rollout(gatectl: Gatectl, desk: Desk, manifest: Manifest) -> None:
    """Exit code 0, the id, and how to follow it; the reason is in the audit log."""
    ran = gatectl("propose", str(manifest()), "--reason", "half the steps")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("r-0001 quick on preview: proposed")
    assert "gatectl watch r-0001" in ran.out
    entries = list(desk.service.audit("r-0001"))
    assert (entries[0].actor, entries[0].reason) == ("ana", "half the steps")


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (("steps: 10", "stepz: 10"), ":11:12: sampling.stepz: unknown key; did you mean steps?"),
        (("steps: 10", "steps: ten"), ":11:19: sampling.steps: expected a whole number"),
        (("policy: demo", "policy: dmeo"), "no policy is called dmeo; did you mean demo?"),
    ],
)
def test_a_bad_file_never_reaches_the_controller(
    gatectl: Gatectl, desk: Desk, manifest: Manifest, replaced: tuple[str, str], told: str
) -> None:
    """Exit code 3, every fault with its place and what was probably meant, no traceback, no rollout."""
    ran = gatectl("propose", str(manifest(replaced)))
    assert ran.code == 3
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert desk.service.rollouts() == []


def test_a_missing_model_is_told_with_its_line(gatectl: Gatectl, desk: Desk, manifest: Manifest) -> None:
    """A folder that is not there is a fault of the file: exit code 3 with line and key."""
    ran = gatectl(
        "propose", str(manifest(("provider: fake", "provider: diffusers"), ("source: fake", "source: ./no-such-model")))
    )
    assert ran.code == 3
    assert ":8:11: model.source:" in ran.err
    assert "no-such-model" in ran.err


def test_every_fault_is_listed(gatectl: Gatectl, manifest: Manifest) -> None:
    """Two faults are two lines, and in JSON two problems with path, line, column and key."""
    path = str(manifest(("steps: 10", "stepz: 10"), ("replicas: 1", "replicas: 0")))
    assert len([line for line in gatectl("propose", path).err.splitlines() if "candidate.yaml:" in line]) >= 2
    ran = gatectl("propose", path, "-o", "json")
    problems = ran.json["error"]["problems"]
    assert ran.code == 3
    assert {"sampling.stepz", "resources.replicas"} <= {problem["key"] for problem in problems}


def test_a_missing_file_is_told(gatectl: Gatectl, tmp_path: Path) -> None:
    """A manifest that does not exist is exit code 3 and names the path."""
    ran = gatectl("propose", str(tmp_path / "nothing.yaml"))
    assert ran.code == 3
    assert "nothing.yaml" in ran.err


def test_a_busy_lane_is_exit_code_4(gatectl: Gatectl, desk: Desk, manifest: Manifest) -> None:
    """The second proposal on a lane is refused and names the rollout that holds it."""
    gatectl("propose", str(manifest()))
    ran = gatectl("propose", str(manifest(("name: quick", "name: quicker"), ("steps: 10", "steps: 8"))))
    assert ran.code == 4
    assert "r-0001" in ran.err
    assert len(desk.service.rollouts()) == 1


@pytest.mark.parametrize(
    "replaced", [("lane: preview", "lane: prewiew"), ("width_px: 96", "width_px: 128")], ids=["lane", "size"]
)
def test_what_makes_no_sense_on_the_lane_is_a_fault_of_the_file(
    gatectl: Gatectl, desk: Desk, manifest: Manifest, replaced: tuple[str, str]
) -> None:
    """An unknown lane or another image size is exit code 3 and names the file."""
    ran = gatectl("propose", str(manifest(replaced)))
    assert ran.code == 3
    assert "candidate.yaml" in ran.err
    assert desk.service.rollouts() == []


def test_a_viewer_may_not_propose(
    gatectl: Gatectl, desk: Desk, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses a viewer's proposal: exit code 8, with the role that is needed."""
    monkeypatch.setenv("SWAPGATE_TOKEN", VIEWER)
    ran = gatectl("propose", str(manifest()))
    assert ran.code == 8
    assert "operator" in ran.err


def test_waiting_ends_with_the_outcome(gatectl: Gatectl, desk: Desk, manifest: Manifest) -> None:
    """`--wait` prints a line per change and ends with exit code 3 when a person rejects it before any traffic."""
    body = {"reason": "wrong model"}

    def abort_when_preparing() -> None:
        until(lambda: any(row["state"] == "preparing" for row in desk.service.rollouts()))
        assert desk.call("POST", "/api/v1/rollouts/r-0001/abort", json=body).status_code == 200

    person = threading.Thread(target=abort_when_preparing)
    person.start()
    try:
        # The rollout is proposed by the call below; the person waits for it.
        ran = gatectl("propose", str(manifest()), "--wait")
    finally:
        person.join()
    assert ran.code == 3
    assert "rejected: aborted by ana: wrong model" in ran.out
