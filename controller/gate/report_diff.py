"""What was asked against what OCR read, character by character."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

LONGEST = 400
"""Characters compared; the work grows with the square."""


class Kind(StrEnum):
    """What became of some characters."""

    SAME = "same"
    MISSING = "missing"  # asked for, not read
    EXTRA = "extra"  # read, not asked for


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive characters with one fate."""

    kind: Kind
    text: str


def difference(asked: str, read: str) -> tuple[Piece, ...]:
    """Return the pieces of both texts in order; case, spaces and punctuation differ freely, as for the scorer."""
    asked, read = (unicodedata.normalize("NFC", text[:LONGEST]) for text in (asked, read))
    matcher = SequenceMatcher(None, [_key(c) for c in asked], [_key(c) for c in read], autojunk=False)
    pieces: list[Piece] = []
    for operation, asked_from, asked_to, read_from, read_to in matcher.get_opcodes():
        if operation == "equal":
            pieces.append(Piece(Kind.SAME, read[read_from:read_to]))
            continue
        pieces += _runs(asked[asked_from:asked_to], Kind.MISSING)
        pieces += _runs(read[read_from:read_to], Kind.EXTRA)
    return tuple(_joined(pieces))


def _key(character: str) -> str:
    return unicodedata.normalize("NFKC", character).upper()


def _runs(text: str, kind: Kind) -> Iterator[Piece]:
    for character in text:
        if character.isalnum():
            yield Piece(kind, character)
        elif kind is Kind.EXTRA or character.isspace():
            yield Piece(Kind.SAME, character)


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield the pieces with neighbours of one kind put together."""
    kind, text = Kind.SAME, ""
    for piece in pieces:
        if piece.kind is not kind and text:
            yield Piece(kind, text)
            text = ""
        kind, text = piece.kind, text + piece.text
    if text:
        yield Piece(kind, text)
