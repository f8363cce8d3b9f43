"""Scores answers after they were given: a bounded queue in front of the scorers.

Whether an answer is scored depends on the queue alone, never on its arm, so both arms lose alike under load.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from serving.quotes import quoted_text
from serving.recorder import Ticket

TEXT_ACCURACY: Final = "text_accuracy"
QUEUE_SIZE: Final = 64
TIMEOUT_S: Final = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Score:
    """A score in [0, 1], or None and the reason."""

    value: float | None
    reason: str = ""


Scorer = Callable[[str, Sequence[bytes]], Awaitable[Score]]
"""Scores the images of one answer against their prompt."""


class Scoring:
    """One worker per gateway replica; the scorers' own replicas are what scales."""

    def __init__(self, scorer: Scorer, *, queue_size: int = QUEUE_SIZE, timeout_s: float = TIMEOUT_S) -> None:
        self._scorer = scorer
        self._timeout_s = timeout_s
        self._queue: asyncio.Queue[tuple[Ticket, str, Sequence[bytes]]] = asyncio.Queue(queue_size)
        self._worker: asyncio.Task[None] | None = None

    @staticmethod
    def applies(prompt: str) -> bool:
        """Say whether there is something to score: text that the prompt quotes."""
        return quoted_text(prompt) is not None

    def submit(self, ticket: Ticket, prompt: str, images: Sequence[bytes]) -> None:
        """Take an answer to be scored, or count it as missing when too many wait."""
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        try:
            self._queue.put_nowait((ticket, prompt, images))
        except asyncio.QueueFull:
            ticket.score(TEXT_ACCURACY, None, "queue_full")

    async def drain(self) -> None:
        """Wait until everything submitted is scored."""
        await self._queue.join()

    async def close(self) -> None:
        """Stop; what still waits counts as missing."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        while not self._queue.empty():
            ticket, _, _ = self._queue.get_nowait()
            ticket.score(TEXT_ACCURACY, None, "shutdown")
            self._queue.task_done()

    async def _work(self) -> None:
        while True:
            ticket, prompt, images = await self._queue.get()
            score = Score(None, "shutdown")
            try:
                async with asyncio.timeout(self._timeout_s):
                    score = await self._scorer(prompt, images)
            except TimeoutError:
                score = Score(None, "timeout")
            except Exception as error:  # noqa: BLE001 - whatever breaks a scorer, the gateway goes on
                log.warning("the scorers failed: %s", type(error).__name__)
                score = Score(None, "scorer_down")
            finally:
                ticket.score(TEXT_ACCURACY, score.value, score.reason)
                self._queue.task_done()
