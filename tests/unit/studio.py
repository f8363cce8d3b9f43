"""A studio by script: images that depend on model, prompt and seed alone, and parts that fail when told to."""

import io
import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from controller.bench_ports import Drawn
from controller.core.policy import METRICS
from controller.core.spec import ModelSpec, digest_of
from controller.errors import UnavailableError

SINGLE = [name for name, metric in METRICS.items() if metric.offline or name == "text_accuracy"]


@dataclass
class ScriptedStudio:
    """Implements `Studio`.

    `slower` and `scores` say what the model of so many steps is like: a factor on its latency and the mean of all its
    scores. `before` is called before every draw with how many were asked for; it may raise. While `scorers_down` or
    `models_down`, calls raise UnavailableError.
    """

    slower: dict[int, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    before: Callable[[int], None] = lambda _number: None
    scorers_down: bool = False
    models_down: bool = False
    drawn: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    _known: dict[bytes, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self, app: str, spec: ModelSpec, prompt: str, seed: int, timeout_s: float) -> Drawn:
        with self._lock:
            self.drawn[app, prompt, seed] += 1
            number = self.drawn.total()
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.before(number)
            if self.models_down:
                raise UnavailableError(f"{app} is away")
            return self._drawn(spec, prompt, seed)
        finally:
            with self._lock:
                self.at_once -= 1

    def _drawn(self, spec: ModelSpec, prompt: str, seed: int) -> Drawn:
        steps = spec.sampling.steps
        service_s = 0.5 * self.slower.get(steps, 1.0) * math.exp(0.1 * noise(prompt, seed, steps))
        measured = Drawn(None, service_s + 0.01, 0.01, service_s, service_s, 1.5, "rss", steps)
        if steps in self.faults:
            return replace(measured, fault=self.faults[steps], message="as the script says")
        image = png(spec, prompt, seed)
        with self._lock:
            self._known[image] = steps
        return replace(measured, image=image)

    def examine(
        self, prompt: str, expect: Mapping[str, Any], image: bytes, assets: Mapping[str, bytes]
    ) -> Mapping[str, Mapping[str, Any]]:
        self._require_scorers()
        mean = self.scores.get(self._known.get(image, 0), 0.9)
        value = min(1.0, max(0.0, mean + 0.02 * noise(prompt, len(image), 0)))
        return {name: {"value": value, "reason": "", "detail": {}} for name in SINGLE}

    def compare(self, first: bytes, second: bytes) -> Mapping[str, Mapping[str, Any]]:
        self._require_scorers()
        value = 1.0 if first == second else 0.8
        return {name: {"value": value, "reason": "", "detail": {}} for name in ("likeness", "reproducibility")}

    def spread(self, images: Sequence[bytes]) -> Mapping[str, Mapping[str, Any]]:
        self._require_scorers()
        return {"stability": {"value": 0.7, "reason": "", "detail": {"images": len(images)}}}

    def machine(self, app: str) -> Mapping[str, Any]:
        return {"cpu": "scripted", "cores": 2}

    def _require_scorers(self) -> None:
        if self.scorers_down:
            raise UnavailableError("the scorers are away")


def noise(prompt: str, seed: int, steps: int) -> float:
    """Return a number in [-1, 1) that depends on what is drawn alone."""
    return int(digest_of([prompt, seed, steps])[:8], 16) / 2**31 - 1


def png(spec: ModelSpec, prompt: str, seed: int) -> bytes:
    """Return a small image that differs with model, prompt and seed."""
    value = int(digest_of([spec.sampling.steps, prompt, seed])[:6], 16)
    image = Image.new("RGB", (4, 4), (value >> 16, (value >> 8) & 255, value & 255))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
