"""Draw a scene as pixels, and say which text token explains which patch of it.

Glyphs and shapes sit on the 8 px grid of the transformer's patches: a letter is a cell of two patches, so
what a patch shows depends on one letter only. That alignment is what lets so small a model learn to spell.
"""

from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serving.tinydiff.scenes import Scene
from serving.tinydiff.vocabulary import COLOURS, FIRST_LETTER_TOKEN, HEIGHT_PX, WIDTH_PX

FONT_PATH: Final = Path(__file__).parent / "font" / "DejaVuSansMono-Bold.ttf"
FONT_SIZE_PX: Final = 27
CELL_PX: Final = 16
CAP_HEIGHT_PX: Final = 20
PATCH_PX: Final = 8
JITTER_PX: Final = 2
SUPERSAMPLING: Final = 8
GRID_ROWS: Final = HEIGHT_PX // PATCH_PX
GRID_COLUMNS: Final = WIDTH_PX // PATCH_PX
UNALIGNED: Final = -1
LOGO_RADIUS_PX: Final = 12
SHAPE_RADIUS_PX: Final = {"small": 13, "large": 22}
DOT_RADIUS_PX: Final = 7
_LEFT, _MIDDLE, _RIGHT, _TOP, _CENTRE, _BOTTOM = 24, 48, 72, 16, 32, 48
DICE_PLACES_PX: Final = {
    1: ((_MIDDLE, _CENTRE),),
    2: ((_LEFT, _TOP), (_RIGHT, _BOTTOM)),
    3: ((_LEFT, _TOP), (_MIDDLE, _CENTRE), (_RIGHT, _BOTTOM)),
    4: ((_LEFT, _TOP), (_RIGHT, _TOP), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)),
    5: ((_LEFT, _TOP), (_RIGHT, _TOP), (_MIDDLE, _CENTRE), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)),
    6: (
        (_LEFT, _TOP),
        (_RIGHT, _TOP),
        (_LEFT, _CENTRE),
        (_RIGHT, _CENTRE),
        (_LEFT, _BOTTOM),
        (_RIGHT, _BOTTOM),
    ),
}
ALL_DICE_PLACES_PX: Final = tuple(sorted({place for places in DICE_PLACES_PX.values() for place in places}))

Mask = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pixels (height, width, 3) uint8; ink share per pixel; the explaining text token per patch, or -1."""

    pixels: NDArray[np.uint8]
    ink: Mask
    token_of_patch: NDArray[np.int64]


@cache
def _glyph(character: str) -> Mask:
    """One character's ink in a cell of 16 x 32 px, its cap height centred."""
    font = ImageFont.truetype(str(FONT_PATH), FONT_SIZE_PX)
    cell = Image.new("L", (CELL_PX, 2 * CELL_PX))
    ImageDraw.Draw(cell).text((CELL_PX / 2, CELL_PX + CAP_HEIGHT_PX / 2), character, 255, font, anchor="ms")
    return np.asarray(cell, np.float32) / np.float32(255)


def _star_points() -> list[tuple[float, float]]:
    turns = [(index / 10, 1.0 if index % 2 == 0 else 0.42) for index in range(10)]
    return [(reach * sin(2 * pi * turn), -reach * cos(2 * pi * turn)) for turn, reach in turns]


def _heart_points() -> list[tuple[float, float]]:
    angles = [2 * pi * index / 60 for index in range(60)]
    return [(sin(a) ** 3, -(13 * cos(a) - 5 * cos(2 * a) - 2 * cos(3 * a) - cos(4 * a)) / 17 - 0.08) for a in angles]


def _outline(shape: str) -> list[tuple[float, float]]:
    """Corners of a shape in the unit square around (0, 0), y downwards."""
    if shape == "circle":
        return [(cos(2 * pi * index / 64), sin(2 * pi * index / 64)) for index in range(64)]
    if shape == "star":
        return _star_points()
    if shape == "heart":
        return _heart_points()
    return {
        "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
        "triangle": [(0.0, -0.95), (1.0, 0.85), (-1.0, 0.85)],
        "diamond": [(0.0, -1.0), (0.72, 0.0), (0.0, 1.0), (-0.72, 0.0)],
    }[shape]


@cache
def shape_mask(shape: str, radius_px: int) -> Mask:
    """Anti-aliased ink of one shape in a square of 2 * radius + 2 px."""
    side_px = 2 * radius_px + 2
    large = Image.new("L", (side_px * SUPERSAMPLING, side_px * SUPERSAMPLING))
    centre, reach = side_px * SUPERSAMPLING / 2, radius_px * SUPERSAMPLING
    ImageDraw.Draw(large).polygon([(centre + reach * x, centre + reach * y) for x, y in _outline(shape)], 255)
    return np.asarray(large.resize((side_px, side_px), Image.Resampling.BOX), np.float32) / np.float32(255)


