"""Soundness: is this an image at all? 1 or 0.

What the watchdog in front of users refuses is unsound: bytes that don't decode, an image cut short, a wrong size, one
colour. So is an image that is blank but for noise: fewer than one pixel in two thousand lies clearly off the median
colour. NaN and infinity can't be stored in a PNG; a decoder that met them leaves one colour behind.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.scorers.picture import Pixels, UnreadableError
from serving.scorers.protocol import Scored, Subject
from serving.watchdog import problem_of

CLEARLY_OFF_LEVELS: Final = 16
SMALLEST_OFF_SHARE: Final = 0.0005


class SoundnessScorer:
    """1 for a sound image, 0 with the problem in `detail`. `expect.width_px` and `height_px` are checked when given."""

    metric = "soundness"
    version = "watchdog-blank1"

    def score(self, subject: Subject) -> Scored:
        """Score one image; never raises."""
        problem = _problem(subject)
        return Scored(0.0, detail={"problem": problem}) if problem else Scored(1.0)


def _problem(subject: Subject) -> str | None:
    try:
        pixels = subject.picture.pixels
    except UnreadableError as error:
        return str(error)
    width_px = subject.expect.get("width_px") or pixels.shape[1]
    height_px = subject.expect.get("height_px") or pixels.shape[0]
    return problem_of(subject.picture.png, width_px, height_px) or _blank(pixels)


def _blank(pixels: Pixels) -> str | None:
    off = np.zeros(pixels.shape[:2], np.bool_)
    for channel in np.moveaxis(pixels, 2, 0):
        median = _median(channel)
        off |= (channel < median - CLEARLY_OFF_LEVELS) | (channel > median + CLEARLY_OFF_LEVELS)
    return None if off.mean() >= SMALLEST_OFF_SHARE else "the image is blank but for noise"


def _median(channel: NDArray[np.uint8]) -> int:
    """Return the lower median level, from counts: sorting megapixels takes a hundred times as long."""
    below = np.bincount(channel.ravel(), minlength=256).cumsum()
    return int(np.searchsorted(below, (channel.size + 1) // 2))
