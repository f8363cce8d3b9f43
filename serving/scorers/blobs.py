"""Splits an image into blobs, each of one named colour, on whatever ground it has.

What differs clearly from the frame of the image is foreground (the judge of the model that ships does the same);
connected foreground is one blob unless several colours share its inside, when each colour's parts are blobs of their
own. The inside counts alone, because a smooth edge between red and white is pink.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.scorers.picture import Pixels
from serving.tinydiff.vocabulary import COLOURS, Rgb

Mask = NDArray[np.bool_]
PURE_SHARE: Final = 0.8
CHANNEL_LEVELS: Final = 32
"""Of a colour cube that says once and for all which name is nearest."""
SHADES: Final[dict[str, tuple[Rgb, ...]]] = {
    "red": ((255, 0, 0), (139, 0, 0)),
    "orange": ((255, 140, 0),),
    "yellow": ((255, 255, 0), (240, 230, 140)),
    "green": ((0, 200, 0), (0, 90, 0), (144, 238, 144), (107, 142, 35)),
    "blue": ((0, 0, 255), (0, 0, 128), (100, 149, 237), (135, 206, 235)),
    "purple": ((75, 0, 130), (147, 112, 219), (200, 0, 200)),
    "black": ((0, 0, 0),),
    "white": ((255, 255, 255),),
    "gray": ((128, 128, 128), (80, 80, 80), (190, 190, 190)),
    "pink": ((255, 192, 203), (255, 105, 180)),
    "brown": ((139, 69, 19), (101, 67, 33)),
}
"""What a name covers beside the vocabulary's own shade. Gray, pink and brown are asked for by nobody: they are there so
that a gray dot is not taken for a black one."""
NAMES: Final = tuple(SHADES)


@dataclass(frozen=True, slots=True)
class Blob:
    """A connected part of one colour; `mask` covers its box, whose left upper corner is at (left_px, top_px)."""

    mask: Mask
    colour: str
    left_px: int
    top_px: int

    @property
    def centre_px(self) -> tuple[float, float]:
        """Return the middle (x, y) of the box."""
        return self.left_px + self.mask.shape[1] / 2, self.top_px + self.mask.shape[0] / 2


def find_blobs(pixels: Pixels) -> list[Blob]:
    """Return the blobs of at least 0.2 % of an image (height, width, 3), from the top down."""
    from serving.tinydiff.judging import SMALLEST_BLOB_SHARE, foreground

    names = _name_indices(pixels)
    smallest_px = SMALLEST_BLOB_SHARE * names.size
    return [blob for part in _parts(foreground(pixels), smallest_px) for blob in _split(*part, names, smallest_px)]


def _split(mask: Mask, left_px: int, top_px: int, names: NDArray[np.uint8], smallest_px: float) -> Iterator[Blob]:
    """Yield a part as one blob, or as one for each connected stretch of a colour where it has several."""
    height_px, width_px = mask.shape
    own = names[top_px : top_px + height_px, left_px : left_px + width_px]
    counts = np.bincount(own[_inside(mask)], minlength=len(NAMES))
    if counts.max() >= PURE_SHARE * counts.sum():
        yield Blob(mask, NAMES[int(counts.argmax())], left_px, top_px)
        return
    for index in np.flatnonzero(counts):
        for part, part_left_px, part_top_px in _parts(mask & (own == index), smallest_px):
            if _eroded(part).any():  # a rim of mixed pixels has no inside
                yield Blob(part, NAMES[index], left_px + part_left_px, top_px + part_top_px)


def _parts(mask: Mask, smallest_px: float) -> Iterator[tuple[Mask, int, int]]:
    """Yield the connected parts of a mask that are large enough, each cut to its box, with the box's corner."""
    import cv2

    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for label, (left_px, top_px, width_px, height_px, area_px) in enumerate(boxes.tolist()):
        if label and area_px >= smallest_px:
            cut = labels[top_px : top_px + height_px, left_px : left_px + width_px]
            yield np.asarray(cut == label), left_px, top_px


def _inside(mask: Mask) -> Mask:
    """Return a mask without its rim, or the mask itself where it is all rim."""
    eroded = _eroded(mask)
    return eroded if eroded.any() else mask


def _eroded(mask: Mask) -> Mask:
    import cv2

    framed = np.pad(mask, 1).astype(np.uint8)
    return np.asarray(cv2.erode(framed, np.ones((3, 3), np.uint8))[1:-1, 1:-1], np.bool_)


def _name_indices(pixels: Pixels) -> NDArray[np.uint8]:
    """Return for each pixel which of NAMES is nearest."""
    red, green, blue = np.moveaxis(pixels // (256 // CHANNEL_LEVELS), 2, 0)
    return np.asarray(_nearest_names()[red, green, blue])


@cache
def _nearest_names() -> NDArray[np.uint8]:
    """Return the index of the nearest name for each cell of the colour cube, by distance in CIELAB."""
    middles = (np.arange(CHANNEL_LEVELS) + 0.5) * (256 // CHANNEL_LEVELS)
    cells = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1).reshape(-1, 3)
    own = {name: ((COLOURS[name],) if name in COLOURS else ()) for name in NAMES}
    shades = [(index, shade) for index, name in enumerate(NAMES) for shade in (*own[name], *SHADES[name])]
    distances = np.linalg.norm(_lab(cells)[:, None] - _lab([shade for _, shade in shades])[None], axis=2)
    owners = np.asarray([index for index, _ in shades], np.uint8)
    return np.asarray(owners[distances.argmin(axis=1)].reshape((CHANNEL_LEVELS,) * 3))


def _lab(colours: Any) -> NDArray[np.float32]:
    import cv2

    row = np.asarray(colours, np.float32)[None] / np.float32(255)
    return np.asarray(cv2.cvtColor(row, cv2.COLOR_RGB2LAB)[0], np.float32)
