"""The judge: a pure fold of what was read, one unit of evidence at a time, into an assessment.

A *unit* is one window of one epoch. Every criterion reads each unit exactly once, at its own fixed age; the units it
reads, and nothing else, move its e-processes. The list of units is stored with the decision, so folding it again
under the same policy gives the same assessment bit for bit.

The false-revert budget is spent by the weighted average of the guardrails' harm e-processes, which stays an e-process
under any dependence of the criteria (statistics reference §8.1), so it holds over all criteria, looks and stages.
Promotion is an intersection: every guardrail must prove its own safety, and no correction is needed (§8.3).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core.policy import METRICS, Criterion, Policy, Role
from controller.core.reasons import amount, verdict_of
from controller.core.rollout import Epoch
from controller.core.verdict import Assessment, Verdict, allowed_text, finding
from controller.stats import budget, sample_ratio
from controller.stats import criterion as criteria
from controller.stats.bins import Axis
from controller.stats.criterion import CriterionSetting, ProcessState, Reading, Statistic
from controller.stats.elementary import log_of
from controller.stats.tally import WINDOW_S, Arm, WindowTally

ENGINE = 5
"""Which numbers evidence leads to: raised whenever constants or formulas change so that it leads to others.

Stored beside each assessment, so that a later version knows which ones it can recompute.
"""
SCORE_SETTLE_S = 5.0
"""How long after a request's timeout its scores may still arrive."""
LOG_SAMPLE_RATIO_NEEDED = log_of(1000)  # alpha 0.001, outside the rollout's budget
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """One window of one epoch as read by some of the processes (indices into `Judge.processes`)."""

    window: int
    epoch: int
    stage: int
    share: float
    readers: tuple[int, ...]
    tally: WindowTally

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "window": self.window,
            "epoch": self.epoch,
            "stage": self.stage,
            "share": self.share,
            "readers": list(self.readers),
            "tally": self.tally.to_json(),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Unit":
        """Parse what `to_json` returned."""
        return Unit(
            **{
                **value,
                "readers": tuple(value["readers"]),
                "tally": WindowTally.from_json(value["tally"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """The state of the fold.

    `processes` holds one per criterion of the policy, then one for the share of invalid values. `mirrors` holds, for
    criteria with an absolute limit, the same test on the incumbent. `cursors` holds the last position each process
    read; `images` counts, per process and stage, the candidate requests it read.
    """

    policy: Policy
    processes: tuple[ProcessState, ...]
    mirrors: Mapping[int, ProcessState]
    cursors: tuple[Position, ...]
    images: tuple[Mapping[int, int], ...]
    sample_ratio: sample_ratio.SampleRatio
    last_evidence_s: float | None = None


def start(policy: Policy, timeout_s: float, history: WindowTally, *, interval: bool = True) -> Judge:
    """Return a judge that has read nothing but the incumbent's `history`.

    `interval`: keep the confidence sequences of the changes, which reports show and no decision uses.
    """
    settings = [replace(setting_of(item, timeout_s), interval=interval) for item in policy.criteria]
    invalid = CriterionSetting(
        metric="invalid",
        axis=Axis.BINARY,
        higher_is_worse=True,
        statistic=Statistic.RATE,
        limit=policy.max_invalid_share,
        timeout_s=timeout_s,
        interval=interval,
    )
    processes = tuple(criteria.start(setting, history) for setting in (*settings, invalid))
    return Judge(
        policy=policy,
        processes=processes,
        mirrors={
            index: criteria.start(setting, WindowTally())
            for index, setting in enumerate(settings)
            if setting.limit is not None
        },
        cursors=((-1, -1),) * len(processes),
        images=({},) * len(processes),
        sample_ratio=sample_ratio.start(),
    )


def setting_of(item: Criterion, timeout_s: float) -> CriterionSetting:
    """Return what the statistics need to know of a criterion."""
    metric = METRICS[item.metric]
    return CriterionSetting(
        metric=metric.name,
        axis=metric.axis,
        higher_is_worse=metric.higher_is_worse,
        statistic=Statistic(item.statistic),
        max_ratio=item.max_ratio,
        max_increase=item.max_increase,
        max_drop=item.max_drop,
        limit=item.limit,
        timeout_s=timeout_s,
        settle_s=SCORE_SETTLE_S if metric.axis is Axis.SCORE else 0.0,
        block_s=item.block_s,
    )


def fold(judge: Judge, unit: Unit) -> Judge:
    """Return the judge after its `unit.readers` read the unit."""
    reading = Reading(epoch=unit.epoch, window=unit.window, share=unit.share, tally=unit.tally)
    mirrored = replace(reading, share=1 - unit.share, tally=unit.tally.swapped())
    processes, cursors, images = list(judge.processes), list(judge.cursors), list(judge.images)
    mirrors = dict(judge.mirrors)
    n_candidate = unit.tally.assigned(Arm.CANDIDATE)
    last_s = judge.last_evidence_s
    if n_candidate:
        # Readers of different age: a window may be read by the last of them long after a later one was by the first.
        last_s = max((unit.window + 1.0) * WINDOW_S, last_s or 0.0)
    for index in unit.readers:
        processes[index] = criteria.fold(processes[index], reading)
        cursors[index] = (unit.window, unit.epoch)
        images[index] = {**images[index], unit.stage: images[index].get(unit.stage, 0) + n_candidate}
        if index in mirrors:
            mirrors[index] = criteria.fold(mirrors[index], mirrored)
    judge = replace(
        judge,
        processes=tuple(processes),
        cursors=tuple(cursors),
        images=tuple(images),
        mirrors=mirrors,
        last_evidence_s=last_s,
    )
    # The last process reads every unit once, at the age at which nothing changes any more.
    if len(processes) - 1 in unit.readers and 0 < unit.share < 1:
        counted = sample_ratio.fold(judge.sample_ratio, unit.share, unit.tally.assigned(Arm.INCUMBENT), n_candidate)
        judge = replace(judge, sample_ratio=counted)
    return judge


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the gateways flushed: (window, epoch) -> replica -> tally, and each replica's watermark.

    A live replica must have flushed up to a unit's age before anybody reads the unit; of a dead one only what it
    had flushed by then counts, for both arms alike.
    """

    units: Mapping[Position, Mapping[str, WindowTally]]
    watermarks_s: Mapping[str, float]
    live: frozenset[str] = field(default_factory=frozenset)

    def read(self, position: Position, age_s: float) -> WindowTally | None:
        """Return a unit's tally at an age in seconds after its window's end, None while a live replica is behind."""
        needed_s = (position[0] + 1) * WINDOW_S + age_s
        if any(self.watermarks_s[replica] < needed_s for replica in self.live):
            return None
        total = WindowTally()
        for replica, tally in sorted(self.units[position].items()):
            if self.watermarks_s.get(replica, -math.inf) >= needed_s:
                total += tally
        return total


def advance(judge: Judge, evidence: Evidence, epochs: Sequence[Epoch]) -> tuple[Judge, tuple[Unit, ...]]:
    """Read every unit that is due, each process in order, and return the judge and the units as read."""
    by_epoch = {item.epoch: item for item in epochs}
    waiting: set[int] = set()  # processes that met a unit too young for them: nothing later before it
    read: list[Unit] = []
    for position in sorted(evidence.units):
        epoch = by_epoch.get(position[1])
        if epoch is None:
            continue
        for tally, readers in _due(judge, evidence, position, waiting):
            unit = Unit(
                window=position[0],
                epoch=position[1],
                stage=epoch.stage,
                share=1 - epoch.share if epoch.flipped else epoch.share,
                readers=tuple(readers),
                tally=tally.swapped() if epoch.flipped else tally,
            )
            judge = fold(judge, unit)
            read.append(unit)
    return judge, tuple(read)


def _due(
    judge: Judge, evidence: Evidence, position: Position, waiting: set[int]
) -> list[tuple[WindowTally, list[int]]]:
    """Return what the processes see at a position, each distinct tally once, and mark those that must wait."""
    seen: list[tuple[WindowTally, list[int]]] = []
    for index, process in enumerate(judge.processes):
        if index in waiting or judge.cursors[index] >= position:
            continue
        tally = evidence.read(position, criteria.age_s(process, position[0]))
        if tally is None:
            waiting.add(index)
            continue
        for known, readers in seen:
            if known == tally:
                readers.append(index)
                break
        else:
            seen.append((tally, [index]))
    return seen


def assess(judge: Judge) -> Assessment:
    """Return what the evidence read so far says."""
    policy = judge.policy
    summaries = [criteria.summary(process) for process in judge.processes[: len(policy.criteria)]]
    guardrails = [index for index, item in enumerate(policy.criteria) if item.role is Role.GUARDRAIL]
    log_harms = [summaries[index].log_harm for index in guardrails]
    weights = [policy.criteria[index].weight for index in guardrails]
    log_harm = budget.combine(log_harms, weights)
    log_needed = -log_of(policy.budget.false_revert)
    harmful = log_harm >= log_needed
    confirmed = budget.attribute(log_harms, weights, policy.budget.false_revert) if harmful else ()
    failed = {guardrails[index] for index in confirmed}
    leading = guardrails[max(range(len(guardrails)), key=lambda i: log_harms[i] + log_of(weights[i]))]
    failed |= _would_fail(policy, summaries)
    verdicts = tuple(
        verdict_of(item, policy.budget, summary, failed=index in failed)
        for index, (item, summary) in enumerate(zip(policy.criteria, summaries, strict=True))
    )
    images = min((judge.images[index].get(_latest_stage(judge), 0) for index in guardrails), default=0)
    return Assessment(
        verdicts=verdicts,
        log_harm=log_harm,
        log_needed=log_needed,
        harm=_harm_reason(policy, summaries, leading, log_harm, confirmed=leading in failed) if harmful else None,
        safe=all(_proven(policy.criteria[index], verdicts[index].verdict) for index in guardrails),
        evident=all(verdicts[index].verdict is not Verdict.NO_EVIDENCE for index in guardrails),
        elevated=log_harm >= log_needed / 2,
        images=images,
        log_sample_ratio=sample_ratio.log_e(judge.sample_ratio),
        untrusted=_untrusted(judge),
        environment=_environment(judge, summaries),
        last_evidence_s=judge.last_evidence_s,
        stage=_latest_stage(judge),
    )


def _would_fail(policy: Policy, summaries: Sequence[criteria.Summary]) -> set[int]:
    """Return the dry runs for which the rollout would be reverted if every dry run were a guardrail."""
    tried = [index for index, item in enumerate(policy.criteria) if item.role is not Role.WATCH]
    dry = {index for index in tried if policy.criteria[index].role is Role.DRY_RUN}
    if not dry:
        return set()
    log_harms = [summaries[index].log_harm for index in tried]
    weights = [policy.criteria[index].weight for index in tried]
    confirmed = budget.attribute(log_harms, weights, policy.budget.false_revert)
    return dry & {tried[index] for index in confirmed}


def _latest_stage(judge: Judge) -> int:
    return max((stage for images in judge.images for stage in images), default=0)


def _proven(item: Criterion, verdict: Verdict) -> bool:
    # The whole-law test only looks for harm; it can't prove safety, so it never stands in the way of promotion.
    return verdict is Verdict.PASS or (item.statistic == Statistic.LAW and verdict is not Verdict.FAIL)


def _harm_reason(
    policy: Policy, summaries: Sequence[criteria.Summary], leading: int, log_harm: float, *, confirmed: bool
) -> str:
    needed = 1 / policy.budget.false_revert
    cause = finding(policy.criteria[leading], summaries[leading])
    doubt = "" if confirmed else ", the largest of several contributions"
    return f"{cause}{doubt}; evidence {amount(log_harm)} of {needed:,.3g} needed"


def _untrusted(judge: Judge) -> str | None:
    log_e = sample_ratio.log_e(judge.sample_ratio)
    if log_e >= LOG_SAMPLE_RATIO_NEEDED:
        return f"the assignment does not match the recorded share (evidence {amount(log_e)} of 1,000 needed)"
    invalid = criteria.summary(judge.processes[-1])
    if invalid.log_harm >= -log_of(judge.policy.budget.false_revert):
        return (
            f"{100 * (invalid.candidate or 0):.1f} % of the candidate's values are invalid "
            f"({invalid.n_candidate} images, allowed {100 * judge.policy.max_invalid_share:.1f} %)"
        )
    return None


def _environment(judge: Judge, summaries: Sequence[criteria.Summary]) -> str | None:
    log_needed = -log_of(judge.policy.budget.false_revert)
    for index, mirror in judge.mirrors.items():
        if summaries[index].log_harm >= log_needed and criteria.summary(mirror).log_harm >= log_needed:
            item = judge.policy.criteria[index]
            return f"both arms breach {item.title} {allowed_text(item)}: {finding(item, summaries[index])}"
    return None
