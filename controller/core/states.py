"""The life of a rollout: its states, the events that move it, and the one table of transitions.

Theory of operation
-------------------
A rollout is a value. `observe` looks at facts and names at most one event; `step` looks the event up in
`TRANSITIONS` and returns the next value; `desired` derives from the value alone what the world should look like.
Everything that affects the machine is in this file and in `rollout.py`; the diagram in `docs/reference/states.md`
is generated from the table below, so it can't disagree with it.

Three rules shape the table:

1. Every state that may have sent traffic to the candidate can be left towards `reverting`, and `desired` gives a
   reverting rollout share 0: harm, abort, a broken candidate, an expired deadline and lost trust in the evidence all
   take effect in the very step that records them.
2. Abort wins over everything before `promoting`. Once the pointer is flipped the same wish is called `undo`.
3. A state that never had traffic ends in `rejected`, never in `reverted`: nobody has to ask which users saw it.

What is not elegant: `held` must remember where it came from, so `Rollout.stage` survives it and `resume` always
re-enters `observing` at that stage (an approval that was pending is asked for again, because only `approve` moves
on to the stage that needs it).
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a rollout is."""

    PROPOSED = "proposed"  # linted, policy frozen, lane taken
    PREPARING = "preparing"  # the model is deployed and warmed up, share 0
    BENCHING = "benching"  # the offline gate runs, share 0
    OBSERVING = "observing"  # stage k of the policy: shadow or share
    HELD = "held"  # share 0, a person or a fact must say how to go on
    AWAITING_APPROVAL = "awaiting_approval"  # stage k passed and keeps its share, stage k + 1 waits for a person
    PROMOTING = "promoting"  # the pointer is flipped, waiting until every gateway has it
    BAKING = "baking"  # the candidate is the incumbent, the old one is warm and held back on a small share
    PROMOTED = "promoted"  # done
    REVERTING = "reverting"  # share 0 is written, waiting until every gateway has it
    REVERTED = "reverted"  # done
    REJECTED = "rejected"  # done, never had traffic
    SUPERSEDED = "superseded"  # done, replaced by an explicit request


TERMINAL = frozenset({State.PROMOTED, State.REVERTED, State.REJECTED, State.SUPERSEDED})
WITHOUT_TRAFFIC = frozenset({State.PROPOSED, State.PREPARING, State.BENCHING})


class Kind(StrEnum):
    """What happened."""

    START = "start"  # the loop took the rollout up
    READY = "ready"  # the candidate is deployed, warm and answers
    BROKEN = "broken"  # the candidate can't be deployed, or died for good
    BENCH_PASSED = "bench_passed"
    BENCH_FAILED = "bench_failed"
    ADVANCE = "advance"  # this stage passed, the next one needs nobody
    ASK = "ask"  # this stage passed, the next one needs a person
    APPROVE = "approve"
    PROMOTE = "promote"  # every guardrail passed at the last stage, or a person forced it
    SWITCHED = "switched"  # every live gateway applied the split
    BAKED = "baked"
    HARM = "harm"  # evidence of harm spent the budget
    ABORT = "abort"  # a person
    UNDO = "undo"  # a person, after the flip
    DEADLINE = "deadline"  # undecided for too long
    UNTRUSTED = "untrusted"  # evidence can't be trusted (sample ratio, invalid values)
    ENVIRONMENT = "environment"  # both arms breach an absolute limit
    STARVED = "starved"  # no evidence arrived for too long
    PAUSE = "pause"  # a person
    RESUME = "resume"  # a person
    SUPERSEDE = "supersede"  # a person


S, K = State, Kind

TRANSITIONS: Mapping[tuple[State, Kind], State] = {
    (S.PROPOSED, K.START): S.PREPARING,
    (S.PREPARING, K.READY): S.BENCHING,
    (S.BENCHING, K.BENCH_PASSED): S.OBSERVING,
    (S.BENCHING, K.BENCH_FAILED): S.REJECTED,
    **{(state, K.BROKEN): S.REJECTED for state in (S.PREPARING, S.BENCHING)},
    **{(state, K.ABORT): S.REJECTED for state in sorted(WITHOUT_TRAFFIC)},
    **{(state, K.DEADLINE): S.REJECTED for state in sorted(WITHOUT_TRAFFIC)},
    **{(state, K.SUPERSEDE): S.SUPERSEDED for state in sorted(WITHOUT_TRAFFIC)},
    (S.OBSERVING, K.ADVANCE): S.OBSERVING,
    (S.OBSERVING, K.ASK): S.AWAITING_APPROVAL,
    (S.OBSERVING, K.PROMOTE): S.PROMOTING,
    (S.AWAITING_APPROVAL, K.APPROVE): S.OBSERVING,
    (S.AWAITING_APPROVAL, K.PROMOTE): S.PROMOTING,
    (S.HELD, K.PROMOTE): S.PROMOTING,
    (S.HELD, K.RESUME): S.OBSERVING,
    **{
        (state, kind): S.HELD
        for state in (S.OBSERVING, S.AWAITING_APPROVAL)
        for kind in (K.PAUSE, K.UNTRUSTED, K.ENVIRONMENT, K.STARVED)
    },
    **{
        (state, kind): S.REVERTING
        for state in (S.OBSERVING, S.AWAITING_APPROVAL, S.HELD)
        for kind in (K.HARM, K.ABORT, K.BROKEN, K.DEADLINE, K.SUPERSEDE)
    },
    (S.PROMOTING, K.SWITCHED): S.BAKING,
    (S.BAKING, K.BAKED): S.PROMOTED,
    **{(state, kind): S.REVERTING for state in (S.PROMOTING, S.BAKING) for kind in (K.UNDO, K.HARM, K.BROKEN)},
    (S.REVERTING, K.SWITCHED): S.REVERTED,
}
