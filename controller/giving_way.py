"""When a bench gives way: it must never be the reason for which users wait.

A model on a GPU has its device to itself. Models on processors share them, so while more requests wait for such an
incumbent than it draws at once, a bench on processors begins no image. Whose processors they are is not known, so
every lane counts.
"""

from collections.abc import Iterable, Sequence

from controller.core.bench import Bench
from controller.core.lane import Lane
from controller.core.spec import CPU, app_name
from controller.ports import Gateway

HEARD_WITHIN_S = 5.0
"""A gateway that said nothing for longer has nothing in flight that anybody knows of."""


def gives_way(bench: Bench, lanes: Iterable[Lane], gateways: Sequence[Gateway]) -> bool:
    """Say whether a bench must wait for users."""
    on_processors = any(spec.resources.gpu == CPU for spec in bench.specs.values())
    return on_processors and any(_queues(lane, gateways) for lane in lanes)


def _queues(lane: Lane, gateways: Sequence[Gateway]) -> bool:
    resources, app = lane.incumbent.resources, app_name(lane.name, lane.incumbent.digest)
    if resources.gpu != CPU:
        return False
    in_flight = sum(gateway.in_flight.get(app, 0) for gateway in gateways if gateway.silent_s < HEARD_WITHIN_S)
    return in_flight > 2 * resources.replicas
