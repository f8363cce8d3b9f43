"""The numbers of the engine, all kinds of tests together: what changes them is another engine."""

from dataclasses import replace

from controller.core.judge import ENGINE, Judge, Unit, assess, fold, start
from controller.core.policy import Criterion
from controller.core.spec import digest_of
from controller.stats.tally import Arm, ClassTally, WindowTally
from tests.unit.core.values import POLICY

CRITERIA = (
    Criterion("latency_s", "p50", max_ratio=1.1),
    Criterion("latency_s", "p95", max_ratio=1.25),
    Criterion("latency_s", "p99", limit=3.0),
    Criterion("latency_s", "law", max_ratio=1.05),
    Criterion("service_s", "p50", max_ratio=1.1, block_s=20.0),
    Criterion("cost_usd", "mean", max_ratio=1.1),
    Criterion("cost_usd", "mean", limit=0.02),
    Criterion("failure", "rate", max_ratio=2.0),
    Criterion("failure", "rate", limit=0.05),
    Criterion("refusal", "rate", max_increase=0.01),
    Criterion("text_accuracy", "mean", max_drop=0.02),
    Criterion("memory_gib", "max", limit=8.0),
)
NUMBERS = {5: "0d85be216d84852427a576c51c7cba0cf61bb0c223b7b60dcd78b419d500d49f"}
"""Digest of the numbers, by engine."""


def class_tally(seed: int, shift: int, n: int = 40) -> ClassTally:
    """Return n requests whose cells follow from the seed alone; latency, cost and memory lie `shift` cells higher."""
    cells: dict[str, dict[int, int]] = {}
    for _ in range(n):
        seed = (1_103_515_245 * seed + 12_345) % 2**31
        low, mid, high = seed >> 8 & 31, seed >> 13 & 15, seed >> 17 & 63
        outcome = {
            "latency_s": low + mid - 24 + shift,
            "service_s": low - 16 + shift,
            "cost_usd": low - 480 + shift,
            "memory_gib": 150 + mid + shift,
            "failure": int(high == 0),
            "refusal": int(high == 1),
            "invalid": 0,
            "text_accuracy": 200 - mid,
        }
        for metric, cell in outcome.items():
            mine = cells.setdefault(metric, {})
            mine[cell] = mine.get(cell, 0) + 1
    return ClassTally(n + 1, cells)  # one never answers


def window(number: int, shift: int, *, candidate: bool = True) -> WindowTally:
    """Return both arms in two classes."""
    arms = {Arm.INCUMBENT: {name: class_tally(2 * number + at, 0) for at, name in enumerate(("plain", "wide"))}}
    if candidate:
        arms[Arm.CANDIDATE] = {"plain": class_tally(7 * number + 5, shift, 20)}
    return WindowTally(arms)


def judged() -> Judge:
    """Return a judge that read 40 windows under two shares."""
    policy = replace(POLICY, criteria=CRITERIA)
    judge = start(policy, 20.0, window(0, 0, candidate=False))
    for number in range(1, 41):
        share = 0.2 if number <= 20 else 0.5
        readers = tuple(range(len(CRITERIA) + 1))
        judge = fold(judge, Unit(number, 1 + number // 21, 3, share, readers, window(number, 3)))
    return judge


def test_the_numbers_are_those_of_this_engine() -> None:
    """Whoever changes constants or formulas raises ENGINE, so that older assessments are not called broken."""
    said = assess(judged())
    numbers = [
        None if value is None else f"{value:.8g}"
        for item in said.verdicts
        for value in (
            item.summary.log_harm,
            item.summary.log_safety,
            item.summary.change,
            item.summary.change_low,
            item.summary.change_high,
        )
    ]
    assert {ENGINE: digest_of([f"{said.log_harm:.8g}", *numbers])} == NUMBERS, "raise ENGINE and set its digest"
