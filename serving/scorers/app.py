"""The scorers' replica on CPU: every scorer over the images of an answer."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Any, Final

from serving.scorers.protocol import Scorer
from serving.scorers.text import TextScorer

SCORERS: Final = (TextScorer,)


class Scorers:
    """What Ray Serve runs."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "scorers")
        scorers = [scorer() for scorer in SCORERS]
        for scorer in scorers:
            scorer.load()
        self._scorers: list[Scorer] = list(scorers)

    async def score(self, prompt: str, images: Sequence[bytes]) -> dict[str, dict[str, Any]]:
        """Return metric -> {value, reason}, the mean over the images of an answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._score, prompt, images)

    async def versions(self) -> dict[str, str]:
        """Return metric -> version, for the audit log."""
        return {scorer.metric: scorer.version for scorer in self._scorers}

    def _score(self, prompt: str, images: Sequence[bytes]) -> dict[str, dict[str, Any]]:
        return {scorer.metric: _mean(scorer, prompt, images) for scorer in self._scorers}


def _mean(scorer: Scorer, prompt: str, images: Sequence[bytes]) -> dict[str, Any]:
    scores = [scorer.score(prompt, image) for image in images]
    values = [score.value for score in scores if score.value is not None]
    if len(values) < len(scores):
        return {"value": None, "reason": next(s.reason for s in scores if s.value is None)}
    return {"value": fmean(values), "reason": ""}
