"""The result document of a bench."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.shot import ShotResult
from controller.core.spec import ModelSpec
from controller.gate.judge import GateAssessment
from controller.gate.plan import Plan


@dataclass(frozen=True, slots=True)
class About:
    """What surrounds a bench; times in ISO 8601, UTC."""

    id: str
    rollout: str | None
    candidate_name: str
    candidate: ModelSpec
    incumbent: ModelSpec
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    started_at: str
    finished_at: str


def document(
    about: About, plan: Plan, assessment: GateAssessment, shots: Mapping[str, ShotResult]
) -> dict[str, Any]:
    """Return the result as plain JSON values; `shots` holds what was drawn, by key, loads included."""
    raise NotImplementedError
