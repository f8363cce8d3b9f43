"""What an assessment counts, and how its sentences are made: every number stands where it belongs."""

import math
import random
from dataclasses import replace

import pytest

from controller.core.judge import LOG_SAMPLE_RATIO_NEEDED, Evidence, Unit, advance, assess, fold, setting_of, start
from controller.core.policy import Criterion, Mode, Policy, Role
from controller.core.rollout import Epoch
from controller.core.verdict import Verdict
from controller.stats import sample_ratio
from controller.stats.budget import combine
from controller.stats.tally import WINDOW_S, Arm, WindowTally
from tests.unit.core.test_judge import READERS, TIMEOUT_S, window
from tests.unit.core.values import POLICY


def test_a_criterion_is_handed_to_the_statistics_whole() -> None:
    """Margins, the timeout, the settling of scores alone, and the length of blocks arrive."""
    block = setting_of(Criterion("latency_s", "p50", max_ratio=1.05, block_s=600.0), 20.0)
    assert (block.max_ratio, block.block_s, block.timeout_s, block.settle_s) == (1.05, 600.0, 20.0, 0.0)
    assert setting_of(POLICY.criteria[2], 20.0).settle_s == 5.0


def test_intervals_are_kept_unless_told_otherwise() -> None:
    """Reports need confidence sequences, the simulator does not; the timeout reaches the share of invalid values."""
    kept, bare = start(POLICY, 7.0, WindowTally()), start(POLICY, 7.0, WindowTally(), interval=False)
    assert all(process.interval for process in kept.processes[:3])
    assert not any(process.interval for process in bare.processes)
    assert not bare.processes[-1].setting.interval
    assert kept.processes[-1].setting.interval
    assert kept.processes[-1].setting.timeout_s == 7.0


def read(share: float = 0.3, stage: int = 2, windows: int = 20, policy: Policy = POLICY, slower: float = 1.0):
    rng = random.Random(31)
    judge = start(policy, TIMEOUT_S, window(rng, 0.0, requests=200))
    units = [Unit(number, 1, stage, share, READERS, window(rng, share, slower)) for number in range(windows)]
    for unit in units:
        judge = fold(judge, unit)
    return judge, units


def test_images_are_counted_for_each_stage() -> None:
    """The images of the latest stage that the slowest guardrail has read, and when the newest came."""
    judge, units = read()
    counted = sum(unit.tally.assigned(Arm.CANDIDATE) for unit in units)
    found = assess(judge)
    assert (found.images, found.stage, found.last_evidence_s) == (counted, 2, 20 * WINDOW_S)
    late = Unit(20, 2, 3, 0.3, (0, 2, 3), units[0].tally)
    after = assess(fold(judge, late))
    assert (after.images, after.stage) == (0, 3)
    assert assess(fold(fold(judge, late), replace(late, readers=(1,)))).images == units[0].tally.assigned(Arm.CANDIDATE)
    nothing = assess(start(POLICY, TIMEOUT_S, WindowTally()))
    assert (nothing.images, nothing.stage, nothing.last_evidence_s) == (0, 0, None)


def test_evidence_is_the_weighted_average_of_the_guardrails() -> None:
    """Watched criteria stay out, weights count, and what is needed is the inverse of the budget."""
    weighted = replace(POLICY, criteria=(replace(POLICY.criteria[0], weight=3.0), *POLICY.criteria[1:]))
    judge, _ = read(policy=weighted, slower=1.4)
    found = assess(judge)
    harms = [item.summary.log_harm for item in found.verdicts]
    assert found.log_harm == combine(harms[:2], [3.0, 1.0])
    assert found.log_needed == pytest.approx(math.log(100))


def test_suspicion_is_the_square_root_of_what_a_revert_needs() -> None:
    """Elevated from ten of a hundred on, and not before."""
    seen = []
    for seed in range(4):
        rng = random.Random(seed)
        judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
        for number in range(80):
            judge = fold(judge, Unit(number, 1, 3, 0.5, READERS, window(rng, 0.5, 1.6, requests=1)))
            found = assess(judge)
            seen.append(found.log_harm)
            assert found.elevated == (found.log_harm >= math.log(10))
            assert (found.harm is not None) == (found.log_harm >= math.log(100))
    assert any(math.log(5) < log_harm < math.log(10) for log_harm in seen)
    assert any(math.log(10) < log_harm < math.log(100) for log_harm in seen)


