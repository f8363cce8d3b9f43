"""Draw the reference pictures of the suites' logos: `python -m serving.tinydiff.marks`.

The marks of `core` are invented and plain enough to be described in one sentence; those of `tiny` are the shapes as
the small model's training pictures show them. Nothing is drawn by chance, so every run gives the same pixels.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from serving.tinydiff.drawing import FONT_PATH, LOGO_RADIUS_PX, shape_mask
from serving.tinydiff.vocabulary import COLOURS

ASSETS: Final = Path(__file__).resolve().parents[2] / "policies" / "suites" / "assets"
SIDE_PX: Final = 256
SUPERSAMPLING: Final = 4
TINY_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "circle": ("blue", "white"),
    "square": ("orange", "black"),
    "triangle": ("green", "white"),
    "star": ("yellow", "blue"),
    "diamond": ("purple", "yellow"),
    "heart": ("red", "white"),
}
"""Shape -> its colour and the ground, as the prompts of `tiny` ask for them."""

Point = tuple[float, float]


class _Canvas:
    """A square of 100 by 100 units, drawn larger than it will be saved."""

    def __init__(self, ground: str) -> None:
        side_px = SIDE_PX * SUPERSAMPLING
        self._scale = side_px / 100
        self._image = Image.new("RGB", (side_px, side_px), COLOURS[ground])
        self._pen = ImageDraw.Draw(self._image)

    def polygon(self, points: list[Point], colour: str) -> None:
        self._pen.polygon([(x * self._scale, y * self._scale) for x, y in points], COLOURS[colour])

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        corners = [(part * self._scale) for part in (x - radius, y - radius, x + radius, y + radius)]
        self._pen.ellipse(corners, COLOURS[colour])

    def word(self, text: str, x: float, y: float, size: float, colour: str) -> None:
        font = ImageFont.truetype(str(FONT_PATH), round(size * self._scale))
        self._pen.text((x * self._scale, y * self._scale), text, COLOURS[colour], font, anchor="ms")

    def image(self) -> Image.Image:
        return self._image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)


def _orbit() -> _Canvas:
    canvas = _Canvas("white")
    for radius, colour in ((36, "purple"), (24, "white")):
        canvas.disc(50, 52, radius, colour)
    for radius, colour in ((18, "white"), (13, "orange")):
        canvas.disc(73, 27, radius, colour)
    return canvas


def _corner() -> _Canvas:
    canvas = _Canvas("white")
    for left, top in ((16, 16), (16, 53), (53, 53)):
        canvas.box(left, top, left + 31, top + 31, "purple")
    return canvas


def _strata() -> _Canvas:
    canvas = _Canvas("white")
    for top, reach in ((18, 14), (41, 26), (64, 38)):
        canvas.box(50 - reach, top, 50 + reach, top + 17, "green")
    return canvas


def _signal() -> _Canvas:
    canvas = _Canvas("white")
    for left, top in ((16, 62), (41, 40), (66, 16)):
        canvas.box(left, top, left + 18, 84, "orange")
    return canvas


def _crescent() -> _Canvas:
    canvas = _Canvas("black")
    canvas.disc(50, 50, 36, "yellow")
    canvas.disc(64, 50, 29, "black")
    return canvas


def _peak() -> _Canvas:
    canvas = _Canvas("white")
    canvas.disc(50, 50, 40, "blue")
    canvas.polygon([(50, 22), (74, 66), (26, 66)], "white")
    return canvas


def _spark() -> _Canvas:
    canvas = _Canvas("white")
    canvas.box(12, 12, 88, 88, "red")
    tips = [(50, 20), (57, 43), (80, 50), (57, 57), (50, 80), (43, 57), (20, 50), (43, 43)]
    canvas.polygon([(float(x), float(y)) for x, y in tips], "white")
    return canvas


def _lumo() -> _Canvas:
    canvas = _Canvas("white")
    canvas.word("LUMO", 50, 58, 36, "black")
    canvas.box(8, 66, 92, 75, "orange")
    return canvas


CORE_MARKS: Final[Mapping[str, Callable[[], _Canvas]]] = {
    "orbit": _orbit,
    "corner": _corner,
    "strata": _strata,
    "signal": _signal,
    "crescent": _crescent,
    "peak": _peak,
    "spark": _spark,
    "lumo": _lumo,
}


def _tiny(shape: str) -> Image.Image:
    colour, ground = (np.asarray(COLOURS[name], np.float32) for name in TINY_MARKS[shape])
    share = shape_mask(shape, LOGO_RADIUS_PX)[..., None]
    return Image.fromarray((ground * (1 - share) + colour * share + 0.5).astype(np.uint8))


def marks() -> Mapping[str, Image.Image]:
    """Return every reference picture by the name of its file, without its ending."""
    return {
        **{name: canvas().image() for name, canvas in CORE_MARKS.items()},
        **{f"tiny-{shape}": _tiny(shape) for shape in TINY_MARKS},
    }


def main() -> None:
    """Write every reference picture."""
    ASSETS.mkdir(exist_ok=True)
    for name, image in marks().items():
        image.save(ASSETS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
