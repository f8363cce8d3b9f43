"""Runs the bench that the loop wants, on a thread of its own: drawing takes minutes and the loop never waits."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import structlog

from controller.core.bench import Bench
from controller.errors import ConflictError, GatectlError, UnavailableError
from controller.gate.patience import Interrupted
from controller.gate.run import Runner

log = structlog.get_logger(__name__)

MAX_FAILURES = 5
"""A bench that fails so often for no known reason will not succeed, and its lane waits for it."""
RETRY_S = 5.0
GIVE_WAY_S = 0.5
"""How long a bench that gives way waits before it looks again."""
IDLE_S = 60.0
"""Only a longstop: a wish wakes the thread at once."""


class BenchKeeper:
    """Runs at most one bench at a time: two would disturb each other's times.

    `wait` lets so many seconds pass and says whether it is time to stop; by default those of the wall clock.
    """

    def __init__(self, runner: Runner, retry_s: float = RETRY_S, wait: Callable[[float], bool] | None = None) -> None:
        self._runner = runner
        self._retry_s = retry_s
        self._wait = wait or self._wait_by_the_wall
        self._lock = threading.Lock()
        self._wanted: tuple[Bench, int] | None = None
        self._at_work: tuple[Bench, int] | None = None
        self._gives_way = False
        self._over: str | None = None
        self._failures: Counter[str] = Counter()
        self._wake = threading.Event()
        self._stop = threading.Event()

    def want(self, bench: Bench | None, fencing_token: int = 0) -> None:
        """State which bench should run, None for none: the one under way ends after its image unless it is that one."""
        wanted = None if bench is None else (bench, fencing_token)
        with self._lock:
            changed = wanted != self._wanted
            self._wanted = wanted
        if changed:
            self._wake.set()

    def give_way(self, needed: bool) -> None:  # noqa: FBT001 - a fact, as `want` states a wish
        """State whether users queue up: nothing is begun meanwhile, what is under way ends."""
        with self._lock:
            changed, self._gives_way = needed != self._gives_way, needed
            at_work = self._at_work
        if changed and at_work is not None:
            log.info("bench gives way to users" if needed else "bench goes on", bench=at_work[0].id)

    def at_work(self, bench: str) -> bool:
        """Say whether a bench is under way."""
        with self._lock:
            return self._at_work is not None and self._at_work[0].id == bench

    def run(self, stop: threading.Event) -> None:
        """Keep going until `stop` is set; it ends with the image under way."""
        self._stop = stop
        while not stop.is_set():
            self._wake.clear()  # before looking at what is wanted, so that no wish gets lost
            settled = self.work()
            if not stop.is_set():
                self._wake.wait(IDLE_S if settled else self._retry_s)

    def close(self) -> None:
        """Wake the thread, so that it notices that it should stop."""
        self._wake.set()

    def work(self) -> bool:
        """Run what is wanted now to its end or until it is not wanted; say whether nothing is left to try again."""
        with self._lock:
            wanted = self._at_work = self._wanted
        # The loop may have looked just before the end, and still want what is over.
        if wanted is None or wanted[0].id == self._over:
            return True
        try:
            return self._run(*wanted)
        finally:
            with self._lock:
                self._at_work = None

    def _run(self, bench: Bench, fencing_token: int) -> bool:
        def pause(seconds: float) -> None:
            with self._lock:
                still = self._wanted == (bench, fencing_token)
            if not still or self._wait(seconds):
                raise Interrupted

        def turn() -> None:
            pause(0.0)
            while self._gives_way:
                pause(GIVE_WAY_S)

        log.info("benching", bench=bench.id, candidate=bench.name)
        try:
            self._runner.run(bench, fencing_token, pause, turn)
        except Interrupted:
            return True
        except ConflictError as error:
            # Another controller leads or it is over: the loop will say what is wanted then.
            log.info("bench left", bench=bench.id, why=str(error))
            self._forget(bench, fencing_token)
            return True
        except UnavailableError as error:
            log.warning("bench waits: a part can't answer", bench=bench.id, error=str(error))
            return False
        except Exception as error:
            log.exception("bench failed", bench=bench.id)
            return self._failed(bench, fencing_token, error)
        self._over = bench.id
        return True

    def _wait_by_the_wall(self, seconds: float) -> bool:
        return self._stop.wait(seconds)

    def _failed(self, bench: Bench, fencing_token: int, error: Exception) -> bool:
        self._failures[bench.id] += 1
        if self._failures[bench.id] < MAX_FAILURES:
            return False
        with suppress(GatectlError):
            self._runner.give_up(bench, fencing_token, f"the bench failed {MAX_FAILURES} times: {error!r}")
        return True

    def _forget(self, bench: Bench, fencing_token: int) -> None:
        """Take a bench off the wish list; the loop states it again while it is due."""
        with self._lock:
            if self._wanted == (bench, fencing_token):
                self._wanted = None
