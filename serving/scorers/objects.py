"""Objects: the share of the facts about things that hold, of those that pixels can settle.

Each thing of `expect.things`, such as three red dots, states up to three facts. Its pool is the blobs of its colour, or
all blobs when it names none; where another thing has the same pool, only the blobs of its shape.

- colour: the pool is not empty
- count: the pool has as many blobs as were asked for
- shape: more than half of the pool has the shape

Blobs inside a line that OCR reads are letters and left out where the prompt asks for text as well. A shape is the best
of six outlines, each stretched to the blob's box, with an overlap of at least 0.6: an ellipse is a circle, a rectangle
is a square. Things are told from their ground by colour alone, so this works on flat grounds and says little about
photographs; `plain_ground` tells which it was.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

import numpy as np

from serving.scorers.blobs import Blob, find_blobs
from serving.scorers.picture import Pixels, reduced
from serving.scorers.protocol import NOT_APPLICABLE, Scored, Subject
from serving.scorers.reading import ENGINE, Line, Reader
from serving.scorers.text import normalised
from serving.tinydiff.vocabulary import SHAPES

LONG_SIDE_PX: Final = 384
SMALLEST_OVERLAP: Final = 0.6
PLAIN_SHARE: Final = 0.9
ROUND_LETTERS: Final = frozenset("OQCDG0")
Thing = Mapping[str, Any]


class ObjectsScorer:
    """Count, colour and shape of what was asked for; the reader tells letters from things."""

    metric = "objects"
    version = f"lab45-blobs1-{ENGINE}"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        things: Sequence[Thing] = subject.expect.get("things") or ()
        if not things:
            return NOT_APPLICABLE
        full = subject.picture.pixels
        pixels = reduced(full, LONG_SIDE_PX)
        lines = self._reader.read(subject.picture) if subject.expect.get("text") else ()
        blobs = _without_letters(find_blobs(pixels), lines, full.shape[1] / pixels.shape[1])
        facts = [fact for thing in things for fact in _facts(thing, things, blobs)]
        found = [f"{blob.colour} {shape_of(blob) or 'blob'}" for blob in blobs]
        detail = {"facts": facts, "found": found, "plain_ground": _is_plain(pixels)}
        return Scored(fmean(fact["holds"] for fact in facts), detail=detail)


def shape_of(blob: Blob) -> str | None:
    """Return the name of the outline that a blob is most like, None when it is like none."""
    from serving.tinydiff.judging import overlap

    overlaps = {shape: overlap(blob.mask, shape) for shape in SHAPES}
    best = max(overlaps, key=overlaps.__getitem__)
    return best if overlaps[best] >= SMALLEST_OVERLAP else None


def _facts(thing: Thing, things: Sequence[Thing], blobs: Sequence[Blob]) -> list[dict[str, Any]]:
    count, colour, shape = thing.get("count"), thing.get("colour"), thing.get("shape")
    pool = [blob for blob in blobs if colour in {None, blob.colour}]
    rivals = sum(other.get("colour") in {None, colour} or colour is None for other in things) > 1
    if rivals and shape:
        pool = [blob for blob in pool if shape_of(blob) == shape]
    facts: list[dict[str, Any]] = []
    if colour:
        facts.append({"fact": "colour", "asked": colour, "found": len(pool), "holds": bool(pool)})
    if count is not None:
        facts.append({"fact": "count", "asked": count, "found": len(pool), "holds": len(pool) == count})
    if shape:
        fitting = sum(shape_of(blob) == shape for blob in pool)
        facts.append({"fact": "shape", "asked": shape, "found": fitting, "holds": 2 * fitting > len(pool)})
    return facts


def _without_letters(blobs: Sequence[Blob], lines: Sequence[Line], scale: float) -> list[Blob]:
    """Return the blobs whose middle lies in no line of writing; lines are in pixels `scale` times as small."""
    writing = [line for line in lines if _is_writing(line.text)]
    return [blob for blob in blobs if not any(_contains(line, blob, scale) for line in writing)]


def _is_writing(text: str) -> bool:
    """Say whether a line is more than a circle, or a row of circles, that was taken for letters."""
    letters = normalised(text)
    return len(letters) > 1 and not ROUND_LETTERS.issuperset(letters)


def _contains(line: Line, blob: Blob, scale: float) -> bool:
    x_px, y_px = (scale * side for side in blob.centre_px)
    return line.left_px <= x_px <= line.right_px and line.top_px <= y_px <= line.bottom_px


def _is_plain(pixels: Pixels) -> bool:
    """Say whether nearly all of an image's frame is ground: one colour, with things on it."""
    from serving.tinydiff.judging import foreground

    mask = foreground(pixels)
    frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return bool(1.0 - frame.mean() >= PLAIN_SHARE)
