"""Known good against known damaged, for every scorer, and how surely its score tells them apart.

A set is a pure function of how many pictures it is to hold, so its figures can be repeated:

    python -m tests.benchmarks.bench_scorers --pictures 200
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

import numpy as np
from PIL import Image

from serving.scorers.blank import SoundnessScorer
from serving.scorers.logo import LogoScorer
from serving.scorers.objects import ObjectsScorer
from serving.scorers.picture import Picture
from serving.scorers.protocol import Scorer, Subject
from serving.scorers.reading import Reader
from serving.scorers.sharpness import SharpnessScorer
from serving.scorers.stability import LikenessScorer, ReproducibilityScorer, StabilityScorer
from serving.scorers.text import NoTextScorer, TextScorer, WordsScorer
from serving.tinydiff.scenes import Scene, random_scene
from serving.tinydiff.vocabulary import COLOURS, HELD_OUT_WORDS, SHAPES
from tests.unit.serving.scorers import drawings as drawn

Sets = Iterator[tuple[Subject, Subject]]
GROUNDS = ("white", "yellow")


@dataclass(frozen=True, slots=True)
class Separation:
    """What a scorer made of both sets; `auc` is the chance that a good picture scores above a damaged one."""

    auc: float
    good: float
    damaged: float
    pictures: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scorers that share a set, and pairs of a good and a damaged subject without end."""

    scorers: Callable[[Reader], Sequence[Scorer]]
    pairs: Callable[[], Sets]


def auc(good: Sequence[float], damaged: Sequence[float]) -> float:
    """Return the share of pairs that are in the right order, ties counted half (Mann and Whitney's U)."""
    differences = np.subtract.outer(np.asarray(good), np.asarray(damaged))
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def separate(calibration: Calibration, pictures: int, reader: Reader) -> dict[str, Separation]:
    """Score as many good and as many damaged pictures; a score that is missing is an error."""
    scorers = calibration.scorers(reader)
    values: dict[str, tuple[list[float], list[float]]] = {scorer.metric: ([], []) for scorer in scorers}
    for _, pair in zip(range(pictures), calibration.pairs(), strict=False):
        for side, subject in enumerate(pair):
            for scorer in scorers:
                scored = scorer.score(subject)
                assert scored.value is not None, scored
                values[scorer.metric][side].append(scored.value)
    return {
        metric: Separation(auc(good, damaged), fmean(good), fmean(damaged), pictures)
        for metric, (good, damaged) in values.items()
    }


