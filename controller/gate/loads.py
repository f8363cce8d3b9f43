"""Drawing under load: so many at a time, or arrivals that are due whatever the answers do."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import groupby

from controller.bench_ports import Drawn
from controller.gate.patience import Pause, Turn
from controller.gate.plan import Shot
from controller.ports import Clock

MAX_IN_FLIGHT = 64
"""Of an open loop; what is due beyond that waits, and its waiting is not measured."""
LOOK_EVERY_S = 0.2

Draw = Callable[[Shot], Drawn]
Keep = Callable[[Shot, Drawn], None]


def draw_load(shots: Sequence[Shot], draw: Draw, keep: Keep, clock: Clock, pause: Pause, turn: Turn) -> None:
    """Draw shots under the loads that they name, one level and arm after the other; keep each once it is there.

    Each begins at its turn and is not held up from then on: with gaps in it, it would be another load. `keep` is called
    on this thread, one at a time. Raises what `pause`, `turn` and `keep` raise, with nothing more begun.
    """
    for (level, _), group in groupby(shots, key=lambda shot: (shot.level, shot.arm)):
        turn()
        if level.startswith("c"):
            _closed(list(group), int(level[1:]), draw, keep, pause)
        else:
            _open(list(group), draw, keep, clock, pause)


def _closed(shots: list[Shot], workers: int, draw: Draw, keep: Keep, pause: Pause) -> None:
    with _pool(workers) as pool:
        flying = {pool.submit(draw, shot): shot for shot in shots}
        while flying:
            _land(flying, LOOK_EVERY_S, keep, pause)


def _open(shots: list[Shot], draw: Draw, keep: Keep, clock: Clock, pause: Pause) -> None:
    # A run that goes on after a crash begins with the first arrival that is missing.
    began_s = clock.monotonic_s() - shots[0].at_s
    with _pool(MAX_IN_FLIGHT) as pool:
        flying: dict[Future[Drawn], Shot] = {}
        for shot in shots:
            while (wait_s := began_s + shot.at_s - clock.monotonic_s()) > 0:
                if flying:
                    _land(flying, min(wait_s, LOOK_EVERY_S), keep, pause)
                else:
                    pause(min(wait_s, LOOK_EVERY_S))
            flying[pool.submit(draw, shot)] = shot
        while flying:
            _land(flying, LOOK_EVERY_S, keep, pause)


def _land(flying: dict[Future[Drawn], Shot], timeout_s: float, keep: Keep, pause: Pause) -> None:
    pause(0.0)
    for future in wait(flying, timeout_s, FIRST_COMPLETED).done:
        keep(flying.pop(future), future.result())


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers, "load")
    try:
        yield pool
    finally:
        # What was not begun never is; what is under way ends by its own deadline.
        pool.shutdown(wait=True, cancel_futures=True)
