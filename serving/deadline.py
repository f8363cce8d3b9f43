"""Calls that may hang, bounded: Ray's control calls block for ever while its head is away."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from typing import Final, TypeVar

from controller.errors import GatectlError, UnavailableError

_T = TypeVar("_T")
MAX_HANGING: Final = 8


class Deadlines:
    """Runs calls on daemon threads and gives up on them; refuses new ones while too many hang."""

    def __init__(self, limit: int = MAX_HANGING) -> None:
        self._limit = limit
        self._hanging = threading.BoundedSemaphore(limit)

    def call(self, what: str, timeout_s: float, function: Callable[[], _T]) -> _T:
        """Return the function's result; UnavailableError when it fails, hangs or can't be started."""
        if not self._hanging.acquire(blocking=False):
            raise UnavailableError(f"Ray: {self._limit} calls hang already, {what} was not tried; is the cluster up?")
        future: Future[_T] = Future()
        thread = threading.Thread(target=self._run, args=(function, future), name=f"ray-{what}", daemon=True)
        thread.start()
        if not wait([future], timeout_s).done:
            raise UnavailableError(f"Ray did not answer within {timeout_s:g} s to {what}; is the cluster up?")
        try:
            return future.result()
        except GatectlError:
            raise
        except Exception as error:
            raise UnavailableError(f"Ray could not {what}: {type(error).__name__}: {error}") from error

    def _run(self, function: Callable[[], _T], future: "Future[_T]") -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller
            with suppress(InvalidStateError):  # the caller gave up
                future.set_exception(error)
        else:
            with suppress(InvalidStateError):
                future.set_result(result)
        finally:
            self._hanging.release()
