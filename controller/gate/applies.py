"""Which metric says something about which prompt, and why a gate could not judge what it declares."""

from collections.abc import Callable, Collection, Mapping

from controller.core.policy import METRICS, Budget, Criterion, Gate, Policy, Role
from controller.core.suite import Prompt, Suite
from controller.core.verdict import allowed_text
from controller.gate.proof import pairs_to_pass

Applies = Callable[[Prompt], bool]
STABILITY_REPEATS = 2
"""Stability is measured over the images of a prompt in blocks of so many repeats, so blocks share no image."""

EXPECTED: Mapping[str, tuple[str, Applies]] = {
    "text_accuracy": ("text", lambda prompt: prompt.expect.text is not None),
    "words": ("text", lambda prompt: prompt.expect.text is not None),
    "no_text": ("no_text", lambda prompt: prompt.expect.no_text),
    "objects": ("things", lambda prompt: bool(prompt.expect.things)),
    "logo": ("logo", lambda prompt: prompt.expect.logo is not None),
}
"""Metric -> what a prompt must expect for it, in words and as a question; every other metric fits every prompt."""


def applies(metric: str, prompt: Prompt) -> bool:
    """Say whether a metric says something about a prompt: nobody misses a text score where no text was asked for."""
    return metric not in EXPECTED or EXPECTED[metric][1](prompt)


def applicable(metric: str, prompts: Collection[Prompt], repeats: int) -> int:
    """Return how many pairs of so many repeats a metric has a value of its own in."""
    rounds = repeats // STABILITY_REPEATS if metric == "stability" else repeats
    return rounds * sum(applies(metric, prompt) for prompt in prompts)


def refusals(suite: Suite, policy: Policy, lane: str) -> tuple[str, ...]:
    """Return why the policy's gate could not be judged on a suite, one sentence each, none when it can."""
    gate, prompts = policy.gate, suite.for_lane(lane)
    if gate is None:
        return (f"policy {policy.name} declares no gate",)
    on = f"suite {suite.name} version {suite.version}"
    if not prompts:
        return (f"{on} has no prompt for lane {lane}",)
    if not any(item.role is Role.GUARDRAIL and item.statistic != "law" for item in gate.criteria):
        return ("gate.criteria: no guardrail that a candidate could prove (law only finds harm); declare one",)
    problems = (
        (index, _refusal(item, gate, policy.budget, prompts, on))
        for index, item in enumerate(gate.criteria)
        if item.role is Role.GUARDRAIL
    )
    return tuple(f"gate.criteria[{index}]: {problem}" for index, problem in problems if problem)


def _refusal(item: Criterion, gate: Gate, budget: Budget, prompts: Collection[Prompt], on: str) -> str | None:
    """Return why a guardrail could never pass, None when it can; the whole-law test has nothing to pass."""
    most = applicable(item.metric, prompts, gate.max_repeats)
    if most == 0:
        title = METRICS[item.metric].title
        if item.metric not in EXPECTED:
            return f"{title} needs max_repeats of at least {STABILITY_REPEATS}"
        what = f"{title} needs prompts with `expect: {EXPECTED[item.metric][0]}`"
        return f"{what}, and {on} has none for this lane; choose another suite or take the guardrail out"
    if item.statistic == "law" or pairs_to_pass(item, budget, most) is not None:
        return None
    given = f"{gate.max_repeats} repeats of {on} give it {most} pairs"
    return (
        f"{item.title} {allowed_text(item)} can't be proven: {given}, too few even for an identical candidate; raise "
        "max_repeats, allow more, or make it `role: watch`"
    )
