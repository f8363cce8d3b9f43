"""Waiting for a part that is away, for a bounded time in all."""

from collections.abc import Callable
from typing import TypeVar

from controller.errors import UnavailableError
from controller.ports import Clock

PATIENCE_S = 120.0
"""Longer than a model takes to be started anew, shorter than anybody's deadline."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0

Pause = Callable[[float], None]
"""Waits so many seconds, or raises Interrupted when the run must end."""
Turn = Callable[[], None]
"""Returns once users leave room for more work, or raises Interrupted."""
_T = TypeVar("_T")


class Interrupted(Exception):  # noqa: N818  # nothing went wrong
    """The run must end now; what is stored is kept, and another run goes on from there."""


class Patience:
    """Tries calls of one part again while it is away; usable from several threads.

    The time is counted from the first failure until the part answers: once it is spent, every call has one try.
    """

    def __init__(self, clock: Clock, pause: Pause, limit_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._pause = pause
        self._limit_s = limit_s
        self._away_since_s: float | None = None

    def call(self, act: Callable[[], _T]) -> _T:
        """Return what `act` returns; UnavailableError when the part was away for too long."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                result = act()
            except UnavailableError:
                now_s = self._clock.monotonic_s()
                since_s = self._away_since_s
                if since_s is None:
                    since_s = self._away_since_s = now_s
                if now_s - since_s >= self._limit_s:
                    raise
                self._pause(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._away_since_s = None
                return result
