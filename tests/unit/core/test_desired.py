from dataclasses import replace

from controller.core.desired import desired
from controller.core.policy import Assignment, Mode
from controller.core.states import State
from tests.unit.core.values import LANE, ROLLOUT


def test_no_traffic_before_observing():
    """Proposed, preparing and benching leave the split as it was before the rollout."""
    alone = desired(LANE, None).split
    for state in (State.PROPOSED, State.PREPARING, State.BENCHING):
        assert desired(LANE, replace(ROLLOUT, state=state)).split == alone


def test_candidate_is_deployed_from_preparing_on():
    """The candidate's application is wanted from preparing until the rollout is over, not before."""
    app = ROLLOUT.candidate_app
    assert app not in desired(LANE, ROLLOUT).apps
    for state in (State.PREPARING, State.OBSERVING, State.HELD, State.REVERTING, State.BAKING):
        assert set(desired(LANE, replace(ROLLOUT, state=state)).apps) == {app, ROLLOUT.incumbent_app}
    assert set(desired(LANE, replace(ROLLOUT, state=State.REVERTED)).apps) == {ROLLOUT.incumbent_app}


def test_share_follows_the_stage():
    """Observing and awaiting approval have the stage's share and mode; held and reverting have none."""
    for stage, (share, mode) in enumerate([(0.1, Mode.SHADOW), (0.1, Mode.SHARE), (0.25, Mode.SHARE)]):
        for state in (State.OBSERVING, State.AWAITING_APPROVAL):
            split = desired(LANE, replace(ROLLOUT, state=state, stage=stage)).split
            assert (split.candidate, split.share, split.mode) == (ROLLOUT.candidate_app, share, mode)
        for state in (State.HELD, State.REVERTING):
            split = desired(LANE, replace(ROLLOUT, state=state, stage=stage)).split
            assert (split.incumbent, split.candidate, split.share) == (ROLLOUT.incumbent_app, None, 0.0)


def test_baking_flips_the_arms():
    """While baking a gateway without a lease serves the new model, and the old one keeps the holdback."""
    split = desired(LANE, replace(ROLLOUT, state=State.BAKING)).split
    assert (split.incumbent, split.candidate) == (ROLLOUT.candidate_app, ROLLOUT.incumbent_app)
    assert (split.share, split.flipped) == (0.02, True)


def test_sticky_policies_are_sticky_where_users_see_the_candidate():
    """A mirrored request spends nobody's vote; shares and the holdback keep users where they are."""
    sticky = replace(ROLLOUT, policy=replace(ROLLOUT.policy, assignment=Assignment.STICKY))
    for stage, state, expected in (
        (0, State.OBSERVING, False),
        (1, State.OBSERVING, True),
        (2, State.AWAITING_APPROVAL, True),
        (2, State.BAKING, True),
        (2, State.REVERTING, False),
    ):
        assert desired(LANE, replace(sticky, state=state, stage=stage)).split.sticky is expected
        assert not desired(LANE, replace(ROLLOUT, state=state, stage=stage)).split.sticky


def test_promoted_serves_the_new_model_alone():
    """After promotion the lane's incumbent is the candidate and nothing else runs."""
    lane = replace(LANE, incumbent=ROLLOUT.candidate)
    wanted = desired(lane, replace(ROLLOUT, state=State.PROMOTED))
    assert (wanted.split.incumbent, wanted.split.candidate) == (ROLLOUT.candidate_app, None)
    assert set(wanted.apps) == {ROLLOUT.candidate_app}
