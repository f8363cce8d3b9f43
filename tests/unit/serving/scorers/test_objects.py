"""Counts, colours and shapes that pixels can settle."""

from random import Random
from typing import Any

import pytest
from PIL import Image

from serving.scorers.blobs import find_blobs
from serving.scorers.objects import ObjectsScorer, shape_of
from serving.scorers.picture import Pixels
from serving.scorers.protocol import Scored, Subject
from serving.scorers.reading import Reader
from serving.tinydiff.scenes import Scene
from serving.tinydiff.vocabulary import COLOURS, SHAPES
from tests.unit.serving.scorers.drawings import arranged, noisy, picture, scene_image

THREE_STARS = [("red", "star")] * 3


def scored(reader: Reader, things: list[dict[str, Any]], image: Image.Image, text: str | None = None) -> Scored:
    return ObjectsScorer(reader).score(Subject("", {"things": things, "text": text}, picture(image)))


def pixels_of(image: Image.Image) -> Pixels:
    return picture(image).pixels


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"count": 3, "colour": "red", "shape": "star"}, 1.0),
        ({"count": 4, "colour": "red", "shape": "star"}, 2 / 3),
        ({"count": 3, "colour": "red", "shape": "heart"}, 2 / 3),
        ({"count": 3, "colour": "blue", "shape": "star"}, 0.0),
        ({"count": 3, "colour": None, "shape": None}, 1.0),
        ({"count": None, "colour": None, "shape": "star"}, 1.0),
    ],
)
def test_each_fact_counts(asked: dict[str, Any], value: float, reader: Reader) -> None:
    """Of three red stars, each of number, colour and shape is right or wrong by itself."""
    assert scored(reader, [asked], arranged(THREE_STARS, Random(1))).value == pytest.approx(value)


def test_things_of_one_colour_are_told_apart_by_shape(reader: Reader) -> None:
    """Two red stars beside one red circle are as asked for, and not three of either."""
    things = [
        {"count": 2, "colour": "red", "shape": "star"},
        {"count": 1, "colour": "red", "shape": "circle"},
    ]
    image = arranged([*THREE_STARS[:2], ("red", "circle")], Random(2))
    assert scored(reader, things, image).value == 1.0


def test_letters_are_no_things(reader: Reader) -> None:
    """A word in the colour of the shape above it changes neither number nor shape."""
    scene = Scene("red", "white", word="HOTEL", shape="star", shape_colour="red")
    asked = [{"count": 1, "colour": "red", "shape": "star"}]
    assert scored(reader, asked, scene_image(scene, Random(3)), "HOTEL").value == 1.0


def test_a_circle_that_is_read_as_a_letter_is_still_a_circle(reader: Reader) -> None:
    """Readers take a circle for an O; the circle above a word is found nonetheless."""
    scene = Scene("black", "white", word="FISH", shape="circle", shape_colour="black")
    asked = [{"count": 1, "colour": "black", "shape": "circle"}]
    assert scored(reader, asked, scene_image(scene, Random(4)), "FISH").value == 1.0


def test_touching_things_of_two_colours_are_two(reader: Reader) -> None:
    """A yellow star inside a blue circle counts as one of each, and the smooth edge between them as nothing."""
    image = arranged([("blue", "circle")], Random(6), size_px=(192, 144))
    blob = find_blobs(pixels_of(image))[0]
    inner = arranged([("yellow", "circle")], Random(6), ground="blue", size_px=(96, 72)).crop((0, 0, 12, 12))
    centre = [round(side) for side in blob.centre_px]
    inner.paste(COLOURS["yellow"], (0, 0, 12, 12))
    image.paste(inner, (centre[0] - 6, centre[1] - 6))
    assert sorted(found.colour for found in find_blobs(pixels_of(image))) == ["blue", "yellow"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", ["red", "orange", "green", "blue", "purple", "black"])
def test_every_shape_and_colour_is_named(shape: str, colour: str) -> None:
    """Each of the six shapes in each colour is recognised, through noise of six levels."""
    image = noisy(arranged([(colour, shape)], Random(5)), 6, seed=5)
    assert [(blob.colour, shape_of(blob)) for blob in find_blobs(pixels_of(image))] == [(colour, shape)]


def test_a_gray_dot_is_not_a_black_one() -> None:
    """Colours that nobody asks for have names of their own."""
    image = Image.new("RGB", (100, 100), "white")
    image.paste((128, 128, 128), (40, 40, 60, 60))
    image.paste((255, 105, 180), (10, 10, 30, 30))
    assert {blob.colour for blob in find_blobs(pixels_of(image))} == {"gray", "pink"}


def test_noise_has_no_things(reader: Reader) -> None:
    """A picture of noise holds nothing that was asked for, and its ground is called what it is."""
    noise = noisy(Image.new("RGB", (96, 64), (128, 128, 128)), 90, seed=1)
    found = scored(reader, [{"count": 3, "colour": "red", "shape": "star"}], noise)
    assert found.value == 0.0
    assert found.detail["plain_ground"] is False


def test_nothing_asked_is_not_applicable(reader: Reader) -> None:
    """A prompt without things has no score."""
    assert scored(reader, [], arranged(THREE_STARS, Random(1))) == Scored(None, "not_applicable")
