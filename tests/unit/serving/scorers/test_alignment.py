"""CLIP checkpoints: real loading, from a folder that the operator names and from nowhere else."""

from pathlib import Path
from random import Random

import pytest

from serving.scorers.alignment import CLIP_VARIABLE, AlignmentScorer
from serving.scorers.protocol import Scored, Subject
from serving.tinydiff.vocabulary import COLOURS
from tests.unit.serving.scorers.calibration import auc
from tests.unit.serving.scorers.drawings import picture, written
from tests.unit.serving.scorers.tiny_clip import build, flat

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # the model libraries deprecate things that are not ours

IMAGE = picture(written("SALE", size_px=(96, 64), font_px=27))


def scored(prompt: str) -> Scored:
    return AlignmentScorer().score(Subject(prompt, {}, IMAGE))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("random"))


def test_without_a_checkpoint_it_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stand-in is ever scored."""
    monkeypatch.delenv(CLIP_VARIABLE, raising=False)
    found = scored("a red square")
    assert (found.value, found.reason) == (None, "not_configured")


@pytest.mark.parametrize("content", [None, "not a model"])
def test_a_folder_that_is_no_checkpoint_is_unusable(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing or wrong folder is a reason that names the variable, tried once."""
    folder = tmp_path / "clip"
    if content:
        folder.mkdir()
        (folder / "config.json").write_text(content)
    monkeypatch.setenv(CLIP_VARIABLE, str(folder))
    found = scored("a red square")
    assert (found.value, found.reason) == (None, "unusable_checkpoint")
    assert found.detail["problem"]


def test_the_score_is_the_cosine_of_the_checkpoint(monkeypatch: pytest.MonkeyPatch, untrained: Path) -> None:
    """The embeddings are those that transformers computes for the whole image and prompt."""
    import numpy as np
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    monkeypatch.setenv(CLIP_VARIABLE, str(untrained))
    model, processor = CLIPModel.from_pretrained(untrained), CLIPProcessor.from_pretrained(untrained)
    batch = processor(text=["a red square"], images=[Image.fromarray(np.array(IMAGE.pixels))], return_tensors="pt")
    out = model.eval()(**batch)
    expected = float((out.text_embeds * out.image_embeds).sum())
    found = scored("a red square")
    assert found.detail["cosine"] == pytest.approx(expected, abs=1e-6)
    assert found.value == pytest.approx(max(0.0, expected), abs=1e-6)
    assert found.detail["prompt_truncated"] is False


def test_a_long_prompt_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch, untrained: Path) -> None:
    """What the text encoder can't take is left out, and the detail admits it."""
    monkeypatch.setenv(CLIP_VARIABLE, str(untrained))
    found = scored("a red square beside a blue circle under a green star")
    assert found.value is not None
    assert found.detail["prompt_truncated"] is True


def test_an_empty_prompt_is_not_applicable(monkeypatch: pytest.MonkeyPatch, untrained: Path) -> None:
    """There is nothing to be aligned with."""
    monkeypatch.setenv(CLIP_VARIABLE, str(untrained))
    assert scored("  ").reason == "not_applicable"


def test_the_version_names_the_checkpoint(monkeypatch: pytest.MonkeyPatch, untrained: Path, tmp_path: Path) -> None:
    """Two checkpoints' cosines are never taken for one another's."""
    monkeypatch.setenv(CLIP_VARIABLE, str(untrained))
    first = AlignmentScorer().version
    monkeypatch.setenv(CLIP_VARIABLE, str(build(tmp_path, steps=1)))
    assert first != AlignmentScorer().version
    assert AlignmentScorer().version.startswith(AlignmentScorer.version)


def test_a_checkpoint_that_knows_colours_tells_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a CLIP that was taught eight colours, the right prompt scores above a wrong one in 95 % of all pairs."""
    monkeypatch.setenv(CLIP_VARIABLE, str(build(tmp_path, steps=120)))
    scorer, rng, names = AlignmentScorer(), Random(9), list(COLOURS)
    values: tuple[list[float], list[float]] = ([], [])
    for number in range(40):
        shown = picture(flat(names[number % 8], rng))
        for side, prompt in enumerate((names[number % 8], names[(number + 1 + number // 8) % 8])):
            value = scorer.score(Subject(prompt, {}, shown)).value
            assert value is not None
            values[side].append(value)
    assert auc(*values) >= 0.95
