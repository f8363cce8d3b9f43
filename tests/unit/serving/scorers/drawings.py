"""Pictures whose content is known: words, things on a ground, logos; and ways to damage them."""

import io
import re
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from serving.providers.png import to_png
from serving.scorers.picture import Picture
from serving.tinydiff.drawing import FONT_PATH, draw, shape_mask
from serving.tinydiff.scenes import Scene
from serving.tinydiff.vocabulary import COLOURS, colour_pairs

Pixels = NDArray[np.uint8]
PAIRS = tuple(pair for pair in colour_pairs() if pair[1] in {"white", "black"})


def picture(image: Image.Image | Pixels) -> Picture:
    return Picture(to_png(image if isinstance(image, Image.Image) else Image.fromarray(image)))


def scene_image(scene: Scene, rng: Random) -> Image.Image:
    """A picture as the small model is trained on, 96x64."""
    return Image.fromarray(draw(scene, rng).pixels)


def written(
    text: str, colour: str = "blue", ground: str = "white", size_px: tuple[int, int] = (256, 128), font_px: int = 30
) -> Image.Image:
    """Text in the middle, on several lines where it has line breaks."""
    image = Image.new("RGB", size_px, COLOURS[ground])
    font = ImageFont.truetype(FONT_PATH, font_px)
    middle = (size_px[0] / 2, size_px[1] / 2)
    ImageDraw.Draw(image).multiline_text(middle, text, COLOURS[colour], font, "mm", align="center")
    return image


def barred(image: Image.Image) -> Image.Image:
    """White bars through all strokes."""
    broken = image.copy()
    for x in range(-image.height, image.width, 6):
        ImageDraw.Draw(broken).line([(x, image.height), (x + image.height, 0)], fill=image.getpixel((0, 0)), width=3)
    return broken


def misspelt(text: str, rng: Random) -> str:
    """One letter of a text replaced by one that looks different."""
    place = rng.choice([at for at, letter in enumerate(text) if letter.isalpha()])
    others = [letter for letter in "AEHKMNRTVXZ" if letter != text[place]]
    return text[:place] + rng.choice(others) + text[place + 1 :]


def noisy(image: Image.Image, levels: float, seed: int) -> Image.Image:
    """Gaussian noise of a standard deviation in levels."""
    noise = np.random.default_rng(seed).normal(0, levels, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, float) + noise, 0, 255).astype(np.uint8))


def blurred(image: Image.Image, radius_px: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius_px))


def arranged(
    things: Sequence[tuple[str, str]], rng: Random, ground: str = "white", size_px: tuple[int, int] = (384, 256)
) -> Image.Image:
    """Things (colour, shape), at most twelve, in cells of their own, jittered in place and size."""
    canvas = np.broadcast_to(np.asarray(COLOURS[ground], np.float32), (*size_px[::-1], 3)).copy()
    cell_px = min(size_px[0] // 4, size_px[1] // 3)
    cells = rng.sample([(column, row) for column in range(4) for row in range(3)], len(things))
    for (colour, shape), (column, row) in zip(things, cells, strict=True):
        radius_px = rng.randint(cell_px // 4, cell_px * 2 // 5)
        ink = shape_mask(shape, radius_px)[:, :, None]
        spare_px = cell_px - ink.shape[0]
        left_px = column * cell_px + rng.randint(1, spare_px - 1)
        top_px = row * cell_px + rng.randint(1, spare_px - 1)
        area = canvas[top_px : top_px + ink.shape[0], left_px : left_px + ink.shape[1]]
        area[:] = area * (1 - ink) + np.asarray(COLOURS[colour], np.float32) * ink
    return Image.fromarray(canvas.round().astype(np.uint8))


@cache
def logo(name: str) -> Image.Image:
    """An emblem `outer colour, outer shape, inner colour, inner shape`, transparent around, 160x160."""
    parts = re.split(r"[ -]", name)
    outer, inner = (shape_mask(shape, radius) for shape, radius in ((parts[1], 79), (parts[3], 32)))
    colours = np.empty((160, 160, 3), np.float32)
    colours[:] = COLOURS[parts[0]]
    share = np.zeros((160, 160, 1), np.float32)
    share[47:113, 47:113, 0] = inner
    colours = colours * (1 - share) + np.asarray(COLOURS[parts[2]], np.float32) * share
    return Image.fromarray(np.concatenate([colours, outer[:, :, None] * 255], axis=2).round().astype(np.uint8), "RGBA")


LOGOS = (
    "blue circle-white star",
    "red diamond-yellow circle",
    "green square-white heart",
    "purple star-white circle",
    "black heart-yellow triangle",
)


def placed(mark: Image.Image, ground: str, rng: Random, size_px: tuple[int, int] = (256, 192)) -> Image.Image:
    """A logo somewhere on a ground, a third to two thirds of the short side large, slightly soft and noisy."""
    image = Image.new("RGB", size_px, COLOURS[ground])
    side_px = rng.randint(min(size_px) // 3, min(size_px) * 2 // 3)
    small = mark.resize((side_px, round(side_px * mark.height / mark.width)), Image.Resampling.LANCZOS)
    corner = (rng.randint(2, size_px[0] - small.width - 2), rng.randint(2, size_px[1] - small.height - 2))
    image.paste(small, corner, small)
    return noisy(blurred(image, 0.7), 4, rng.randint(0, 2**31))


def sheared(mark: Image.Image) -> Image.Image:
    return mark.transform(mark.size, Image.Transform.AFFINE, (1, 0.5, -40, 0, 1, 0), Image.Resampling.BICUBIC)


def halved(mark: Image.Image) -> Image.Image:
    """The lower half gone."""
    cut = mark.copy()
    cut.paste((0, 0, 0, 0), (0, mark.height // 2, mark.width, mark.height))
    return cut


def recoloured(mark: Image.Image) -> Image.Image:
    """Red, green and blue exchanged."""
    red, green, blue, alpha = mark.split()
    return Image.merge("RGBA", (blue, red, green, alpha))


def sixteen_bit(image: Image.Image) -> bytes:
    """The luma as a PNG of 16 bits a pixel."""
    buffer = io.BytesIO()
    grey: Any = np.asarray(image.convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()
