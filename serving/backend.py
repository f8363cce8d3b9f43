"""Calls model applications through Ray Serve, and tells its many exceptions as faults.

A queued call on an application that was deleted or never came up hangs for ever without an exception, and
giving up waiting does not stop the work: so every call has a deadline and is cancelled explicitly. Handles
are made without asking Serve's controller, warmed before they are needed, and dropped with their
application: names are never reused.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from serving.calls import CallError, Reply
from serving.names import MODEL_DEPLOYMENT, SCORERS_APP, SCORERS_DEPLOYMENT
from serving.providers.protocol import Ask, Fault, Usage
from serving.scoring import TEXT_ACCURACY, Score

WARM_TIMEOUT_S: Final = 30.0

log = logging.getLogger(__name__)


class RayBackend:
    """Lives on the event loop of a gateway replica."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}
        self._warming: set[asyncio.Task[None]] = set()

    async def call(self, app: str, ask: Ask, timeout_s: float) -> Reply:
        """Draw; CallError, after `timeout_s` at the latest."""
        started_s = time.monotonic()
        raw = await self._within(timeout_s, self._handle(app).generate, ask.to_wire(timeout_s))
        usage = Usage(**raw["usage"])
        if "fault" in raw:
            raise CallError(Fault(raw["fault"]), raw["message"], usage)
        return Reply(tuple(raw["images"]), usage, time.monotonic() - started_s)

    async def score(self, prompt: str, images: Sequence[bytes]) -> Score:
        """Score an answer; raises whatever the scorers' application raises."""
        handle = self._handle(SCORERS_APP, SCORERS_DEPLOYMENT)
        response = handle.score.remote(prompt, list(images))
        try:
            scores: Mapping[str, Any] = await response
        except asyncio.CancelledError:
            _cancel(response)
            raise
        return Score(**scores[TEXT_ACCURACY])

    def keep(self, names: frozenset[str]) -> None:
        """Drop the handles of other applications; make and warm those that are missing."""
        for app in self._handles.keys() - names - {SCORERS_APP}:
            del self._handles[app]
        for app in names - self._handles.keys():
            task = asyncio.get_running_loop().create_task(self._warm(app))
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def _warm(self, app: str) -> None:
        try:
            await self._within(WARM_TIMEOUT_S, self._handle(app).ping)
        except CallError as error:
            log.info("%s does not answer yet: %s", app, error.fault)

    def _handle(self, app: str, deployment: str = MODEL_DEPLOYMENT) -> Any:
        if app not in self._handles:
            from ray import serve

            self._handles[app] = serve.get_deployment_handle(deployment, app, _check_exists=False)
        return self._handles[app]

    @staticmethod
    async def _within(timeout_s: float, method: Any, *arguments: Any) -> Any:
        response = None
        try:
            response = method.remote(*arguments)
            async with asyncio.timeout(timeout_s):
                return await response
        except asyncio.CancelledError:
            _cancel(response)
            raise
        except Exception as error:
            _cancel(response)
            fault = fault_of(error)
            if fault is Fault.BROKEN:
                log.warning("a model raised %s", type(error).__name__)
            raise CallError(fault, f"{type(error).__name__}") from error


def fault_of(error: Exception) -> Fault:
    """Tell an exception of a call as a fault; what the model itself raised is BROKEN."""
    from grpc import RpcError  # type: ignore[import-untyped]  # grpc ships no types
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
    from ray.serve.exceptions import BackPressureError, RayServeException

    if isinstance(error, RayTaskError):
        return Fault.BROKEN
    if isinstance(error, BackPressureError):
        return Fault.THROTTLED
    if isinstance(error, OutOfMemoryError):
        return Fault.OUT_OF_MEMORY
    if isinstance(error, TimeoutError):
        return Fault.DEADLINE
    if isinstance(error, RayActorError | RayServeException | RpcError):
        return Fault.UNAVAILABLE
    return Fault.BROKEN


def _cancel(response: Any) -> None:
    """Stop the work behind a call; one that has already failed raises its own exception once more."""
    if response is not None:
        with suppress(Exception):
            response.cancel()
