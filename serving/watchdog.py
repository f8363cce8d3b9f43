"""Looks at every answer before a user does: bytes that don't decode, a wrong size, an image of one colour.

NaN latents come out of a VAE as an image of one colour, so that check covers them. It is cheap (below a
millisecond for small images); large ones are checked in a thread.
"""

import asyncio
import io
from collections.abc import Sequence
from typing import Final

LARGE_BYTES: Final = 64 * 1024
_END: Final = b"IEND\xaeB`\x82"  # PIL decodes a file without its end and says nothing
_SMALLEST_CONTRAST: Final = 2  # of 255 grey levels


def problem_of(png: bytes, width_px: int, height_px: int) -> str | None:
    """Return what is wrong with an image, None when it is sound."""
    from PIL import Image, UnidentifiedImageError

    if not png.endswith(_END):
        return f"{len(png)} bytes that don't end like a PNG"
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.size != (width_px, height_px):
                found = f"{image.size[0]}x{image.size[1]}"
                return f"the image is {found} pixels large, not {width_px}x{height_px}"
            levels = [level for level, pixels in enumerate(image.convert("L").histogram()) if pixels]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return f"{len(png)} bytes that are no readable PNG"
    if levels[-1] - levels[0] < _SMALLEST_CONTRAST:
        return "the image is of one colour"
    return None


def first_problem(images: Sequence[bytes], count: int, width_px: int, height_px: int) -> str | None:
    """Return what is wrong with an answer of `count` images, None when it is sound."""
    if len(images) != count:
        return f"{len(images)} images instead of {count}"
    return next(filter(None, (problem_of(png, width_px, height_px) for png in images)), None)


async def inspect(images: Sequence[bytes], count: int, width_px: int, height_px: int) -> str | None:
    """Return what `first_problem` returns without holding up the event loop."""
    if sum(map(len, images)) < LARGE_BYTES:
        return first_problem(images, count, width_px, height_px)
    return await asyncio.to_thread(first_problem, images, count, width_px, height_px)
