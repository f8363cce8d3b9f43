"""Decision rules of other tools: ports that we wrote from their documentation and source, not their programs.

Each says when it would have taken the candidate away; a rollout that nothing stops is promoted at its end. Where a
rule is documented with a choice, the choice here favours it: thresholds lie where they should, at a multiple of what
the incumbent truly does; results are refreshed every minute; a baseline is as large as the candidate and runs beside
it. The ports look at latency and failures, and at `extra` (cost or loss) in worlds where that is at fault.

- Flagger (scheduler.go): every minute mean and p99 latency at most `times` the threshold and success at least 99 %;
  a minute without a request is a failed check; five failed checks, cumulative, roll back.
- Argo Rollouts (analysis.go): a measurement every five minutes of the last five; success at 1.25 times and below,
  failure beyond 1.5 times, inconclusive between; more than three failed ones abort, more than three inconclusive ones
  pause for a person; no data is an error, retried every 10 s, and the fifth in a row aborts.
- Kayenta (NetflixACAJudge.scala): points of a minute of mean, p50, p95, p99 and failures; Mann-Whitney's interval of
  the shift at a hard-coded 98 %, "high" when its lower end exceeds .25 of the estimated shift; every metric critical;
  judged over a growing window from `least` points on.
- GrowthBook (gbstats): one-sided asymptotic confidence sequence (Waudby-Smith et al., arXiv 2103.06476) of the
  difference of means, alpha .05, tuned for 5,000 users; a guardrail that lost reverts, an inconclusive end ships.
- Naive: a z-test of the difference of means at every look, pooled over shares, one-sided 1 % over its metrics.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from controller.stats.columns import Bools, Floats, Ints
from tests.benchmarks.decisions.outcome import Call
from tests.benchmarks.decisions.traffic import Arm, Traffic, by_minute, points
from tests.benchmarks.decisions.worlds import COST, LOSS, MEAN_S, P99_S

Rule = Callable[[Traffic, str | None], Call]

FAILED_CHECKS = 5
ARGO_INTERVAL_S, ARGO_LIMIT, ARGO_ERRORS, ARGO_RETRY_S = 300.0, 3, 4, 10.0
KAYENTA_Z, KAYENTA_EFFECT = 2.3263, 0.25
KAYENTA_MOST, KAYENTA_EVERY, KAYENTA_STEP = 1000, 30, 1.1
"""Points at most; looks after every point up to so many, then whenever there is a tenth more."""
GROWTHBOOK_ALPHA, GROWTHBOOK_TUNING = 0.05, 5000.0
NAIVE_ALPHA, NAIVE_LEAST = 0.01, 20
_MEANS = {"cost": COST, "loss": LOSS}


def flagger(traffic: Traffic, extra: str | None, times: float) -> Call:
    """Roll back at the fifth failed check."""
    arm, minutes = traffic.candidate, traffic.minutes
    fine = points(arm, "mean", "latency", minutes) <= times * MEAN_S
    fine &= points(arm, "p99", "latency", minutes) <= times * P99_S
    fine &= by_minute(arm, "failure", minutes).mean() <= 0.01
    if extra:
        fine &= by_minute(arm, extra, minutes).mean() <= times * _MEANS[extra]
    failed = np.flatnonzero(~fine)  # no request is NaN, and a NaN is not fine
    return _reverted(traffic, 60.0 * (failed[FAILED_CHECKS - 1] + 1) if len(failed) >= FAILED_CHECKS else None)


def argo(traffic: Traffic, extra: str | None) -> Call:
    """Abort or pause at the fourth failed or inconclusive measurement of a metric, or at the fifth error in a row."""
    arm = traffic.candidate
    failed: dict[str, int] = {}
    unclear: dict[str, int] = {}
    for end_s in np.arange(ARGO_INTERVAL_S, traffic.duration_s + 1.0, ARGO_INTERVAL_S):
        first, last = arm.before(end_s - ARGO_INTERVAL_S), arm.before(end_s)
        if first == last:  # the query answers with nothing
            wait_s = float(arm.at_s[last]) - end_s if last < len(arm.at_s) else math.inf
            if wait_s > ARGO_ERRORS * ARGO_RETRY_S:
                return _reverted(traffic, end_s + ARGO_ERRORS * ARGO_RETRY_S)
            last += 1
        for name, ratio in _measured(arm, first, last, extra):
            failed[name] = failed.get(name, 0) + (ratio > 1.5)
            unclear[name] = unclear.get(name, 0) + (1.25 < ratio <= 1.5)
        if max(failed.values(), default=0) > ARGO_LIMIT:
            return _reverted(traffic, end_s)
        if max(unclear.values(), default=0) > ARGO_LIMIT:
            return Call("held", arm.before(end_s), float(end_s))
    return _reverted(traffic, None)


def kayenta(traffic: Traffic, extra: str | None, least: int) -> Call:
    """Fail when a critical metric is high."""
    wanted = [("mean", "latency"), ("p50", "latency"), ("p95", "latency"), ("p99", "latency"), ("mean", "failure")]
    wanted += [("mean", extra)] if extra else []
    series = [
        tuple(points(arm, statistic, metric, traffic.minutes) for arm in (traffic.candidate, traffic.baseline))
        for statistic, metric in wanted
    ]
    seen = np.cumsum(~np.isnan(series[0][0]))
    for minute in _looks(seen, least):
        if any(_is_high(_known(ours[: minute + 1]), _known(theirs[: minute + 1])) for ours, theirs in series):
            return _reverted(traffic, 60.0 * (minute + 1))
    return _reverted(traffic, None)


def growthbook(traffic: Traffic, extra: str | None) -> Call:
    """Revert when the lower end of a metric's one-sided confidence sequence exceeds no difference."""
    lost = np.zeros(traffic.minutes, dtype=np.bool_)
    for metric in _looked_at(extra):
        ours, theirs = (
            by_minute(arm, metric, traffic.minutes).so_far() for arm in (traffic.candidate, traffic.baseline)
        )
        n = ours.n + theirs.n
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = n * (ours.variance() / ours.n + theirs.variance() / theirs.n)
            lost |= ours.mean() - theirs.mean() > np.sqrt(variance) * _sequence_width(n)
    return _reverted(traffic, _first_minute(lost))


