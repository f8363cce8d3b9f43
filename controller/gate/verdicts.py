"""From the evidence on every criterion to one verdict on the candidate, with the sentences that explain it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.core.policy import Budget, Criterion, Role
from controller.core.reasons import amount, verdict_of
from controller.core.verdict import CriterionVerdict, Verdict, finding
from controller.stats import budget as budgets
from controller.stats.criterion import Statistic, Summary


@dataclass(frozen=True, slots=True)
class Evidence:
    """One criterion's evidence; `lack`: why what is missing forbids a verdict, None when little enough is."""

    item: Criterion
    summary: Summary
    lack: str | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """All criteria weighed against the budget; `failed`: indices of the guardrails confirmed as breached."""

    evidence: tuple[Evidence, ...]
    verdicts: tuple[CriterionVerdict, ...]
    budget: Budget
    log_harm: float
    failed: frozenset[int]

    @property
    def guardrails(self) -> tuple[int, ...]:
        """Return the indices of the guardrails."""
        return _with_role([item.item for item in self.evidence], Role.GUARDRAIL)

    @property
    def draws_nothing(self) -> bool:
        """Say whether the candidate is proven to fail to draw."""
        return any(self.evidence[index].item.metric == "failure" for index in self.failed)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on the candidate: only proof of every guardrail is a pass."""
        if self.log_harm >= -math.log(self.budget.false_revert):
            return Verdict.FAIL
        verdicts = {self.verdicts[index].verdict for index in self.guardrails}
        if Verdict.NO_EVIDENCE in verdicts:
            return Verdict.NO_EVIDENCE
        return Verdict.INCONCLUSIVE if self.unproven or not self.guardrails else Verdict.PASS

    @property
    def unproven(self) -> tuple[int, ...]:
        """Return the guardrails that still stand in the way; the whole-law test proves nothing, so it never does."""
        return tuple(
            index
            for index in self.guardrails
            if self.verdicts[index].verdict is not Verdict.PASS and self.evidence[index].item.statistic != Statistic.LAW
        )

    def reason(self, verdict: Verdict, pairs: int, repeats: int) -> str:
        """Return one sentence with the numbers that decided."""
        drawn = f"{pairs} pairs, {repeats} {'repeat' if repeats == 1 else 'repeats'}"
        match verdict:
            case Verdict.FAIL:
                return self._harm(drawn)
            case Verdict.PASS:
                return f"every guardrail is proven within its allowed change ({drawn})"
            case Verdict.NO_EVIDENCE:
                blind = [self.verdicts[i] for i in self.guardrails if self.verdicts[i].verdict is Verdict.NO_EVIDENCE]
                return f"no evidence on {', '.join(item.title for item in blind)} ({drawn}): {blind[0].reason}"
            case Verdict.INCONCLUSIVE if self.unproven:
                return f"undecided ({drawn}): {'; '.join(self.verdicts[index].reason for index in self.unproven)}"
            case Verdict.INCONCLUSIVE:
                return f"every guardrail is proven so far ({drawn}), before the declared number of repeats"

    def _harm(self, drawn: str) -> str:
        def rank(index: int) -> tuple[bool, float, int]:
            item = self.evidence[index].item
            pull = self.evidence[index].summary.log_harm + math.log(item.weight)
            return not (item.metric == "failure" and index in self.failed), -pull, index

        def found(indices: Sequence[int]) -> str:
            return "; ".join(finding(self.evidence[i].item, self.evidence[i].summary) for i in indices)

        log_needed = -math.log(self.budget.false_revert)
        cause, *others = sorted(self.guardrails, key=rank)
        confirmed = [index for index in others if index in self.failed]
        suspected = [i for i in others if i not in self.failed and self.evidence[i].summary.log_harm >= log_needed / 2]
        doubt = "" if cause in self.failed else ", the largest of several contributions"
        return (
            f"{found([cause, *confirmed])}{doubt}; evidence {amount(self.log_harm)} of "
            f"{1 / self.budget.false_revert:,.3g} needed ({drawn})"
            + (f"; suspected as well: {found(suspected)}" if suspected else "")
        )


def weigh(budget: Budget, evidence: Sequence[Evidence]) -> Weighed:
    """Return every verdict: guardrails share the false-revert budget, and each must prove its own safety."""
    items = [one.item for one in evidence]
    guardrails = _with_role(items, Role.GUARDRAIL)
    log_harm = budgets.combine(*_spent(evidence, guardrails))
    harmful = log_harm >= -math.log(budget.false_revert)
    failed = frozenset(_confirmed(evidence, guardrails, budget) if harmful else ())
    dry = frozenset(_with_role(items, Role.DRY_RUN))
    would_fail = dry & _confirmed(evidence, (*guardrails, *dry), budget) if dry else dry
    verdicts = tuple(
        _judged(one, verdict_of(one.item, budget, one.summary, failed=index in failed | would_fail))
        for index, one in enumerate(evidence)
    )
    return Weighed(tuple(evidence), verdicts, budget, log_harm, failed)


def _judged(one: Evidence, verdict: CriterionVerdict) -> CriterionVerdict:
    if one.lack is None or verdict.verdict in {Verdict.FAIL, Verdict.NO_EVIDENCE}:
        return verdict
    return replace(verdict, verdict=Verdict.NO_EVIDENCE, reason=f"{finding(one.item, one.summary)}; {one.lack}")


def _confirmed(evidence: Sequence[Evidence], among: Sequence[int], budget: Budget) -> frozenset[int]:
    confirmed = budgets.attribute(*_spent(evidence, among), budget.false_revert)
    return frozenset(among[index] for index in confirmed)


def _spent(evidence: Sequence[Evidence], among: Sequence[int]) -> tuple[list[float], list[float]]:
    """Return evidence of harm and weight of the criteria with these indices."""
    return [evidence[index].summary.log_harm for index in among], [evidence[index].item.weight for index in among]


def _with_role(items: Sequence[Criterion], role: Role) -> tuple[int, ...]:
    return tuple(index for index, item in enumerate(items) if item.role is role)
