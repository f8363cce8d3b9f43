"""What a scorer is: a number in [0, 1] from an image and its prompt, or the reason why there is none."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Scored:
    """A score in [0, 1], or None with a reason (`not_applicable`, `unreadable_prompt`, ...)."""

    value: float | None
    reason: str = ""


class Scorer(Protocol):
    """Versioned: two versions' scores are never compared."""

    @property
    def metric(self) -> str:
        """Return the metric that the score is tallied as."""
        ...

    @property
    def version(self) -> str:
        """Return engine, settings and definition as one word."""
        ...

    def score(self, prompt: str, image_png: bytes) -> Scored:
        """Score one image."""
        ...
