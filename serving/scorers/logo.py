"""Logo: the best match to the reference image that the suite holds, wherever it is and however large.

The reference is cut to its content and laid on the ground colour of the image (the median of its frame), so that a logo
on yellow matches a reference on white. The score is the normalised cross-correlation of colours
(TM_CCOEFF_NORMED over three channels, negative values as 0), the maximum over all places and over sizes from an eighth
of the image's short side to all of it. The size is sought at a longer side of 96 pixels and refined at 192.

It sees size and place as free, turns and distortion as damage. A plain shape resembles other plain shapes: a circle
scores about 0.8 where a heart was asked for, so compare with the incumbent rather than with a number of your own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.scorers.picture import Picture, Pixels, UnreadableError
from serving.scorers.protocol import NOT_APPLICABLE, Scored, Subject

ROUGH_SIDE_PX: Final = 96
LONG_SIDE_PX: Final = 192
MARGIN_SHARE: Final = 0.15
"""Of ground around the content: without it a logo of one colour would be a square of one colour."""
SMALLEST_SHARE: Final = 0.125
SIZE_STEP: Final = 1.1
FINE_STEPS: Final = (0.93, 0.965, 1.0, 1.035, 1.07)
OPAQUE: Final = 128
Colours = NDArray[np.float32]


class LogoScorer:
    """How well the image holds the asset that `expect.logo` names."""

    metric = "logo"
    version = "ncc3-192px1"

    def score(self, subject: Subject) -> Scored:
        """Score one image; reasons `no_asset` and `unreadable_asset`; UnreadableError for the image itself."""
        name = subject.expect.get("logo")
        if not name:
            return NOT_APPLICABLE
        if name not in subject.assets:
            return Scored(None, "no_asset", {"asset": name})
        image = subject.picture.pixels
        try:
            reference = _Reference.of(subject.assets[name])
        except UnreadableError as error:
            return Scored(None, "unreadable_asset", {"asset": name, "problem": str(error)})
        match, share = best_match(image, reference)
        return Scored(min(1.0, max(0.0, match)), detail={"asset": name, "size_share": share})


@dataclass(frozen=True, slots=True)
class _Reference:
    """A logo cut to its content: colours (height, width, 3) and how much of each pixel they cover, in [0, 1]."""

    colours: Colours
    cover: Colours

    @staticmethod
    def of(picture: Picture) -> "_Reference":
        """Cut by transparency, else by what differs from the frame; UnreadableError when nothing is left."""
        from serving.tinydiff.judging import foreground

        alpha = picture.alpha
        mask = foreground(picture.pixels) if alpha is None else alpha >= OPAQUE
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            raise UnreadableError("the reference shows nothing")
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        cover = mask[box].astype(np.float32) if alpha is None else alpha[box] / np.float32(255)
        return _Reference(picture.pixels[box].astype(np.float32), np.asarray(cover, np.float32)[:, :, None])

    def on(self, ground: Colours, long_side_px: float) -> Pixels:
        """Return the logo at a size on a ground of one colour, with a margin around it."""
        import cv2

        height, width = self.cover.shape[:2]
        scale = long_side_px / max(height, width)
        size = max(2, round(width * scale)), max(2, round(height * scale))
        laid = self.colours * self.cover + ground * (1 - self.cover)
        shown = cv2.resize(laid, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        margin_px = max(1, round(MARGIN_SHARE * max(size)))
        framed = cv2.copyMakeBorder(shown, *(margin_px,) * 4, cv2.BORDER_CONSTANT, value=ground.tolist())
        return np.asarray(np.clip(framed.round(), 0, 255), np.uint8)


def best_match(image: Pixels, reference: _Reference) -> tuple[float, float]:
    """Return the best correlation, in [-1, 1], and the logo's longer side there as a share of the image's shorter."""
    small = _sized(image, ROUGH_SIDE_PX)
    rough = max(_shares(), key=lambda share: _match(small, reference, share))
    large = _sized(image, LONG_SIDE_PX)
    return max((_match(large, reference, share), share) for share in (min(1.0, rough * step) for step in FINE_STEPS))


def _shares() -> Iterator[float]:
    share = 1.0
    while share >= SMALLEST_SHARE:
        yield share
        share /= SIZE_STEP


def _match(image: Pixels, reference: _Reference, share: float) -> float:
    """Return the best correlation at one size."""
    import cv2

    frame = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    ground = np.median(frame, axis=0).astype(np.float32)
    long_side_px = share * min(image.shape[:2])
    template = reference.on(ground, long_side_px)
    margin_px = round(MARGIN_SHARE * long_side_px) + 1  # a logo may touch the border of the image
    framed = cv2.copyMakeBorder(image, *(margin_px,) * 4, cv2.BORDER_REPLICATE)
    if any(small > large for small, large in zip(template.shape[:2], framed.shape[:2], strict=True)):
        return -1.0
    return float(np.max(cv2.matchTemplate(framed, template, cv2.TM_CCOEFF_NORMED)))


def _sized(pixels: Pixels, long_side_px: int) -> Pixels:
    """Return an image with a longer side of so many pixels."""
    import cv2

    scale = long_side_px / max(pixels.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=kind), np.uint8)
