"""The noise of a lane's own replicas: measured from A/A rollouts, kept in the audit log, held against policies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from controller.core.policy import Criterion, Policy, Role
from controller.core.rollout import Rollout
from controller.errors import ConflictError, UserError
from controller.ports import AuditDraft, Catalog, LaneRow, Store
from controller.stats import noise as statistics
from controller.stats.noise import Noise, TooLittleError
from controller.stats.tally import WINDOW_S, WindowTally

ACTION = "measure_noise"
METRICS = ("latency_s", "service_s", "cost_usd")
"""Ratios of these move with the replicas; the first one speaks for those that were not tallied."""
BLOCK_CORRELATIONS = 3.0
_SETTLE_S = 5.0
_MANY = 1_000


@dataclass(frozen=True, slots=True)
class LaneNoise:
    """A measurement of a lane. `incumbent_digest`: the model that served while it was measured."""

    lane: str
    metrics: Mapping[str, Noise]
    rollouts: Sequence[str]
    hours: float
    incumbent_digest: str
    measured_at: str = ""

    def of(self, metric: str) -> Noise | None:
        """Return the noise that a ratio of a metric must respect, None where replicas are not what moves it."""
        return self.metrics.get(metric, self.metrics[METRICS[0]]) if metric in METRICS else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the moment: that is the entry's."""
        return {name: value for name, value in asdict(self).items() if name != "measured_at"}

    @staticmethod
    def from_json(value: Mapping[str, Any], measured_at: str) -> "LaneNoise":
        """Parse what `to_json` returned."""
        metrics = {name: Noise(**noise) for name, noise in value["metrics"].items()}
        return LaneNoise(**{**value, "metrics": metrics}, measured_at=measured_at)

    @property
    def source(self) -> str:
        """Return what it was measured from, in words."""
        latency = self.metrics[METRICS[0]]
        plural = "s" if len(self.rollouts) > 1 else ""
        return (
            f"A/A rollout{plural} {', '.join(self.rollouts)} of {self.measured_at[:16]}Z, "
            f"{latency.n_candidate:,} and {latency.n_incumbent:,} images in {latency.n_blocks} blocks of "
            f"{latency.block_s} s"
        )


def is_aa(rollout: Rollout) -> bool:
    """Say whether both arms of a rollout are the same model under two names."""
    return replace(rollout.candidate, variant="") == replace(rollout.incumbent, variant="")


def last_measured(catalog: Catalog, lane: str) -> LaneNoise | None:
    """Return a lane's latest measurement, None when there is none."""
    entry = catalog.last_entry(lane, ACTION)
    return LaneNoise.from_json(entry.detail, entry.at) if entry else None


def measure(store: Store, rollouts: Sequence[Rollout], row: LaneRow, now_s: float, hours: float) -> LaneNoise:
    """Return the noise of a lane from what its A/A rollouts tallied in the last hours.

    ConflictError says what is missing when there is no such rollout, or too little of it.
    """
    lane = row.lane.name
    tallies: dict[tuple[int, int], WindowTally] = {}
    used: list[str] = []
    for rollout in rollouts:
        found = dict(_tallies(store, rollout, now_s, now_s - hours * 3600, row.lane.timeout_s))
        if found:
            used.append(rollout.id)
            tallies |= found
    if not tallies:
        raise ConflictError(
            f"lane {lane} served no A/A rollout in the last {hours:g} h: propose its incumbent's own model under "
            "another `variant` (policies/candidates/same.yaml shows how), let it run for half an hour, then measure "
            "again"
        )
    metrics: dict[str, Noise] = {}
    for metric in METRICS:
        try:
            metrics[metric] = statistics.measure(tallies, metric)
        except TooLittleError as error:
            if metric == METRICS[0]:
                raise ConflictError(f"the noise of lane {lane} can't be told: {error}") from error
    return LaneNoise(lane, metrics, used, hours, row.lane.incumbent.digest)


def _tallies(
    store: Store, rollout: Rollout, now_s: float, since_s: float, timeout_s: float
) -> Iterator[tuple[tuple[int, int], WindowTally]]:
    """Yield the settled windows of an A/A rollout by (epoch, window), merged over gateways."""
    settled = int((now_s - timeout_s - _SETTLE_S) / WINDOW_S)
    for epoch in rollout.epochs:
        merged: dict[int, WindowTally] = {}
        for row in store.tallies(rollout.lane, (epoch.epoch, epoch.epoch), max(0, math.ceil(since_s / WINDOW_S))):
            if row.window < settled:
                merged[row.window] = merged.get(row.window, WindowTally()) + row.tally
        for window, tally in merged.items():
            yield (epoch.epoch, window), tally.swapped() if epoch.flipped else tally


