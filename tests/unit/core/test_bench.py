"""What a bench compares, in which applications, and when two are the same question."""

import json
from dataclasses import replace

from controller.core.bench import Bench, twin
from controller.core.desired import desired
from controller.core.policy import Criterion, Gate
from controller.core.spec import Resources
from controller.core.states import State
from controller.stats.tally import Arm
from tests.unit.core.values import LANE, POLICY, ROLLOUT, spec

GATE = Gate("core", "d" * 64, 1, 4, (1, 2), None, (Criterion("text_accuracy", "mean", max_drop=0.1),))
GATED = replace(POLICY, gate=GATE)
BENCH = Bench("b-0001", "preview", "turbo", "ana", "why", spec(10), spec(20), GATED, 20.0)


def test_a_twin_differs_in_nothing_that_shows():
    """A twin draws the same images elsewhere: it differs in its name and its replicas alone."""
    copy = twin(spec(20), 3)
    assert replace(copy, variant="", resources=spec(20).resources) == spec(20)
    assert (copy.variant, copy.resources.replicas) == ("bench", 3)
    assert twin(replace(spec(20), variant="b"), 1).variant == "b-bench"
    assert copy.digest != spec(20).digest


def test_both_arms_have_equal_resources():
    """The incumbent's twin gets as many replicas as the candidate has."""
    wide = replace(BENCH, candidate=replace(spec(10), resources=Resources("cpu", 0, 3)))
    assert [item.resources.replicas for item in wide.specs.values()] == [3, 3]


def test_a_bench_by_itself_touches_no_live_application():
    """Neither arm is the application that users or a rollout may be served by, even when both arms are one model."""
    same = replace(BENCH, candidate=spec(20))
    live = {f"model-preview-{spec(steps).digest[:12]}" for steps in (10, 20)}
    for bench in (BENCH, same):
        assert not live & set(bench.apps.values())
        assert len(set(bench.apps.values())) == 2


def test_a_rollout_is_benched_with_its_own_candidate():
    """The rollout's candidate has no traffic yet, so it is drawn where it is; the incumbent by its twin."""
    bench = Bench.of(ROLLOUT, LANE)
    assert bench.apps[Arm.CANDIDATE] == ROLLOUT.candidate_app
    assert bench.apps[Arm.INCUMBENT] != ROLLOUT.incumbent_app
    assert (bench.rollout, bench.timeout_s, bench.actor) == ("r-0001", LANE.timeout_s, "ana")


def test_the_question_is_models_suite_and_settings():
    """Who asks, when and why does not matter; the models, the suite's digest, the settings and the rollout do."""
    same = replace(BENCH, id="b-0002", actor="ben", reason="again", name="other", created_at_s=5.0)
    assert same.key == BENCH.key
    others = (
        replace(BENCH, candidate=spec(12)),
        replace(BENCH, incumbent=spec(12)),
        replace(BENCH, rollout="r-0001"),
        replace(BENCH, lane="export"),
        replace(BENCH, policy=replace(GATED, gate=replace(GATE, suite_digest="e" * 64))),
        replace(BENCH, policy=replace(GATED, gate=replace(GATE, max_repeats=5))),
        replace(BENCH, policy=replace(GATED, budget=replace(GATED.budget, false_revert=0.1))),
        replace(BENCH, policy=POLICY),
    )
    assert len({BENCH.key, *(item.key for item in others)}) == 1 + len(others)


def test_a_bench_comes_back_from_json():
    """What was written as JSON text is read as the same value."""
    assert Bench.from_json(json.loads(json.dumps(BENCH.to_json()))) == BENCH


def test_the_twin_is_wanted_while_benching_alone():
    """The incumbent's twin runs while a rollout is benched, not before, not after, and not without a gate."""
    gated = replace(ROLLOUT, policy=GATED)
    app = Bench.of(gated, LANE).apps[Arm.INCUMBENT]
    for state in State:
        apps = desired(LANE, replace(gated, state=state)).apps
        assert (app in apps) == (state is State.BENCHING)
    assert app not in desired(LANE, replace(ROLLOUT, state=State.BENCHING)).apps
