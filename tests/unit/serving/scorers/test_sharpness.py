"""Edge widths."""

import numpy as np
import pytest
from PIL import Image

from serving.scorers.picture import Pixels
from serving.scorers.protocol import Scored, Subject
from serving.scorers.sharpness import SharpnessScorer
from tests.unit.serving.scorers.drawings import picture


def ramp(width_px: int, low: int = 0, high: int = 240) -> Pixels:
    """An edge that rises evenly over so many pixels."""
    row = np.clip(np.arange(-60, 60) / width_px, 0, 1) * (high - low) + low
    return np.repeat(np.broadcast_to(row, (80, 120))[:, :, None], 3, axis=2).astype(np.uint8)


def scored(image: Image.Image | Pixels) -> Scored:
    return SharpnessScorer().score(Subject("", {}, picture(image)))


@pytest.mark.parametrize("width_px", [1, 2, 4, 8])
@pytest.mark.parametrize("high", [60, 240])
def test_it_is_one_over_the_width_of_an_edge(width_px: int, high: int) -> None:
    """An edge over w pixels scores 1 / w, whatever its contrast."""
    assert scored(ramp(width_px, high=high)).value == pytest.approx(1 / width_px, rel=0.1)


def test_no_edges_no_score() -> None:
    """An image of one colour is neither sharp nor soft, and all of it is clipped when it is white."""
    found = scored(Image.new("RGB", (96, 64), "white"))
    assert (found.value, found.reason, found.detail["clipped_share"]) == (None, "no_edges", 1.0)


def test_clipping_is_told() -> None:
    """The share of pixels at the end of a channel's range is in the detail."""
    assert scored(ramp(1, high=255)).detail["clipped_share"] == 1.0
    assert scored(ramp(1, low=10, high=250)).detail["clipped_share"] == 0.0
