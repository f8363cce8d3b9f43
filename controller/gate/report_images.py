"""The pictures of a report: bounded in number, in pixels and in bytes, and never anything but pictures."""

import base64
import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

LONGEST_SIDE_PX = 512
MOST_BYTES = 12 * 2**20
"""For all pictures of a report together, before base64."""
_KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a data URI; `width_px` and `height_px` are the original's."""

    uri: str
    width_px: int
    height_px: int
    scaled: bool


@dataclass(frozen=True, slots=True)
class NoPicture:
    """Why there is no picture."""

    reason: str


Pictures = Mapping[str, Picture | NoPicture]


def pictures(contents: Iterable[tuple[str, bytes | None]]) -> dict[str, Picture | NoPicture]:
    """Return what to show for each digest, in order, until the report would grow too large; None: not stored."""
    found: dict[str, Picture | NoPicture] = {}
    left = MOST_BYTES
    for digest, content in contents:
        shown = NoPicture("the image is not stored") if content is None else picture(content)
        if isinstance(shown, Picture):
            size = len(shown.uri) * 3 // 4
            if size > left:
                shown = NoPicture("left out, so that this file stays small")
            else:
                left -= size
        found[digest] = shown
    return found


def picture(content: bytes) -> Picture | NoPicture:
    """Return an image as a data URI, made smaller when it is large."""
    try:
        with warnings.catch_warnings():
            # A small file may hold a picture so large that decoding it takes all memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(content)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return NoPicture("not an image, or far too large a one")
    except (OSError, ValueError, SyntaxError):
        return NoPicture("not a readable image")


def _decoded(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content), formats=tuple(_KINDS)) as image:
        width_px, height_px = image.size
        image.load()
        kind = _KINDS[image.format or ""]
        scaled = max(image.size) > LONGEST_SIDE_PX
        if scaled:
            kind, content = "image/webp", _smaller(image)
    return Picture(f"data:{kind};base64,{base64.b64encode(content).decode()}", width_px, height_px, scaled)


def _smaller(image: Image.Image) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    out = io.BytesIO()
    small.save(out, format="WEBP", quality=88)
    return out.getvalue()
