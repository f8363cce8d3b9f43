"""The judge's fold over many windows at once: what `judge.fold` does unit by unit, one process after the other.

A `Slot` is everything a judge keeps of one process, so that processes at different ages can be folded apart and be
put together into the `Judge` of any moment, for `judge.assess` to say what it means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.core.judge import Judge, Position
from controller.core.policy import Policy
from controller.stats import sample_ratio
from controller.stats.batch import Path, fold_many
from controller.stats.columns import Columns, Ints
from controller.stats.course import Course
from controller.stats.sample_ratio import SampleRatio
from controller.stats.state import ProcessState
from controller.stats.tally import WINDOW_S


@dataclass(frozen=True, slots=True)
class Span:
    """Windows of one epoch: `share` and the arms are the rollout's; `candidates`: requests per window."""

    epoch: int
    stage: int
    share: float
    columns: Mapping[str, Columns]
    windows: Ints
    incumbents: Ints
    candidates: Ints

    def part(self, first: int, last: int) -> "Span":
        """Return the windows first..last - 1 (positions)."""
        return replace(
            self,
            columns={metric: item.part(first, last) for metric, item in self.columns.items()},
            windows=self.windows[first:last],
            incumbents=self.incumbents[first:last],
            candidates=self.candidates[first:last],
        )


@dataclass(frozen=True, slots=True)
class Slot:
    """One process of a judge with its mirror, place and counts; `sample_ratio` is kept by the last process."""

    process: ProcessState
    mirror: ProcessState | None
    cursor: Position
    images: Mapping[int, int]
    sample_ratio: SampleRatio | None
    last_evidence_s: float | None


@dataclass(frozen=True, slots=True)
class Said:
    """What a slot said after each window; `mirror` (harm) and `sample_ratio` are None where it keeps none."""

    path: Path
    mirror: Course | None
    sample_ratio: Course | None


def slots_of(judge: Judge) -> tuple[Slot, ...]:
    """Take a judge apart; it must keep no confidence sequences."""
    last = len(judge.processes) - 1
    return tuple(
        Slot(
            process=process,
            mirror=judge.mirrors.get(index),
            cursor=judge.cursors[index],
            images=judge.images[index],
            sample_ratio=judge.sample_ratio if index == last else None,
            last_evidence_s=judge.last_evidence_s,
        )
        for index, process in enumerate(judge.processes)
    )


def judge_of(policy: Policy, slots: Sequence[Slot]) -> Judge:
    """Put a judge together from its slots."""
    counted = slots[-1].sample_ratio
    assert counted is not None
    return Judge(
        policy=policy,
        processes=tuple(slot.process for slot in slots),
        mirrors={index: slot.mirror for index, slot in enumerate(slots) if slot.mirror is not None},
        cursors=tuple(slot.cursor for slot in slots),
        images=tuple(slot.images for slot in slots),
        sample_ratio=counted,
        last_evidence_s=max((s.last_evidence_s for s in slots if s.last_evidence_s is not None), default=None),
    )


def fold_slot(slot: Slot, span: Span) -> tuple[Slot, Said]:
    """Let one process read all windows of a span; return what it said after each."""
    columns = span.columns[slot.process.setting.metric]
    process, path = fold_many(slot.process, span.share, columns)
    mirror = counted = mirror_harm = log_sample_ratio = None
    if slot.mirror is not None:
        mirror, mirrored = fold_many(slot.mirror, 1 - span.share, columns.swapped())
        mirror_harm = mirrored.harm
    if slot.sample_ratio is not None:
        counted, log_sample_ratio = sample_ratio.fold_many(
            slot.sample_ratio, span.share, span.incumbents, span.candidates
        )
    said = Said(path, mirror_harm, log_sample_ratio)
    if not len(span.windows):
        return slot, said
    seen = span.windows[span.candidates > 0]
    images = slot.images.get(span.stage, 0) + int(span.candidates.sum())
    after = Slot(
        process=process,
        mirror=mirror,
        cursor=(int(span.windows[-1]), span.epoch),
        images={**slot.images, span.stage: images},
        sample_ratio=counted,
        last_evidence_s=(int(seen[-1]) + 1.0) * WINDOW_S if len(seen) else slot.last_evidence_s,
    )
    return after, said
