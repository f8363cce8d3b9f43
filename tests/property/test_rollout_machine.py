"""Whatever happens, in whatever order, a rollout keeps its promises."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.desired import desired
from controller.core.facts import Check, Facts, Phase, Wish, observe
from controller.core.rollout import Event, IllegalTransitionError, step
from controller.core.states import TERMINAL, TRANSITIONS, WITHOUT_TRAFFIC, Kind, State
from tests.unit.core.values import LANE, ROLLOUT, assessment

KINDS = st.sampled_from(list(Kind))
WISHES = st.sampled_from([Kind.ABORT, Kind.UNDO, Kind.PAUSE, Kind.RESUME, Kind.APPROVE, Kind.PROMOTE])
ASSESSMENTS = st.builds(
    assessment,
    images=st.integers(0, 60),
    safe=st.booleans(),
    evident=st.booleans(),
    elevated=st.booleans(),
    harm=st.sampled_from([None, None, None, "it is worse"]),
    untrusted=st.sampled_from([None, None, None, "mismatch"]),
    environment=st.sampled_from([None, None, None, "both"]),
)
FACTS = st.builds(
    Facts,
    now_s=st.floats(1000, 6000),
    phase=st.sampled_from(list(Phase)),
    wish=st.none() | st.builds(Wish, WISHES, st.just("ana"), st.just("because")),
    probe=st.none() | st.builds(Check, st.sampled_from([None, "blank"])),
    assessment=st.none() | ASSESSMENTS,
    switched=st.booleans(),
    drained=st.booleans(),
)


def lives(sequence):
    """Return every value a rollout takes when facts arrive in this order."""
    rollout, seen = ROLLOUT, [ROLLOUT]
    for facts in sequence:
        event = observe(rollout, facts)
        if event is not None:
            rollout = step(rollout, event)
            seen.append(rollout)
    return seen


@given(st.lists(KINDS, max_size=30))
def test_illegal_events_change_nothing(kinds):
    """An event the table does not know raises, and the rollout is the same value afterwards."""
    rollout = ROLLOUT
    for kind in kinds:
        event = Event(kind, 2000.0, "test")
        if (rollout.state, kind) in TRANSITIONS and not (
            kind in {Kind.ADVANCE, Kind.APPROVE} and rollout.stage + 1 == len(rollout.policy.stages)
        ):
            rollout = step(rollout, event)
        elif (rollout.state, kind) not in TRANSITIONS:
            before = replace(rollout)
            with pytest.raises(IllegalTransitionError):
                step(rollout, event)
            assert rollout == before


@settings(max_examples=300)
@given(st.lists(FACTS, max_size=40))
def test_stages_stay_inside_the_policy(sequence):
    """The stage never leaves the policy, versions grow by one, and terminal states are final."""
    seen = lives(sequence)
    for before, after in itertools.pairwise(seen):
        assert before.state not in TERMINAL
        assert after.version == before.version + 1
        assert 0 <= after.stage < len(after.policy.stages)
        assert after.stage - before.stage in {0, 1}


@settings(max_examples=300)
@given(st.lists(FACTS, max_size=40))
def test_only_rollouts_without_traffic_are_rejected(sequence):
    """Rejected means no user ever saw it; reverted means the candidate had, or could have had, traffic."""
    seen = lives(sequence)
    for before, after in itertools.pairwise(seen):
        if after.state is State.REJECTED:
            assert before.state in WITHOUT_TRAFFIC
            assert all(desired(LANE, value).split.candidate is None for value in seen)


@settings(max_examples=300)
@given(st.lists(FACTS, max_size=40), FACTS)
def test_a_stop_takes_effect_at_once(sequence, facts):
    """From every state before promotion an abort leads, in that very step, to a split without candidate."""
    rollout = lives(sequence)[-1]
    stopped = replace(facts, wish=Wish(Kind.ABORT, "ana", "stop"))
    if rollout.state in TERMINAL | {State.PROMOTING, State.BAKING, State.REVERTING}:
        return
    event = observe(rollout, stopped)
    assert event is not None
    assert event.kind is Kind.ABORT
    split = desired(LANE, step(rollout, event)).split
    assert (split.incumbent, split.candidate, split.share) == (ROLLOUT.incumbent_app, None, 0.0)


@settings(max_examples=300)
@given(st.lists(FACTS, max_size=40))
def test_harm_is_followed_by_share_zero(sequence):
    """Whenever harm is seen the next value routes everything to the old incumbent."""
    rollout = ROLLOUT
    for facts in sequence:
        event = observe(rollout, facts)
        if event is None:
            continue
        rollout = step(rollout, event)
        if event.kind is Kind.HARM:
            split = desired(LANE, rollout).split
            assert (split.incumbent, split.candidate) == (ROLLOUT.incumbent_app, None)


@given(st.lists(FACTS, max_size=40))
def test_promotion_needs_proof_or_a_person(sequence):
    """Nothing reaches promoting without `safe` evidence at the last stage or a person's promote."""
    rollout = ROLLOUT
    for facts in sequence:
        event = observe(rollout, facts)
        if event is None:
            continue
        if event.kind is Kind.PROMOTE:
            proven = facts.assessment is not None and facts.assessment.safe and facts.assessment.evident
            last = rollout.stage + 1 == len(rollout.policy.stages)
            assert event.actor == "ana" or (proven and last)
        rollout = step(rollout, event)


@given(st.lists(FACTS, max_size=40))
def test_a_rollout_survives_storage(sequence):
    """Every value a rollout takes comes back equal from its JSON form."""
    for value in lives(sequence):
        assert type(value).from_json(value.to_json()) == value


def test_every_state_can_end():
    """From every open state some chain of events leads to a terminal state."""
    for state in set(State) - TERMINAL:
        reached, frontier = {state}, {state}
        while frontier:
            frontier = {to for (source, _), to in TRANSITIONS.items() if source in frontier} - reached
            reached |= frontier
        assert reached & TERMINAL, state
