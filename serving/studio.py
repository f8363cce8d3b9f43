"""Draws and scores for the offline gate, through the same applications and calls as live traffic."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from controller.bench_ports import Drawn
from controller.core.spec import ModelSpec
from controller.errors import InvariantError, UnavailableError
from serving.backend import fault_of
from serving.deadline import Deadlines
from serving.names import MODEL_DEPLOYMENT, SCORERS_APP, SCORERS_DEPLOYMENT
from serving.providers.protocol import Ask, Fault, Usage
from serving.watchdog import problem_of

SCORE_TIMEOUT_S: Final = 60.0
MACHINE_TIMEOUT_S: Final = 10.0
GRACE_S: Final = 2.0
"""Longer than a sampling step, after which a model notices its deadline."""
MAX_CALLS: Final = 128
"""A bench under load waits for many images at once, and each has a thread."""


class RayStudio:
    """Implements `controller.bench_ports.Studio`; usable from any thread of a process that has joined Ray."""

    def __init__(self) -> None:
        self._deadlines = Deadlines(MAX_CALLS)

    def draw(self, app: str, spec: ModelSpec, prompt: str, seed: int, timeout_s: float) -> Drawn:
        """Draw one image; a fault of the model is a value, an application that is away is UnavailableError."""
        size = spec.sampling
        ask = Ask(prompt, (seed,), size.width_px, size.height_px)

        def draw() -> Drawn:
            started_s = time.perf_counter()
            try:
                reply = _call(app, MODEL_DEPLOYMENT, "generate", timeout_s + GRACE_S, ask.to_wire(timeout_s))
            except Exception as error:  # noqa: BLE001 - told apart by `fault_of`
                return _no_reply(app, error, time.perf_counter() - started_s)
            return _drawn(reply, ask, time.perf_counter() - started_s)

        return self._deadlines.call(f"draw an image with {app}", timeout_s + 2 * GRACE_S, draw)

    def examine(
        self, prompt: str, expect: Mapping[str, Any], image: bytes, assets: Mapping[str, bytes]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Score one image against what its prompt expects."""
        return self._score("examine", prompt, dict(expect), image, dict(assets))

    def compare(self, first: bytes, second: bytes) -> Mapping[str, Mapping[str, Any]]:
        """Score how alike two images are."""
        return self._score("compare", first, second)

    def spread(self, images: Sequence[bytes]) -> Mapping[str, Mapping[str, Any]]:
        """Score how alike the images of one prompt are over its seeds."""
        return self._score("spread", list(images))

    def machine(self, app: str) -> Mapping[str, Any]:
        """Describe the machine that an application draws on."""

        def ask() -> Mapping[str, Any]:
            described: Mapping[str, Any] = _call(app, MODEL_DEPLOYMENT, "machine", MACHINE_TIMEOUT_S)
            return described

        return self._deadlines.call(f"describe the machine of {app}", MACHINE_TIMEOUT_S + GRACE_S, ask)

    def _score(self, method: str, *arguments: Any) -> Mapping[str, Mapping[str, Any]]:
        def score() -> Mapping[str, Mapping[str, Any]]:
            from ray.exceptions import RayTaskError

            try:
                scores: Mapping[str, Mapping[str, Any]] = _call(
                    SCORERS_APP, SCORERS_DEPLOYMENT, method, SCORE_TIMEOUT_S, *arguments
                )
            except RayTaskError as error:
                # The scorers are there and broke on this very image: asking again changes nothing.
                raise InvariantError(f"the scorers could not {method}: {type(error.cause).__name__}") from error
            return scores

        return self._deadlines.call(f"{method} images", SCORE_TIMEOUT_S + GRACE_S, score)


def _call(app: str, deployment: str, method: str, timeout_s: float, *arguments: Any) -> Any:
    """Call a method of an application and wait; whatever goes wrong, the work is cancelled."""
    from ray import serve

    handle = serve.get_deployment_handle(deployment, app, _check_exists=False)
    response = getattr(handle, method).remote(*arguments)
    try:
        return response.result(timeout_s=timeout_s)
    except BaseException:
        response.cancel()
        raise


def _no_reply(app: str, error: Exception, latency_s: float) -> Drawn:
    """Return the fault as a value, unless it is none of the model's: then it is worth another try.

    A model that is too slow says so itself, at its deadline. Silence beyond that means that there is no replica, or
    that it is being started.
    """
    fault = fault_of(error)
    if fault in {Fault.UNAVAILABLE, Fault.DEADLINE}:
        raise UnavailableError(f"{app} does not answer ({type(error).__name__})") from error
    return Drawn(None, latency_s, fault=fault.value, message=type(error).__name__)


def _drawn(reply: Mapping[str, Any], ask: Ask, latency_s: float) -> Drawn:
    usage = Usage(**reply["usage"])
    measured = Drawn(
        image=None,
        latency_s=latency_s,
        queue_s=max(0.0, latency_s - usage.service_s),
        service_s=usage.service_s,
        compute_s=usage.compute_s,
        memory_gib=usage.memory_gib,
        memory_source=usage.memory_source,
    )
    if "fault" in reply:
        return replace(measured, fault=reply["fault"], message=reply["message"])
    (image,) = reply["images"]
    # What the watchdog would never show a user is a failure here, too; the image is kept as evidence.
    problem = problem_of(image, ask.width_px, ask.height_px)
    fault = Fault.INVALID_IMAGE.value if problem else None
    return replace(measured, image=image, steps=reply["steps"], fault=fault, message=problem or "")
