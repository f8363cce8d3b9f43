"""One shot of a bench: the image, what drawing it took, and its scores."""

import math
from collections.abc import Callable, Mapping

from controller.bench_ports import Blobs, Drawn, Scores, Studio
from controller.core.bench import Bench
from controller.core.policy import METRICS
from controller.core.shot import Score, ShotResult
from controller.core.spec import canonical_json
from controller.core.suite import Prompt
from controller.errors import GatectlError, UnavailableError
from controller.gate.patience import Patience, Pause
from controller.gate.plan import Shot, ShotPhase
from controller.ports import Clock
from controller.stats.tally import Arm

COMPARED = {ShotPhase.PAIR: "likeness", ShotPhase.AGAIN: "reproducibility"}
"""What the comparison with a shot's partner is called."""
STABILITY = "stability"
EXAMINED = tuple(
    name
    for name, metric in METRICS.items()
    if (metric.offline or name == "text_accuracy") and name not in {*COMPARED.values(), STABILITY}
)
"""What is asked of one image by itself."""
KEPT = frozenset({ShotPhase.PAIR, ShotPhase.AGAIN})
"""Phases whose images are looked at and kept; a load is about time alone."""
_SECONDS_IN_HOUR = 3600.0


class Easel:
    """Draws and scores for one bench. Parts that stay away cost values, each with its reason, never the bench.

    `usd_per_hour`: price of a replica's device by its class.
    """

    def __init__(
        self,
        studio: Studio,
        blobs: Blobs,
        bench: Bench,
        assets: Mapping[str, bytes],
        usd_per_hour: Mapping[str, float],
        clock: Clock,
        pause: Pause,
    ) -> None:
        self._studio = studio
        self._blobs = blobs
        self._bench = bench
        self._assets = assets
        self._usd_per_hour = usd_per_hour
        self._models = {arm: Patience(clock, pause) for arm in Arm}
        self._scorers = Patience(clock, pause)

    def draw(self, shot: Shot, prompt: Prompt) -> Drawn:
        """Draw one image; usable from several threads.

        Under a load nobody waits for a model that is away: that would be another load.
        """
        app, spec = self._bench.apps[shot.arm], self._bench.specs[shot.arm]

        def draw() -> Drawn:
            return self._studio.draw(app, spec, prompt.prompt, shot.seed, self._bench.timeout_s)

        try:
            return draw() if shot.phase is ShotPhase.LOAD else self._models[shot.arm].call(draw)
        except UnavailableError as error:
            return Drawn(None, fault="unavailable", message=str(error))

    def result(self, shot: Shot, prompt: Prompt, drawn: Drawn, done: Mapping[str, ShotResult]) -> ShotResult:
        """Keep and score what was drawn; `done` holds the results of earlier shots by key."""
        kept = drawn.image if shot.phase in KEPT else None
        return ShotResult(
            image=self._blobs.put(kept) if kept is not None else None,
            latency_s=drawn.latency_s,
            queue_s=drawn.queue_s,
            service_s=drawn.service_s,
            compute_s=drawn.compute_s,
            cost_usd=self._cost_usd(shot.arm, drawn),
            memory_gib=drawn.memory_gib,
            memory_source=drawn.memory_source,
            steps=drawn.steps,
            fault=drawn.fault,
            message=drawn.message,
            scores=self._scores(shot, prompt, kept, done) if kept is not None else {},
        )

    def _cost_usd(self, arm: Arm, drawn: Drawn) -> float | None:
        price = self._usd_per_hour.get(self._bench.specs[arm].resources.gpu)
        return None if price is None or drawn.compute_s is None else drawn.compute_s * price / _SECONDS_IN_HOUR

    def _scores(self, shot: Shot, prompt: Prompt, image: bytes, done: Mapping[str, ShotResult]) -> dict[str, Score]:
        scores: dict[str, Score] = {}
        if shot.phase is ShotPhase.PAIR:
            expect = prompt.expect.to_json()
            scores |= self._ask(EXAMINED, lambda: self._studio.examine(prompt.prompt, expect, image, self._assets))
        if shot.partner is not None:
            other = self._images((shot.partner,), done)
            name = COMPARED[shot.phase]
            scores |= self._ask((name,), lambda: self._studio.compare(other[0], image)) if other else _none(name)
        if shot.spread:
            block = self._images(shot.spread, done)
            scores |= (
                self._ask((STABILITY,), lambda: self._studio.spread([*block, image])) if block else _none(STABILITY)
            )
        return scores

    def _images(self, keys: tuple[str, ...], done: Mapping[str, ShotResult]) -> list[bytes]:
        """Return the images of earlier shots, none at all when one of them is missing."""
        digests = [done[key].image if key in done else None for key in keys]
        known = [digest for digest in digests if digest is not None]
        return [self._blobs.get(digest) for digest in known] if len(known) == len(keys) else []

    def _ask(self, metrics: tuple[str, ...], ask: Callable[[], Scores]) -> dict[str, Score]:
        """Return the named scores; those that nobody could give have a reason."""
        try:
            found = self._scorers.call(ask)
        except UnavailableError:
            return {metric: Score(None, "scorer_down") for metric in metrics}
        except GatectlError as error:
            return {metric: Score(None, "scorer_failed", {"problem": str(error)}) for metric in metrics}
        return {metric: _sound(found[metric]) if metric in found else Score(None, "no_scorer") for metric in metrics}


def _none(metric: str) -> dict[str, Score]:
    return {metric: Score(None, "no_image")}


def _sound(score: Mapping[str, object]) -> Score:
    """Return a score that can be stored and judged: a number in [0, 1] or None, and plain details."""
    value, reason, detail = score.get("value"), str(score.get("reason") or ""), score.get("detail")
    plain = dict(detail) if isinstance(detail, Mapping) else {}
    try:
        canonical_json(plain)
    except (TypeError, ValueError):
        plain = {}
    if value is None:
        return Score(None, reason or "unknown", plain)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        return Score(None, "invalid", plain)
    return Score(float(value), reason, plain)