def aa_rollouts(catalog: Catalog, lane: str) -> list[Rollout]:
    """Return the A/A rollouts of a lane that had traffic, newest first."""
    return [item for item in catalog.rollouts(limit=_MANY) if item.lane == lane and item.epochs and is_aa(item)]


def draft(found: LaneNoise, actor: str, reason: str) -> AuditDraft:
    """Return the audit entry that keeps a measurement."""
    latency = found.metrics[METRICS[0]]
    words = f"replicas of one model differ by s = {latency.sigma:.3f}, from {', '.join(found.rollouts)}"
    return AuditDraft(actor, ACTION, f"{reason}: {words}" if reason else words, lane=found.lane, detail=found.to_json())


def view(found: LaneNoise | None, policy: Policy | None = None, incumbent_digest: str | None = None) -> Any:
    """Return what people see of a measurement, None when there is none.

    With a policy also which criteria ask for less than it supports; `incumbent_digest`: of the model that serves now.
    """
    if found is None:
        return None
    latency = found.metrics[METRICS[0]]
    return {
        **_numbers(latency),
        "measured_at": found.measured_at,
        "source": found.source,
        "metrics": {name: _numbers(noise) for name, noise in found.metrics.items()},
        "another_incumbent": incumbent_digest is not None and incumbent_digest != found.incumbent_digest,
        "too_tight": [item.title for item in policy.criteria if _too_tight(item, found)] if policy else [],
    }


def _numbers(noise: Noise) -> dict[str, Any]:
    return {**asdict(noise), "smallest_ratio": noise.smallest_ratio}


def heed(catalog: Catalog, rollout: Rollout) -> list[str]:
    """Return warnings; UserError when a guardrail asks for less than the lane's replicas differ by.

    An A/A rollout is let through: it measures the noise anew.
    """
    refused, warned = objections(rollout.policy, last_measured(catalog, rollout.lane), rollout.lane)
    if refused and not is_aa(rollout):
        raise UserError("; ".join(refused))
    return [*refused, *warned]


def objections(policy: Policy, found: LaneNoise | None, lane: str) -> tuple[list[str], list[str]]:
    """Return why a policy makes no sense on a lane's replicas, and what should be known of it.

    Only guardrails make a policy senseless: nothing else can revert or hold back.
    """
    ratios = [(at, item) for at, item in enumerate(policy.criteria) if item.max_ratio and item.metric in METRICS]
    if not ratios:
        return [], []
    if found is None:
        titles = ", ".join(item.title for _, item in ratios)
        unknown = (
            f"nobody has measured how far replicas of one model differ on lane {lane}, so it is unknown whether "
            f"{titles} can tell a model from a pool: run an A/A rollout (policies/candidates/same.yaml), then "
            f"`gatectl lane noise {lane}`"
        )
        return [], [unknown]
    refused: list[str] = []
    warned: list[str] = []
    for at, item in ratios:
        fault = _too_tight(item, found)
        if fault is not None:
            (refused if item.role is Role.GUARDRAIL else warned).append(f"criteria.{at}: {item.title} {fault}")
    return refused, warned


def _too_tight(item: Criterion, found: LaneNoise) -> str | None:
    """Return what is wrong with a ratio on these replicas, and what to do."""
    noise = found.of(item.metric)
    if item.max_ratio is None or noise is None:
        return None
    if item.block_s is not None:
        needed_s = BLOCK_CORRELATIONS * (noise.correlation_s or 0.0)
        if item.block_s >= needed_s:
            return None
        return (
            f"is judged by blocks of {item.block_s:g} s, but what replicas differ by lasts about "
            f"{noise.correlation_s:,.0f} s on lane {found.lane}: set block_s to {math.ceil(needed_s):,} or more"
        )
    if item.max_ratio >= noise.smallest_ratio:
        return None
    least = math.ceil(100.0 * noise.smallest_ratio) / 100.0
    blocks = "add `test: block`" if item.statistic == "p50" else "judge p50 with `test: block`"
    return (
        f"allows {item.max_ratio:.2f}x, but replicas of one and the same model differ by s = {noise.sigma:.3f} on lane "
        f"{found.lane} ({found.source}), which supports {least:.2f}x or more: raise it, or {blocks}"
    )
