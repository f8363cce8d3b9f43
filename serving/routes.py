"""The routes a gateway knows: the last accepted split of every lane, and until when its candidate may be used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.core.lane import Lane
from controller.core.spec import ModelSpec, app_name
from controller.core.split import Split

BOOT_EPOCH = -1
"""Of a route that comes from the boot configuration; such requests are not tallied."""


@dataclass(frozen=True, slots=True)
class Route:
    """A split, the specs behind its names, and the monotonic time at which its lease runs out."""

    split: Split
    timeout_s: float
    lease_until_s: float
    incumbent: ModelSpec
    candidate: ModelSpec | None = None

    @property
    def experiment(self) -> bool:
        """Say whether the split wants a coin to decide about requests."""
        return self.split.candidate is not None and self.split.share > 0

    def live(self, now_s: float) -> bool:
        """Say whether the coin may be tossed now: the candidate is known and its lease is fresh."""
        return self.experiment and self.candidate is not None and now_s < self.lease_until_s

    def names(self) -> set[str]:
        """Return the applications that may be called."""
        return {name for name in (self.split.incumbent, self.split.candidate) if name}


def boot_route(lane: Lane) -> Route:
    """Return the route of a lane as it was when the gateway was deployed: its incumbent, no candidate."""
    split = Split(lane=lane.name, epoch=BOOT_EPOCH, incumbent=app_name(lane.name, lane.incumbent.digest))
    return Route(split, lane.timeout_s, 0.0, lane.incumbent)


class RouteTable:
    """Read by the event loop, written by the link's thread: every write swaps in a new mapping."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._routes: Mapping[str, Route] = {lane.name: boot_route(lane) for lane in lanes}
        self.read_at_s: float | None = None  # monotonic, of the last successful read of the database

    def get(self, lane: str) -> Route | None:
        """Return a lane's route."""
        return self._routes.get(lane)

    def lanes(self) -> tuple[str, ...]:
        """Return the names of the lanes."""
        return tuple(self._routes)

    @property
    def ready(self) -> bool:
        """Say whether every lane's incumbent is known."""
        return bool(self._routes) or self.read_at_s is not None

    def names(self) -> frozenset[str]:
        """Return every application that may be called."""
        return frozenset(name for route in self._routes.values() for name in route.names())

    def epochs(self) -> dict[str, int]:
        """Return the epoch applied on every lane, without those that only know their boot configuration."""
        return {lane: route.split.epoch for lane, route in self._routes.items() if route.split.epoch != BOOT_EPOCH}

    def apply(self, routes: Iterable[Route], read_at_s: float) -> list[Split]:
        """Take routes over and return the splits that are new; an epoch below the known one is ignored.

        A lane that is missing keeps its last known incumbent.
        """
        merged, fresh = dict(self._routes), []
        for route in routes:
            lane, known = route.split.lane, merged.get(route.split.lane)
            if known and route.split.epoch < known.split.epoch:
                continue
            if not known or route.split.epoch > known.split.epoch:
                fresh.append(route.split)
            merged[lane] = route
        self._routes, self.read_at_s = merged, read_at_s
        return fresh
