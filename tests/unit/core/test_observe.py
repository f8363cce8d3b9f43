from dataclasses import replace

import pytest

from controller.core.facts import Check, Facts, Phase, Wish, observe, obstacles
from controller.core.policy import Assignment, Gate, OnDeadline
from controller.core.states import Kind, State
from tests.unit.core.values import NOTHING, POLICY, ROLLOUT, assessment

NOW_S = 1100.0
READY = Facts(now_s=NOW_S, phase=Phase.READY)


def observing(stage: int = 1, **changes):
    return replace(ROLLOUT, state=State.OBSERVING, stage=stage, entered_at_s=NOW_S - 10, **changes)


def kind(rollout, facts):
    event = observe(rollout, facts)
    return event.kind if event else None


def test_no_evidence_never_advances():
    """A stage without any reading stays where it is, however ready the candidate is."""
    assert kind(observing(), READY) is None
    assert kind(observing(), replace(READY, assessment=assessment(images=1000, evident=False))) is None


def test_exposure_advances_an_early_stage():
    """Enough images without a sign of harm move an early stage on, proof or not."""
    assert kind(observing(0), replace(READY, assessment=assessment(images=5))) is Kind.ADVANCE
    assert kind(observing(0), replace(READY, assessment=assessment(images=4))) is None


def test_images_of_the_stage_before_do_not_count():
    """Right after a step, enough images of the stage left behind do not move the rollout on once more."""
    before = assessment(images=1000, safe=True, stage=1)
    assert kind(observing(2), replace(READY, assessment=before)) is None
    assert next(obstacles(observing(2), before)) == "0 of 10 candidate images read at this stage"
    assert kind(observing(2), replace(READY, assessment=replace(before, stage=2))) is Kind.ADVANCE


def test_suspicion_stops_advancing():
    """Elevated evidence of harm keeps the share where it is."""
    assert kind(observing(0), replace(READY, assessment=assessment(images=500, elevated=True))) is None


def test_approval_is_asked_for():
    """A next stage with approval asks instead of advancing."""
    assert kind(observing(1), replace(READY, assessment=assessment(images=10))) is Kind.ASK


def test_only_proof_promotes():
    """The last stage promotes when every guardrail is proven, never on exposure."""
    assert kind(observing(3), replace(READY, assessment=assessment(images=10_000))) is None
    assert kind(observing(3), replace(READY, assessment=assessment(images=20, safe=True))) is Kind.PROMOTE


def test_harm_beats_promotion():
    """When harm and proof cross in the same tick, the rollout reverts."""
    facts = replace(READY, assessment=assessment(images=100, safe=True, harm="latency doubled"))
    event = observe(observing(3), facts)
    assert event is not None
    assert (event.kind, event.reason) == (Kind.HARM, "reverted at 50 %: latency doubled")


@pytest.mark.parametrize("state", [State.PROPOSED, State.PREPARING, State.BENCHING, State.OBSERVING, State.HELD])
def test_abort_wins(state):
    """A person's abort is taken up in every state before promotion, whatever else is true."""
    wish = Wish(Kind.ABORT, "ana", "wrong file")
    facts = Facts(now_s=1e9, phase=Phase.FAILED, wish=wish, assessment=assessment(harm="bad", safe=True))
    assert kind(replace(ROLLOUT, state=state), facts) is Kind.ABORT


def test_candidate_failed_before_traffic_is_broken():
    """A candidate that can't be deployed is broken, with the platform's message in the reason."""
    event = observe(replace(ROLLOUT, state=State.PREPARING), Facts(NOW_S, Phase.FAILED, "no weights at x"))
    assert event is not None
    assert event.kind is Kind.BROKEN
    assert "no weights at x" in event.reason


def test_preparing_has_a_deadline():
    """A candidate that never becomes ready is given up after the policy's ready_timeout_s."""
    rollout = replace(ROLLOUT, state=State.PREPARING)
    assert kind(rollout, Facts(1000.0 + POLICY.ready_timeout_s, Phase.DEPLOYING)) is None
    assert kind(rollout, Facts(1001.0 + POLICY.ready_timeout_s, Phase.DEPLOYING)) is Kind.BROKEN


def test_unsound_first_image_is_broken():
    """A ready application whose first image is not sound never gets traffic."""
    rollout = replace(ROLLOUT, state=State.PREPARING)
    assert kind(rollout, replace(READY, probe=Check("uniform image"))) is Kind.BROKEN
    assert kind(rollout, replace(READY, probe=Check(None))) is Kind.READY
    assert kind(rollout, READY) is None


def test_untrusted_evidence_holds_and_never_blames():
    """Evidence that can't be trusted holds the rollout, even when it would convict the candidate."""
    facts = replace(READY, assessment=assessment(untrusted="share mismatch", harm="latency doubled"))
    assert kind(observing(), facts) is Kind.UNTRUSTED


def test_both_arms_bad_is_environment():
    """Both arms breaching a limit hold the rollout instead of blaming the candidate."""
    facts = replace(READY, assessment=assessment(environment="both arms", harm="limit"))
    assert kind(observing(), facts) is Kind.ENVIRONMENT


def test_starved_of_evidence():
    """No evidence for longer than the policy allows holds; it is neither pass nor fail."""
    late = POLICY.evidence_timeout_s + 1
    assert kind(observing(), replace(READY, now_s=NOW_S, assessment=assessment())) is None
    rollout = replace(observing(), entered_at_s=1000.0)
    assert kind(rollout, replace(READY, now_s=1000.0 + late, assessment=assessment())) is Kind.STARVED
    fresh = assessment(last_evidence_s=1000.0 + late - 5)
    assert kind(rollout, replace(READY, now_s=1000.0 + late, assessment=fresh)) is None


