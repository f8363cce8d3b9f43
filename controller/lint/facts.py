"""What lint is told about the world: it reads nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from controller.core.lane import Lane
from controller.core.policy import Policy


@dataclass(frozen=True, slots=True)
class Price:
    """An entry of the price book: US dollars an hour, and where and when that was read."""

    usd_per_hour: float
    source: str
    read_on: date


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What the small files of a local model say, without its weights being loaded.

    `components` maps a component to its class, None for one that is left out; `parameters` counts the numbers in
    its safetensors files; `multiple_px` is what width and height must divide by, None when unknown.
    """

    pipeline: str
    components: Mapping[str, str | None] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    multiple_px: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """None stands for "not known here": a rule that needs it stays silent."""

    today: date
    lane: Lane | None = None
    policy: Policy | None = None
    prices: Mapping[str, Price] | None = None
    folder: ModelFolder | None = None