def _stamp(canvas: Mask, stamp: Mask, left_px: int, top_px: int) -> None:
    height_px, width_px = stamp.shape
    area = canvas[top_px : top_px + height_px, left_px : left_px + width_px]
    np.maximum(area, stamp, out=area)


def _stamp_shape(canvas: Mask, shape: str, radius_px: int, centre_px: tuple[int, int]) -> None:
    stamp = shape_mask(shape, radius_px)
    _stamp(canvas, stamp, centre_px[0] - radius_px - 1, centre_px[1] - radius_px - 1)


def _align(tokens: NDArray[np.int64], box_px: tuple[int, int, int, int], token: int) -> None:
    """Let all patches that touch the box (left, top, right, bottom) be explained by one text token."""
    left, top, right, bottom = box_px
    rows, columns = (
        slice(top // PATCH_PX, -(-bottom // PATCH_PX)),
        slice(left // PATCH_PX, -(-right // PATCH_PX)),
    )
    tokens[rows, columns] = token


def _draw_word(scene: Scene, ink: Mask, tokens: NDArray[np.int64], rng: Random) -> None:
    centre_px = 44 if scene.shape else 32
    reach_px = CAP_HEIGHT_PX // 2 + JITTER_PX
    top_px = centre_px - CELL_PX + rng.randint(-JITTER_PX, JITTER_PX)
    left_px = WIDTH_PX // 2 - len(scene.word) * CELL_PX // 2
    for index, character in enumerate(scene.word):
        cell_left_px = left_px + index * CELL_PX
        _stamp(ink, _glyph(character), cell_left_px, top_px)
        box_px = (cell_left_px, centre_px - reach_px, cell_left_px + CELL_PX, centre_px + reach_px)
        _align(tokens, box_px, FIRST_LETTER_TOKEN + index)


def _draw_shape(scene: Scene, ink: Mask, tokens: NDArray[np.int64], rng: Random) -> None:
    logo = bool(scene.word)
    radius_px = LOGO_RADIUS_PX if logo else SHAPE_RADIUS_PX[scene.size]
    x_px, y_px = WIDTH_PX // 2, 16 if logo else HEIGHT_PX // 2
    centre_px = (x_px + rng.randint(-1, 1), y_px + rng.randint(-1, 1))
    _stamp_shape(ink, scene.shape, radius_px, centre_px)
    # '... " in <colour> on <background> under a <colour> <shape>' or 'a <size> <colour> <shape>'
    token = FIRST_LETTER_TOKEN + len(scene.word) + 8 if logo else 4
    _align(tokens, (x_px - radius_px, y_px - radius_px, x_px + radius_px, y_px + radius_px), token)


def _draw_dots(scene: Scene, ink: Mask, tokens: NDArray[np.int64]) -> None:
    for x_px, y_px in ALL_DICE_PLACES_PX:  # an empty place follows from the number just as a dot does
        _align(tokens, (x_px - PATCH_PX, y_px - PATCH_PX, x_px + PATCH_PX, y_px + PATCH_PX), 1)
    for place_px in DICE_PLACES_PX[scene.count]:
        _stamp_shape(ink, "circle", DOT_RADIUS_PX, place_px)


def _blend(pixels: Mask, ink: Mask, colour: str) -> Mask:
    share = ink[..., None]
    return pixels * (1 - share) + np.asarray(COLOURS[colour], np.float32) * share


def draw(scene: Scene, rng: Random) -> Drawing:
    """Draw one scene; ``rng`` moves the word by up to 2 px and a shape by up to 1 px."""
    word_ink, shape_ink = (np.zeros((HEIGHT_PX, WIDTH_PX), np.float32) for _ in range(2))
    tokens = np.full((GRID_ROWS, GRID_COLUMNS), UNALIGNED, np.int64)
    if scene.word:
        _draw_word(scene, word_ink, tokens, rng)
    if scene.shape:
        _draw_shape(scene, shape_ink, tokens, rng)
    if scene.count:
        _draw_dots(scene, shape_ink, tokens)
    pixels = np.broadcast_to(np.asarray(COLOURS[scene.background], np.float32), (HEIGHT_PX, WIDTH_PX, 3))
    pixels = _blend(_blend(pixels, word_ink, scene.colour), shape_ink, scene.shape_colour or scene.colour)
    return Drawing((pixels + 0.5).astype(np.uint8), np.maximum(word_ink, shape_ink), tokens)
