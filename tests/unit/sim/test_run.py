"""Single runs: the loop's logic on a simulated clock."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.core.batch import judge_of, slots_of
from controller.core.judge import Evidence, advance, assess, start
from controller.core.policy import Criterion, Mode, OnDeadline, Requires, Role, Stage
from controller.core.rollout import Epoch
from controller.schema.scenario import Scenario
from controller.sim.conditions import START_S
from controller.sim.lines import Lines
from controller.sim.rows import Rows
from controller.sim.run import Result, Run
from controller.sim.world import World
from controller.stats.columns import NO_VALUE
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally, merge
from tests.unit.sim.worlds import scenario

SLOW = {"arms.candidate.scale": {"latency_s": 3.5}}


def go(found: Scenario, number: int = 0, seed: int = 1) -> Result:
    return Run(found, seed, number).go()


def with_policy(found: Scenario, **changes: Any) -> Scenario:
    return replace(found, policy=replace(found.policy, **changes))


def test_a_run_is_its_seed_and_number(tmp_path: Path) -> None:
    """The same seed and number give the same run, others another."""
    found = scenario(tmp_path)
    assert go(found) == go(found)
    assert go(found) != go(found, number=1)
    assert go(found) != go(found, seed=2)


def test_an_identical_candidate_is_promoted(tmp_path: Path) -> None:
    """It goes through every stage and the bake, and the decision is the promotion, before the bake."""
    found = scenario(tmp_path)
    result = go(found)
    assert result.outcome == "promoted"
    assert result.stage == 1
    assert result.candidate_images >= 8 + 100
    assert 0 < result.duration_s < found.duration_s
    assert result.reason.startswith("baked for")


def test_a_bad_swap_is_reverted_in_the_first_stage(tmp_path: Path) -> None:
    """A model 3.5 times slower is reverted within a few images, and the reason says how slow it was."""
    result = go(scenario(tmp_path, SLOW))
    assert (result.outcome, result.stage) == ("reverted", 0)
    assert result.candidate_images <= 8
    assert result.reason.startswith("reverted at ")
    assert "latency" in result.reason


def test_a_late_fault_is_found_while_baking(tmp_path: Path) -> None:
    """A fault that begins after the promotion reverts the new incumbent during the bake."""
    found = scenario(tmp_path, {**SLOW, "arms.candidate.from_image": 600})
    result = go(with_policy(found, bake_s=1200.0))
    assert result.outcome == "reverted"
    assert result.reason.startswith("reverted while baking")
    assert result.candidate_images > 600


def test_shadow_stages_expose_nobody(tmp_path: Path) -> None:
    """Images of a shadow stage are read, but no user sees one."""
    stages = (Stage(Mode.SHADOW, 0.3, 50, Requires.IMAGES), Stage(Mode.SHARE, 0.5, 10, Requires.PASS))
    result = go(with_policy(scenario(tmp_path, SLOW), stages=stages))
    assert result.outcome == "reverted"
    assert result.exposed == 0
    assert result.candidate_images > 0


def test_a_policy_that_cannot_decide_is_inconclusive(tmp_path: Path) -> None:
    """At the deadline an undecided rollout reverts without a verdict, or is held where the policy says so."""
    found = with_policy(scenario(tmp_path), deadline_s=60.0)
    assert go(found).outcome == "inconclusive"
    assert go(with_policy(found, on_deadline=OnDeadline.HOLD)).outcome == "held"


def test_silence_holds(tmp_path: Path) -> None:
    """Without candidate requests for the evidence timeout the rollout is held."""
    found = with_policy(scenario(tmp_path, {"rate_per_s": 0.01}), evidence_timeout_s=120.0)
    result = go(found)
    assert result.outcome == "held"
    assert result.reason.startswith("no evidence for")


def test_approval_comes_after_its_time(tmp_path: Path) -> None:
    """A stage that needs an approval begins when the simulated person gives it."""
    stages = (Stage(Mode.SHARE, 0.2, 8, Requires.IMAGES), Stage(Mode.SHARE, 0.5, 20, Requires.PASS, approval=True))
    found = with_policy(scenario(tmp_path), stages=stages, deadline_s=1e6)
    soon, late = go(found), go(replace(found, approve_after_s=600.0))
    assert soon.outcome == late.outcome == "promoted"
    assert late.duration_s > soon.duration_s + 300


def test_an_outage_of_both_arms_reverts_nobody(tmp_path: Path) -> None:
    """A provider that fails half of both arms' requests for minutes is no fault of the candidate."""
    outage = {"outages": [{"start_h": 0.0, "duration_h": 0.1, "failure_rate": 0.5}]}
    assert [go(scenario(tmp_path, outage), number).outcome for number in range(5)].count("reverted") == 0


def test_bursts_of_deaths_are_found(tmp_path: Path) -> None:
    """A candidate whose replicas die and take five requests along each time is reverted for its failures."""
    found = scenario(tmp_path, {"arms.candidate.oom": {"per_1000_images": 60, "burst": 5}})
    # What failed has no service time and counts as slow, so that criterion is left out.
    result = go(with_policy(found, criteria=[item for item in found.policy.criteria if item.metric != "service_s"]))
    assert result.outcome == "reverted"
    assert "failure rate" in result.reason


