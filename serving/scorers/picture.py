"""An image as it arrives, bytes of a PNG, and as scorers look at it, 8-bit RGB."""

import io
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
LARGEST_PX: Final = 64_000_000
"""Of width times height; decoding more would take gigabytes for one answer."""


class UnreadableError(Exception):
    """The bytes are no image that can be scored; says what is wrong with them."""


class Picture:
    """A PNG, decoded at most once however many scorers look at it."""

    def __init__(self, png: bytes) -> None:
        self.png = png

    @cached_property
    def pixels(self) -> Pixels:
        """Return (height, width, 3) RGB, read-only, transparent parts shown on white; UnreadableError."""
        pixels = _decoded(self.png)
        pixels.setflags(write=False)
        return pixels

    @cached_property
    def alpha(self) -> Pixels | None:
        """Return how opaque each pixel is, (height, width) 0 to 255, None when it says nothing; UnreadableError."""
        return _alpha(self.png)


def reduced(pixels: Pixels, long_side_px: int) -> Pixels:
    """Return an image whose longer side is at most `long_side_px`, shrunk by averaging; smaller ones as they are."""
    import cv2

    scale = long_side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = tuple(max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decoded(png: bytes) -> Pixels:
    with _opened(png) as image:
        return _rgb(image)


def _alpha(png: bytes) -> Pixels | None:
    with _opened(png) as image:
        alpha = np.array(image.convert("RGBA"))[:, :, 3] if image.has_transparency_data else None
    return None if alpha is None or alpha.min() == 255 else alpha


def _opened(png: bytes) -> Any:
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        if image.width * image.height <= LARGEST_PX:
            image.load()
    except Exception as error:  # damaged bytes raise whatever a decoder happens to trip over
        raise UnreadableError(f"{len(png)} bytes that are no readable PNG ({type(error).__name__})") from error
    if image.width * image.height > LARGEST_PX:
        raise UnreadableError(f"{image.width}x{image.height} pixels are more than {LARGEST_PX} in all")
    return image


def _rgb(image: Any) -> Pixels:
    from PIL import Image

    if image.mode.startswith("I"):  # grey of 16 bits, which PIL would clip at 255
        grey = (np.asarray(image, np.uint32) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))
