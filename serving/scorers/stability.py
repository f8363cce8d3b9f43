"""How much images differ that should differ little: from seed to seed, from one drawing to the next, from arm to arm.

All three take pixel values x in [0, 1] of images of one size. They say how far apart images are, never how good.

- stability = 1 - PSD, `PSD = sqrt(mean over pixels and channels of Var over seeds of x, ddof 1)`. The variance is
  averaged before the root, because a mean of standard deviations depends on how many seeds there are.
- reproducibility = 1 - max |a - b| of one prompt and seed, drawn twice.
- likeness = 1 - mean |a - b| to the incumbent's image of the same prompt and seed.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.scorers.picture import Picture
from serving.scorers.protocol import Scored, Subject

FULL: Final = 255.0


class StabilityScorer:
    """How alike the images of one prompt are over seeds; `others` are those of the other seeds."""

    metric = "stability"
    version = "psd1"

    def score(self, subject: Subject) -> Scored:
        """Score the images of one prompt; UnreadableError."""
        return _compared(subject, _spread)


class ReproducibilityScorer:
    """Whether a prompt and seed give the same image again; `others` is the other drawing."""

    metric = "reproducibility"
    version = "maxdiff1"

    def score(self, subject: Subject) -> Scored:
        """Score two drawings; UnreadableError."""
        return _compared(subject, _worst)


class LikenessScorer:
    """How near an image is to the incumbent's of the same prompt and seed, which `others` holds."""

    metric = "likeness"
    version = "meandiff1"

    def score(self, subject: Subject) -> Scored:
        """Score an image against the incumbent's; UnreadableError."""
        return _compared(subject, _mean)


def _compared(subject: Subject, measure: Any) -> Scored:
    """Return a measure of all the images of a subject, which must be two or more of one size."""
    pictures: Sequence[Picture] = (subject.picture, *subject.others)
    if len(pictures) < 2:
        return Scored(None, "too_few_images")
    images = [picture.pixels for picture in pictures]
    if len({image.shape for image in images}) > 1:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in images]
        return Scored(None, "size_differs", {"sizes": sizes})
    result: Scored = measure(np.stack(images))
    return result


def _spread(images: NDArray[np.uint8]) -> Scored:
    variance = np.zeros(images.shape[1:])
    mean = images.mean(axis=0)
    for image in images:  # one at a time: all of them in float would take eight times the memory
        variance += (image - mean) ** 2
    deviation = float(np.sqrt((variance / (len(images) - 1)).mean())) / FULL
    return Scored(max(0.0, 1.0 - deviation), detail={"psd": deviation, "images": len(images)})


def _worst(images: NDArray[np.uint8]) -> Scored:
    difference = np.ptp(images, axis=0)
    worst = int(difference.max())
    return Scored(1.0 - worst / FULL, detail={"max_levels": worst, "differing_share": float((difference > 0).mean())})


def _mean(images: NDArray[np.uint8]) -> Scored:
    mean = float(np.ptp(images, axis=0).mean())
    return Scored(1.0 - mean / FULL, detail={"mean_levels": mean})
