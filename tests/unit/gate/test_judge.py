import math
from dataclasses import replace

import pytest

from controller.core.policy import Criterion, Role
from controller.core.shot import Score, ShotResult
from controller.core.verdict import Verdict
from controller.gate.judge import GateAssessment, GateJudge, assess, fold, start
from controller.gate.measured import measured
from controller.gate.plan import ShotPhase, plan
from controller.stats.tally import Arm
from tests.unit.gate.world import Painter, bench, gated, latency, rate, score, suite

SPEED = latency(max_ratio=1.25)
FAILURES = rate(max_increase=0.1)
TEXT = score("text_accuracy", max_drop=0.05)


def judged(*criteria: Criterion, candidate: Painter | None = None, seed: int = 1, **changes: object) -> GateAssessment:
    return bench(gated(*criteria, **changes), candidate or Painter(), seed=seed)[0]


def verdict(assessment: GateAssessment, title: str) -> Verdict:
    [found] = [item for item in assessment.verdicts if item.title == title]
    return found.verdict


def test_an_identical_candidate_passes_and_stops_early() -> None:
    """Once every guardrail is proven after the least number of repeats, nothing more is drawn."""
    assessment = judged(SPEED, FAILURES, TEXT, min_repeats=2)
    assert assessment.verdict is Verdict.PASS
    assert assessment.stop
    assert 2 <= assessment.repeats < 6
    assert assessment.reason.startswith("every guardrail is proven within its allowed change (")


def test_no_pass_before_the_declared_number_of_repeats() -> None:
    """Proof that comes early does not shorten what the policy asks for."""
    assert judged(latency(max_ratio=2.0), min_repeats=3).pairs == 3 * 57


def test_a_fail_names_every_breached_criterion_with_its_numbers() -> None:
    """Worse words and double times fail within the first repeat; the reason holds both, measured and allowed."""
    assessment = judged(SPEED, FAILURES, TEXT, candidate=Painter(latency_s=0.5, letters=0.4))
    assert (assessment.verdict, assessment.repeats) == (Verdict.FAIL, 1)
    assert {item.title for item in assessment.verdicts if item.verdict is Verdict.FAIL} == {
        "latency p50",
        "text accuracy",
    }
    for words in ("latency p50 0.", "allowed <= 1.25x)", "text accuracy 0.", "allowed >= -0.05)", " of 100 needed ("):
        assert words in assessment.reason


def test_a_fail_shows_the_whole_suite() -> None:
    """Harm proven in the middle of a repeat ends the bench at its end, with every prompt drawn on both arms."""
    drawn, results = bench(gated(SPEED, FAILURES), Painter(latency_s=2.5), seed=1)[1:]
    assert {f"pair/0/{prompt}/{arm}" for prompt in drawn.prompts for arm in Arm} <= results.keys()
    assert not any(key.startswith("pair/1/") for key in results)


def test_a_candidate_that_draws_nothing_ends_the_bench_at_once() -> None:
    """Each further drawing may cost a timeout, so a proven failure rate does not wait for the end of the repeat."""
    assessment = judged(SPEED, FAILURES, TEXT, candidate=Painter(failures=1.0))
    assert (assessment.verdict, assessment.stop, assessment.repeats) == (Verdict.FAIL, True, 0)
    assert assessment.pairs < 30
    assert assessment.reason.startswith("failure rate 100.00 % against 0.00 %")


def test_undecided_at_the_end_is_no_pass() -> None:
    """A candidate at the very margin is inconclusive after the last repeat, and the reason names what is unproven."""
    assessment = judged(SPEED, FAILURES, candidate=Painter(latency_s=0.25 * 1.25), max_repeats=2)
    assert (assessment.verdict, assessment.stop, assessment.repeats) == (Verdict.INCONCLUSIVE, True, 2)
    assert assessment.reason.startswith("undecided (114 pairs, 2 repeats): latency p50")


def test_a_scorer_that_is_down_is_no_evidence_and_no_pass() -> None:
    """A guardrail without values is no_evidence, its missing values are counted with the reason, never as 0."""
    assessment = judged(SPEED, TEXT, candidate=Painter(absent=frozenset({"text_accuracy"})), max_repeats=2)
    assert assessment.verdict is Verdict.NO_EVIDENCE
    assert verdict(assessment, "text accuracy") is Verdict.NO_EVIDENCE
    assert assessment.missing[1] == {"scorer_down": 2 * 39}
    assert assessment.verdicts[1].summary.candidate is None
    assert assessment.reason.startswith("no evidence on text accuracy")


