"""`gatectl` against a controller in this process."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.cli.app import run
from tests.unit.api.desk import OPERATOR, Desk, open_desk


@dataclass(frozen=True, slots=True)
class Ran:
    """How a verb ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON document on stdout."""
        return json.loads(self.out)


Gatectl = Callable[..., Ran]

MANIFEST = """\
schema_version: 1
kind: candidate
name: quick
lane: preview
owner: imaging-team
model:
  provider: fake
  source: fake
  precision: float32
  scheduler: {class: FlowMatchEulerDiscreteScheduler, max_steps: 40}
sampling: {steps: 10, guidance_scale: 3.0, width_px: 96, height_px: 64}
resources: {gpu: cpu, num_gpus: 0, replicas: 1}
policy: demo
"""


@pytest.fixture
def gatectl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gatectl:
    """Run a verb as the process would, with a data directory of its own."""
    monkeypatch.setenv("SWAPGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["gatectl"])

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(list(arguments))
        found = capsys.readouterr()
        return Ran(code, found.out, found.err)

    return call


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A controller that `gatectl` talks to as its operator; candidates stay `preparing`."""
    # The controller logs in this process: its lines must not mix with what a verb prints.
    with capture_logs(), open_desk() as desk:
        monkeypatch.setenv("SWAPGATE_URL", desk.url)
        monkeypatch.setenv("SWAPGATE_TOKEN", OPERATOR)
        yield desk


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a sound manifest, with lines replaced."""

    def write(*replaced: tuple[str, str]) -> Path:
        text = MANIFEST
        for before, after in replaced:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "candidate.yaml"
        path.write_text(text)
        return path

    return write
