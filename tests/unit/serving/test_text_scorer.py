"""Text accuracy, calibrated on renderings whose text is known."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from serving.scorers.app import Scorers
from serving.scorers.text import TextScorer, character_error_rate, normalised

WORDS = ("SALE", "OPEN", "TAXI", "PIZZA", "LEMON", "QUIZ", "HOTEL", "WINDY")
FONT = Path(__file__).parents[3] / "serving" / "tinydiff" / "font" / "DejaVuSansMono-Bold.ttf"


def rendering(text: str, size: tuple[int, int] = (96, 64), font_px: int = 27, *, broken: bool = False) -> bytes:
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    middle = (size[0] / 2, size[1] / 2)
    draw.text(middle, text, fill=(30, 70, 200), font=ImageFont.truetype(FONT, font_px), anchor="mm")
    if broken:  # white bars through the strokes
        for x in range(0, size[0], 5):
            draw.line([(x, 0), (x + 9, size[1])], fill="white", width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def prompt(word: str) -> str:
    return f'the word "{word}" in blue on white'


@pytest.fixture(scope="module")
def scorer() -> TextScorer:
    scorer = TextScorer()
    scorer.load()
    return scorer


def mean(scorer: TextScorer, drawn: dict[str, bytes]) -> float:
    values = [scorer.score(prompt(word), image).value for word, image in drawn.items()]
    return sum(value for value in values if value is not None) / len(values)


def test_reads_what_is_readable(scorer: TextScorer) -> None:
    """Clean words on small images score nearly 1."""
    assert mean(scorer, {word: rendering(word) for word in WORDS}) >= 0.95


def test_damage_costs_clearly(scorer: TextScorer) -> None:
    """Broken strokes score far lower than clean ones."""
    assert mean(scorer, {word: rendering(word, broken=True) for word in WORDS}) <= 0.6


def test_one_wrong_letter_costs_its_share(scorer: TextScorer) -> None:
    """Four letters with one of them wrong are three quarters right."""
    value = scorer.score(prompt("SALE"), rendering("SAFE")).value
    assert value == pytest.approx(0.75)


def test_another_word_and_no_word_score_nothing(scorer: TextScorer) -> None:
    """A word that shares no letter, and an empty image, are completely wrong."""
    assert scorer.score(prompt("SALE"), rendering("MOON")).value == 0.0
    assert scorer.score(prompt("SALE"), rendering("")).value == 0.0


def test_large_images_are_read_too(scorer: TextScorer) -> None:
    """The limit on the engine's input does not blind it to a word on a large image."""
    assert scorer.score(prompt("LEMON"), rendering("LEMON", (768, 512), 120)).value == 1.0


def test_nothing_quoted_is_not_applicable(scorer: TextScorer) -> None:
    """A prompt without quoted text has no score, and says so."""
    scored = scorer.score("a red circle", rendering("SALE"))
    assert (scored.value, scored.reason) == (None, "not_applicable")


@pytest.mark.parametrize(
    ("asked", "read", "rate"),
    [("SALE", "SALE", 0.0), ("SALE", "", 1.0), ("SALE", "SAL", 0.25), ("SALE", "SALES", 0.25), ("A", "XYZ", 1.0)],
)
def test_character_error_rate(asked: str, read: str, rate: float) -> None:
    """Edits over the length asked for, never above 1."""
    assert character_error_rate(asked, read) == rate


@pytest.mark.parametrize(
    ("text", "like", "expected"),
    [
        ("Sale, 50%!", None, "SALE50"),
        ("ｓａｌｅ", None, "SALE"),  # noqa: RUF001 - full-width letters are the case
        ("S大ALE", "SALE", "SALE"),
        ("大売出し", "大", "大売出"),
    ],
)
def test_normalisation(text: str, like: str | None, expected: str) -> None:
    """Case, punctuation, widths and scripts that nobody asked for make no difference."""
    assert normalised(text, like) == expected


async def test_the_application_scores_the_mean_of_an_answer() -> None:
    """Two images of one answer, one right and one wrong, are half right."""
    scores = await Scorers().score(prompt("SALE"), [rendering("SALE"), rendering("MOON")])
    assert scores == {"text_accuracy": {"value": 0.5, "reason": ""}}
