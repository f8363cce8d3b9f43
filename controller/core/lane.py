"""A lane: an endpoint with its own replicas, service level and exactly one incumbent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from controller.core.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Lane:
    """`timeout_s` bounds a request from arrival to answer, fallback included; `incumbent` serves by default."""

    name: str
    timeout_s: float
    incumbent: ModelSpec
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Lane":
        """Parse what `to_json` returned."""
        return Lane(**{**value, "incumbent": ModelSpec.from_json(value["incumbent"])})
