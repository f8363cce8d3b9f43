"""Whatever bytes arrive, they are pixels or a clear refusal."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from serving.scorers import picture as module
from serving.scorers.picture import Picture, UnreadableError, reduced
from tests.unit.serving.scorers.drawings import picture, sixteen_bit, written

IMAGE = written("SALE", size_px=(96, 64), font_px=27)


def test_rgb_pixels_come_through_unchanged() -> None:
    """A PNG of 8-bit RGB is decoded to the very levels that were encoded."""
    assert np.array_equal(picture(IMAGE).pixels, np.asarray(IMAGE))


def test_transparency_is_shown_on_white() -> None:
    """What is transparent is white, whatever colour hides in it."""
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    shown = picture(image)
    assert shown.pixels.tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert shown.alpha is not None
    assert shown.alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    """Grey, palettes, one bit and an opaque alpha channel show the same picture."""
    shown = picture(IMAGE.convert("L").convert(mode)).pixels
    assert shown.shape == (64, 96, 3)
    assert np.abs(shown.astype(int) - np.asarray(IMAGE.convert("L"), int)[:, :, None]).mean() < 20


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A PNG of 16 bits shows the same levels as one of 8."""
    assert np.array_equal(Picture(sixteen_bit(IMAGE)).pixels[:, :, 0], np.asarray(IMAGE.convert("L")))


def test_damaged_bytes_are_refused_and_nothing_else_is_raised() -> None:
    """300 images cut short, with bytes changed, or of noise: pixels or UnreadableError."""
    rng, png = Random(1), picture(IMAGE).png
    refused = 0
    for number in range(300):
        damaged = bytearray(png if number % 3 else rng.randbytes(60))
        for _ in range(rng.randint(0, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        cut = bytes(damaged[: rng.randint(0, len(damaged))] if number % 2 else damaged)
        try:
            assert Picture(cut).pixels.shape[2] == 3
        except UnreadableError:
            refused += 1
    assert refused >= 200


def test_an_absurd_size_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header alone can't make a replica run out of memory."""
    monkeypatch.setattr(module, "LARGEST_PX", 96 * 64 - 1)
    with pytest.raises(UnreadableError, match="96x64"):
        _ = picture(IMAGE).pixels


@pytest.mark.parametrize(("size", "expected"), [((96, 64), (96, 64)), ((800, 400), (384, 192)), ((4000, 1), (384, 1))])
def test_reducing_keeps_proportions(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The longer side is at most what was said, and no side vanishes."""
    pixels = reduced(np.zeros((*size[::-1], 3), np.uint8), 384)
    assert pixels.shape == (*expected[::-1], 3)
