"""Facts about the model that ships and the vocabulary that it understands."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from serving.tinydiff import judging
from serving.tinydiff import vocabulary as vocab
from serving.tinydiff.drawing import UNALIGNED, draw
from serving.tinydiff.prune import SHARE, prune_folder, pruned
from serving.tinydiff.rendering import Request, load, paint
from serving.tinydiff.scenes import Scene, random_word
from serving.tinydiff.spelling import MAX_TOKENS, UNKNOWN, build_tokenizer
from serving.tinydiff.variants import INCUMBENT, MODEL, SHINY, TURBO, VARIANTS

MODEL_LIMIT_BYTES = 12 * 2**20
READABLE = ("SUN", "ROBOT", "FISH", "PIANO", "ZOO", "LION")

pytestmark = pytest.mark.filterwarnings("ignore")  # the model libraries deprecate things that are not ours


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pipeline() -> object:
    """The shipped pipeline, loaded once."""
    return load(TURBO)


def test_held_out_words_are_not_training_words() -> None:
    """No held-out word is a training word, and there are at least 120 different ones of 2 to 5 capitals."""
    held_out = set(vocab.HELD_OUT_WORDS)
    assert held_out.isdisjoint(vocab.TRAINING_WORDS)
    assert len(held_out) == len(vocab.HELD_OUT_WORDS) >= 120
    assert all(2 <= len(word) <= vocab.MAX_LETTERS and set(word) <= set(vocab.LETTERS) for word in held_out)


def test_random_training_words_avoid_the_held_out_ones() -> None:
    """The random strings of the training never spell a held-out word."""
    rng = Random(5)
    assert {random_word(rng) for _ in range(20_000)}.isdisjoint(vocab.HELD_OUT_WORDS)


def test_colour_pairs_can_be_read() -> None:
    """Every pair that the model is trained on has the contrast that WCAG asks of small text."""
    assert all(vocab.contrast(colour, background) >= 4.5 for colour, background in vocab.colour_pairs())


@pytest.mark.parametrize("word", ["AT", "SUN", "ROBOT", "B2B"])
def test_letters_start_at_token_four(word: str) -> None:
    """The template spells a word letter by letter from token 4 on, with and without a shape."""
    tokenizer = build_tokenizer()
    for sentence in (
        vocab.prompt(word, "red", "white"),
        vocab.prompt_under_shape(word, "red", "white", "star", "blue"),
    ):
        ids = tokenizer(sentence).input_ids
        tokens = tokenizer.convert_ids_to_tokens(ids)
        assert tokens[vocab.FIRST_LETTER_TOKEN :][: len(word)] == list(word)
        assert UNKNOWN not in tokens
        assert len(tokens) <= MAX_TOKENS


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (Scene("red", "white", word="SUN"), {"S", "U", "N"}),
        (Scene("red", "white", word="SUN", shape="star", shape_colour="blue"), {"S", "U", "N", "star"}),
        (Scene("red", "white", shape="heart", size="large"), {"heart"}),
        (Scene("red", "white", count=3), {"three"}),
    ],
)
def test_patches_point_at_the_tokens_that_they_show(scene: Scene, expected: set[str]) -> None:
    """Guided attention is taught the letter, the shape or the number, never another word of the sentence."""
    tokens = build_tokenizer()(scene.prompt).tokens()
    pointed_at = set(draw(scene, Random(0)).token_of_patch.ravel().tolist()) - {UNALIGNED}
    assert {tokens[index] for index in pointed_at} == expected


def test_one_seed_draws_one_picture() -> None:
    """Drawing takes all its chance from the generator it is given."""
    scene = Scene("red", "white", word="SUN")
    first, second = draw(scene, Random(3)), draw(scene, Random(3))
    assert np.array_equal(first.pixels, second.pixels)


def test_model_folders_are_small_and_hold_no_training_state() -> None:
    """The model takes at most 12 MiB, with the pruned copy 20, and holds only configs and weights."""
    assert _size_bytes(MODEL) <= MODEL_LIMIT_BYTES
    assert _size_bytes(MODEL) + _size_bytes(SHINY) <= 20 * 2**20
    files = [path for folder in (MODEL, SHINY) for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}


def test_variants_name_folders_that_exist() -> None:
    """Each variant's folder has a model index."""
    assert all((variant.folder / "model_index.json").is_file() for variant in VARIANTS)


def test_same_seed_paints_the_same_picture(pipeline: object) -> None:
    """One prompt and one seed give the same bytes twice."""
    requests = [Request(vocab.prompt("SUN", "red", "white"), seed=7)]
    first, second = paint(pipeline, TURBO, requests), paint(pipeline, TURBO, requests)
    assert np.array_equal(first[0], second[0])


def test_other_seed_paints_another_picture(pipeline: object) -> None:
    """The seed matters: another one gives other pixels."""
    sentence = vocab.prompt("SUN", "red", "white")
    first, second = (paint(pipeline, TURBO, [Request(sentence, seed)])[0] for seed in (7, 8))
    assert not np.array_equal(first, second)


def test_model_spells_words_it_never_saw(pipeline: object) -> None:
    """At least five of six held-out words are read back exactly from the turbo variant's pictures."""
    scenes = [Scene("black", "white", word=word) for word in READABLE]
    pictures = paint(pipeline, TURBO, [Request(scene.prompt, seed=11) for scene in scenes])
    seen = [judging.read_word(pixels, scene) for pixels, scene in zip(pictures, scenes, strict=True)]
    assert sum(text == word for text, word in zip(seen, READABLE, strict=True)) >= 5


def test_pruning_zeroes_the_smallest_weights() -> None:
    """Half of the entries vanish, and they are the ones nearest to zero."""
    weight = torch.tensor([[0.1, -2.0], [3.0, -0.2]])
    assert pruned(weight, 0.5).tolist() == [[0.0, -2.0], [3.0, 0.0]]


def test_shiny_folder_is_what_pruning_the_model_gives(tmp_path: Path) -> None:
    """The committed pruned copy can be made again from the model, byte for byte."""
    prune_folder(MODEL, tmp_path / "shiny", SHARE)
    for path in (path for path in SHINY.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "shiny" / path.relative_to(SHINY)).read_bytes()


def test_turbo_is_the_incumbent_with_fewer_steps() -> None:
    """The swap that should win shares weights and guidance with the incumbent."""
    assert TURBO.folder == INCUMBENT.folder
    assert TURBO.guidance_scale == INCUMBENT.guidance_scale
    assert TURBO.steps < INCUMBENT.steps
