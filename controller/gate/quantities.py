"""Times, memory and cost of one arm or load for the result document, each quantile bounded or refused."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from controller.core.shot import ShotResult
from controller.gate.measured import measured
from controller.gate.plan import Shot
from controller.stats.order import needed, quantile

LEVELS: Mapping[str, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
FAILED = "failed drawings reach below it"


def arm_of(results: Sequence[ShotResult]) -> dict[str, Any]:
    """Return the numbers of one arm."""
    steps = {result.steps for result in results if result.steps is not None}
    costs = _numbers(results, "cost_usd")
    memory_gib = _numbers(results, "memory_gib")
    return {
        "n": len(results),
        "failures": _failures(results),
        **{metric: quantiles(_numbers(results, metric)) for metric in ("latency_s", "queue_s", "service_s")},
        "cost_usd_mean": sum(costs) / len(costs) if costs else None,
        "memory_gib_max": max(memory_gib, default=None),
        "memory_source": ", ".join(sorted({result.memory_source for result in results if result.memory_source})),
        "steps": steps.pop() if len(steps) == 1 else None,
    }


def load_of(shots: Sequence[Shot], results: Mapping[str, ShotResult]) -> list[dict[str, Any]]:
    """Return one row a level and arm that was drawn; `results` by key."""
    groups: dict[tuple[str, str], list[Shot]] = {}
    for shot in shots:
        if shot.key in results:
            groups.setdefault((shot.level, shot.arm.value), []).append(shot)
    return [_load(level, arm, drawn, results) for (level, arm), drawn in groups.items()]


def quantiles(values: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return p50, p95 and p99 of values, of which failed drawings are infinite."""
    return {name: _quantile(name, values, level) for name, level in LEVELS.items()}


def _quantile(name: str, values: Sequence[float], level: float) -> dict[str, Any]:
    n, found = len(values), quantile(values, level)
    if found is None:
        return {"value": None, "n": n, "reason": f"a {name} needs {needed(level)} images, there are {n}"}
    if math.isinf(found.value):
        return {"value": None, "n": n, "reason": FAILED}
    if math.isinf(found.upper):
        return {"value": found.value, "upper": None, "n": n, "reason": f"no upper bound: {FAILED}"}
    return {"value": found.value, "upper": found.upper, "n": n}


def _load(level: str, arm: str, drawn: Sequence[Shot], by_key: Mapping[str, ShotResult]) -> dict[str, Any]:
    results = [by_key[shot.key] for shot in drawn]
    return {
        "arm": arm,
        "level": level,
        "n": len(results),
        "failures": _failures(results),
        **quantiles(_numbers(results, "latency_s")),
        "images_per_s": _images_per_s(level, drawn, by_key),
    }


def _images_per_s(level: str, drawn: Sequence[Shot], by_key: Mapping[str, ShotResult]) -> float | None:
    """Return the throughput: so many at a time over the mean latency (Little), or arrivals over the time they took."""
    done = [(shot.at_s, by_key[shot.key]) for shot in drawn]
    times_s = [(at_s, result.latency_s) for at_s, result in done if result.latency_s is not None]
    images = sum(result.fault is None for _, result in done)
    if level.startswith("c"):
        busy_s = sum(latency_s for _, latency_s in times_s) / int(level[1:])
    else:
        busy_s = max((at_s + latency_s for at_s, latency_s in times_s), default=0.0) - drawn[0].at_s
    return images / busy_s if busy_s > 0 else None


def _failures(results: Sequence[ShotResult]) -> int:
    return sum(measured("failure", result) == 1.0 for result in results)


def _numbers(results: Sequence[ShotResult], metric: str) -> list[float]:
    found = (measured(metric, result) for result in results)
    return [value for value in found if not isinstance(value, str)]
