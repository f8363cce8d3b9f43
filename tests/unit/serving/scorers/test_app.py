"""The scorers' replica: shapes of its answers, and that no image can break it."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from PIL import Image

from serving.scorers.app import MAX_BATCH, SCORERS, Scorers
from serving.scorers.protocol import Scored, Subject
from serving.scorers.sharpness import SharpnessScorer
from serving.tinydiff.scenes import Scene
from tests.unit.serving.scorers.drawings import LOGOS, arranged, logo, picture, scene_image, sixteen_bit, written

SALE = written("SALE", size_px=(96, 64), font_px=27)
SINGLE = {"text_accuracy", "words", "no_text", "objects", "logo", "soundness", "sharpness", "alignment"}
EVERYTHING = {
    "text": "SALE",
    "no_text": True,
    "things": [{"count": 3, "colour": "red", "shape": "star"}],
    "logo": "acme",
    "width_px": 96,
    "height_px": 64,
}
ASSETS = {"acme": picture(logo(LOGOS[0])).png}
WITHOUT_CLIP = SINGLE - {"alignment"}


@pytest.fixture(scope="module")
def scorers() -> Scorers:
    return Scorers()


@pytest.fixture(autouse=True, scope="module")
def _no_checkpoint() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SWAPGATE_CLIP", raising=False)
        yield


def prompt(word: str) -> str:
    return f'the word "{word}" in blue on white'


async def test_a_users_answer_is_scored_by_its_text_alone(scorers: Scorers) -> None:
    """Two images of one answer, one right and one wrong, are half right; nothing else is computed."""
    moon = picture(written("MOON", size_px=(96, 64), font_px=27)).png
    scores = await scorers.score(prompt("SALE"), [picture(SALE).png, moon])
    assert scores == {"text_accuracy": {"value": 0.5, "reason": ""}}


@pytest.mark.parametrize(
    ("images", "reason"), [([], "no_images"), ([b"", picture(SALE).png], "unreadable"), ([b"\x89PNG"], "unreadable")]
)
async def test_a_users_damaged_answer_has_no_score(scorers: Scorers, images: list[bytes], reason: str) -> None:
    """One image that can't be read leaves the answer without a score, and says why."""
    assert await scorers.score(prompt("SALE"), images) == {"text_accuracy": {"value": None, "reason": reason}}


async def test_a_prompt_without_text_is_not_applicable(scorers: Scorers) -> None:
    """Users' prompts are scored against what they quote, or not at all."""
    scores = await scorers.score("a red square", [picture(SALE).png])
    assert scores == {"text_accuracy": {"value": None, "reason": "not_applicable"}}


async def test_examining_gives_every_score_that_was_asked_for(scorers: Scorers) -> None:
    """A scene with a word and a shape is right in all that a suite expects of it, and all of it is JSON."""
    scene = Scene("blue", "white", word="SALE", shape="star", shape_colour="red")
    expect = {**EVERYTHING, "no_text": False, "logo": None, "things": [{"count": 1, "colour": "red", "shape": "star"}]}
    found = await scorers.examine(prompt("SALE"), expect, picture(scene_image(scene, Random(1))).png, {})
    assert {metric: one["value"] for metric, one in found.items()} == {
        "text_accuracy": 1.0,
        "words": 1.0,
        "no_text": None,
        "objects": 1.0,
        "logo": None,
        "soundness": 1.0,
        "sharpness": pytest.approx(0.75, abs=0.25),
        "alignment": None,
    }
    assert json.loads(json.dumps(found)) == found


async def test_what_was_not_asked_for_is_not_applicable(scorers: Scorers) -> None:
    """Without an expectation only what every picture has is scored."""
    found = await scorers.examine("anything", {}, picture(SALE).png, {})
    assert {metric for metric, one in found.items() if one["value"] is not None} == {"soundness", "sharpness"}
    assert {one["reason"] for one in found.values()} == {"", "not_applicable", "not_configured"}


