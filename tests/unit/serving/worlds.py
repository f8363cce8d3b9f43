"""Values and stand-ins for tests of the gateway: specs, routes, and models that live in this process."""

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from controller.core.lane import Lane
from controller.core.policy import Mode
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler, app_name
from controller.core.split import Split
from controller.stats.tally import Arm, ClassTally, merge
from serving.calls import CallError, Reply
from serving.providers.protocol import Ask, Fault, Usage
from serving.recorder import Recorder
from serving.routes import Route

WIDTH_PX, HEIGHT_PX = 24, 16
FRESH_S = 1e12


def fake_spec(steps: int = 4, **options: Any) -> ModelSpec:
    """A spec of the fake provider; another `steps` is another model."""
    return ModelSpec(
        provider="fake",
        source="fake",
        revision="1",
        precision="float32",
        scheduler=Scheduler("FlowMatchEulerDiscreteScheduler", 50),
        sampling=Sampling(steps, 1.0, WIDTH_PX, HEIGHT_PX),
        resources=Resources("cpu", 0, 1),
        options=options,
    )


INCUMBENT, CANDIDATE = fake_spec(4), fake_spec(8)
LANE = Lane("preview", 1.0, INCUMBENT)
INCUMBENT_APP = app_name("preview", INCUMBENT.digest)
CANDIDATE_APP = app_name("preview", CANDIDATE.digest)


def route(
    share: float = 1.0,
    *,
    epoch: int = 3,
    lease_s: float = FRESH_S,
    mode: Mode = Mode.SHARE,
    timeout_s: float = 1.0,
    sticky: bool = False,
) -> Route:
    """A route with a candidate whose lease is fresh for `lease_s` from now on."""
    split = Split("preview", epoch, INCUMBENT_APP, CANDIDATE_APP, share, mode, "salt", "r-0001", sticky=sticky)
    return Route(split, timeout_s, time.monotonic() + lease_s, INCUMBENT, CANDIDATE)


def png(width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX, *, blank: bool = False) -> bytes:
    """A small image, half black unless blank."""
    image = Image.new("RGB", (width_px, height_px), "white")
    if not blank:
        image.paste((0, 0, 0), (0, 0, width_px // 2, height_px))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


USAGE = Usage(service_s=0.02, compute_s=0.01, memory_gib=0.5, memory_source="declared", device="declared")
SOUND = Reply((png(),), USAGE, 0.03)

Behaviour = Callable[[Ask, float], Reply]


class Models:
    """A backend whose models are functions; `calls` remembers who was asked."""

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.calls: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def call(self, app: str, ask: Ask, timeout_s: float) -> Reply:
        """Answer as the model of that name behaves; a gate holds it until it is opened or time is up."""
        self.calls.append(app)
        if app in self.gates:
            try:
                await asyncio.wait_for(self.gates[app].wait(), timeout_s)
            except TimeoutError:
                raise CallError(Fault.DEADLINE, "time is up") from None
        return self.behaviours.get(app, lambda *_: SOUND)(ask, timeout_s)


def failing(fault: Fault, usage: Usage | None = None, times: int | None = None) -> Behaviour:
    """A model that fails, the first `times` times or always."""
    left = [times]

    def behave(_ask: Ask, _timeout_s: float) -> Reply:
        if left[0] == 0:
            return SOUND
        if left[0] is not None:
            left[0] -= 1
        raise CallError(fault, "as told", usage)

    return behave


def tally_of(recorder: Recorder, arm: Arm) -> ClassTally:
    """Everything that was counted for an arm, over windows and classes."""
    classes = merge(recorder.snapshot().rows.values()).arms.get(arm, {})
    return sum(classes.values(), start=ClassTally())
