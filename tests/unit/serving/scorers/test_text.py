"""What is read, calibrated on renderings whose text is known."""

import pytest

from serving.scorers.picture import Picture
from serving.scorers.protocol import Scored, Scorer, Subject
from serving.scorers.reading import Line, Reader, in_reading_order, text_of
from serving.scorers.text import NoTextScorer, TextScorer, WordsScorer, character_error_rate, missing_words, normalised
from tests.unit.serving.scorers.drawings import barred, picture, written

WORDS = ("SALE", "OPEN", "TAXI", "PIZZA", "LEMON", "QUIZ", "HOTEL", "WINDY")
SMALL_PX = (96, 64)


def rendering(text: str) -> Picture:
    return picture(written(text, size_px=SMALL_PX, font_px=27))


def scored(scorer: Scorer, asked: str | None, shown: Picture) -> Scored:
    return scorer.score(Subject("", {"text": asked}, shown))


@pytest.fixture(scope="module")
def scorer(reader: Reader) -> TextScorer:
    return TextScorer(reader)


def test_reads_what_is_readable(scorer: TextScorer) -> None:
    """Clean words on small images score nearly 1: the reader's own error is below 5 % of the letters."""
    values = [scored(scorer, word, rendering(word)).value for word in WORDS]
    assert sum(filter(None, values)) / len(WORDS) >= 0.95


def test_damage_costs_clearly(scorer: TextScorer) -> None:
    """Broken strokes score far lower than clean ones."""
    broken = [picture(barred(written(word, size_px=SMALL_PX, font_px=27))) for word in WORDS[:4]]
    values = [scored(scorer, word, shown).value for word, shown in zip(WORDS, broken, strict=False)]
    assert sum(filter(None, values)) / len(values) <= 0.6


def test_one_wrong_letter_costs_its_share(scorer: TextScorer) -> None:
    """Four letters with one of them wrong are three quarters right, and the detail says what was read."""
    found = scored(scorer, "SALE", rendering("SAFE"))
    assert found.value == pytest.approx(0.75)
    assert found.detail["read"] == "SAFE"


def test_another_word_and_no_word_score_nothing(scorer: TextScorer) -> None:
    """A word that shares no letter, and an empty image, are completely wrong."""
    assert scored(scorer, "SALE", rendering("MOON")).value == 0.0
    assert scored(scorer, "SALE", rendering("")).value == 0.0


def test_large_images_are_read_too(scorer: TextScorer) -> None:
    """The limit on the engine's input does not blind it to a word on a large image."""
    assert scored(scorer, "LEMON", picture(written("LEMON", size_px=(768, 512), font_px=120))).value == 1.0


def test_lines_lie_where_they_are_written(reader: Reader) -> None:
    """Two lines come in reading order, with boxes in pixels of the image, whatever was enlarged for the engine."""
    lines = reader.read(picture(written("PIZZA\nLEMON", size_px=(120, 100), font_px=27)))
    assert [line.text for line in lines] == ["PIZZA", "LEMON"]
    middles = [((line.left_px + line.right_px) / 2, (line.top_px + line.bottom_px) / 2) for line in lines]
    assert middles == [pytest.approx((60, 34), abs=8), pytest.approx((60, 66), abs=8)]


def test_several_rows_are_read_in_order(scorer: TextScorer) -> None:
    """Twelve words in four rows are read row by row, though each word is a box of its own."""
    text = "SHARK TULIP\nROBOT\nGHOST NURSE PIANO\nANGEL DELTA\nLUCKY HOTEL FROG\nVASE"
    shown = picture(written(text, size_px=(1024, 1024), font_px=80))
    assert scored(scorer, text, shown).value == pytest.approx(1.0, abs=0.05)


def test_a_row_is_a_row_whatever_the_height_of_its_boxes() -> None:
    """Boxes of one row that differ in height and lie a few pixels up or down stay together."""
    lines = [
        Line("sea", 1.0, 120, 12, 180, 32),
        Line("by", 1.0, 60, 8, 110, 40),
        Line("the", 1.0, 0, 50, 50, 70),
        Line("go", 1.0, 0, 10, 50, 36),
        Line("shore", 1.0, 60, 46, 140, 76),
    ]
    assert text_of(in_reading_order(lines)) == "go by sea the shore"


def test_an_image_is_read_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three scorers of one reader cost one reading."""
    readings: list[Picture] = []
    read = reader._read
    monkeypatch.setattr(reader, "_read", lambda pixels: readings.append(pixels) or read(pixels))
    subject = Subject("", {"text": "SALE", "no_text": True}, rendering("SALE"))
    for scorer in (TextScorer(reader), WordsScorer(reader), NoTextScorer(reader)):
        assert scorer.score(subject).value is not None
    assert len(readings) == 1


@pytest.mark.parametrize("scorer", [TextScorer, WordsScorer, NoTextScorer])
def test_nothing_asked_is_not_applicable(scorer: type[TextScorer], reader: Reader) -> None:
    """A prompt that expects nothing about text has no score, and says so."""
    found = scored(scorer(reader), None, rendering("SALE"))
    assert (found.value, found.reason) == (None, "not_applicable")


def test_words_are_all_or_nothing(reader: Reader) -> None:
    """One wrong letter costs its whole word and no other."""
    shown = picture(written("BIG SAFE\nTODAY", font_px=36))
    found = scored(WordsScorer(reader), "big sale today", shown)
    assert found.value == pytest.approx(2 / 3)
    assert found.detail["missing"] == ["SALE"]


def test_letters_cost_where_none_are_wanted(reader: Reader) -> None:
    """Four letters cost four tenths, an empty picture nothing."""
    values = [
        NoTextScorer(reader).score(Subject("", {"no_text": True}, rendering(text))).value for text in ("", "SALE")
    ]
    assert values == [1.0, pytest.approx(0.6)]


@pytest.mark.parametrize(
    ("asked", "read", "missing"),
    [
        ("BIG SALE", "SALE BIG", ""),
        ("BIG SALE", "BIGSALE", ""),
        ("BIG SALE", "BIG S ALE", ""),
        ("BIG SALE NOW", "BIGSALE N OW", ""),
        ("BIG BIG SALE", "BIG SALE", "BIG"),
        ("AT", "CAT", "AT"),
        ("BIG SALE", "BIG SALES", "SALE"),
        ("BIG SALE", "", "BIG SALE"),
        ("SALE", "SALE SALE NOW", ""),
    ],
)
def test_missing_words(asked: str, read: str, missing: str) -> None:
    """Words count as often as asked for and only whole; order and spaces don't matter."""
    assert missing_words(asked.split(), read.split()) == missing.split()


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
