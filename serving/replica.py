"""One replica of a model: loads it, draws one image to warm up, then draws one request at a time.

Loading takes seconds of whole cores, and beside it users are served: on processors it gives way to their images.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from controller.core.spec import CPU, ModelSpec
from serving.gently import gently
from serving.machine import machine
from serving.providers import provider_for
from serving.providers.protocol import Ask, Fault, ProviderError, Stop

WARM_UP_PROMPT: Final = 'the word "OK" in black on white'
WARM_UP_TIMEOUT_S: Final = 600.0
STUCK_S: Final = 60.0
MEMORY_FAULTS: Final = 3


class Replica:
    """What Ray Serve runs; `spec` is `ModelSpec.to_json()`.

    Faults that the provider foresaw come back as values, with what they cost; anything else is raised.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = ModelSpec.from_json(spec)
        self._thread = ThreadPoolExecutor(1, "model")
        self._job: Stop | None = None
        self._memory_faults = 0
        self._provider = provider_for(self._spec)
        if self._spec.resources.gpu == CPU:
            gently(self._start)
        else:
            self._start()  # the driver's threads, started by the first use of a device, must not give way for ever

    async def generate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Draw what `Ask.to_wire` says.

        Returns {images: [PNG], usage, seeds, steps}, or {fault, message, usage}.
        """
        ask, stop = Ask.from_wire(request), Stop(request["timeout_s"])
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, ask, stop)
        except asyncio.CancelledError:
            stop.leave()  # the thread stops at its next sampling step
            raise

    async def ping(self) -> None:
        """Answer; connects a caller before it needs an image."""

    async def machine(self) -> dict[str, Any]:
        """Describe where images are drawn, for results that depend on it."""
        return machine()

    async def pid(self) -> int:
        """Return the process id, for tests that kill it."""
        return os.getpid()

    async def check_health(self) -> None:
        """Raise when only a new process can help: memory that stays full, or a job that never ends."""
        if self._memory_faults >= MEMORY_FAULTS:
            raise RuntimeError(f"out of memory {self._memory_faults} times in a row")
        job = self._job
        if job is not None and time.monotonic() > job.deadline_s + STUCK_S:
            raise RuntimeError(f"a job has run for more than {STUCK_S:.0f} s past its deadline")

    def _draw(self, ask: Ask, stop: Stop) -> dict[str, Any]:
        self._job = stop
        meter = self._provider.meter()
        try:
            images = self._provider.draw(ask, stop)
        except ProviderError as error:
            self._memory_faults = self._memory_faults + 1 if error.fault is Fault.OUT_OF_MEMORY else 0
            return {"fault": error.fault.value, "message": str(error), "usage": asdict(meter.read())}
        finally:
            self._job = None
        self._memory_faults = 0
        usage = asdict(meter.read())
        return {"images": images, "usage": usage, "seeds": list(ask.seeds), "steps": self._provider.steps}

    def _start(self) -> None:
        """Load, and draw an image as requests will; a model that can't is not ready, and says why."""
        self._provider.load()
        size = self._spec.sampling
        ask = Ask(WARM_UP_PROMPT, (0,), size.width_px, size.height_px)
        self._provider.draw(ask, Stop(WARM_UP_TIMEOUT_S))
