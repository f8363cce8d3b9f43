"""Reads text by OCR, once per image.

RapidOCR reads small images wrong or slowly by its defaults, so they are padded by their border and enlarged here, and
its own resizing is capped at 320 pixels: measured on clean 96x64 renderings as 32 of 32 words read at 0.1 s, against
30 of 32 at 0.8 s.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from serving.scorers.picture import Picture, Pixels

ENGINE: Final = "rapidocr3.10-ppocrv6-limit320"
SIDE_LIMIT_PX: Final = 320
PADDING_PX: Final = 8
SMALL_PX: Final = 256
NARROWEST_PX: Final = 32
"""The engine can't be given a strip of one pixel."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, `confidence` in [0, 1], and its box in pixels of the image; boxes may reach past its border."""

    text: str
    confidence: float
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    @property
    def height_px(self) -> float:
        """Return the height of the box."""
        return self.bottom_px - self.top_px

    @property
    def middle_px(self) -> float:
        """Return how far down the middle of the box lies."""
        return (self.top_px + self.bottom_px) / 2


class Reader:
    """One OCR engine on one thread; loads on first use. Scorers that share it share the reading of an image."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._last: tuple[Picture, tuple[Line, ...]] | None = None

    def load(self) -> None:
        """Load the engine, whose weights are in its wheel: nothing is downloaded."""
        from rapidocr import RapidOCR

        self._engine = RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.log_level": "critical",
                "Det.limit_side_len": SIDE_LIMIT_PX,
                "Det.limit_type": "max",
            }
        )

    def read(self, picture: Picture) -> tuple[Line, ...]:
        """Return the lines that OCR finds, in reading order; UnreadableError."""
        if self._last is None or self._last[0] is not picture:
            self._last = (picture, self._read(picture.pixels))
        return self._last[1]

    def _read(self, pixels: Pixels) -> tuple[Line, ...]:
        if self._engine is None:
            self.load()
        prepared, scale, margin_px = _prepared(pixels)
        result = self._engine(prepared, use_det=True, use_cls=False, use_rec=True)
        if result.txts is None:
            return ()
        found = zip(result.txts, result.scores, result.boxes, strict=True)
        return in_reading_order(_line(text, score, np.asarray(box) / scale - margin_px) for text, score, box in found)


def text_of(lines: Iterable[Line]) -> str:
    """Return lines as one text, joined by spaces."""
    return " ".join(line.text for line in lines)


def in_reading_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return lines row by row and from left to right.

    A row goes on while the next middle is less than half a line's height below the first: the boxes of one row differ
    in height and lie a few pixels up or down.
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.middle_px, line.left_px)):
        first = rows[-1][0] if rows else None
        if first and line.middle_px - first.middle_px < min(first.height_px, line.height_px) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return tuple(line for row in rows for line in sorted(row, key=lambda line: line.left_px))


def _line(text: str, confidence: float, corners: Any) -> Line:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return Line(text, float(confidence), float(left), float(top), float(right), float(bottom))


def _prepared(pixels: Pixels) -> tuple[Pixels, float, int]:
    """Return the image as BGR, how much it was enlarged, and the border in pixels that was added before.

    Small images are padded by repeating their border and enlarged.
    """
    from PIL import Image

    scale, margin_px = 1.0, 0
    narrow_px = NARROWEST_PX - min(pixels.shape[:2])
    if max(pixels.shape[:2]) < SMALL_PX or narrow_px > 0:
        margin_px = max(PADDING_PX, -(-narrow_px // 2))
        pixels = np.pad(pixels, ((margin_px, margin_px), (margin_px, margin_px), (0, 0)), mode="edge")
    if margin_px and max(pixels.shape[:2]) < SIDE_LIMIT_PX:
        image = Image.fromarray(pixels)
        scale = SIDE_LIMIT_PX / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    return np.ascontiguousarray(pixels[:, :, ::-1]), scale, margin_px