def test_too_many_missing_values_are_no_evidence() -> None:
    """What is left when a tenth of the scores is missing might be the better half, so it proves nothing."""
    drawn = plan(suite(), gated(SPEED, TEXT, max_repeats=3), "preview")
    judge = start(drawn)
    for index, shot in enumerate(drawn.shots()):
        down = shot.arm is Arm.CANDIDATE and index % 5 == 0
        result = ShotResult(
            latency_s=1.0 + 1e-6 * index, scores={"text_accuracy": Score(None if down else 1.0, "down")}
        )
        judge = fold(judge, shot, result)
    assessment = assess(judge)
    assert assessment.verdicts[1].summary.log_safety > -math.log(0.1)
    assert verdict(assessment, "text accuracy") is Verdict.NO_EVIDENCE
    assert "are without a value" in assessment.verdicts[1].reason


def test_failed_drawings_are_judged_once() -> None:
    """Scores that are missing because the drawing failed leave text to the rest, while failures have a guardrail."""
    candidate = Painter(failures=0.2)
    text = score("text_accuracy", max_drop=0.2)
    alone = judged(SPEED, text, candidate=candidate, max_repeats=3)
    with_guardrail = judged(SPEED, text, rate(max_increase=0.5), candidate=candidate, max_repeats=3)
    assert verdict(alone, "text accuracy") is Verdict.NO_EVIDENCE
    assert verdict(with_guardrail, "text accuracy") is Verdict.PASS
    assert with_guardrail.missing[1].keys() == {"no_image"}


def test_a_prompt_without_text_misses_no_text_score() -> None:
    """Only prompts that expect text are read by a text metric, and the others are not counted as missing."""
    assessment = judged(latency(max_ratio=3.0), TEXT, max_repeats=2, min_repeats=2)
    assert assessment.verdicts[1].summary.n_candidate == 2 * 39
    assert assessment.missing[1] == {}


def test_failures_are_late_and_refusals_are_not() -> None:
    """A failed drawing is infinitely late on its arm; a refused one is neither fast nor slow, and no failure."""
    failed, refused = ShotResult(fault="deadline", latency_s=15.0), ShotResult(fault="refused", latency_s=0.01)
    assert [measured(name, failed) for name in ("latency_s", "service_s", "failure", "refusal")] == [
        math.inf,
        math.inf,
        1.0,
        0.0,
    ]
    assert [measured(name, refused) for name in ("latency_s", "failure", "refusal")] == ["refused", 0.0, 1.0]
    assert measured("text_accuracy", failed) == "no_image"
    assert measured("cost_usd", failed) == "no_image"


@pytest.mark.parametrize(
    ("metric", "result", "reason"),
    [
        ("cost_usd", ShotResult(latency_s=1.0), "not_measured"),
        ("cost_usd", ShotResult(latency_s=1.0, compute_s=1.0), "no_price"),
        ("words", ShotResult(fault="refused"), "refused"),
        ("memory_gib", ShotResult(latency_s=1.0, memory_source="not_reported"), "not_reported"),
        ("latency_s", ShotResult(latency_s=math.nan), "invalid"),
        ("latency_s", ShotResult(latency_s=-1.0), "invalid"),
        ("words", ShotResult(scores={"words": Score(1.5)}), "invalid"),
        ("words", ShotResult(scores={"words": Score(None, "scorer_down")}), "scorer_down"),
        ("words", ShotResult(), "not_measured"),
    ],
)
def test_what_is_no_number_is_a_reason(metric: str, result: ShotResult, reason: str) -> None:
    """Absent and absurd values are missing with a reason that says which."""
    assert measured(metric, result) == reason


def test_the_largest_value_is_judged_as_it_is() -> None:
    """One image above a maximum fails the candidate, whatever the average."""
    drawn = plan(suite(), gated(SPEED, Criterion("memory_gib", "max", limit=2.0)), "preview")
    judge = start(drawn)
    for index, shot in enumerate(shot for shot in drawn.shots() if shot.repeat == 0):
        memory_gib = 2.5 if shot.arm is Arm.CANDIDATE and index == 40 else 1.0
        judge = fold(judge, shot, ShotResult(latency_s=1.0 + 1e-6 * index, memory_gib=memory_gib))
    assessment = assess(judge)
    assert (assessment.verdict, verdict(assessment, "memory max")) == (Verdict.FAIL, Verdict.FAIL)
    assert "memory max 2.5 GiB against 1 GiB" in assessment.reason


