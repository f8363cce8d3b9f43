"""The scorers' replica on CPU: users' answers after they were given, and everything that a bench draws."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final, TypeVar

from serving.gently import gentle_thread, gently
from serving.quotes import quoted_text
from serving.scorers.alignment import AlignmentScorer
from serving.scorers.blank import SoundnessScorer
from serving.scorers.logo import LogoScorer
from serving.scorers.objects import ObjectsScorer
from serving.scorers.picture import Picture, UnreadableError
from serving.scorers.protocol import Scored, Scorer, Subject, Versioned
from serving.scorers.reading import Reader
from serving.scorers.sharpness import SharpnessScorer
from serving.scorers.stability import LikenessScorer, ReproducibilityScorer, StabilityScorer
from serving.scorers.text import NoTextScorer, TextScorer, WordsScorer

SCORERS: Final[tuple[Versioned, ...]] = (
    TextScorer,
    WordsScorer,
    NoTextScorer,
    ObjectsScorer,
    LogoScorer,
    SoundnessScorer,
    SharpnessScorer,
    AlignmentScorer,
    ReproducibilityScorer,
    LikenessScorer,
    StabilityScorer,
)
MAX_BATCH: Final = 16
"""Images a call: users' answers wait behind a batch, and give up after 20 s."""

Json = dict[str, Any]
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Scorers:
    """What Ray Serve runs.

    Scores are {value, reason, detail} by metric. Damaged images and scorers that fail cost scores, never the call.
    Images of a call are scored one by one: what else is in a batch can't change a score.
    """

    def __init__(self) -> None:
        import cv2

        self._thread = gentle_thread("scorers")
        cv2.setNumThreads(1)
        reader = Reader()
        gently(reader.load)
        self._text = TextScorer(reader)
        self._single: tuple[Scorer, ...] = (
            self._text,
            WordsScorer(reader),
            NoTextScorer(reader),
            ObjectsScorer(reader),
            LogoScorer(),
            SoundnessScorer(),
            SharpnessScorer(),
            AlignmentScorer(),
        )
        self._pair: tuple[Scorer, ...] = (ReproducibilityScorer(), LikenessScorer())
        self._group: tuple[Scorer, ...] = (StabilityScorer(),)

    async def score(self, prompt: str, images: Sequence[bytes]) -> dict[str, Json]:
        """Return metric -> {value, reason}, the mean over the images of a user's answer; text accuracy alone."""
        return await self._run(lambda: {self._text.metric: self._live(prompt, images)})

    async def examine(
        self, prompt: str, expect: Mapping[str, Any], image: bytes, assets: Mapping[str, bytes]
    ) -> dict[str, Json]:
        """Return every score that one image has by itself; `expect` as `Subject` says, `assets` PNGs by name."""
        return await self._run(lambda: self._examine(prompt, expect, image, _pictures(assets)))

    async def examine_many(self, subjects: Sequence[Mapping[str, Any]], assets: Mapping[str, bytes]) -> list[Json]:
        """Return what `examine` does for each {prompt, expect, image}; ValueError for more than MAX_BATCH."""
        if len(subjects) > MAX_BATCH:
            raise ValueError(f"{len(subjects)} images in one call; at most {MAX_BATCH}, send the rest in another")
        return await self._run(lambda: self._examine_many(subjects, _pictures(assets)))

    async def compare(self, first: bytes, second: bytes) -> dict[str, Json]:
        """Return reproducibility and likeness of two images of one prompt and seed."""
        return await self._run(lambda: _compared(self._pair, [first, second]))

    async def spread(self, images: Sequence[bytes]) -> dict[str, Json]:
        """Return the stability of one prompt's images over its seeds."""
        return await self._run(lambda: _compared(self._group, images))

    async def versions(self) -> dict[str, str]:
        """Return metric -> version, for the audit log."""
        return {scorer.metric: scorer.version for scorer in (*self._single, *self._pair, *self._group)}

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _live(self, prompt: str, images: Sequence[bytes]) -> Json:
        expect = {"text": quoted_text(prompt)}
        scores = [_scored(self._text, Subject(prompt, expect, Picture(image))) for image in images]
        missing = [score.reason for score in scores if score.value is None]
        if missing or not scores:
            return {"value": None, "reason": missing[0] if missing else "no_images"}
        return {"value": fmean(score.value for score in scores if score.value is not None), "reason": ""}

    def _examine(
        self, prompt: str, expect: Mapping[str, Any], image: bytes, assets: Mapping[str, Picture]
    ) -> dict[str, Json]:
        subject = Subject(prompt, expect, Picture(image), assets)
        return {scorer.metric: _scored(scorer, subject).to_json() for scorer in self._single}

    def _examine_many(self, subjects: Sequence[Mapping[str, Any]], assets: Mapping[str, Picture]) -> list[Json]:
        return [self._examine(one["prompt"], one["expect"], one["image"], assets) for one in subjects]


def _pictures(assets: Mapping[str, bytes]) -> dict[str, Picture]:
    return {name: Picture(png) for name, png in assets.items()}


def _compared(scorers: Sequence[Scorer], images: Sequence[bytes]) -> dict[str, Json]:
    pictures = tuple(map(Picture, images)) or (Picture(b""),)
    subject = Subject("", {}, pictures[0], others=pictures[1:])
    return {scorer.metric: _scored(scorer, subject).to_json() for scorer in scorers}


def _scored(scorer: Scorer, subject: Subject) -> Scored:
    """Score, with every way to fail told as a reason."""
    try:
        return scorer.score(subject)
    except UnreadableError as error:
        return Scored(None, "unreadable", {"problem": str(error)})
    except Exception as error:
        log.exception("the scorer of %s failed", scorer.metric)
        return Scored(None, "scorer_failed", {"problem": type(error).__name__})
