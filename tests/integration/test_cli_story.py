"""The demo's story with stand-ins for the models: everything else is real, so it takes less time than the demo."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.schema import POLICIES

MODEL = """\
model:
  provider: fake
  source: fake
  precision: float32
  scheduler: {{class: FlowMatchEulerDiscreteScheduler, max_steps: 40}}
  options: {{{options}}}
sampling: {{steps: {steps}, guidance_scale: 3.0, width_px: 96, height_px: 64}}
resources: {{gpu: cpu, num_gpus: 0, replicas: 1}}
"""
LANE = """\
schema_version: 1
kind: lane
name: preview
timeout_s: 30
incumbent:
"""
CANDIDATE = """\
schema_version: 1
kind: candidate
lane: preview
owner: imaging-team
policy: demo
"""


@pytest.fixture(scope="module")
def policies() -> Iterator[Path]:
    """The folder that ships, with stand-ins for the three models."""
    with tempfile.TemporaryDirectory(prefix="sg-") as name:
        folder = Path(name)
        for part in ("lanes", "candidates"):
            (folder / part).mkdir()
        shutil.copy(POLICIES / "prices.yaml", folder)
        lines = (POLICIES / "demo.yaml").read_text().splitlines(keepends=True)
        # Without the two criteria that need the most images: what they prove, other tests prove.
        (folder / "demo.yaml").write_text(
            "".join(line for line in lines if "p95" not in line and "cost_usd" not in line)
        )
        incumbent = MODEL.format(steps=20, options="latency_s: 0.15, latency_sigma: 0.1")
        (folder / "lanes" / "preview.yaml").write_text(LANE + "".join(f"  {line}\n" for line in incumbent.splitlines()))
        for candidate, steps, options in (
            ("turbo", 10, "latency_s: 0.08, latency_sigma: 0.1"),
            ("shiny", 30, "latency_s: 0.55, latency_sigma: 0.1, text_error_share: 0.7"),
        ):
            text = f"{CANDIDATE}name: {candidate}\n{MODEL.format(steps=steps, options=options)}"
            (folder / "candidates" / f"{candidate}.yaml").write_text(text)
        yield folder


@pytest.fixture(scope="module")
def ran(policies: Path) -> Iterator[tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]]:
    """One run: its data directory, the process, its report."""
    with tempfile.TemporaryDirectory(prefix="sg-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        environment = {key: val for key, val in os.environ.items() if not key.startswith(("SWAPGATE_", "RAY_"))}
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli", "demo", "--rate", "1.2", "-o", "json"],
            capture_output=True,
            text=True,
            timeout=2400,
            check=False,
            env=environment | {"SWAPGATE_HOME": str(home), "SWAPGATE_POLICIES": str(policies)},
        )
        yield home, done, json.loads(done.stdout)


def test_the_story_is_told(ran: tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    """The quick model is promoted, the garbling one reverted, nobody sees an error, the audit log is whole."""
    _, done, report = ran
    assert [chapter["state"] for chapter in report["chapters"]] == ["promoted", "reverted"], done.stderr
    assert report["audit"]["ok"]
    assert (report["traffic"]["failures"], report["traffic"]["dropped"]) == (0, 0)
    assert (done.returncode, report["ok"]) == (0, True)


def test_exposure_is_counted_on_both_sides(ran: tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    """The server's count of bad images that users saw is the client's, and the clock ran from the first one."""
    bad = ran[2]["chapters"][1]
    assert bad["seen"] == bad["seen_by_client"] > 0
    assert 0 < bad["exposed_s"] < bad["took_s"]
    assert f"users saw {bad['seen']} of its images" in bad["reason"]


def test_nothing_is_left_behind(ran: tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    """A demo that went as told removes the data directory that it made."""
    assert not ran[0].exists()