def test_likeness_is_found_on_whichever_image_came_second() -> None:
    """Every pair's likeness is read once, and the incumbent is like itself."""
    assessment = judged(SPEED, score("likeness", limit=0.9))
    summary = assessment.verdicts[1].summary
    assert (summary.n_candidate, summary.candidate, summary.incumbent) == (assessment.pairs, pytest.approx(0.97), 1.0)
    assert assessment.verdicts[1].allowed == ">= 0.900"
    assert assessment.missing[1] == {}


def test_stability_is_read_once_a_block_and_reproducibility_on_second_drawings() -> None:
    """Two repeats give every prompt one stability per arm and, asked for, two reproducibilities."""
    criteria = (SPEED, score("stability", max_drop=0.2), score("reproducibility", limit=0.9))
    assessment = judged(*criteria, min_repeats=2, max_repeats=2)
    assert [item.summary.n_candidate for item in assessment.verdicts] == [114, 57, 114]
    assert assessment.missing == ({}, {}, {})


def test_the_whole_law_stands_in_nobodys_way() -> None:
    """A law that finds no harm does not keep a proven candidate, a law that finds some fails it."""
    law = latency(statistic="law", max_ratio=1.25)
    good = judged(law, SPEED)
    assert (good.verdict, verdict(good, "latency law")) == (Verdict.PASS, Verdict.INCONCLUSIVE)
    assert judged(law, FAILURES, candidate=Painter(latency_s=0.5)).verdict is Verdict.FAIL


def test_a_law_that_was_never_measured_is_no_evidence() -> None:
    """Not even a test that only looks for harm passes on nothing."""
    law = Criterion("queue_s", "law", max_ratio=2.0)
    drawn = plan(suite(), gated(SPEED, law, max_repeats=1), "preview")
    judge = start(drawn)
    for index, shot in enumerate(drawn.shots()):
        judge = fold(judge, shot, ShotResult(latency_s=1.0 + 1e-6 * index))
    assert assess(judge).verdict is Verdict.NO_EVIDENCE


@pytest.mark.parametrize(("role", "expected"), [(Role.WATCH, Verdict.FAIL), (Role.DRY_RUN, Verdict.FAIL)])
def test_what_only_reports_changes_nothing(role: Role, expected: Verdict) -> None:
    """A breached watch or dry run is shown as failed while the guardrails pass the candidate."""
    assessment = judged(FAILURES, replace(SPEED, role=role), candidate=Painter(latency_s=0.7), min_repeats=1)
    assert (assessment.verdict, verdict(assessment, "latency p50")) == (Verdict.PASS, expected)


def test_folding_again_gives_the_same_state() -> None:
    """The judge is a pure fold: two runs over the same shots agree, and warm-up and loads change nothing."""
    drawn, results = bench(gated(SPEED, FAILURES, TEXT, concurrency=(1, 4)), Painter(), seed=5)[1:]

    def folded() -> GateJudge:
        judge = start(drawn)
        for shot in drawn.shots():
            if shot.key in results:
                judge = fold(judge, shot, results[shot.key])
        return judge

    judge = folded()
    assert judge == folded()
    assert judge == fold(judge, drawn.load()[0], ShotResult(fault="broken"))
    assert judge == fold(judge, drawn.warm_up()[0], ShotResult(fault="broken"))


def test_shots_out_of_order_are_refused() -> None:
    """A shot of another repeat or another prompt than the one waited for is an error, not a wrong pair."""
    drawn = plan(suite(), gated(SPEED), "preview")
    first, second = drawn.repeat(0), drawn.repeat(1)
    with pytest.raises(ValueError, match="is not of repeat 0"):
        fold(start(drawn), second[0], ShotResult())
    with pytest.raises(ValueError, match="does not make a pair"):
        fold(fold(start(drawn), first[0], ShotResult()), first[2], ShotResult())
    assert all(shot.phase is not ShotPhase.LOAD for shot in drawn.shots())
