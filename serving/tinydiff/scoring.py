"""Turn judged pictures into the figures of the report."""

from dataclasses import dataclass
from statistics import fmean

import numpy as np

from serving.tinydiff import judging
from serving.tinydiff.cases import REPEATS, Case
from serving.tinydiff.rendering import Pixels
from serving.tinydiff.scenes import Scene


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture's marks; a mark is None where the scene did not ask for it."""

    case: Case
    pixels: Pixels
    seen: str
    error_rate: float | None
    shape: bool | None
    clean: bool | None
    colour: bool

    @property
    def right(self) -> bool:
        """Everything that was asked for is there."""
        return not self.error_rate and self.shape is not False and self.colour


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Shares 0..1 of one group; ``deviation`` is the spread between seeds of a prompt, pixels in 0..1."""

    group: str
    pictures: int
    exact: float | None
    error_rate: float | None
    shape: float | None
    clean: float | None
    colour: float
    deviation: float


def _shape_part(pixels: Pixels, scene: Scene) -> Pixels:
    return pixels[: judging.LOGO_BOTTOM_PX] if scene.word else pixels


def _shape_verdict(pixels: Pixels, scene: Scene) -> bool | None:
    if scene.count:
        return judging.count_blobs(judging.foreground(pixels)) == scene.count
    return judging.shape_is_right(_shape_part(pixels, scene), scene.shape) if scene.shape else None


def judge(case: Case, pixels: Pixels) -> Judged:
    """Mark one picture."""
    scene = case.scene
    seen = judging.read_word(pixels, scene) if scene.word else ""
    rate = judging.character_error_rate(seen, scene.word) if scene.word else None
    inked = pixels[judging.LOGO_BOTTOM_PX :] if scene.word and scene.shape else pixels
    colour = judging.ink_colour(inked) == scene.colour
    clean = judging.shape_is_clean(_shape_part(pixels, scene), scene.shape) if scene.shape else None
    return Judged(case, pixels, seen, rate, _shape_verdict(pixels, scene), clean, colour)


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def seed_deviation(pictures: list[Pixels]) -> float:
    """Root of the mean variance over seeds, per pixel and channel, of one prompt's pictures in 0..1."""
    return float(np.sqrt((np.stack(pictures).astype(np.float64) / 255).var(axis=0, ddof=1).mean()))


def score_group(group: str, judged: list[Judged]) -> GroupScore:
    """Figures of all pictures of one group, which lie repeat by repeat."""
    rates = [mark.error_rate for mark in judged if mark.error_rate is not None]
    shapes = [float(mark.shape) for mark in judged if mark.shape is not None]
    by_prompt = [judged[start : start + REPEATS] for start in range(0, len(judged), REPEATS)]
    return GroupScore(
        group,
        len(judged),
        _mean([float(rate == 0) for rate in rates]),
        _mean(rates),
        _mean(shapes),
        _mean([float(mark.clean) for mark in judged if mark.clean is not None]),
        fmean(float(mark.colour) for mark in judged),
        fmean(seed_deviation([mark.pixels for mark in marks]) for marks in by_prompt),
    )


def score(judged: list[Judged]) -> list[GroupScore]:
    """Figures group by group, in the order of the cases."""
    groups = dict.fromkeys(mark.case.group for mark in judged)
    return [score_group(group, [mark for mark in judged if mark.case.group == group]) for group in groups]
