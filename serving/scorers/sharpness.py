"""Sharpness: 1 over the mean width of an edge, in pixels.

`min(1, L / 2G)`, where G is the sum of squared first differences of the luma, down and across, and L that of squared
second differences (the Laplacian's two terms). For an edge that rises evenly over w pixels L / 2G is 1 / w, whatever
its contrast and however many edges there are: a hard edge is 1, one over four pixels 0.25. Images with a longer side
of more than 512 pixels are reduced to that.

Noise looks sharp to it, and so does a checkerboard of artefacts. `clipped_share` is the share of pixels with a channel
at 0 or 255.
"""

from typing import Final

import numpy as np

from serving.scorers.picture import Pixels, reduced
from serving.scorers.protocol import Scored, Subject

LONG_SIDE_PX: Final = 512
LUMA: Final = np.asarray((0.299, 0.587, 0.114))
LEAST_GRADIENT: Final = 1e-6
"""Mean squared difference, with luma in [0, 1], below which there is no edge: less than half a level of noise."""


class SharpnessScorer:
    """How steep the edges of an image are; None without any edge."""

    metric = "sharpness"
    version = "edgewidth1-512px"

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        pixels = subject.picture.pixels
        clipped_share = float(((pixels == 0) | (pixels == 255)).any(axis=2).mean())
        inverse = inverse_edge_width(reduced(pixels, LONG_SIDE_PX))
        detail = {"clipped_share": clipped_share}
        return Scored(None, "no_edges", detail) if inverse is None else Scored(min(1.0, inverse), detail=detail)


def inverse_edge_width(pixels: Pixels) -> float | None:
    """Return L / 2G of an image, None when it has no edges."""
    luma = pixels @ LUMA / 255
    gradient = sum(float((np.diff(luma, axis=axis) ** 2).sum()) for axis in (0, 1))
    laplacian = sum(float((np.diff(luma, 2, axis=axis) ** 2).sum()) for axis in (0, 1))
    return laplacian / (2 * gradient) if gradient > LEAST_GRADIENT * luma.size else None
