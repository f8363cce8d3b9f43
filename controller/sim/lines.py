"""How far each process of a judge has read, and when anything that a decision looks at changes next.

Every process reads every window at its own age. `Lines` folds them ahead of the simulated time, window by window,
and looks along the paths for the first moment at which a sign that an event could depend on flips. Between two such
moments `observe` would say the same, so the simulation skips them; at each of them the core is asked for real. The
signs only say when to ask, never what the answer is: a run that asks at every moment ends the same (tested).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.core.batch import Said, Slot, Span, fold_slot
from controller.core.judge import LOG_SAMPLE_RATIO_NEEDED
from controller.core.policy import Policy, Role
from controller.stats import criterion, report, sample_ratio
from controller.stats.columns import Bools, Floats, Ints
from controller.stats.course import Course
from controller.stats.setting import Statistic
from controller.stats.tally import WINDOW_S
from controller.stats.wealth import log_sum


@dataclass(frozen=True, slots=True)
class Read:
    """One process and one span, of which it reads the windows from `first` on.

    Where it stood before and stands after, what it said, when it read each window.
    """

    first: int
    span: Span
    before: Slot
    after: Slot
    said: Said
    times_s: Floats

    def read_by(self, now_s: float) -> int:
        """Return how many windows were read by a moment."""
        return int(np.searchsorted(self.times_s, now_s, side="right"))


class Lines:
    """All processes of one judge, from the same moment on."""

    def __init__(self, policy: Policy, slots: Sequence[Slot]) -> None:
        self._policy = policy
        self._slots = tuple(slots)  # where each stood before the first read kept
        self._spans: list[Span] = []
        self._reads: list[list[Read]] = [[] for _ in slots]  # of each process, one for each span
        self._guardrails = [i for i, item in enumerate(policy.criteria) if item.role is Role.GUARDRAIL]
        # The whole-law test proves no safety, and the core never asks it to.
        self._provable = [i for i in self._guardrails if policy.criteria[i].statistic != Statistic.LAW]
        weights = np.array([policy.criteria[i].weight for i in self._guardrails])
        self._log_weights = np.log(weights / weights.sum())[:, None]

    def extend(self, span: Span, firsts: Sequence[int] | None = None) -> None:
        """Let every process read on in a span, from the window `firsts[process]` on."""
        for index, reads in enumerate(self._reads):
            first = firsts[index] if firsts else 0
            part = span.part(first, len(span.windows))
            before = reads[-1].after if reads else self._slots[index]
            after, said = fold_slot(before, part)
            times_s = (part.windows + 1.0) * WINDOW_S + said.path.age_s
            earliest_s = max((float(read.times_s[-1]) for read in reads if len(read.times_s)), default=-math.inf)
            times_s = np.maximum.accumulate(np.maximum(times_s, earliest_s))
            reads.append(Read(first, part, before, after, said, times_s))
        self._spans.append(span)

    def slots(self, now_s: float) -> tuple[Slot, ...]:
        """Return where every process stands at a moment."""
        return tuple(self._slot(index, now_s) for index in range(len(self._reads)))

    def forget(self, now_s: float) -> None:
        """Let go of the spans that every process has read by a moment."""
        while self._spans and all(reads[0].read_by(now_s) == len(reads[0].times_s) for reads in self._reads):
            self._slots = tuple(reads.pop(0).after for reads in self._reads)
            self._spans.pop(0)

    def cut(self, now_s: float, last: Span) -> None:
        """Put `last`, the requests that came before this moment, in the place of the last span."""
        slots = self.slots(now_s)
        ahead = [
            (span, [reads[at].first + reads[at].read_by(now_s) for reads in self._reads])
            for at, span in enumerate([*self._spans[:-1], last])
        ]
        self._slots, self._spans, self._reads = slots, [], [[] for _ in slots]
        for span, firsts in ahead:
            self.extend(span, firsts)

    def _slot(self, index: int, now_s: float) -> Slot:
        slot = self._slots[index]
        for read in self._reads[index]:
            n = read.read_by(now_s)
            if n < len(read.times_s):
                return fold_slot(read.before, read.span.part(0, n))[0]
            slot = read.after
        return slot

    def moments(self, after_s: float, until_s: float) -> Floats:
        """Return every moment in (after_s, until_s] at which a process reads something."""
        every = np.concatenate([np.zeros(0), *(read.times_s for reads in self._reads for read in reads)])
        return np.unique(every[(every > after_s) & (every <= until_s)])

    def next_flip(self, after_s: float, until_s: float, min_images: int, *, proof: bool) -> float | None:
        """Return the first moment in (after_s, until_s] at which a sign is not what it was at `after_s`.

        `min_images`, `proof`: what the rollout's stage asks for.
        """
        if self._is_steady(min_images, proof=proof):
            return None
        moments = self.moments(after_s, until_s)
        if not len(moments):
            return None
        flags = self._flags(np.append(after_s, moments), min_images, proof=proof)
        flipped = np.flatnonzero((flags[:, 1:] != flags[:, :1]).any(axis=0))
        return float(moments[flipped[0]]) if flipped.size else None

    def images(self, now_s: float) -> int:
        """Return the candidate requests that a process has read by a moment, of the one that has read most."""
        return max(
            sum(slot.images.values()) + sum(int(read.span.candidates[: read.read_by(now_s)].sum()) for read in reads)
            for slot, reads in zip(self._slots, self._reads, strict=True)
        )

    def silent_until(self, since_s: float, patience_s: float) -> float:
        """Return when nothing will have been heard of a candidate request for so long, as far as was read ahead."""
        latest_s = max(since_s, *(slot.last_evidence_s or since_s for slot in self._slots))
        for at, span in enumerate(self._spans):
            heard_s = np.full(len(span.windows), np.inf)
            for read in (reads[at] for reads in self._reads):
                heard_s[: read.first] = -np.inf
                np.minimum(heard_s[read.first :], read.times_s, out=heard_s[read.first :])
            shown = span.candidates > 0
            ends_s = np.maximum((span.windows[shown] + 1.0) * WINDOW_S, latest_s)
            before_s = np.append(latest_s, ends_s)
            silent = np.flatnonzero(heard_s[shown] > before_s[:-1] + patience_s)
            if silent.size:
                return float(before_s[silent[0]] + patience_s)
            latest_s = float(before_s[-1])
        return latest_s + patience_s

    def _is_steady(self, min_images: int, *, proof: bool) -> bool:
        """Say whether bounds show that no sign is given at any moment that was read ahead, so that none flips."""
        log_fail = -math.log(self._policy.budget.false_revert)
        harms = [self._bound(index, lambda said: said.path.harm, 0) for index in range(len(self._slots))]
        weighted = np.array([harms[index] for index in self._guardrails]) + self._log_weights[:, 0]
        if log_sum(weighted.tolist()) >= log_fail or harms[-1] >= log_fail:
            return False
        counted = self._slots[-1].sample_ratio
        courses = (read.said.sample_ratio for read in self._reads[-1])
        ratios = [0.0 if counted is None else sample_ratio.log_e(counted), *(c.bound() for c in courses if c)]
        if max(ratios) >= LOG_SAMPLE_RATIO_NEEDED:
            return False
        if any(slot.mirror is not None and harms[at] >= log_fail for at, slot in enumerate(self._slots)):
            return False
        return not self._may_be_ready(min_images, proof=proof)

    def _may_be_ready(self, min_images: int, *, proof: bool) -> bool:
        """Say whether the stage could have all it asks for at some moment that was read ahead."""
        for index in self._guardrails:
            after = self._reads[index][-1].after if self._reads[index] else self._slots[index]
            few = after.images.get(max(after.images, default=-1), 0) < min_images
            if few or after.process.candidate.n < self._policy.criteria[index].min_images:
                return False
        if not proof:
            return True
        log_pass = -math.log(self._policy.budget.false_promote)
        return all(self._bound(index, lambda said: said.path.safety, 1) >= log_pass for index in self._provable)

    def _bound(self, index: int, course: Callable[[Said], Course], side: int) -> float:
        """Return what a process's log e-value never exceeds; `side`: 0 for harm, 1 for safety."""
        first = report.log_e_values(self._slots[index].process)[side]
        return max(first, *(course(read.said).bound() for read in self._reads[index]), -math.inf)

    def _flags(self, moments: Floats, min_images: int, *, proof: bool) -> Bools:
        """Return every sign (rows) at every moment; which side of its threshold a number stands on."""
        policy = self._policy
        log_fail, log_pass = -math.log(policy.budget.false_revert), -math.log(policy.budget.false_promote)
        series = [self._series(index, moments) for index in range(len(self._reads))]
        guardrails = [series[index] for index in self._guardrails]
        weighted = np.array([item.log_harm for item in guardrails]) + self._log_weights
        highest = weighted.max(axis=0)
        log_harm = highest + np.log(np.exp(weighted - highest).sum(axis=0))
        ready = (
            (np.min([item.images for item in guardrails], axis=0) >= min_images)
            & (log_harm < log_fail / 2)
            & (np.min([item.evident for item in guardrails], axis=0) > 0)
        )
        for index in self._guardrails:
            ready &= series[index].n_candidate >= policy.criteria[index].min_images
        if proof:
            ready &= (
                np.min([series[index].log_safety for index in self._provable], axis=0, initial=math.inf) >= log_pass
            )
        mirrored = [item for item in series if item.mirrored]
        return np.array(
            [
                log_harm >= log_fail,
                ready,
                series[-1].log_harm >= log_fail,
                series[-1].log_sample_ratio >= LOG_SAMPLE_RATIO_NEEDED,
                *((item.log_harm >= log_fail) & (item.mirror_harm >= log_fail) for item in mirrored),
            ]
        )

    def _series(self, index: int, moments: Floats) -> "_Series":
        slot, reads = self._slots[index], self._reads[index]
        n_read = np.searchsorted(np.concatenate([np.zeros(0), *(read.times_s for read in reads)]), moments, "right")
        first = criterion.summary(slot.process)
        mirror = report.log_e_values(slot.mirror)[0] if slot.mirror is not None else 0.0
        ratio = sample_ratio.log_e(slot.sample_ratio) if slot.sample_ratio is not None else 0.0
        stages = [np.array([max(slot.images, default=-1)]), *(np.full(len(r.times_s), r.span.stage) for r in reads)]
        latest = np.concatenate(stages)
        counts = [np.zeros(1, np.int64), *(read.span.candidates for read in reads)]
        images = np.cumsum(np.where(latest == latest[-1], np.concatenate(counts), 0))
        images += slot.images.get(int(latest[-1]), 0)

        def path(initial: float, *later: Floats) -> Floats:
            values = np.concatenate((np.array([initial]), *later))
            return values[n_read] if later else np.full(len(n_read), initial)

        return _Series(
            log_harm=path(first.log_harm, *(read.said.path.log_harm for read in reads)),
            log_safety=path(first.log_safety, *(read.said.path.log_safety for read in reads)),
            mirror_harm=path(mirror, *(read.said.mirror.values() for read in reads if read.said.mirror)),
            log_sample_ratio=path(
                ratio, *(read.said.sample_ratio.values() for read in reads if read.said.sample_ratio)
            ),
            evident=path(
                float(None not in {first.incumbent, first.candidate}),
                *(read.said.path.evident.astype(np.float64) for read in reads),
            ),
            images=images[n_read],
            n_candidate=path(first.n_candidate, *(read.said.path.n_candidate.astype(np.float64) for read in reads)),
            mirrored=slot.mirror is not None,
        )


@dataclass(frozen=True, slots=True)
class _Series:
    """The numbers of one process at given moments; `images` of the last stage that it will have read."""

    log_harm: Floats
    log_safety: Floats
    mirror_harm: Floats
    log_sample_ratio: Floats
    evident: Floats
    images: Ints
    n_candidate: Floats
    mirrored: bool
