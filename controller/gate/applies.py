"""Which metric says something about which prompt, and why a gate could not judge what it declares."""

from collections.abc import Callable, Iterator, Mapping

from controller.core.policy import METRICS, Gate, Policy, Role
from controller.core.suite import Prompt, Suite

Applies = Callable[[Prompt], bool]

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


def refusals(suite: Suite, policy: Policy, lane: str) -> tuple[str, ...]:
    """Return why the policy's gate could not be judged on a suite, one sentence each, none when it can."""
    gate, prompts = policy.gate, suite.for_lane(lane)
    if gate is None:
        return (f"policy {policy.name} declares no gate",)
    if not prompts:
        return (f"suite {suite.name} version {suite.version} has no prompt for lane {lane}",)
    return tuple(_refusals(suite, gate, prompts, lane))


def _refusals(suite: Suite, gate: Gate, prompts: tuple[Prompt, ...], lane: str) -> Iterator[str]:
    for index, item in enumerate(gate.criteria):
        if item.role is Role.GUARDRAIL and not any(applies(item.metric, prompt) for prompt in prompts):
            what = f"{METRICS[item.metric].title} needs prompts with `expect: {EXPECTED[item.metric][0]}`"
            where = f"suite {suite.name} version {suite.version} has none for lane {lane}"
            yield f"gate.criteria[{index}]: {what}, and {where}; choose another suite or take the guardrail out"
