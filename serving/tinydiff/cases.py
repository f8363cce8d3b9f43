"""The fixed prompts of the report: nothing of them was in the training pictures as a word."""

from dataclasses import dataclass
from random import Random
from typing import Final

from serving.tinydiff import vocabulary as vocab
from serving.tinydiff.rendering import Request
from serving.tinydiff.scenes import Scene

CASE_SEED: Final = "tinydiff report"
WORDS: Final = 60
RANDOM_STRINGS: Final = 24
DIGIT_STRINGS: Final = 12
WORDS_UNDER_SHAPE: Final = 18
REPEATS: Final = 2  # pictures per prompt, with seeds of their own


@dataclass(frozen=True, slots=True)
class Case:
    """One scene to paint, the set it belongs to, and the noise seed."""

    group: str
    scene: Scene
    seed: int

    @property
    def request(self) -> Request:
        """What to ask the pipeline for."""
        return Request(self.scene.prompt, self.seed)


def _string(rng: Random, characters: str) -> str:
    while True:
        word = "".join(rng.choice(characters) for _ in range(rng.randint(2, 5)))
        if word not in vocab.TRAINING_WORDS:
            return word


def _scenes(rng: Random) -> list[tuple[str, Scene]]:
    pairs = vocab.colour_pairs()
    words = rng.sample(vocab.HELD_OUT_WORDS, WORDS + WORDS_UNDER_SHAPE)
    scenes = [("held-out words", Scene(*rng.choice(pairs), word=word)) for word in words[:WORDS]]
    letters = [_string(rng, vocab.LETTERS) for _ in range(RANDOM_STRINGS)]
    digits = [_string(rng, vocab.DIGITS) for _ in range(DIGIT_STRINGS)]
    scenes += [("random letters", Scene(*rng.choice(pairs), word=word)) for word in letters]
    scenes += [("digits", Scene(*rng.choice(pairs), word=word)) for word in digits]
    for index, word in enumerate(words[WORDS:]):
        colour, background = rng.choice(pairs)
        shape_colour = rng.choice([c for c, b in pairs if b == background])
        shape = vocab.SHAPES[index % len(vocab.SHAPES)]
        scenes.append(("word under shape", Scene(colour, background, word, shape, shape_colour)))
    for size in vocab.SIZES:
        scenes += [(f"{size} shape", Scene(*rng.choice(pairs), shape=s, size=size)) for s in vocab.SHAPES]
    counts = [*range(1, len(vocab.NUMBERS) + 1)] * 2
    return scenes + [("dots", Scene(*rng.choice(pairs), count=count)) for count in counts]


def report_cases() -> list[Case]:
    """All cases, the same ones each time."""
    scenes = _scenes(Random(CASE_SEED))  # noqa: S311 - reproducible prompts, not secrets
    return [
        Case(group, scene, seed=1000 * repeat + index)
        for index, (group, scene) in enumerate(scenes)
        for repeat in range(REPEATS)
    ]
