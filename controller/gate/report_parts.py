"""A report as values: sections made of blocks, which HTML and Markdown each render in their own way.

Every text in here is plain and untrusted: prompts, names and reasons are other people's words. Only the renderers
turn text into markup, so escaping has one place for each form.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.gate.report_diff import Piece


class Tone(StrEnum):
    """How a text is meant; renderers say it by more than a colour."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"


TONE_OF = {
    "pass": Tone.GOOD,
    "fail": Tone.BAD,
    "inconclusive": Tone.DOUBT,
    "no_evidence": Tone.DOUBT,
    "promoted": Tone.GOOD,
    "reverted": Tone.BAD,
    "rejected": Tone.BAD,
    "reverting": Tone.BAD,
    "held": Tone.DOUBT,
    "superseded": Tone.DOUBT,
}
"""The tone of a verdict or of a rollout's state; what isn't named is plain."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with its tone; `literal` marks somebody's exact words, a digest or a command."""

    text: str
    tone: Tone = Tone.PLAIN
    literal: bool = False


Words = str | Cell


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are."""

    rows: tuple[tuple[str, Words], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; the first cell of a row names it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Words, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing: SVG that this package made itself, and what it shows in words."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Folded:
    """A long text that is there for those who need it."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """One arm's picture of a pair: `digest` of the image or None, what OCR read, and the numbers."""

    arm: str
    digest: str | None
    absent: str
    read: str | None
    diff: tuple[Piece, ...]
    numbers: tuple[tuple[str, Words], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same prompt and seed on both arms."""

    title: str
    prompt: str
    asked: str
    why: str
    sides: tuple[Side, Side]


Block = Note | Facts | Table | Figure | Folded | Pair


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a title; `brief` ones are also in the summary for a pull request."""

    title: str
    blocks: tuple[Block, ...]
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report: the verdict comes first."""

    title: str
    verdict: str
    tone: Tone
    reason: str
    lead: tuple[tuple[str, Words], ...]
    sections: tuple[Section, ...]
    footer: str


def verdict_cell(verdict: str) -> Cell:
    """Return a verdict as people read it, in its tone."""
    return Cell(verdict.replace("_", " "), TONE_OF.get(verdict, Tone.PLAIN))


def code(text: object) -> Cell:
    """Return exact words: a digest, a command, a prompt."""
    return Cell(str(text), literal=True)


def clip(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters and a remark on how many are left out."""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} characters more)"