def test_a_lane_whose_users_have_all_voted_is_told_so():
    """Where users vote once, silence may be theirs, and the sentence says it."""
    facts = replace(READY, now_s=1001.0 + POLICY.evidence_timeout_s, assessment=assessment())
    sticky = replace(POLICY, assignment=Assignment.STICKY)
    for policy, said in ((POLICY, False), (sticky, True)):
        event = observe(replace(observing(policy=policy), entered_at_s=1000.0), facts)
        assert event is not None
        assert ("users who have voted" in event.reason) is said


def test_deadline_reverts_or_holds_as_declared():
    """An undecided rollout is reverted at its deadline, or held when the policy says so."""
    late = replace(READY, now_s=1001.0 + POLICY.deadline_s)
    assert kind(observing(), late) is Kind.DEADLINE
    held = observing(policy=replace(POLICY, on_deadline=OnDeadline.HOLD))
    assert kind(held, late) is Kind.PAUSE


def test_lost_application_holds():
    """A candidate whose application vanished under traffic is not blamed for it."""
    assert kind(observing(), Facts(NOW_S, Phase.ABSENT, assessment=assessment())) is Kind.ENVIRONMENT


def test_reverting_waits_for_gateways_and_requests():
    """A revert is over when every gateway switched and the last candidate request ended, and says how many saw it."""
    rollout = replace(ROLLOUT, state=State.REVERTING, reason="reverted at 10 %: bad")
    assert kind(rollout, replace(READY, switched=True)) is None
    assert kind(rollout, replace(READY, drained=True)) is None
    event = observe(rollout, replace(READY, switched=True, drained=True, settled_s=0.42, seen=31))
    assert event is not None
    assert event.reason == "reverted at 10 %: bad; users saw 31 of its images; share 0 everywhere after 0.4 s"


def test_a_bench_that_passed_goes_on():
    """With a gate a rollout observes only after its bench is over and passed."""
    gate = Gate("core", "", 3, 12, (1,), None, ())
    rollout = replace(ROLLOUT, state=State.BENCHING, policy=replace(POLICY, gate=gate))
    assert kind(rollout, READY) is None
    event = observe(rollout, replace(READY, bench=Check(None, {"bench": "b-0001"})))
    assert event is not None
    assert (event.kind, event.reason, event.detail) == (
        Kind.BENCH_PASSED,
        "the offline gate passed",
        {"bench": "b-0001"},
    )


def test_promoting_waits_for_every_gateway():
    """A promotion is a bake only when every gateway has the new split."""
    rollout = replace(ROLLOUT, state=State.PROMOTING)
    assert kind(rollout, READY) is None
    event = observe(rollout, replace(READY, switched=True))
    assert event is not None
    assert (event.kind, event.reason) == (Kind.SWITCHED, "the candidate serves as the incumbent")


def test_baking_watches_then_ends():
    """Baking ends after bake_s, and harm found meanwhile reverts."""
    rollout = replace(ROLLOUT, state=State.BAKING, entered_at_s=NOW_S)
    assert kind(rollout, replace(READY, now_s=NOW_S + 59, assessment=assessment())) is None
    assert kind(rollout, replace(READY, now_s=NOW_S + 60, assessment=assessment())) is Kind.BAKED
    assert kind(rollout, replace(READY, now_s=NOW_S + 60, assessment=assessment(harm="slow"))) is Kind.HARM


def test_a_criterion_may_ask_for_images_of_its_own():
    """A guardrail that has read too few values holds every stage back; a watch never does."""
    first, second, watch = POLICY.criteria
    policy = replace(POLICY, criteria=(replace(first, min_images=5), second, replace(watch, min_images=5)))
    found = assessment(images=100)
    assert list(obstacles(observing(1, policy=policy), found)) == ["latency p95 was read of 0 of 5 candidate images"]
    read = replace(found.verdicts[0], summary=replace(NOTHING, n_candidate=5))
    enough = replace(found, verdicts=(read, *found.verdicts[1:]))
    assert list(obstacles(observing(1, policy=policy), enough)) == []


def test_nobody_waits_for_what_proves_nothing():
    """The line about not advancing names undecided guardrails, never the whole-law test, which can't prove safety."""
    law, *rest = POLICY.criteria
    policy = replace(POLICY, criteria=(replace(law, statistic="law"), *rest))
    reasons = list(obstacles(observing(3, policy=policy), assessment(images=100)))
    assert reasons == ["failure rate is undecided"]


def test_an_overridden_gate_lets_a_failed_bench_pass():
    """With the override the candidate goes on and the sentence says who wanted it and what the gate found."""
    gate = Gate("tiny", "d" * 64, 1, 2, (1,), None, ())
    benching = replace(ROLLOUT, state=State.BENCHING, policy=replace(POLICY, gate=gate), proposed_by="ann")
    failed = replace(READY, bench=Check("fail: text accuracy 0.6 against 0.97"))
    assert kind(benching, failed) is Kind.BENCH_FAILED
    event = observe(replace(benching, overrides=("gate",)), failed)
    assert event is not None
    assert event.kind is Kind.BENCH_PASSED
    assert "overridden by ann" in event.reason
    assert "0.6 against 0.97" in event.reason
    assert kind(replace(benching, overrides=("gate",)), READY) is None