@pytest.mark.parametrize(
    "png",
    [b"", b"no image", picture(SALE).png[:200], picture(SALE).png[:-30]],
    ids=["empty", "text", "cut early", "cut late"],
)
async def test_unreadable_bytes_are_a_reason_and_soundness_0(scorers: Scorers, png: bytes) -> None:
    """Nothing is raised; soundness is 0 and every other score missing."""
    found = await scorers.examine("anything", EVERYTHING, png, ASSETS)
    assert found.pop("soundness")["value"] == 0.0
    assert found.pop("alignment")["reason"] == "not_configured"
    assert {(one["value"], one["reason"]) for one in found.values()} == {(None, "unreadable")}


@pytest.mark.parametrize(
    ("png", "sound"),
    [
        (picture(Image.new("RGB", (1, 1))).png, 0.0),
        (picture(Image.new("RGB", (1, 300), "red")).png, 0.0),
        (picture(SALE.resize((333, 17))).png, 0.0),
        (picture(SALE.convert("RGBA")).png, 1.0),
        (picture(SALE.convert("1")).png, 1.0),
        (sixteen_bit(SALE), 0.0),  # the watchdog takes 16 bits for one colour, so no user sees such an image
    ],
    ids=["1x1", "1x300", "333x17", "rgba", "one bit", "16 bit"],
)
async def test_odd_images_are_scored_like_any(scorers: Scorers, png: bytes, sound: float) -> None:
    """No size or kind of PNG makes a scorer fail; values stay in [0, 1], and a wrong size is unsound."""
    found = await scorers.examine("anything", EVERYTHING, png, ASSETS)
    assert {one["reason"] for one in found.values()} <= {"", "not_configured", "no_edges"}
    values = [one["value"] for one in found.values() if one["value"] is not None]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert found["soundness"]["value"] == sound


async def test_a_batch_scores_as_one_by_one(scorers: Scorers) -> None:
    """What else is in a batch changes nothing."""
    images = [picture(SALE).png, b"", picture(arranged([("red", "star")] * 3, Random(1))).png]
    subjects: list[dict[str, Any]] = [{"prompt": "p", "expect": EVERYTHING, "image": image} for image in images]
    alone = [await scorers.examine("p", EVERYTHING, image, ASSETS) for image in images]
    assert await scorers.examine_many(subjects, ASSETS) == alone
    assert {frozenset(found) for found in alone} == {frozenset(SINGLE)}


async def test_a_batch_has_a_largest_size(scorers: Scorers) -> None:
    """Users' answers don't wait behind a batch without end; the refusal says what is allowed."""
    with pytest.raises(ValueError, match=f"at most {MAX_BATCH}"):
        await scorers.examine_many([{}] * (MAX_BATCH + 1), {})


async def test_comparing_and_spreading(scorers: Scorers) -> None:
    """Two images give two numbers, many images one; what can't be compared has a reason."""
    png = picture(SALE).png
    same = await scorers.compare(png, png)
    assert {metric: one["value"] for metric, one in same.items()} == {"reproducibility": 1.0, "likeness": 1.0}
    assert (await scorers.spread([png, png, png]))["stability"]["value"] == 1.0
    assert (await scorers.compare(png, b""))["likeness"]["reason"] == "unreadable"
    assert (await scorers.spread([png]))["stability"]["reason"] == "too_few_images"
    assert (await scorers.spread([]))["stability"]["reason"] == "too_few_images"


async def test_versions_cover_every_metric(scorers: Scorers) -> None:
    """Every score that is ever given has a version; text accuracy's changes only when its definition does."""
    versions = await scorers.versions()
    assert (
        set(versions)
        == {scorer.metric for scorer in SCORERS}
        == SINGLE
        | {
            "stability",
            "reproducibility",
            "likeness",
        }
    )
    assert all(versions.values())
    assert versions["text_accuracy"] == "rapidocr3.10-ppocrv6-limit320-cer2"


async def test_a_scorer_that_fails_costs_its_own_score_alone(scorers: Scorers, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is a reason, and the other scores are there."""

    def broken(_self: SharpnessScorer, _subject: Subject) -> Scored:
        raise ZeroDivisionError

    monkeypatch.setattr(SharpnessScorer, "score", broken)
    found = await scorers.examine("anything", EVERYTHING, picture(SALE).png, ASSETS)
    assert (found["sharpness"]["value"], found["sharpness"]["reason"]) == (None, "scorer_failed")
    assert {metric for metric, one in found.items() if one["value"] is not None} == WITHOUT_CLIP - {"sharpness"}