def test_several_contributions_are_not_blamed_on_one() -> None:
    """Harm that no criterion carries alone names the largest part as such; a clear cause is named without a doubt."""
    equal = Criterion("latency_s", "p95", max_ratio=1.25)
    several = replace(POLICY, criteria=(equal, equal, POLICY.criteria[1]))
    sentences = []
    for seed in range(12):
        rng = random.Random(seed)
        judge = start(several, TIMEOUT_S, window(rng, 0.0, requests=200))
        for number in range(60):
            judge = fold(judge, Unit(number, 1, 3, 0.5, READERS, window(rng, 0.5, 1.6, requests=1)))
            found = assess(judge)
            if found.harm is not None:
                confirmed = any(item.verdict is Verdict.FAIL for item in found.verdicts)
                sentences.append((confirmed, found.harm))
    assert {confirmed for confirmed, _ in sentences} == {True, False}
    for confirmed, sentence in sentences:
        assert (", the largest of several contributions; evidence " in sentence) != confirmed
        assert "XX" not in sentence


def test_the_whole_law_never_blocks_but_fails() -> None:
    """A policy with the whole-law test is safe without its proof, and not once it has failed."""
    law = replace(
        POLICY, criteria=(POLICY.criteria[1], Criterion("latency_s", "law", max_ratio=1.25), POLICY.criteria[0])
    )
    assert assess(read(policy=law, share=0.5, windows=150)[0]).safe
    slow = assess(read(policy=law, share=0.5, windows=150, slower=3.0)[0])
    assert slow.verdicts[1].verdict is Verdict.FAIL
    assert not slow.safe


def test_the_leading_cause_is_the_heaviest_part() -> None:
    """Of two equal criteria the one with more weight is named."""
    light = Criterion("latency_s", "p95", max_ratio=1.25, weight=0.1)
    heavy = Criterion("latency_s", "p99", max_ratio=1.25, weight=10.0)
    for first, second in ((light, heavy), (heavy, light)):
        policy = replace(POLICY, criteria=(first, second, POLICY.criteria[2]))
        found = assess(read(policy=policy, share=0.5, windows=60, slower=3.0)[0])
        assert found.harm is not None
        assert found.harm.startswith("latency p99")


def test_the_sample_ratio_is_counted_once_at_shares_that_compare() -> None:
    """Only the process that reads last counts a window, and a share of 0 or 1 counts nothing."""
    judge, units = read()
    expected = sample_ratio.start()
    for unit in units:
        arms = (unit.tally.assigned(Arm.INCUMBENT), unit.tally.assigned(Arm.CANDIDATE))
        expected = sample_ratio.fold(expected, 0.3, *arms)
    assert judge.sample_ratio == expected
    assert assess(judge).log_sample_ratio == sample_ratio.log_e(expected) < LOG_SAMPLE_RATIO_NEEDED
    assert fold(judge, replace(units[0], window=30, readers=(0, 1, 2))).sample_ratio == expected
    for share in (0.0, 1.0):
        assert fold(judge, replace(units[0], window=31, share=share)).sample_ratio == expected


def test_invalid_values_are_told_with_their_share() -> None:
    """The sentence holds the share seen, the images it was seen in, and what is allowed."""
    rng = random.Random(43)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    n = 0
    for number in range(60):
        tally = window(rng, 0.5)
        classes = tally.arms.get(Arm.CANDIDATE, {})
        bad = {k: replace(c, cells={**c.cells, "invalid": {1: c.assigned}}) for k, c in classes.items()}
        n += tally.assigned(Arm.CANDIDATE)
        tally = WindowTally({**tally.arms, Arm.CANDIDATE: bad})
        judge = fold(judge, Unit(number, 1, 3, 0.5, READERS, tally))
    told = assess(judge).untrusted
    assert told == f"100.0 % of the candidate's values are invalid ({n} images, allowed 5.0 %)"
    fine = assess(read(share=0.5)[0])
    assert fine.untrusted is None


