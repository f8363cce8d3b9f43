"""Model applications that exist only by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.core.lane import Lane
from controller.core.spec import ModelSpec
from controller.ports import AppStatus


@dataclass
class MemoryFleet:
    """Implements `Fleet`. An application is ready `ready_after_s` after its deployment unless `broken` says why not.

    `broken` and `unsound` map an application's name to what is wrong with it and with its images.
    """

    clock_s: Callable[[], float]
    ready_after_s: float = 0.0
    broken: dict[str, str] = field(default_factory=dict)
    unsound: dict[str, str] = field(default_factory=dict)
    deployed_at_s: dict[str, float] = field(default_factory=dict)

    def status(self) -> Mapping[str, AppStatus]:
        """Return every model application that exists."""
        return {name: self._status(name, at_s) for name, at_s in self.deployed_at_s.items()}

    def deploy(self, name: str, spec: ModelSpec, lane: Lane) -> None:  # noqa: ARG002  # the port's
        """Start an application without waiting for it; a no-op when it exists."""
        self.deployed_at_s.setdefault(name, self.clock_s())

    def remove(self, name: str) -> None:
        """Stop an application without waiting for it; a no-op when it doesn't exist."""
        self.deployed_at_s.pop(name, None)

    def probe(self, name: str, spec: ModelSpec, timeout_s: float) -> str | None:  # noqa: ARG002  # the port's
        """Return None when the application is ready and sound, else what is wrong with it."""
        status = self.status().get(name, AppStatus(name, "absent"))
        return self.unsound.get(name) if status.phase == "ready" else f"{name} is {status.phase}"

    def _status(self, name: str, deployed_at_s: float) -> AppStatus:
        if name in self.broken:
            return AppStatus(name, "failed", self.broken[name])
        if self.clock_s() < deployed_at_s + self.ready_after_s:
            return AppStatus(name, "deploying")
        return AppStatus(name, "ready", replicas_ready=1)
