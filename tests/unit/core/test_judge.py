import math
import random
from dataclasses import replace

import pytest

from controller.core.judge import Evidence, Unit, advance, assess, fold, start
from controller.core.policy import Criterion, Mode, Role
from controller.core.rollout import Epoch
from controller.core.verdict import Assessment, Verdict
from controller.stats.bins import Axis, cell_of
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally
from tests.unit.core.values import POLICY

TIMEOUT_S = 20.0
READERS = tuple(range(len(POLICY.criteria) + 1))


def request(rng, slower=1.0):
    latency_s = 0.5 * slower * math.exp(rng.gauss(0, 0.2))
    cells = {
        "latency_s": {cell_of(Axis.LOG, latency_s): 1},
        "failure": {0: 1},
        "invalid": {0: 1},
        "text_accuracy": {cell_of(Axis.SCORE, rng.choice([1.0, 1.0, 0.8])): 1},
    }
    return ClassTally(assigned=1, cells=cells)


def window(rng, share, slower=1.0, requests=10):
    total = WindowTally()
    for _ in range(requests):
        arm = Arm.CANDIDATE if rng.random() < share else Arm.INCUMBENT
        total += WindowTally({arm: {"plain": request(rng, slower if arm is Arm.CANDIDATE else 1.0)}})
    return total


def judged(seed, slower=1.0, share=0.5, windows=60):
    """Return a judge that read `windows` windows, and the units it read."""
    rng = random.Random(seed)
    judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
    units = [Unit(number, 1, 3, share, READERS, window(rng, share, slower)) for number in range(windows)]
    for unit in units:
        judge = fold(judge, unit)
    return judge, units


def test_nothing_read_is_no_evidence():
    """A judge without readings calls every criterion no_evidence, and is neither safe nor harmful."""
    verdict = assess(start(POLICY, TIMEOUT_S, WindowTally()))
    assert {item.verdict for item in verdict.verdicts} == {Verdict.NO_EVIDENCE}
    assert (verdict.safe, verdict.evident, verdict.harm) == (False, False, None)


def test_an_equal_candidate_is_proven_safe():
    """An identical candidate passes every guardrail and shows no harm."""
    verdict = assess(judged(1, windows=120)[0])
    assert verdict.harm is None
    assert verdict.safe


def test_a_slow_candidate_is_convicted_in_a_sentence():
    """A candidate three times slower spends the budget within a few images, and the reason holds the numbers."""
    rng = random.Random(3)
    judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
    images = 0
    for number in range(60):
        unit = Unit(number, 1, 3, 0.5, READERS, window(rng, 0.5, 3.0))
        judge = fold(judge, unit)
        images += unit.tally.assigned(Arm.CANDIDATE)
        if assess(judge).harm:
            break
    verdict = assess(judge)
    assert images <= 25
    assert verdict.verdicts[0].verdict is Verdict.FAIL
    assert verdict.harm is not None
    assert verdict.harm.startswith("latency p95 2.14 s against 0.588 s (12 and 8 images, change 3.63x")
    assert "allowed <= 1.25x" in verdict.harm
    assert "of 100 needed" in verdict.harm


def test_replay_is_bit_for_bit():
    """Units and assessment that went through JSON lead to the same judge and the same assessment."""
    judge, units = judged(5, slower=1.3)
    again = start(POLICY, TIMEOUT_S, window(random.Random(5), 0.0, requests=200))
    for unit in units:
        again = fold(again, Unit.from_json(unit.to_json()))
    assert again == judge
    assert assess(again) == Assessment.from_json(assess(judge).to_json())


def test_a_watch_never_reverts():
    """A watch criterion that fails is reported and leaves the rollout alone."""
    watched = replace(
        POLICY, criteria=(Criterion("latency_s", "p95", max_ratio=1.25, role=Role.WATCH), POLICY.criteria[1])
    )
    rng = random.Random(7)
    judge = start(watched, TIMEOUT_S, window(rng, 0.0, requests=200))
    for number in range(60):
        judge = fold(judge, Unit(number, 1, 3, 0.5, (0, 1, 2), window(rng, 0.5, 3.0)))
    verdict = assess(judge)
    assert verdict.verdicts[0].verdict is Verdict.FAIL
    assert verdict.harm is None


