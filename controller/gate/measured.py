"""What a drawing says about a metric: a number in the metric's unit, or the reason why there is none."""

import math
from collections.abc import Mapping

from controller.core.policy import METRICS
from controller.core.shot import ShotResult
from controller.stats.bins import Axis, cell_of

LATE = frozenset({"latency_s", "service_s"})
"""Of a drawing that failed: beyond every threshold, so that no fault makes an arm look fast."""
REFUSED = "refused"
"""The content policy said no: told apart from failures, and neither fast nor slow."""
NO_IMAGE = "no_image"
"""Reason of what can't be known because the drawing failed, which is counted already."""
NO_PRICE = "no_price"
NOT_MEASURED = "not_measured"
INVALID = "invalid"


def measured(metric: str, result: ShotResult) -> float | str:
    """Return the value of a metric, infinite where a failed drawing is beyond every threshold, or a reason."""
    failed = result.fault is not None and result.fault != REFUSED
    match metric:
        case "failure":
            return float(failed)
        case "refusal":
            return float(result.fault == REFUSED)
        case _ if METRICS[metric].axis is Axis.SCORE:
            return score_of(result, metric) if result.fault is None else _blank(result)
        case _ if metric in LATE and result.fault is not None:
            return math.inf if failed else REFUSED
        case _:
            value = quantities(result)[metric]
            return _absent(metric, result) if value is None else _sound(metric, value)


def score_of(result: ShotResult, metric: str) -> float | str:
    """Return a score or the reason why there is none."""
    score = result.scores.get(metric)
    if score is None:
        return NOT_MEASURED
    return _sound(metric, score.value) if score.value is not None else score.reason or NOT_MEASURED


def quantities(result: ShotResult) -> Mapping[str, float | None]:
    """Return what is a number of the drawing itself, by metric."""
    return {
        "latency_s": result.latency_s,
        "service_s": result.service_s,
        "queue_s": result.queue_s,
        "cost_usd": result.cost_usd,
        "memory_gib": result.memory_gib,
    }


def _absent(metric: str, result: ShotResult) -> str:
    """Return why a drawing has no number for a quantity."""
    if metric == "memory_gib" and result.memory_source:
        return result.memory_source
    if metric == "cost_usd" and result.compute_s is not None:
        return NO_PRICE
    return NOT_MEASURED if result.fault is None else _blank(result)


def _blank(result: ShotResult) -> str:
    return REFUSED if result.fault == REFUSED else NO_IMAGE


def _sound(metric: str, value: float) -> float | str:
    try:
        cell_of(METRICS[metric].axis, value)
    except ValueError:
        return INVALID
    return value
