"""The verdict on one criterion, with the sentence that says why and what would change it."""

import math

from controller.core.policy import Budget, Criterion, Role
from controller.core.verdict import CriterionVerdict, Verdict, allowed_text, finding
from controller.stats.criterion import Statistic, Summary
from controller.stats.elementary import log_of


def verdict_of(item: Criterion, budget: Budget, summary: Summary, *, failed: bool) -> CriterionVerdict:
    """Return the verdict on a criterion; `failed`: the rollout's budget is spent (or would be) for this one."""
    log_pass = -log_of(budget.false_promote)
    if failed or (item.role is Role.WATCH and summary.log_harm >= -log_of(budget.false_revert)):
        verdict, why = Verdict.FAIL, f"evidence of harm {amount(summary.log_harm)}: {_AFTER_FAIL[item.role]}"
    elif summary.candidate is None or summary.incumbent is None:
        verdict, why = Verdict.NO_EVIDENCE, _absent(summary)
    elif summary.log_safety >= log_pass:
        verdict, why = Verdict.PASS, f"evidence of safety {amount(summary.log_safety)}; only harm would change it"
    else:
        verdict, why = Verdict.INCONCLUSIVE, _undecided(item, summary, log_pass)
    reason = f"{finding(item, summary)}; {why}"
    return CriterionVerdict(item.title, item.role, allowed_text(item), verdict, reason, summary)


_AFTER_FAIL = {
    Role.GUARDRAIL: "it stands; mend the candidate or declare a wider change in a new rollout",
    Role.WATCH: "it is watched, so nothing follows from it",
    Role.DRY_RUN: "as a guardrail it would have reverted; in a dry run nothing follows from it",
}


def amount(log_e: float) -> str:
    """Return an amount of evidence as people write it: `164`, `1e12`."""
    return f"{math.exp(log_e):,.3g}" if log_e < math.log(1e6) else f"1e{log_e / math.log(10):.0f}"


def images_to_pass(summary: Summary, log_pass: float) -> int | None:
    """Return how many more candidate images safety below `log_pass` needs at its pace, None when it does not grow."""
    if summary.log_safety <= 0 or summary.n_candidate == 0:
        return None
    return math.ceil(summary.n_candidate * (log_pass - summary.log_safety) / summary.log_safety)


def _absent(summary: Summary) -> str:
    arms = [
        f"{name}: {count} read, {missing} without a value"
        for name, value, count, missing in (
            ("incumbent", summary.incumbent, summary.n_incumbent, summary.missing_incumbent),
            ("candidate", summary.candidate, summary.n_candidate, summary.missing_candidate),
        )
        if value is None
    ]
    return f"no evidence ({'; '.join(arms)}); the first value of each arm would change it"


def _undecided(item: Criterion, summary: Summary, log_pass: float) -> str:
    if item.statistic == Statistic.LAW:
        return "no harm found; this test proves nothing else, and nothing waits for it"
    more = images_to_pass(summary, log_pass)
    if more is None:
        return (
            "undecided, and the images so far do not point towards safety; more of them may, a wider allowed change "
            "or a better candidate would"
        )
    return f"undecided; about {more:,} more candidate images at this rate of evidence"