def test_a_dry_run_is_judged_as_a_guardrail_and_changes_nothing():
    """A dry run fails when it would have reverted, at its part of the budget, and neither reverts nor holds back."""
    tried = replace(
        POLICY, criteria=(Criterion("latency_s", "p95", max_ratio=1.25, role=Role.DRY_RUN), POLICY.criteria[1])
    )
    rng = random.Random(7)
    judge = start(tried, TIMEOUT_S, window(rng, 0.0, requests=200))
    seen = []
    for number in range(60):
        judge = fold(judge, Unit(number, 1, 3, 0.5, (0, 1, 2), window(rng, 0.5, 1.6, requests=4)))
        item = assess(judge).verdicts[0]
        seen.append((item.summary.log_harm, item.verdict))
    # Alone it may spend half of the budget: 1 in 200, where a watch would fail at 1 in 100.
    assert min(log_harm for log_harm, verdict in seen if verdict is Verdict.FAIL) >= math.log(190)
    assert any(verdict is not Verdict.FAIL for log_harm, verdict in seen if log_harm > math.log(100))
    verdict = assess(judge)
    assert verdict.verdicts[0].reason.endswith("in a dry run nothing follows from it")
    assert (verdict.harm, verdict.elevated) == (None, False)
    assert verdict.evident


def test_reading_an_old_window_is_no_older_evidence():
    """A process that lags behind reads an older window last: the newest evidence stays the newest."""
    rng = random.Random(8)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    tallies = [window(rng, 0.5) for _ in range(2)]
    judge = fold(judge, Unit(7, 1, 3, 0.5, (1,), tallies[0]))
    judge = fold(judge, Unit(3, 1, 3, 0.5, (0,), tallies[1]))
    assert judge.last_evidence_s == 8 * WINDOW_S


def test_every_verdict_says_what_would_change_it():
    """No evidence, undecided, passed, failed, watched: each reason ends with what it would take."""
    assert (
        "the first value of each arm would change it"
        in assess(start(POLICY, TIMEOUT_S, WindowTally())).verdicts[0].reason
    )
    assert "more candidate images at this rate" in assess(judged(1, windows=12)[0]).verdicts[0].reason
    assert "only harm would change it" in assess(judged(1, windows=120)[0]).verdicts[0].reason
    failed = assess(judged(1, slower=3.0)[0])
    assert failed.verdicts[0].reason.endswith("declare a wider change in a new rollout")
    watched = replace(
        POLICY, criteria=(replace(POLICY.criteria[0], statistic="law", role=Role.WATCH), *POLICY.criteria[:1])
    )
    rng = random.Random(2)
    judge = start(watched, TIMEOUT_S, window(rng, 0.0, requests=200))
    judge = fold(judge, Unit(1, 1, 3, 0.5, (0, 1, 2), window(rng, 0.5)))
    assert "nothing waits for it" in assess(judge).verdicts[0].reason


def test_a_biased_assignment_is_not_trusted():
    """Assignments at half the recorded share make the evidence untrusted."""
    rng = random.Random(9)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    for number in range(150):
        judge = fold(judge, Unit(number, 1, 3, 0.5, READERS, window(rng, 0.25)))
    verdict = assess(judge)
    assert verdict.untrusted is not None
    assert "does not match the recorded share" in verdict.untrusted


def test_invalid_values_are_not_trusted():
    """A candidate that reports nonsense for a quarter of its images makes the evidence untrusted."""
    rng = random.Random(11)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    for number in range(60):
        tally = window(rng, 0.5)
        nonsense = ClassTally(assigned=1, cells={"invalid": {1: 1}, "failure": {0: 1}})
        tally += WindowTally({Arm.CANDIDATE: {"plain": nonsense}})
        judge = fold(judge, Unit(number, 1, 3, 0.5, READERS, tally))
    verdict = assess(judge)
    assert verdict.untrusted is not None
    assert "invalid" in verdict.untrusted


EPOCHS = (Epoch(7, 1, 0.5, Mode.SHARE, flipped=False),)


def evidence(tallies, watermark_s, live=("a",), dead=None):
    units = {(number, 7): {"a": tally} for number, tally in enumerate(tallies)}
    watermarks_s = {"a": watermark_s}
    if dead is not None:
        watermarks_s["b"] = dead
        for number, tally in enumerate(tallies):
            units[number, 7]["b"] = tally
    return Evidence(units, watermarks_s, frozenset(live))