def test_a_criterion_that_wants_images_is_waited_for(tmp_path: Path) -> None:
    """No stage ends before a guardrail has read its images; a run that is asked to wait goes on later, and ends."""
    found = scenario(tmp_path)
    [law, median, *rest] = found.policy.criteria
    waiting = with_policy(found, criteria=(law, replace(median, min_images=400), *rest), deadline_s=1e6)
    assert go(waiting).outcome == "promoted"
    assert go(waiting).candidate_images >= 400 > go(found).candidate_images


def test_blocks_promote_and_revert(tmp_path: Path) -> None:
    """A policy judged by blocks alone promotes an identical candidate and reverts a slow one, whatever the noise."""
    noisy = {"replica_noise": {"sigma": 0.03, "correlation_s": 20}, "max_duration_h": 3.0}
    blocks = (Criterion("latency_s", "p50", max_ratio=1.15, block_s=60.0),)
    assert go(with_policy(scenario(tmp_path, noisy), criteria=blocks, deadline_s=1e6)).outcome == "promoted"
    slow = scenario(tmp_path, {**noisy, "arms.candidate.scale": {"latency_s": 1.5}})
    assert go(with_policy(slow, criteria=blocks, deadline_s=1e6)).outcome == "reverted"


def test_windows_of_one_request(tmp_path: Path) -> None:
    """With `window_requests: 1` every window holds one request, across a change of the split too."""
    found = scenario(tmp_path, {"rate_per_s": None, "window_requests": 1, "max_duration_h": None, "max_requests": 900})
    assert found.duration_s == 900 * WINDOW_S
    assert go(with_policy(found, deadline_s=1e6, bake_s=1e6)).requests == 900


def _awkward(found: Scenario) -> Scenario:
    """Return the scenario under every mode that a criterion may have."""
    law, median, *rest = found.policy.criteria
    modes = (
        law,
        replace(median, min_images=150),
        replace(median, block_s=30.0),
        replace(median, max_ratio=1.02, role=Role.DRY_RUN),
        Criterion("latency_s", "p95", limit=4.0),
    )
    return with_policy(found, criteria=(*modes, *rest))


@pytest.mark.parametrize("changes", [{}, {"arms.candidate.scale": {"latency_s": 1.35}}, SLOW], ids=str)
def test_asking_at_every_moment_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """The moments that the simulation skips are those at which the core would have said nothing new."""
    found = [scenario(tmp_path, {"rate_per_s": 10.0, "max_duration_h": 0.15, **changes})]
    found += [with_policy(found[0], bake_s=60.0), _awkward(found[0])]
    skipped = [go(item, number) for item in found for number in range(2)]

    def every_moment(self: Lines, after_s: float, until_s: float, *_: object, **__: object) -> float | None:
        moments = self.moments(after_s, until_s)
        return float(moments[0]) if len(moments) else None

    monkeypatch.setattr(Lines, "next_flip", every_moment)
    assert [go(item, number) for item in found for number in range(2)] == skipped


def tally(rows: Rows, window: int, until_s: float) -> WindowTally:
    """Return what a gateway has counted of a window by a moment."""
    total = []
    for at in np.flatnonzero(rows.window == window).tolist():
        resolved = rows.arrival_s[at] + rows.latency_s[at] <= until_s
        cells = {m: {int(c[at]): 1} for m, c in rows.cells.items() if resolved and c[at] != NO_VALUE}
        arm = Arm.CANDIDATE if rows.candidate[at] else Arm.INCUMBENT
        total.append(WindowTally({arm: {rows.names[rows.kind[at]]: ClassTally(1, cells)}}))
    return merge(total)


def test_lines_read_what_the_real_judge_reads(tmp_path: Path) -> None:
    """Second by second, processes ahead of each other by their ages say what `advance` makes of flushed tallies."""
    found = scenario(tmp_path, {"rate_per_s": 2.0})
    world = World(found, 1, 0)
    judge = start(found.policy, found.timeout_s, world.history().tally(), interval=False)
    rows = world.draw(START_S, 40, 0.3, 0)
    lines = Lines(found.policy, slots_of(judge))
    lines.extend(rows.span(1, 0, 0.3))
    epochs = [Epoch(1, 0, 0.3, Mode.SHARE, flipped=False)]
    first = int(START_S // WINDOW_S)
    for second in range(10, 190, 9):
        now_s = START_S + second
        begun = [w for w in range(first, int(now_s // WINDOW_S) + 1) if (rows.window == w).any()]
        for watermark_s in range(int(now_s) - 8, int(now_s) + 1):
            seen = {(w, 1): {"gateway": tally(rows, w, watermark_s)} for w in begun}
            evidence = Evidence(seen, {"gateway": float(watermark_s)}, frozenset({"gateway"}))
            judge, _ = advance(judge, evidence, epochs)
        mine, real = assess(judge_of(found.policy, lines.slots(now_s))), assess(judge)
        assert mine.log_harm == pytest.approx(real.log_harm, abs=1e-9)
        assert mine.images == real.images
        assert [v.summary.log_safety for v in mine.verdicts] == pytest.approx(
            [v.summary.log_safety for v in real.verdicts], abs=1e-9
        )
        for ours, theirs in zip(mine.verdicts, real.verdicts, strict=True):
            assert ours.verdict == theirs.verdict
            assert ours.summary.change == pytest.approx(theirs.summary.change, abs=1e-9)
            assert (ours.summary.n_candidate, ours.summary.missing_candidate) == (
                theirs.summary.n_candidate,
                theirs.summary.missing_candidate,
            )
