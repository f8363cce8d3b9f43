"""What a scorer is: a number in [0, 1] from an image and what was asked for, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from serving.scorers.picture import Picture


@dataclass(frozen=True, slots=True)
class Scored:
    """A score in [0, 1], or None with a reason; `detail` holds JSON values that explain it to a person.

    Reasons: `not_applicable` (nothing of the kind was asked for), `unreadable` (the bytes are no image),
    `not_configured` (something that the operator has to name is missing), `scorer_failed` (our fault), and those that
    a scorer's own file names.
    """

    value: float | None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"value": self.value, "reason": self.reason, "detail": dict(self.detail)}


NOT_APPLICABLE: Final = Scored(None, "not_applicable")


@dataclass(frozen=True, slots=True)
class Subject:
    """An image and what it is judged by.

    `expect` is `Expectation.to_json()` of a suite, with `width_px` and `height_px` where the size is known; empty when
    nothing is. `assets` are the suite's reference images by name. `others` are the images that this one is compared
    with: of other seeds, of a second drawing, or of the incumbent.
    """

    prompt: str
    expect: Mapping[str, Any]
    picture: Picture
    assets: Mapping[str, Picture] = field(default_factory=dict)
    others: tuple[Picture, ...] = ()


class Versioned(Protocol):
    """What a scorer is called by; two versions' scores are never compared."""

    @property
    def metric(self) -> str:
        """Return the metric that the score is tallied as."""
        ...

    @property
    def version(self) -> str:
        """Return engine, settings and definition as one word."""
        ...


class Scorer(Versioned, Protocol):
    """The same subject always gets the same score from the same version."""

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError when its bytes, or those of an image that it is compared with, are none."""
        ...
