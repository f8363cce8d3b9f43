"""What a model *is*: everything that determines the images, the speed and the cost of an arm."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NewType

Digest = NewType("Digest", str)


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The diffusion scheduler and the largest number of steps a request may ask of it."""

    class_name: str
    max_steps: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one image is drawn; sizes in pixels. `seeds` is `per_image`: one explicit generator an image."""

    steps: int
    guidance_scale: float
    width_px: int
    height_px: int
    batch_size: int = 1
    seeds: str = "per_image"


def size_problem(candidate: Sampling, incumbent: Sampling) -> str | None:
    """Return why two arms can't be compared by their pictures' size, None when they can."""
    ours, theirs = (f"{arm.width_px}x{arm.height_px} px" for arm in (candidate, incumbent))
    if ours == theirs:
        return None
    return f"sampling: the candidate draws {ours}, the incumbent {theirs}; arms of different size can't be compared"


CPU = "cpu"
"""The class of the price book for no GPU at all."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one replica occupies. `gpu` names a class of the price book, or CPU."""

    gpu: str
    num_gpus: float
    replicas: int


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that determines what an arm does.

    `source` is a hub id or a folder; for a folder `revision` is the SHA-256 of its content, so a changed weight is
    a changed spec. `options` has been checked against the provider's own schema. `variant` is a name that makes an
    otherwise identical spec a separate application, for A/A runs.
    """

    provider: str
    source: str
    revision: str
    precision: str
    scheduler: Scheduler
    sampling: Sampling
    resources: Resources
    options: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ModelSpec":
        """Parse what `to_json` returned."""
        return ModelSpec(
            **{
                **value,
                "scheduler": Scheduler(**value["scheduler"]),
                "sampling": Sampling(**value["sampling"]),
                "resources": Resources(**value["resources"]),
            }
        )

    @property
    def digest(self) -> Digest:
        """Return the identity of the spec: the SHA-256 of its canonical JSON, in hex."""
        return digest_of(self.to_json())


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> Digest:
    """Return the SHA-256 (hex) of a value's canonical JSON."""
    return Digest(hashlib.sha256(canonical_json(value).encode()).hexdigest())


def app_name(lane: str, digest: Digest) -> str:
    """Return the name of the immutable serving application of a model spec on a lane."""
    return f"model-{lane}-{digest[:12]}"
