"""A provider without a model: it draws the prompt's quoted text with PIL, as slowly and as badly as declared.

For tests and load tests of everything around a model. The images are real PNGs of the size asked for; every
draw depends on seed and prompt alone, so it is deterministic. Options, all numbers:

- `latency_s` (median), `latency_sigma`: log-normal time an image, waited without using the CPU
- `load_s`: time to get ready
- `memory_gib`: the peak to report (unknown when left out)
- shares in [0, 1]: `failure_share` (TransientError), `broken_share` (an unforeseen exception),
  `refusal_share`, `blank_share` (an image of one colour), `hang_share` (waits for its deadline),
  `text_error_share` (letters replaced)
- `slow_factor`: multiplies the time of an image, as a service does that throttles
- `faults_from`: the image (counted from 0) at which shares and factor begin; 1 by default, so a bad model warms up
- `load_failure`: 1 fails while loading
"""

import math
import random
from dataclasses import dataclass, field
from typing import Any

from controller.core.spec import ModelSpec
from serving.providers.meter import DeclaredMeter
from serving.providers.options import parse_options
from serving.providers.png import to_png
from serving.providers.protocol import Ask, BadConfigError, Meter, RefusedError, Stop, TransientError
from serving.quotes import quoted_text

_SHARE = {"low": 0.0, "high": 1.0}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOREVER_S = 86400.0


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """See the module's docstring."""

    latency_s: float = field(default=0.0, metadata={"low": 0.0, "high": 600.0})
    latency_sigma: float = field(default=0.0, metadata={"low": 0.0, "high": 3.0})
    load_s: float = field(default=0.0, metadata={"low": 0.0, "high": 600.0})
    memory_gib: float | None = field(default=None, metadata={"low": 0.0, "high": 1e4})
    failure_share: float = field(default=0.0, metadata=_SHARE)
    broken_share: float = field(default=0.0, metadata=_SHARE)
    refusal_share: float = field(default=0.0, metadata=_SHARE)
    blank_share: float = field(default=0.0, metadata=_SHARE)
    hang_share: float = field(default=0.0, metadata=_SHARE)
    text_error_share: float = field(default=0.0, metadata=_SHARE)
    slow_factor: float = field(default=1.0, metadata={"low": 1.0, "high": 1000.0})
    faults_from: int = field(default=1, metadata={"low": 0, "high": 10**9, "whole": True})
    load_failure: float = field(default=0.0, metadata=_SHARE)


class FakeProvider:
    """See the module's docstring."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._options = parse_options(FakeOptions, spec.options)
        self._drawn = 0

    @property
    def steps(self) -> int:
        """Return the declared steps."""
        return min(self._spec.sampling.steps, self._spec.scheduler.max_steps)

    def load(self) -> None:
        """Wait as long as declared."""
        Stop(_FOREVER_S).wait(self._options.load_s)
        if self._options.load_failure:
            raise BadConfigError("options.load_failure is set: this model never loads")

    def meter(self) -> Meter:
        """Start to measure a job."""
        return DeclaredMeter(self._spec.resources.num_gpus, self._options.memory_gib)

    def draw(self, ask: Ask, stop: Stop) -> list[bytes]:
        """Return one PNG a seed."""
        return [self._draw_one(ask, seed, stop) for seed in ask.seeds]

    def _draw_one(self, ask: Ask, seed: int, stop: Stop) -> bytes:
        options = self._options
        rng = random.Random(f"{seed}:{ask.prompt}")  # noqa: S311 - reproducible, not secret
        stop.check()
        faulty = self._drawn >= options.faults_from
        slower = options.slow_factor if faulty else 1.0
        stop.wait(slower * options.latency_s * math.exp(options.latency_sigma * rng.gauss(0.0, 1.0)))
        text = quoted_text(ask.prompt) or f"{seed % 100:02d}"
        if faulty:
            self._maybe_fail(rng.random(), stop)
            if rng.random() < options.blank_share:
                text = ""
            elif rng.random() < options.text_error_share:
                text = "".join(rng.choice(_LETTERS.replace(letter.upper(), "")) for letter in text)
        self._drawn += 1
        return to_png(_image(ask, text))

    def _maybe_fail(self, fate: float, stop: Stop) -> None:
        options = self._options
        faults = (
            (options.refusal_share, RefusedError("declared by options.refusal_share")),
            (options.failure_share, TransientError("declared by options.failure_share")),
            (options.broken_share, RuntimeError("declared by options.broken_share")),
        )
        for share, error in faults:
            if fate < share:
                raise error
            fate -= share
        if fate < options.hang_share:
            stop.wait(_FOREVER_S)


def _image(ask: Ask, text: str) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (ask.width_px, ask.height_px), "white")
    if text:
        size_px = max(8, min(ask.height_px // 2, int(1.5 * ask.width_px / (len(text) + 1))))
        middle = (ask.width_px / 2, ask.height_px / 2)
        font = ImageFont.load_default(size_px)
        ImageDraw.Draw(image).text(middle, text, fill="black", font=font, anchor="mm")
    return image
