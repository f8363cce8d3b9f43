"""What is no image at all."""

import pytest
from PIL import Image

from serving.scorers.blank import SoundnessScorer
from serving.scorers.picture import Picture
from serving.scorers.protocol import Scored, Subject
from tests.unit.serving.scorers.drawings import noisy, picture, written

GOOD = written("SALE", size_px=(96, 64), font_px=27)


def scored(shown: Picture, **expect: int) -> Scored:
    return SoundnessScorer().score(Subject("", expect, shown))


def test_a_picture_is_sound() -> None:
    """A drawing of the size that was asked for is sound."""
    assert scored(picture(GOOD), width_px=96, height_px=64) == Scored(1.0)


def test_a_single_dot_is_not_blank() -> None:
    """Three pixels by three are enough to be a picture."""
    image = Image.new("RGB", (96, 64), "white")
    image.paste("red", (40, 30, 43, 33))
    assert scored(picture(image)).value == 1.0


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        (Picture(b""), "0 bytes"),
        (Picture(picture(GOOD).png[: len(picture(GOOD).png) // 2]), "no readable PNG"),
        (Picture(picture(GOOD).png[:-4]), "don't end like a PNG"),
        (picture(Image.new("RGB", (96, 64), "black")), "one colour"),
        (picture(noisy(Image.new("RGB", (96, 64), "gray"), 3, 1)), "blank but for noise"),
        (picture(GOOD.resize((64, 64))), "64x64 pixels large, not 96x64"),
        (picture(Image.new("RGB", (1, 1))), "1x1 pixels large, not 96x64"),
    ],
)
def test_what_is_unsound_says_why(shown: Picture, problem: str) -> None:
    """Soundness is 0, never missing, and the detail names the problem."""
    found = scored(shown, width_px=96, height_px=64)
    assert found.value == 0.0
    assert problem in found.detail["problem"]
