"""The best match to a reference image."""

from random import Random

import pytest
from PIL import Image

from serving.scorers.logo import LogoScorer
from serving.scorers.picture import Picture
from serving.scorers.protocol import Scored, Subject
from tests.unit.serving.scorers.drawings import LOGOS, halved, logo, picture, placed, recoloured

NAME = LOGOS[0]


def scored(image: Image.Image, asset: Picture | None, name: str = NAME) -> Scored:
    assets = {} if asset is None else {name: asset}
    return LogoScorer().score(Subject("", {"logo": name}, picture(image), assets))


def value(image: Image.Image, asset: Image.Image | None = None) -> float:
    found = scored(image, picture(asset or logo(NAME))).value
    assert found is not None
    return found


@pytest.mark.parametrize("ground", ["white", "yellow", "black"])
def test_the_logo_is_found_on_any_ground(ground: str) -> None:
    """Place, size and ground don't matter."""
    assert min(value(placed(logo(NAME), ground, Random(seed))) for seed in range(4)) >= 0.9


def test_an_opaque_reference_is_cut_from_its_ground() -> None:
    """A reference without transparency matches on another ground as well."""
    opaque = Image.new("RGB", (240, 240), "white")
    opaque.paste(logo(NAME), (40, 40), logo(NAME))
    assert value(placed(logo(NAME), "yellow", Random(1)), opaque) >= 0.9


def test_damage_and_absence_cost() -> None:
    """Half a logo, one in other colours and none at all score less than a whole one, in that picture."""
    whole, half, other, none = (
        value(placed(mark, "white", Random(2)))
        for mark in (logo(NAME), halved(logo(NAME)), recoloured(logo(NAME)), Image.new("RGBA", (160, 160)))
    )
    assert max(half, other) < whole - 0.1
    assert none < 0.5


def test_an_image_of_one_colour_holds_no_logo() -> None:
    """Flat parts of an image match nothing."""
    assert value(Image.new("RGB", (96, 64), "white")) == 0.0


def test_without_its_reference_there_is_no_score() -> None:
    """A missing, damaged or empty reference is a reason, not a zero."""
    image = placed(logo(NAME), "white", Random(3))
    assert scored(image, None).reason == "no_asset"
    assert scored(image, Picture(b"no image")).reason == "unreadable_asset"
    assert scored(image, picture(Image.new("RGBA", (20, 20)))).reason == "unreadable_asset"