def gateway(windows: list[WindowTally], watermark_s: float, epoch: int = 7, first: int = 0) -> Evidence:
    units = {(first + at, epoch): {"a": tally} for at, tally in enumerate(windows)}
    return Evidence(units, {"a": watermark_s}, frozenset({"a"}))


def test_a_unit_holds_its_place() -> None:
    """Share and stage of its epoch are on every unit; the very first window is read; strangers are passed over."""
    rng = random.Random(47)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    tallies = [window(rng, 0.3) for _ in range(2)]
    units = dict(gateway(tallies, 1e6).units) | {(0, 6): {"a": tallies[0]}}
    evidence = Evidence(units, {"a": 1e6}, frozenset({"a"}))
    _, found = advance(judge, evidence, (Epoch(7, 2, 0.3, Mode.SHARE, flipped=False),))
    assert [(unit.window, unit.epoch, unit.stage, unit.share) for unit in found] == [(0, 7, 2, 0.3), (1, 7, 2, 0.3)]


def test_a_window_is_read_at_its_age_to_the_instant() -> None:
    """At exactly the age of the last reader everything is read, and a moment before it is not."""
    rng = random.Random(53)
    judge = start(replace(POLICY, criteria=POLICY.criteria[1:2]), TIMEOUT_S, WindowTally())
    epochs = (Epoch(7, 2, 0.3, Mode.SHARE, flipped=False),)
    due_s = (4 + 1) * WINDOW_S + TIMEOUT_S
    _, early = advance(judge, gateway([window(rng, 0.3)], due_s - 1e-6, first=4), epochs)
    _, due = advance(judge, gateway([window(rng, 0.3)], due_s, first=4), epochs)
    assert (early, [unit.readers for unit in due]) == ((), [(0, 1)])


def test_an_unknown_gateway_has_flushed_nothing() -> None:
    """Tallies of a replica whose watermark nobody knows count for nobody."""
    rng = random.Random(59)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    evidence = Evidence({(0, 7): {"a": window(rng, 0.3), "b": window(rng, 0.3)}}, {"a": 1e6}, frozenset({"a"}))
    _, [unit] = advance(judge, evidence, (Epoch(7, 2, 0.3, Mode.SHARE, flipped=False),))
    assert unit.tally.assigned(Arm.CANDIDATE) + unit.tally.assigned(Arm.INCUMBENT) == 10


def test_the_mirror_is_the_same_test_on_the_incumbent() -> None:
    """A limit's mirror has the arms and the share exchanged, whatever the share."""
    limit = replace(POLICY, criteria=(Criterion("latency_s", "p95", limit=0.4), POLICY.criteria[1]))
    rng = random.Random(61)
    judge = start(limit, TIMEOUT_S, WindowTally())
    tally = window(rng, 0.3)
    judge = fold(judge, Unit(0, 1, 0, 0.3, (0, 1, 2), tally))
    assert judge.mirrors[0].candidate.n == tally.assigned(Arm.INCUMBENT)
    assert judge.mirrors[0].start_share == pytest.approx(0.7)
    assert Role.WATCH not in {item.role for item in limit.criteria}


def test_numbers_outlive_their_wording() -> None:
    """Other words for the same numbers are the same finding; another number, or a sentence that is gone, is not."""
    found = assess(read(slower=3.0)[0])
    first, *others = found.verdicts
    reworded = replace(found, verdicts=(replace(first, title="a", allowed="b", reason="c"), *others), harm="d")
    assert found.harm is not None
    assert reworded != found
    assert reworded.in_numbers == found.in_numbers
    numbers = replace(first.summary, n_candidate=first.summary.n_candidate + 1)
    assert replace(found, verdicts=(replace(first, summary=numbers), *others)).in_numbers != found.in_numbers
    assert replace(found, harm=None).in_numbers != found.in_numbers
    assert replace(found, untrusted="now").in_numbers != found.in_numbers
