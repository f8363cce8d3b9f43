"""Pictures that the shipped model paints, and what scorers make of them."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

import numpy as np
from PIL import Image

from serving.scorers.objects import ObjectsScorer
from serving.scorers.picture import Picture
from serving.scorers.protocol import Subject
from serving.scorers.reading import Reader
from serving.scorers.sharpness import SharpnessScorer
from serving.scorers.text import TextScorer, WordsScorer
from serving.tinydiff.cases import Case, report_cases
from serving.tinydiff.scenes import Scene
from serving.tinydiff.variants import Variant
from tests.unit.serving.scorers.calibration import expected
from tests.unit.serving.scorers.drawings import barred, picture

Painted = tuple[Scene, Picture]


def paint(variant: Variant, count: int) -> list[Painted]:
    """Paint so many scenes of the model's report, all of its kinds among them."""
    import torch

    from serving.tinydiff import rendering

    torch.set_num_threads(1)
    cases = spread_over_kinds(report_cases(), count)
    pixels = rendering.paint(rendering.load(variant), variant, [case.request for case in cases])
    return [(case.scene, picture(image)) for case, image in zip(cases, pixels, strict=True)]


def spread_over_kinds(cases: Sequence[Case], count: int) -> list[Case]:
    """Return so many cases, one of each kind in turn."""
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in cases[::2]:  # each scene is there twice, with two seeds
        kinds[case.group].append(case)
    turns = [case for turn in zip(*(kind[:6] for kind in kinds.values()), strict=False) for case in turn]
    return turns[:count]


def damaged(pictures: Sequence[Painted], rng: Random) -> list[Painted]:
    """Bars through the picture, or the picture of another scene that has as much to be judged by."""
    shown = []
    for number, (scene, good) in enumerate(pictures):
        others = [other for other_scene, other in pictures if expected(other_scene).keys() == expected(scene).keys()]
        another = rng.choice([other for other in others if other is not good] or [good])
        broken = picture(barred(Image.fromarray(np.array(good.pixels))))
        shown.append((scene, another if number % 2 or not scene.word else broken))
    return shown


def scores_of(pictures: Sequence[Painted], reader: Reader) -> dict[str, list[float]]:
    """Return every score that pictures have, by metric."""
    scorers = (TextScorer(reader), WordsScorer(reader), ObjectsScorer(reader), SharpnessScorer())
    values: dict[str, list[float]] = defaultdict(list)
    for scene, shown in pictures:
        subject = Subject(scene.prompt, expected(scene), shown)
        for scorer in scorers:
            scored = scorer.score(subject)
            if scored.value is not None:
                values[scorer.metric].append(scored.value)
    return values