def naive(traffic: Traffic, extra: str | None) -> Call:
    """Revert at the first significant difference."""
    metrics = _looked_at(extra)
    needed = _normal_quantile(1.0 - NAIVE_ALPHA / len(metrics))
    lost = np.zeros(traffic.minutes, dtype=np.bool_)
    for metric in metrics:
        ours, theirs = (
            by_minute(arm, metric, traffic.minutes).so_far() for arm in (traffic.candidate, traffic.incumbent)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(ours.variance() / ours.n + theirs.variance() / theirs.n)
            lost |= (ours.n >= NAIVE_LEAST) & (ours.mean() - theirs.mean() > needed * error)
    return _reverted(traffic, _first_minute(lost))


RULES: Mapping[str, Rule] = {
    "Flagger-like 1.25x": partial(flagger, times=1.25),
    "Flagger-like 1.5x": partial(flagger, times=1.5),
    "Argo-like": argo,
    "Kayenta-like 10": partial(kayenta, least=10),
    "Kayenta-like 50": partial(kayenta, least=50),
    "GrowthBook-like": growthbook,
    "naive z-test": naive,
}


def _reverted(traffic: Traffic, moment_s: float | None) -> Call:
    if moment_s is None:
        return Call("promoted", len(traffic.candidate.at_s), traffic.duration_s)
    return Call("reverted", traffic.candidate.before(moment_s), float(moment_s))


def _looked_at(extra: str | None) -> tuple[str, ...]:
    return ("latency", "failure", extra) if extra else ("latency", "failure")


def _first_minute(lost: Bools) -> float | None:
    found = np.flatnonzero(lost)
    return 60.0 * (float(found[0]) + 1.0) if len(found) else None


def _measured(arm: Arm, first: int, last: int, extra: str | None) -> Iterator[tuple[str, float]]:
    """Yield each metric and how many times its threshold's base it is; failures beyond 1 % count as beyond 1.5."""
    latency = _known(arm.values["latency"][first:last])
    if len(latency):
        yield "mean", float(latency.mean()) / MEAN_S
        yield "p99", float(np.quantile(latency, 0.99, method="higher")) / P99_S
    yield "success", 2.0 if float(arm.values["failure"][first:last].mean()) > 0.01 else 1.0
    if extra and len(known := _known(arm.values[extra][first:last])):
        yield extra, float(known.mean()) / _MEANS[extra]


def _looks(seen: Ints, least: int) -> Iterator[int]:
    """Yield the minutes at which Kayenta judges: `seen` counts the candidate's points."""
    next_points = float(least)
    for minute in np.flatnonzero(np.diff(seen, prepend=0)):
        n = int(seen[minute])
        if n > KAYENTA_MOST:
            return
        if n >= next_points:
            yield int(minute)
            next_points = n + 1 if n < KAYENTA_EVERY else max(n + 1.0, KAYENTA_STEP * n)


def _is_high(ours: Floats, theirs: Floats) -> bool:
    """Say whether the lower end of the shift's interval exceeds a quarter of its estimate (Hodges and Lehmann)."""
    n, m = len(ours), len(theirs)
    if n == 0 or m == 0:
        return False
    below = math.floor(n * m / 2.0 - KAYENTA_Z * math.sqrt(n * m * (n + m + 1.0) / 12.0) - 0.5)
    if below < 0:
        return False
    shifts = np.subtract.outer(ours, theirs).ravel()
    middle = (n * m - 1) // 2
    shifts.partition((below, middle))
    return bool(shifts[below] > KAYENTA_EFFECT * abs(shifts[middle]))


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _sequence_width(n: Floats) -> Floats:
    """Return the width of the confidence sequence after n users, in standard deviations (eq. 134)."""
    alpha, tuning = GROWTHBOOK_ALPHA, GROWTHBOOK_TUNING
    least = -2.0 * math.log(2.0 * alpha)
    rho2 = (least + math.log(least + 1.0)) / tuning
    scaled = n * rho2 + 1.0
    return np.sqrt(2.0 * scaled / (n**2 * rho2) * np.log(1.0 + np.sqrt(scaled) / (2.0 * alpha)))


def _normal_quantile(level: float) -> float:
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        middle = (low + high) / 2.0
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2.0)) < level else (low, middle)
    return low
