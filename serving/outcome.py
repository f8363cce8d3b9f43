"""What one request contributes to the tally of the arm it was assigned to.

Values are numbers by metric; a value that will never be known is a reason by metric, never a 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.stats.bins import LOG_HIGHEST, lower_edge
from serving.providers.protocol import Fault, Usage

CENSORED_S = lower_edge(LOG_HIGHEST)
"""The latency of what was never answered: the last cell, above every threshold."""

MEASURED = ("service_s", "queue_s", "cost_usd", "memory_gib")
_SECONDS_IN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Metric -> value, and metric -> why there is none."""

    values: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def answered(usage: Usage, *, latency_s: float, call_s: float, images: int, usd_per_hour: float | None) -> Outcome:
    """The arm drew `images` images; `call_s` is how long its call took, queueing included."""
    values = {
        "latency_s": latency_s,
        "service_s": usage.service_s,
        "queue_s": max(0.0, call_s - usage.service_s),
        "failure": 0.0,
        "refusal": 0.0,
    }
    missing: dict[str, str] = {}
    _add_cost(values, missing, usage, images, usd_per_hour)
    if usage.memory_gib is None:
        missing["memory_gib"] = usage.memory_source
    else:
        values["memory_gib"] = usage.memory_gib
    return Outcome(values, missing)


def not_answered(
    fault: Fault, usage: Usage | None, *, latency_s: float, images: int, usd_per_hour: float | None
) -> Outcome:
    """The arm drew nothing one may show.

    `latency_s`: what the user waited in total, the incumbent's help included, or CENSORED_S when nobody
    answered. A refusal is no failure. A client that left says nothing but that it had waited in vain until
    then.
    """
    if fault is Fault.ABANDONED:
        reasons = dict.fromkeys((*MEASURED, "failure", "refusal"), "client_left")
        return Outcome({"latency_s": CENSORED_S}, reasons)
    refused = fault is Fault.REFUSED
    values = {"latency_s": latency_s, "failure": float(not refused), "refusal": float(refused)}
    missing = dict.fromkeys(MEASURED, "no_answer")
    if usage is not None:
        missing.pop("cost_usd")
        _add_cost(values, missing, usage, images, usd_per_hour)
    return Outcome(values, missing)


def _add_cost(
    values: dict[str, float],
    missing: dict[str, str],
    usage: Usage,
    images: int,
    usd_per_hour: float | None,
) -> None:
    if usd_per_hour is None:
        missing["cost_usd"] = "no_price"
    else:
        values["cost_usd"] = usage.compute_s * usd_per_hour / _SECONDS_IN_HOUR / images
