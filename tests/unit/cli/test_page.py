"""The page of a rollout: the same facts in every state, plain and in colour."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from controller.cli.exits import Exit, of_state
from controller.cli.explain import levers
from controller.cli.page import as_text, number
from controller.cli.words import ago, duration
from controller.core.policy import Mode
from controller.core.rollout import Epoch
from controller.core.states import State
from controller.stats.tally import Arm, ClassTally, WindowTally
from controller.view import rollout_view
from tests.unit.core.values import ROLLOUT, assessment

TOTALS = WindowTally(
    {Arm.CANDIDATE: {"small": ClassTally(assigned=253)}, Arm.INCUMBENT: {"small": ClassTally(assigned=747)}}
)


def view(state: State, stage: int = 2, **changes: Any) -> dict[str, Any]:
    """Return the view of a rollout in a state."""
    rollout = replace(
        ROLLOUT, state=state, stage=stage, reason="because", epochs=(Epoch(3, 2, 0.25, Mode.SHARE, flipped=False),)
    )
    found = assessment(log_harm=math.log(0.4), log_needed=math.log(100), images=7, **changes)
    return rollout_view(rollout, found, TOTALS, None, TOTALS)


def test_an_observed_rollout_shows_everything() -> None:
    """Stages passed and current, shares wanted and observed, budget and evidence, criteria, and what is missing."""
    page = as_text(view(State.OBSERVING), colour=False)
    assert "+ shadow 10 %   + 10 %   > 25 % (approval)     50 %     promote     bake" in page
    assert "share 25 % wanted, 25.3 % observed under it (253 of 1,000)" in page
    assert "false-revert budget 1 %, evidence of harm 0.4 of 100" in page
    assert re.search(r"latency p95 +allowed +.*inconclusive", page)
    assert "text accuracy (watch)" in page
    assert "not advancing: 7 of 10 candidate images" in page


def test_a_sticky_rollout_counts_users() -> None:
    """Where users are assigned, not requests, the share is theirs."""
    found = view(State.OBSERVING)
    page = as_text(found | {"policy": found["policy"] | {"assignment": "sticky"}}, colour=False)
    assert "25.3 % observed under it (253 of 1,000 users)" in page


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.REVERTED, "x 25 % (approval)"),
        (State.REJECTED, "x rejected"),
        (State.PROMOTED, "+ promote   + bake   + promoted"),
        (State.BAKING, "+ promote   > bake"),
        (State.HELD, "> 25 % (approval)"),
        (State.AWAITING_APPROVAL, "> awaiting approval"),
    ],
)
def test_the_rail_says_where_it_stands(state: State, told: str) -> None:
    """Every state is seen on the rail: passed, here, or where it ended."""
    assert told in as_text(view(state), colour=False)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_page_and_a_lever(state: State) -> None:
    """No state is without a page, a next step, and an exit code."""
    assert "because" in as_text(view(state), colour=False)
    assert list(levers(view(state)))
    assert of_state(state.value) in Exit


def test_colour_changes_no_word() -> None:
    """Without its escape codes the coloured page is the plain page."""
    coloured = as_text(view(State.OBSERVING), colour=True)
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "".join(bare.split()) == "".join(as_text(view(State.OBSERVING), colour=False).split())


@pytest.mark.parametrize(
    ("state", "code"), [("promoted", 0), ("rejected", 3), ("reverted", 5), ("held", 6), ("superseded", 6)]
)
def test_outcomes_have_fixed_exit_codes(state: str, code: int) -> None:
    """Scripts rely on these numbers."""
    assert of_state(state) == code


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.4, "0.4"), (9.96, "10"), (164.2, "164"), (1234.0, "1,234"), (3e9, "3e9"), (1e120, "1e120")],
)
def test_amounts_of_evidence_are_short(value: float, text: str) -> None:
    """From nothing to astronomical in at most six characters."""
    assert number(value) == text


def test_times_are_said_in_the_fitting_unit() -> None:
    """Seconds, minutes, hours, days; a clock that is behind says nothing negative."""
    assert [duration(s) for s in (5, 150, 7200, 200_000)] == ["5 s", "2 min", "2 h", "2 d"]
    assert ago(10.0, now_s=5.0) == "0 s"