def lettering() -> Sets:
    """Words of held-out lists, small and large; damaged: misspelt, barred, cut off, another word, blurred away."""
    rng, number = Random(1), 0
    while True:
        colour, ground = rng.choice(drawn.PAIRS)
        words = rng.sample([word for word in HELD_OUT_WORDS if len(word) > 2], 4)
        text, other = (words[0], words[1]) if number % 2 else (f"{words[0]} {words[1]}", f"{words[2]} {words[3]}")

        def lettered(written: str, number: int = number, colour: str = colour, ground: str = ground) -> Image.Image:
            if number % 2:
                return drawn.scene_image(Scene(colour, ground, word=written), Random(number))
            return drawn.written(written, colour, ground)

        good = lettered(text)
        damages = (
            lambda text=text, lettered=lettered: lettered(drawn.misspelt(text, rng)),
            lambda good=good: drawn.barred(good),
            lambda good=good: good.crop((0, 0, good.width // 2, good.height)).resize(good.size),
            lambda other=other, lettered=lettered: lettered(other),
            lambda good=good: drawn.blurred(good, good.height / 14),
        )
        bad = damages[number % 5]()
        expect = {"text": text}
        yield Subject("", expect, drawn.picture(good)), Subject("", expect, drawn.picture(bad))
        number += 1


def wordless() -> Sets:
    """Shapes and dots; damaged: the same with a word in a corner, or a word instead."""
    rng, number, expect = Random(2), 0, {"no_text": True}
    while True:
        colour, ground = rng.choice(drawn.PAIRS)
        things = [(rng.choice(("red", "green", "blue")), rng.choice(SHAPES)) for _ in range(rng.randint(1, 5))]
        large = drawn.arranged(things, rng)
        word = rng.choice([word for word in HELD_OUT_WORDS if len(word) > 2])
        if number % 2:
            good = drawn.scene_image(_wordless_scene(rng), rng)
            bad = drawn.scene_image(Scene(colour, ground, word=word), rng)
        else:
            good, bad = large, large.copy()
            bad.paste(drawn.written(word, size_px=(150, 50)), (rng.randint(0, 200), rng.randint(0, 200)))
        yield Subject("", expect, drawn.picture(good)), Subject("", expect, drawn.picture(bad))
        number += 1


def things() -> Sets:
    """Dots, shapes, a shape above a word, and two kinds of things; damaged: a wrong number, colour or shape."""
    rng, number = Random(3), 0
    while True:
        if number % 3:
            scene = _scene_with_things(rng)
            good = drawn.scene_image(scene, rng)
            bad = drawn.scene_image(_damaged_scene(scene, rng), rng)
            expect = expected(scene)
        else:
            good, bad, expect = _two_kinds(rng)
        yield Subject("", expect, drawn.picture(good)), Subject("", expect, drawn.picture(bad))
        number += 1


def marks() -> Sets:
    """A two-coloured logo at any place and size; damaged: another, recoloured, halved, sheared, absent."""
    rng, number = Random(4), 0
    assets = {name: drawn.picture(drawn.logo(name)) for name in drawn.LOGOS}
    while True:
        name, ground = drawn.LOGOS[number % 5], GROUNDS[number % 2]
        mark = drawn.logo(name)
        empty = Image.new("RGBA", mark.size)
        damages = (
            lambda mark=mark: drawn.recoloured(mark),
            lambda mark=mark: drawn.halved(mark),
            lambda mark=mark: drawn.sheared(mark),
            lambda number=number: drawn.logo(drawn.LOGOS[(number + 1 + number // 5 % 4) % 5]),
            lambda empty=empty: empty,
        )
        images = [drawn.placed(shown, ground, rng) for shown in (mark, damages[number // 2 % 5]())]
        good, bad = (Subject("", {"logo": name}, drawn.picture(image), assets) for image in images)
        yield good, bad
        number += 1


def sound() -> Sets:
    """Scenes and drawings; damaged: cut short, of one colour, blank but for noise, another size, no image."""
    rng, number = Random(5), 0
    while True:
        good = drawn.scene_image(random_scene(rng), rng)
        png = drawn.picture(good).png
        plain = Image.new("RGB", good.size, rng.choice(list(COLOURS)))
        damages = (
            lambda png=png: png[: rng.randint(1, len(png) - 1)],
            lambda plain=plain: drawn.picture(plain).png,
            lambda plain=plain: drawn.picture(drawn.noisy(plain, 3, rng.randint(0, 9999))).png,
            lambda good=good: drawn.picture(good.resize((64, 64))).png,
            lambda png=png: rng.randbytes(len(png)),
        )
        expect = {"width_px": good.width, "height_px": good.height}
        yield Subject("", expect, Picture(png)), Subject("", expect, Picture(damages[number % 5]()))
        number += 1


def focused() -> Sets:
    """Scenes and drawings; damaged: out of focus by 1.2 pixels and more, or enlarged from a third."""
    rng, number = Random(6), 0
    while True:
        good = drawn.scene_image(random_scene(rng), rng)
        if number % 2:
            good = drawn.arranged([(rng.choice(("red", "green", "blue")), rng.choice(SHAPES)) for _ in range(4)], rng)
        small = good.resize((good.width // 3, good.height // 3), Image.Resampling.BOX)
        soft = drawn.blurred(good, rng.uniform(1.2, 3)) if number % 4 < 2 else small.resize(good.size)
        yield Subject("", {}, drawn.picture(good)), Subject("", {}, drawn.picture(soft))
        number += 1


def steady() -> Sets:
    """One scene with its jitter of one or two pixels over four seeds; damaged: four scenes of one ground."""
    rng = Random(7)
    while True:
        scene = _scene_with_word(rng)
        colours = [colour for colour, ground in drawn.PAIRS if ground == scene.background]
        others = [Scene(rng.choice(colours), scene.background, word=rng.choice(HELD_OUT_WORDS)) for _ in range(4)]
        good = [drawn.picture(drawn.scene_image(scene, rng)) for _ in range(4)]
        bad = [drawn.picture(drawn.scene_image(other, rng)) for other in others]
        yield (
            Subject("", {}, good[0], others=tuple(good[1:])),
            Subject("", {}, bad[0], others=tuple(bad[1:])),
        )


def repeated() -> Sets:
    """An image and its copy, or one off by a level; damaged: by noise of two levels, or the scene drawn anew."""
    rng, number = Random(8), 0
    while True:
        scene = random_scene(rng)
        image = drawn.scene_image(scene, rng)
        pixels = np.asarray(image)
        near = (pixels ^ 1) if number % 2 else pixels
        far = drawn.noisy(image, 2, number) if number % 2 else drawn.scene_image(_damaged_scene(scene, rng), rng)
        yield (
            Subject("", {}, drawn.picture(image), others=(drawn.picture(near),)),
            Subject("", {}, drawn.picture(image), others=(drawn.picture(far),)),
        )
        number += 1


def alike() -> Sets:
    """A scene and itself with noise of one level, or slightly soft; damaged: another word, shape or number."""
    rng, number = Random(9), 0
    while True:
        scene = random_scene(rng)
        image = drawn.scene_image(scene, rng)
        near = drawn.noisy(image, 1, number) if number % 2 else drawn.blurred(image, 0.3)
        far = drawn.scene_image(_damaged_scene(scene, rng), rng)
        yield (
            Subject("", {}, drawn.picture(near), others=(drawn.picture(image),)),
            Subject("", {}, drawn.picture(far), others=(drawn.picture(image),)),
        )
        number += 1


CALIBRATIONS: dict[str, Calibration] = {
    "text": Calibration(lambda reader: (TextScorer(reader), WordsScorer(reader)), lettering),
    "no text": Calibration(lambda reader: (NoTextScorer(reader),), wordless),
    "objects": Calibration(lambda reader: (ObjectsScorer(reader),), things),
    "logo": Calibration(lambda _: (LogoScorer(),), marks),
    "blank": Calibration(lambda _: (SoundnessScorer(),), sound),
    "sharpness": Calibration(lambda _: (SharpnessScorer(),), focused),
    "stability": Calibration(lambda _: (StabilityScorer(),), steady),
    "reproducibility": Calibration(lambda _: (ReproducibilityScorer(),), repeated),
    "likeness": Calibration(lambda _: (LikenessScorer(),), alike),
}


def _two_kinds(rng: Random) -> tuple[Image.Image, Image.Image, dict[str, object]]:
    """Return some things of one kind and some of another, a damaged drawing, and what was asked for."""
    kinds = list(zip(rng.sample(("red", "green", "blue", "black"), 2), rng.sample(SHAPES, 2), strict=True))
    counts = [rng.randint(1, 4) for _ in kinds]
    good = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    colour, shape = good[-1]
    bad = rng.choice(
        (
            good[:-1],
            [*good, good[-1]],
            [*good[: -counts[1]], *[("orange", shape)] * counts[1]],
            [*good[: -counts[1]], *[(colour, rng.choice([s for s in SHAPES if s != shape]))] * counts[1]],
        )
    )
    asked = [{"count": n, "colour": c, "shape": s} for n, (c, s) in zip(counts, kinds, strict=True)]
    return drawn.arranged(good, rng), drawn.arranged(bad, rng), {"things": asked}


def _scene_with_word(rng: Random) -> Scene:
    colour, ground = rng.choice(drawn.PAIRS)
    return Scene(colour, ground, word=rng.choice(HELD_OUT_WORDS))


def _wordless_scene(rng: Random) -> Scene:
    return next(scene for scene in iter(lambda: random_scene(rng), None) if not scene.word)


def _scene_with_things(rng: Random) -> Scene:
    return next(scene for scene in iter(lambda: random_scene(rng), None) if scene.shape or scene.count)


def expected(scene: Scene) -> dict[str, object]:
    """Return what a suite would expect of a scene."""
    if scene.count:
        return {"things": [{"count": scene.count, "colour": scene.colour, "shape": "circle"}]}
    if not scene.shape:
        return {"text": scene.word}
    thing = {"count": 1, "colour": scene.shape_colour or scene.colour, "shape": scene.shape}
    return {"text": scene.word or None, "things": [thing]}


def _damaged_scene(scene: Scene, rng: Random) -> Scene:
    """Return a scene that differs in its number, its shape or its word."""
    count = rng.choice([n for n in range(1, 7) if n != scene.count]) if scene.count else 0
    shape = rng.choice([s for s in SHAPES if s != scene.shape]) if scene.shape else ""
    word = scene.word if scene.shape or not scene.word else rng.choice([w for w in HELD_OUT_WORDS if w != scene.word])
    return Scene(scene.colour, scene.background, word, shape, scene.shape_colour, scene.size, count)
