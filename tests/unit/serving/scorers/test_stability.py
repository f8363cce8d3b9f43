"""Differences between images, exactly as defined."""

import numpy as np
import pytest
from PIL import Image

from serving.scorers.protocol import Scored, Scorer, Subject
from serving.scorers.stability import LikenessScorer, ReproducibilityScorer, StabilityScorer
from tests.unit.serving.scorers.drawings import Pixels, picture


def flat(level: int) -> Pixels:
    return np.full((4, 6, 3), level, np.uint8)


def scored(scorer: Scorer, *images: Pixels) -> Scored:
    first, *others = map(picture, images)
    return scorer.score(Subject("", {}, first, others=tuple(others)))


def test_psd_is_the_root_of_the_mean_variance() -> None:
    """Half of the pixels with levels 0, 102, 204 over three seeds, half constant: sqrt(0.16 / 2)."""
    images = [np.concatenate([flat(level), flat(9)]) for level in (0, 102, 204)]
    found = scored(StabilityScorer(), *images)
    assert found.value == pytest.approx(1 - (0.16 / 2) ** 0.5)
    assert found.detail == {"psd": pytest.approx((0.16 / 2) ** 0.5), "images": 3}


def test_psd_agrees_with_numpy_on_noise() -> None:
    """The streamed variance is numpy's, ddof 1."""
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)
    expected = np.sqrt((images / 255).var(axis=0, ddof=1).mean())
    assert scored(StabilityScorer(), *images).detail["psd"] == pytest.approx(expected, rel=1e-12)


def test_one_pixel_is_enough_to_be_irreproducible() -> None:
    """Reproducibility looks at the worst pixel, likeness at the mean of all."""
    other = flat(0)
    other[2, 3, 1] = 51
    assert scored(ReproducibilityScorer(), flat(0), flat(0)).value == 1.0
    assert scored(ReproducibilityScorer(), flat(0), other).value == pytest.approx(0.8)
    assert scored(LikenessScorer(), flat(0), other).value == pytest.approx(1 - 0.2 / other.size)


def test_the_opposite_is_as_unlike_as_can_be() -> None:
    """Black against white scores 0 on all three, and stays within [0, 1]."""
    for scorer in (StabilityScorer(), ReproducibilityScorer(), LikenessScorer()):
        value = scored(scorer, flat(0), flat(255)).value
        assert value is not None
        assert 0.0 <= value <= 0.3


@pytest.mark.parametrize("scorer", [StabilityScorer(), ReproducibilityScorer(), LikenessScorer()])
def test_what_can_t_be_compared_has_a_reason(scorer: Scorer) -> None:
    """One image alone, and images of two sizes, have no score."""
    assert scored(scorer, flat(0)).reason == "too_few_images"
    odd = scorer.score(Subject("", {}, picture(flat(0)), others=(picture(Image.new("RGB", (5, 5))),)))
    assert (odd.value, odd.reason) == (None, "size_differs")
