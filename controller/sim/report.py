"""Many runs of a scenario, on as many processes as there are, and what they say together."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from controller.schema.scenario import Scenario
from controller.sim.run import Result, Run
from controller.stats import binomial

OUTCOMES = ("promoted", "reverted", "inconclusive", "held", "rejected")
ALPHA = 0.05
CHUNK_RUNS = 8

_scenario: Scenario | None = None


def simulate(
    scenario: Scenario, runs: int, seed: int, jobs: int, on_done: Callable[[Result], None] = lambda _: None
) -> dict[str, Any]:
    """Return the report of runs 0..runs - 1; `jobs` processes work on them, `on_done` is called after each."""
    started_s = time.perf_counter()
    results = []
    for result in _results(scenario, runs, seed, jobs):
        results.append(result)
        on_done(result)
    return report(scenario, seed, results, time.perf_counter() - started_s)


def default_jobs() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def report(scenario: Scenario, seed: int, results: Sequence[Result], wall_s: float) -> dict[str, Any]:
    """Return the stable keys; all but `wall_s` and `requests_per_s` depend on scenario, seed and runs alone."""
    decided = [result for result in results if result.decided]
    reverted = sum(result.outcome == "reverted" for result in results)
    requests = sum(result.requests for result in results)
    rate = {"rate": reverted / len(results), "count": reverted, **_interval(reverted, len(results))}
    return {
        "scenario": scenario.name,
        "policy": scenario.policy.name,
        "policy_digest": scenario.policy.digest,
        "runs": len(results),
        "seed": seed,
        "outcomes": {name: sum(result.outcome == name for result in results) for name in OUTCOMES},
        "false_revert_rate" if scenario.within else "detection_rate": rate,
        "candidate_images": _spread([result.candidate_images for result in decided]),
        "duration_s": _spread([result.duration_s for result in decided]),
        "users_exposed": _spread([result.exposed for result in results]),
        "reasons": _reasons(results),
        "requests": requests,
        "wall_s": wall_s,
        "requests_per_s": requests / wall_s if wall_s > 0 else 0.0,
    }


def _results(scenario: Scenario, runs: int, seed: int, jobs: int) -> Iterator[Result]:
    if jobs == 1 or runs == 1:
        yield from (Run(scenario, seed, number).go() for number in range(runs))
        return
    # Spawned, not forked: a progress bar's thread must not be copied.
    with ProcessPoolExecutor(min(jobs, runs), get_context("spawn"), _begin, (scenario,)) as pool:
        yield from pool.map(_run, [seed] * runs, range(runs), chunksize=max(1, min(CHUNK_RUNS, runs // (4 * jobs))))


def _begin(scenario: Scenario) -> None:
    global _scenario  # noqa: PLW0603  # a worker process works on one scenario
    _scenario = scenario


def _run(seed: int, number: int) -> Result:
    assert _scenario is not None
    return Run(_scenario, seed, number).go()


def _interval(count: int, n: int) -> dict[str, float]:
    low, high = binomial.interval(count, n, ALPHA)
    return {"low": low, "high": high, "confidence": 1.0 - ALPHA}


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and quantiles; a quantile is a value that occurred."""
    if not values:
        return {"n": 0, "mean": None, "p50": None, "p95": None, "p99": None}
    quantiles = np.quantile(values, (0.5, 0.95, 0.99), method="higher").tolist()
    return {
        "n": len(values),
        "mean": float(np.mean(values)),
        **dict(zip(("p50", "p95", "p99"), quantiles, strict=True)),
    }


def _reasons(results: Sequence[Result]) -> list[dict[str, str]]:
    """Return the first run's reason for each outcome: the sentence that people would have read."""
    first = {result.outcome: result.reason for result in reversed(results)}
    return [{"outcome": name, "reason": first[name]} for name in OUTCOMES if name in first]
