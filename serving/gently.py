"""Work on processors that users' images need, too: loading a model beside one that serves, scoring answers."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

NICENESS: Final = 10
"""Beside a thread of usual priority Linux gives it a tenth of a core: little to users, yet it ends some day."""
_T = TypeVar("_T")


def gentle_thread(name: str) -> ThreadPoolExecutor:
    """Return an executor of one thread that gives way to every other, and so do threads that it starts.

    Only Linux has a priority for each thread; elsewhere it is a thread as any other.
    """
    return ThreadPoolExecutor(1, name, initializer=_give_way)


def gently(work: Callable[[], _T]) -> _T:
    """Do work on a gentle thread of its own, and return or raise what it does."""
    with gentle_thread("gently") as thread:
        return thread.submit(work).result()


def _give_way() -> None:
    if sys.platform == "linux":
        os.nice(NICENESS)