def test_windows_wait_for_their_age():
    """A window is read by nobody before its end, and by everybody once its requests can't change any more."""
    rng = random.Random(13)
    tallies = [window(rng, 0.5) for _ in range(4)]
    judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
    early, read = advance(judge, evidence(tallies, WINDOW_S - 0.1), EPOCHS)
    assert (early, read) == (judge, ())
    late, read = advance(judge, evidence(tallies, 4 * WINDOW_S + TIMEOUT_S + 11), EPOCHS)
    assert [unit.readers for unit in read] == [READERS] * 4
    assert advance(late, evidence(tallies, 1e6), EPOCHS) == (late, ())


def test_reading_little_by_little_is_reading_at_once():
    """However the ticks fall, every process reads the same windows once and the judge ends equal."""
    rng = random.Random(15)
    tallies = [window(rng, 0.5) for _ in range(12)]
    judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
    at_once, _ = advance(judge, evidence(tallies, 1e6), EPOCHS)
    for tenth in range(1200):
        judge, _ = advance(judge, evidence(tallies, tenth / 10), EPOCHS)
    assert judge == at_once


def test_a_live_gateway_is_waited_for_and_a_dead_one_is_not():
    """A live gateway that lags blocks the reading; a dead one counts with what it had flushed, for both arms."""
    rng = random.Random(17)
    tallies = [window(rng, 0.5) for _ in range(3)]
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    _, read = advance(judge, evidence(tallies, 1e6, live=("a", "b"), dead=0.0), EPOCHS)
    assert read == ()
    _, read = advance(judge, evidence(tallies, 1e6, dead=0.0), EPOCHS)
    assert [unit.tally for unit in read] == tallies


def test_both_arms_beyond_a_limit_is_the_environment():
    """A limit that the incumbent breaches as well blames nobody; one that only the candidate breaches is harm."""
    limit = Criterion("latency_s", "p95", limit=0.4)
    policy = replace(POLICY, criteria=(limit, POLICY.criteria[1]))
    judges = {}
    for name, slower in (("both", 1.0), ("one", 1.5)):
        rng = random.Random(21)
        allowed = replace(policy, criteria=(replace(limit, limit=0.4 if name == "both" else 0.78), policy.criteria[1]))
        judges[name] = start(allowed, TIMEOUT_S, WindowTally())
        for number in range(40):
            judges[name] = fold(judges[name], Unit(number, 1, 3, 0.5, (0, 1, 2), window(rng, 0.5, slower)))
    both, one = assess(judges["both"]), assess(judges["one"])
    assert both.environment is not None
    assert both.environment.startswith("both arms breach latency p95 <= 0.4 s: ")
    assert one.environment is None
    assert one.harm is not None


def test_windows_of_a_stranger_are_not_read():
    """Tallies of an epoch that the rollout did not cause are nobody's evidence."""
    rng = random.Random(23)
    judge = start(POLICY, TIMEOUT_S, WindowTally())
    assert advance(judge, evidence([window(rng, 0.5)], 1e6), ()) == (judge, ())


def test_processes_may_see_different_tallies():
    """What a dead gateway had flushed by one process's age counts for it, not for those that read later."""
    rng = random.Random(25)
    judge = start(POLICY, TIMEOUT_S, window(rng, 0.0, requests=200))
    tallies = [window(rng, 0.5)]
    _, read = advance(judge, evidence(tallies, 1e6, dead=WINDOW_S + 10.0), EPOCHS)
    assert [unit.readers for unit in read] == [(0,), (1, 2, 3)]
    assert read[0].tally.assigned(Arm.CANDIDATE) == 2 * read[1].tally.assigned(Arm.CANDIDATE)


def test_flipped_epochs_swap_the_arms():
    """While baking the split's incumbent is the candidate: tally and share are exchanged when read."""
    rng = random.Random(19)
    tally = window(rng, 0.1)
    flipped = (Epoch(7, 1, 0.1, Mode.SHARE, flipped=True),)
    _, read = advance(start(POLICY, TIMEOUT_S, WindowTally()), evidence([tally], 1e6), flipped)
    assert read[0].share == pytest.approx(0.9)
    assert read[0].tally.assigned(Arm.CANDIDATE) == tally.assigned(Arm.INCUMBENT)
