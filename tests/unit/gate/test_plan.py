import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from controller.core.policy import Criterion, Role
from controller.core.suite import Suite
from controller.errors import UserError
from controller.gate.plan import LOAD_SHOTS, Plan, Shot, ShotPhase, plan
from controller.stats.tally import Arm
from tests.unit.gate.world import gated, latency, rate, score, suite

MEDIAN = latency(max_ratio=1.25)


def planned(*criteria: Criterion, of: Suite | None = None, **changes: object) -> Plan:
    return plan(of or suite(), gated(*(criteria or (MEDIAN,)), **changes), "preview")


def pairs(drawn: Plan, repeat: int) -> list[Shot]:
    return [shot for shot in drawn.repeat(repeat) if shot.phase is ShotPhase.PAIR]


def test_a_repeat_draws_every_prompt_once_on_both_arms_with_one_seed() -> None:
    """Pairs stand side by side, and the r-th repeat uses each prompt's r-th seed, going on by one past the last."""
    drawn = planned()
    for repeat, seed in ((0, 1), (2, 3), (4, 5)):
        shots = pairs(drawn, repeat)
        assert Counter(shot.prompt_id for shot in shots) == Counter(dict.fromkeys(drawn.prompts, 2))
        assert {shot.seed for shot in shots} == {seed}
        for first, second in zip(shots[::2], shots[1::2], strict=True):
            assert first.prompt_id == second.prompt_id
            assert {first.arm, second.arm} == set(Arm)
            assert (first.partner, second.partner) == (None, first.key)


def test_the_order_is_shuffled_anew_for_each_repeat_and_never_by_chance() -> None:
    """Two plans of one suite agree, two repeats and two versions of a suite don't, and the arms take turns to begin."""
    drawn = planned()
    order = [shot.key for shot in pairs(drawn, 0)]
    assert order == [shot.key for shot in pairs(planned(), 0)]
    assert [key.split("/")[2] for key in order] != [shot.prompt_id for shot in pairs(drawn, 1)]
    assert order != [shot.key for shot in pairs(planned(of=replace(suite(), version=2)), 0)]
    begins = [shot.arm for shot in pairs(drawn, 0)[::2]]
    assert all(one is not other for one, other in pairwise(begins))


def test_a_key_names_one_shot_of_a_bench() -> None:
    """Warm-up, pairs, drawings with the same seed and loads never share a key."""
    drawn = planned(MEDIAN, score("reproducibility", limit=0.9), concurrency=(1, 4), rate_per_s=2.0)
    keys = [shot.key for shot in (*drawn.shots(), *drawn.load())]
    assert len(set(keys)) == len(keys)
    assert len(keys) == 6 + sum(drawn.size(repeat) for repeat in range(6)) + 4 * LOAD_SHOTS
    assert all(drawn.size(repeat) == len(drawn.repeat(repeat)) for repeat in range(6))


def test_warm_up_is_drawn_first_on_both_arms() -> None:
    """The first shots are warm-up, as many on either arm."""
    first = [shot for shot in planned().shots() if shot.phase is ShotPhase.WARM_UP]
    assert first == list(planned().shots())[: len(first)]
    assert Counter(shot.arm for shot in first) == {Arm.INCUMBENT: 3, Arm.CANDIDATE: 3}


@pytest.mark.parametrize(
    ("criterion", "again"),
    [
        (score("reproducibility", limit=0.9), [57, 57]),
        (score("reproducibility", limit=0.9, role=Role.WATCH), [8, 0]),
        (rate(max_increase=0.1), [8, 0]),
    ],
)
def test_the_same_seed_is_drawn_twice_where_a_guardrail_asks_for_it(criterion: Criterion, again: list[int]) -> None:
    """A guardrail on reproducibility doubles the drawing; without one the report gets a sample of the first repeat."""
    drawn = planned(MEDIAN, criterion)
    for repeat, n in enumerate(again):
        shots = [shot for shot in drawn.repeat(repeat) if shot.phase is ShotPhase.AGAIN]
        assert len(shots) == 2 * n
        assert all(shot.partner == f"pair/{repeat}/{shot.prompt_id}/{shot.arm}" for shot in shots)
        assert shots == list(drawn.repeat(repeat))[len(pairs(drawn, repeat)) :]


