"""The prompts that a candidate and the incumbent are drawn with before any traffic, and what a picture must show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from controller.core.spec import Digest, digest_of

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "black", "white")
SHAPES = ("circle", "square", "triangle", "star", "diamond", "heart")
"""What can be told apart in pixels without doubt, so what a `Thing` may be."""


class Category(StrEnum):
    """What a prompt puts to the test; results are shown apart for each."""

    TYPOGRAPHY = "typography"
    MIXED_TEXT = "mixed_text"
    LONG_TEXT = "long_text"
    UNICODE = "unicode"
    SMALL_OBJECTS = "small_objects"
    LOGOS = "logos"
    LAYOUT = "layout"
    EDGE_CASES = "edge_cases"
    NO_TEXT = "no_text"
    PEOPLE = "people"
    STYLE = "style"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something a picture must show, such as three red dots; what is None is left open."""

    count: int | None = None
    colour: str | None = None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a program can check in a picture; `logo` names an asset of the suite.

    Empty when nothing can be checked honestly: then only the comparison with the incumbent speaks.
    """

    text: str | None = None
    no_text: bool = False
    things: tuple[Thing, ...] = ()
    logo: str | None = None

    @property
    def checkable(self) -> bool:
        """Say whether a program can check anything beyond the picture being sound."""
        return self != Expectation()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Expectation":
        """Parse what `to_json` returned."""
        return Expectation(**{**value, "things": tuple(Thing(**thing) for thing in value["things"])})


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a suite; drawn on every lane when `lanes` is empty."""

    id: str
    category: Category
    prompt: str
    seeds: tuple[int, ...]
    expect: Expectation = Expectation()
    lanes: tuple[str, ...] = ()

    def seed(self, repeat: int) -> int:
        """Return the seed of a repeat, counted from 0; past the listed ones it goes on by one from the last."""
        beyond = repeat - len(self.seeds) + 1
        return self.seeds[-1] + beyond if beyond > 0 else self.seeds[repeat]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Prompt":
        """Parse what `to_json` returned."""
        return Prompt(
            **{
                **value,
                "category": Category(value["category"]),
                "seeds": tuple(value["seeds"]),
                "expect": Expectation.from_json(value["expect"]),
                "lanes": tuple(value["lanes"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """A versioned set of prompts; `assets` maps a name to the SHA-256 (hex) of its PNG, so it counts for the digest."""

    name: str
    version: int
    title: str
    prompts: tuple[Prompt, ...]
    assets: Mapping[str, Digest] = field(default_factory=dict)
    attribution: str = ""

    def for_lane(self, lane: str) -> tuple[Prompt, ...]:
        """Return the prompts that are drawn on a lane, in their order."""
        return tuple(prompt for prompt in self.prompts if not prompt.lanes or lane in prompt.lanes)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Suite":
        """Parse what `to_json` returned."""
        return Suite(**{**value, "prompts": tuple(Prompt.from_json(prompt) for prompt in value["prompts"])})

    @property
    def digest(self) -> Digest:
        """Return the SHA-256 (hex) of the suite's canonical JSON."""
        return digest_of(self.to_json())
