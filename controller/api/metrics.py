"""Prometheus metrics, computed from the truth when they are scraped."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from controller.core.states import State
from controller.service import Service

Pulse = Callable[[], Mapping[str, float | None]]
"""What the loop of this process says of itself: `leads` (0 or 1), `tick_age_s` (None before the first tick)."""


class _Truth(Collector):
    def __init__(self, service: Service, pulse: Pulse) -> None:
        self._service = service
        self._pulse = pulse

    def collect(self) -> Iterator[Metric]:
        """Yield one family after the other."""
        counted = Counter(row["state"] for row in self._service.rollouts(limit=1000))
        rollouts = GaugeMetricFamily("swapgate_rollouts", "The newest 1000 rollouts by state", labels=["state"])
        for state in State:
            rollouts.add_metric([state.value], counted[state.value])
        yield rollouts
        yield from self._lanes()
        pulse = self._pulse()
        for name, title in (
            ("leads", "Whether this controller leads"),
            ("tick_age_s", "Seconds since the loop's last tick"),
        ):
            value = pulse.get(name)
            if value is not None:
                yield GaugeMetricFamily(f"swapgate_controller_{name}", title, value=value)

    def _lanes(self) -> Iterator[Metric]:
        share = GaugeMetricFamily("swapgate_split_share", "Share of the split's candidate", labels=["lane"])
        epoch = GaugeMetricFamily("swapgate_split_epoch", "Epoch of the split", labels=["lane"])
        behind = GaugeMetricFamily(
            "swapgate_gateways_behind", "Live gateways that have not applied the split", labels=["lane"]
        )
        live = GaugeMetricFamily("swapgate_gateways_live", "Live gateways", labels=["lane"])
        for lane in self._service.lanes():
            applied = lane["gateways"].values()
            share.add_metric([lane["name"]], lane["split"]["share"])
            epoch.add_metric([lane["name"]], lane["split"]["epoch"])
            behind.add_metric([lane["name"]], sum((of or 0) < lane["split"]["epoch"] for of in applied))
            live.add_metric([lane["name"]], len(applied))
        yield from (share, epoch, behind, live)


def exposition(service: Service, pulse: Pulse) -> Callable[[], bytes]:
    """Return what renders the metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Truth(service, pulse))
    return lambda: generate_latest(registry)
