"""The seam between the router and the model applications."""

from dataclasses import dataclass
from typing import Protocol

from serving.providers.protocol import Ask, Fault, Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """Images (PNG), what drawing them used, and how long the call took with queueing."""

    images: tuple[bytes, ...]
    usage: Usage
    call_s: float


class CallError(Exception):
    """A call brought no image one may show; `usage` is what it had cost by then, if known."""

    def __init__(self, fault: Fault, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.usage = usage


class Backend(Protocol):
    """Model applications by name."""

    async def call(self, app: str, ask: Ask, timeout_s: float) -> Reply:
        """Draw; raises CallError, after `timeout_s` at the latest."""
        ...