def test_blocks_of_stability_share_no_image() -> None:
    """Every second repeat closes a block with the one before, on the same arm and prompt."""
    drawn = planned()
    for repeat in range(4):
        for shot in pairs(drawn, repeat):
            expected = (f"pair/{repeat - 1}/{shot.prompt_id}/{shot.arm}",) if repeat % 2 else ()
            assert shot.spread == expected


def test_loads_are_the_same_for_both_arms() -> None:
    """Each level draws the same prompts, seeds and moments on both arms, one arm after the other."""
    shots = planned(concurrency=(1, 4), rate_per_s=2.0).load()
    asked = [(shot.level, shot.prompt_id, shot.seed, shot.at_s) for shot in shots]
    n = LOAD_SHOTS
    assert asked[:n] == asked[n : 2 * n]
    assert asked[2 * n : 3 * n] == asked[3 * n :]
    assert [shot.level for shot in shots[::n]] == ["c4", "c4", "r2", "r2"]


def test_open_loop_arrivals_are_poisson_at_the_declared_rate() -> None:
    """Gaps between arrivals are positive, at the declared mean, and as irregular as exponential ones."""
    at_s = [shot.at_s for shot in planned(rate_per_s=2.0).load()[:LOAD_SHOTS]]
    gaps_s = [later - earlier for earlier, later in zip([0.0, *at_s], at_s, strict=False)]
    mean_s = sum(gaps_s) / len(gaps_s)
    assert min(gaps_s) > 0
    assert mean_s == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(LOAD_SHOTS))
    assert math.dist(gaps_s, [mean_s] * len(gaps_s)) / math.sqrt(len(gaps_s)) > 0.3


@pytest.mark.parametrize(
    ("criterion", "of", "words"),
    [
        (score("words", max_drop=0.1), suite(text=0), "words read exactly needs prompts with `expect: text`"),
        (score("logo", max_drop=0.1), suite(), "logo match needs prompts with `expect: logo`"),
        (score("text_accuracy", max_drop=0.01), suite(), "text accuracy >= -0.01 can't be proven: 6 repeats of suite"),
        (rate(max_increase=0.005), suite(), "failure rate <= +0.5 pp can't be proven"),
        (latency(statistic="p99", max_ratio=1.2), suite(), "latency p99 <= 1.20x can't be proven"),
        (latency(max_ratio=1.0), suite(), "latency p50 <= 1.00x can't be proven"),
    ],
)
def test_a_gate_that_could_not_pass_is_refused_before_anything_is_drawn(
    criterion: Criterion, of: Suite, words: str
) -> None:
    """A guardrail that no prompt speaks about, or that not even an identical candidate could prove, is an error."""
    with pytest.raises(UserError) as caught:
        planned(MEDIAN, criterion, of=of)
    assert str(caught.value).startswith(f"gate.criteria[1]: {words}")
    assert planned(MEDIAN, replace(criterion, role=Role.WATCH), of=of).size(1) == 2 * len(of.prompts)


def test_every_reason_for_refusing_a_gate_is_given_at_once() -> None:
    """Two guardrails that can't be judged are two lines."""
    with pytest.raises(UserError, match=r"(?s)criteria\[0\].*\n.*criteria\[1\]"):
        planned(score("logo", max_drop=0.1), rate(max_increase=0.001))


@pytest.mark.parametrize("criterion", [latency(max_ratio=1.25, role=Role.WATCH), latency(statistic="law", max_ratio=2)])
def test_a_gate_that_asks_for_no_proof_is_refused(criterion: Criterion) -> None:
    """Nothing passes for want of anything to prove."""
    with pytest.raises(UserError, match="no guardrail that a candidate could prove"):
        planned(criterion)


def test_a_suite_that_says_nothing_about_a_lane_is_refused() -> None:
    """A lane for which no prompt is meant can't be benched."""
    of = suite()
    elsewhere = replace(of, prompts=tuple(replace(prompt, lanes=("export",)) for prompt in of.prompts))
    with pytest.raises(UserError, match="suite tiny version 1 has no prompt for lane preview"):
        planned(of=elsewhere)


def test_stability_needs_two_repeats() -> None:
    """A guardrail on stability is refused when every prompt is drawn once only."""
    with pytest.raises(UserError, match="stability over seeds needs max_repeats of at least 2"):
        planned(score("stability", limit=0.5), max_repeats=1)
