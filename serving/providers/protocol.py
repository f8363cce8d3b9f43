"""What a provider of images is, and the one vocabulary in which its faults are told.

ProviderError
├── RefusedError           the content policy said no: never retried, never a fault of the model
├── ThrottledError         a quota or rate limit: the caller may come back later
├── BadConfigError         spec or request can't work with this model: retrying changes nothing
├── TransientError         may work the next time
├── MemoryExhaustedError   the device ran out of memory
├── DeadlineError          stopped because nobody waits for the answer any more
└── InvalidImageError      something came out, but it is no image one may show
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol


class Fault(StrEnum):
    """Why there is no image. The last four are seen by the gateway only, never by a provider."""

    REFUSED = "refused"
    THROTTLED = "throttled"
    BAD_CONFIG = "bad_config"
    TRANSIENT = "transient"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE = "deadline"
    INVALID_IMAGE = "invalid_image"
    BROKEN = "broken"  # an exception nobody foresaw
    UNAVAILABLE = "unavailable"  # the replica died or there is none
    EJECTED = "ejected"  # not even asked: it failed a moment ago
    ABANDONED = "abandoned"  # the client went away


class ProviderError(Exception):
    """Base of what a provider raises on purpose."""

    fault: ClassVar[Fault] = Fault.BROKEN


class RefusedError(ProviderError):
    """The content policy refused the prompt or the image."""

    fault = Fault.REFUSED


class ThrottledError(ProviderError):
    """A quota or rate limit was hit."""

    fault = Fault.THROTTLED


class BadConfigError(ProviderError):
    """The spec or the request can't work with this model; the message says which part and what is allowed."""

    fault = Fault.BAD_CONFIG


class TransientError(ProviderError):
    """The same request may work the next time."""

    fault = Fault.TRANSIENT


class MemoryExhaustedError(ProviderError):
    """The device ran out of memory."""

    fault = Fault.OUT_OF_MEMORY


class DeadlineError(ProviderError):
    """The work was stopped because nobody waits for it any more."""

    fault = Fault.DEADLINE


class InvalidImageError(ProviderError):
    """The images are not ones that may be shown."""

    fault = Fault.INVALID_IMAGE


class Stop:
    """When to give a job up: at a deadline of this process's monotonic clock, or when its caller left."""

    def __init__(self, timeout_s: float) -> None:
        self.deadline_s = time.monotonic() + timeout_s
        self._left = threading.Event()

    def leave(self) -> None:
        """Say that the caller left."""
        self._left.set()

    def check(self) -> None:
        """Raise DeadlineError when the job should be given up; cheap enough for every sampling step."""
        if self._left.is_set():
            raise DeadlineError("the caller left")
        if time.monotonic() > self.deadline_s:
            raise DeadlineError("the deadline passed")

    def wait(self, wait_s: float) -> None:
        """Wait that long, or raise DeadlineError as soon as the job should be given up."""
        self._left.wait(min(wait_s, max(0.0, self.deadline_s - time.monotonic())))
        if wait_s > 0:
            self.check()


@dataclass(frozen=True, slots=True)
class Ask:
    """What to draw: one image a seed."""

    prompt: str
    seeds: tuple[int, ...]
    width_px: int
    height_px: int

    def to_wire(self, timeout_s: float) -> dict[str, Any]:
        """Return the request of a replica; `timeout_s` counts from its arrival there."""
        return {**asdict(self), "timeout_s": timeout_s}

    @staticmethod
    def from_wire(value: Mapping[str, Any]) -> "Ask":
        """Parse what `to_wire` returned."""
        return Ask(value["prompt"], tuple(value["seeds"]), value["width_px"], value["height_px"])


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job used. `compute_s`: CPU seconds of the process, or on CUDA wall seconds times GPUs.

    `memory_gib` is the peak: `memory_source` says of what (`cuda` allocations, `rss` of the process,
    `declared`), or why it is unknown.
    """

    service_s: float
    compute_s: float
    memory_gib: float | None
    memory_source: str
    device: str


class Meter(Protocol):
    """Measures one job, from its construction on."""

    def read(self) -> Usage:
        """Return what was used so far."""
        ...


class Provider(Protocol):
    """Draws images. One job at a time: pipelines aren't thread-safe."""

    @property
    def steps(self) -> int:
        """Return the sampling steps of an image, 1 where that means nothing."""
        ...

    def load(self) -> None:
        """Get ready to draw; BadConfigError when the spec can't work."""
        ...

    def meter(self) -> Meter:
        """Start to measure a job."""
        ...

    def draw(self, ask: Ask, stop: Stop) -> list[bytes]:
        """Return one PNG a seed, in order; raises ProviderError."""
        ...
