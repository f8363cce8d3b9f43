"""What one training picture shows, and the random choice of such scenes."""

from dataclasses import dataclass
from random import Random
from typing import Final

from serving.tinydiff import vocabulary as vocab

WORD_SHARE: Final = 0.62
WORD_UNDER_SHAPE_SHARE: Final = 0.14
SHAPE_SHARE: Final = 0.12  # the rest are dots
LEXICON_SHARE: Final = 0.2
DIGIT_WORD_SHARE: Final = 0.12
LENGTH_WEIGHTS: Final = (
    1.0,
    2.0,
    3.0,
    3.0,
)  # two to five letters: longer words hold more letters to learn from


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture: a word, a shape above a word, a shape, or a number of dots; absent parts are empty."""

    colour: str
    background: str
    word: str = ""
    shape: str = ""
    shape_colour: str = ""
    size: str = ""
    count: int = 0

    @property
    def prompt(self) -> str:
        """The sentence that asks for this scene."""
        if self.count:
            return vocab.prompt_dots(self.count, self.colour, self.background)
        if not self.word:
            return vocab.prompt_shape(self.shape, self.size, self.colour, self.background)
        if self.shape:
            return vocab.prompt_under_shape(self.word, self.colour, self.background, self.shape, self.shape_colour)
        return vocab.prompt(self.word, self.colour, self.background)


def random_word(rng: Random) -> str:
    """Two to five random letters, sometimes digits, or a training word; never a held-out word."""
    if rng.random() < LEXICON_SHARE:
        return rng.choice(vocab.TRAINING_WORDS)
    with_digits = rng.random() < DIGIT_WORD_SHARE
    length = rng.choices((2, 3, 4, 5), LENGTH_WEIGHTS)[0]
    word = "".join(
        rng.choice(vocab.DIGITS if with_digits and rng.random() < 0.6 else vocab.LETTERS) for _ in range(length)
    )
    return random_word(rng) if word in vocab.HELD_OUT_WORDS else word


def random_scene(rng: Random) -> Scene:
    """Draw one scene from the training distribution."""
    colour, background = rng.choice(vocab.colour_pairs())
    kind = rng.random()
    if kind < WORD_SHARE:
        return Scene(colour, background, word=random_word(rng))
    if kind < WORD_SHARE + WORD_UNDER_SHAPE_SHARE:
        others = [c for c, b in vocab.colour_pairs() if b == background]
        shape, shape_colour = rng.choice(vocab.SHAPES), rng.choice(others)
        return Scene(colour, background, word=random_word(rng), shape=shape, shape_colour=shape_colour)
    if kind < WORD_SHARE + WORD_UNDER_SHAPE_SHARE + SHAPE_SHARE:
        return Scene(colour, background, shape=rng.choice(vocab.SHAPES), size=rng.choice(vocab.SIZES))
    return Scene(colour, background, count=rng.randint(1, len(vocab.NUMBERS)))
