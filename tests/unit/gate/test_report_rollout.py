"""The report of a rollout, made from what the real loop and judge left behind."""

import json
import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from controller import noise
from controller.core.policy import Criterion
from controller.gate.report import rollout_html, rollout_markdown
from controller.gate.report_noise import blocks
from controller.gate.report_parts import Cell, Note, Table, Tone
from controller.noise import LaneNoise
from controller.stats.noise import Noise
from tests.unit.gate.report_example import HOSTILE
from tests.unit.gate.report_reader import Reader
from tests.unit.world import DEMO, World

Facts = tuple[dict[str, Any], list[dict[str, Any]]]


def facts_of(world: World) -> Facts:
    """Return view and audit log as the API gives them."""
    rollout = world.rollout()
    assert rollout is not None
    log = [asdict(entry) for entry in world.service.audit(rollout.id)]
    view, log = json.loads(json.dumps((world.service.rollout(rollout.id), log)))
    return view, log


@pytest.fixture(scope="module")
def reverted() -> Facts:
    """A candidate that is 3.5 times as slow."""
    world = World()
    world.slower = 3.5
    world.propose()
    world.run_until(lambda: world.rollout().state == "reverted")
    return facts_of(world)


@pytest.fixture(scope="module")
def promoted() -> Facts:
    """A candidate that is as good as the incumbent."""
    world = World(seed=3)
    world.propose()
    world.run_until(lambda: world.rollout().state == "promoted", limit_s=6000.0)
    return facts_of(world)


def test_the_outcome_comes_first(reverted: Facts) -> None:
    """The outcome and its sentence stand before everything else, in both forms."""
    shown = Reader(rollout_html(*reverted)).shown
    reason = " ".join(reverted[0]["reason"].split())
    assert shown.index("The candidate was reverted") < shown.index(reason) < shown.index("What stands in the way")
    assert rollout_markdown(*reverted).startswith("### ❌ The candidate was reverted\n")


def test_the_criterion_that_failed_is_at_the_top(reverted: Facts) -> None:
    """The first thing under the outcome is the criterion that failed, with its numbers."""
    shown = Reader(rollout_html(*reverted)).shown
    assert shown[shown.index("What stands in the way") + 22 :].lstrip().startswith("fail: latency p50 ")


def test_margins_bounds_and_evidence_are_tabled(reverted: Facts) -> None:
    """Each criterion has its margin, estimates, bounds valid at any time, and the evidence of harm and safety."""
    read = Reader(rollout_html(*reverted))
    item = next(item for item in reverted[0]["criteria"] if item["title"] == "latency p50")
    assert "change, 95 % at any time" in read.shown
    for told in (item["allowed"], item["change"], f"{item['log10_harm']:+.1f}", f"{item['log10_safety']:+.1f}"):
        assert told in read.shown
    assert len(read.all("svg")) == 1


def test_the_spent_budget_and_the_sample_ratio_are_stated(reverted: Facts) -> None:
    """How much evidence of harm there is of what a revert needs, and whether assignment kept its promise."""
    shown = Reader(rollout_html(*reverted)).shown
    assert re.search(r"evidence of harm [\d,e]+ of 100 needed: all of it is spent", shown)
    assert "assignment matches the recorded share: evidence of a mismatch" in shown


def test_exposure_counts_what_users_saw(reverted: Facts) -> None:
    """The images that users saw are the view's, not the requests assigned."""
    view = reverted[0]
    shown = Reader(rollout_html(*reverted)).shown
    assert f"images of the candidate that users saw {view['seen']:,} " in shown
    assert view["seen"] > 0
    assert "requests assigned to the candidate" in shown
    sticky = view | {"policy": view["policy"] | {"assignment": "sticky"}}
    assert "users assigned to the candidate" in Reader(rollout_html(sticky, *reverted[1:])).shown


def test_every_step_has_its_time_and_reason(promoted: Facts) -> None:
    """The life is the audit log's: each state with time, duration, actor and reason."""
    shown = Reader(rollout_html(*promoted)).shown
    life = shown[shown.index("Every step, from the audit log") :]
    steps = [entry for entry in promoted[1] if entry["to_state"]]
    assert [entry["to_state"] for entry in steps][-2:] == ["baking", "promoted"]
    at = -1
    for entry in steps:
        at = life.index(entry["at"][:19].replace("T", " "), at + 1)
        assert " ".join(entry["reason"].split()) in life
    assert "ana: propose" in life
    assert re.search(r"observing, 10 %.*observing, 50 %.*promoting 0\.5 s.*promoted", life)


def test_a_promotion_has_nothing_in_the_way(promoted: Facts) -> None:
    """When every criterion passed the report says so."""
    assert all(item["verdict"] == "pass" for item in promoted[0]["criteria"])
    assert "Nothing: every criterion passed." in Reader(rollout_html(*promoted)).shown


def test_the_audit_head_is_named_in_full(promoted: Facts) -> None:
    """Whoever holds the report can find out later whether the log was changed."""
    last = promoted[1][-1]
    assert f"audit entry {last['seq']} {last['digest']}" in Reader(rollout_html(*promoted)).shown


def test_a_rollout_without_traffic_has_a_report() -> None:
    """Rejected before any traffic: no criteria, no budget spent, no drawing, no pretended pass."""
    world = World()
    world.propose()
    world.run(1.0)
    world.ask("r-0001", "abort", "wrong file")
    world.run_until(lambda: world.rollout().state == "rejected")
    read = Reader(rollout_html(*facts_of(world)))
    assert "The candidate was rejected before any traffic" in read.shown
    assert "No live evidence was read" in read.shown
    assert "nothing of the false-revert budget was spent" in read.shown
    assert "every criterion passed" not in read.shown
    assert not read.all("svg")


def test_overrides_and_tradeoffs_are_shown(promoted: Facts) -> None:
    """What people let pass and gave up is in the report and in the summary."""
    view, log = promoted
    told = {"gives_up": "long text", "unsuitable_for": ["posters", "logos"]}
    view = view | {"overrides": ["steps-too-few"], "tradeoffs": told}
    for text in (Reader(rollout_html(view, log)).shown, rollout_markdown(view, log).replace("\\", "")):
        assert "overridden or waived" in text
        assert "steps-too-few" in text
        assert "long text" in text
        assert "posters, logos" in text


def test_a_hostile_reason_stays_a_text(promoted: Facts) -> None:
    """What people write as a reason runs nothing, loads nothing and notifies nobody."""
    view, log = promoted
    view = view | {"reason": HOSTILE, "name": HOSTILE, "owner": HOSTILE}
    log = [entry | {"reason": HOSTILE, "actor": HOSTILE} for entry in log]
    read = Reader(rollout_html(view, log))
    assert not read.all("script")
    assert not read.all("img")
    assert read.handlers == []
    assert [address for address in read.addresses if not address.startswith("data:")] == []
    spans = r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)"
    assert "@everyone" not in re.sub(spans, "", rollout_markdown(view, log))


def test_unmeasured_noise_is_said_to_be(promoted: Facts) -> None:
    """Without a measurement nobody may believe that the allowed changes respect the noise."""
    assert "Not measured: it is unknown whether" in Reader(rollout_html(*promoted)).shown


def test_noise_is_held_against_the_allowed_ratio() -> None:
    """Each ratio that replicas move is said to be respected or not, with the smallest one that the noise supports."""
    policy = replace(
        DEMO,
        criteria=(
            Criterion("latency_s", "p50", max_ratio=1.25),
            Criterion("latency_s", "p95", max_ratio=1.02),
            Criterion("cost_usd", "mean", max_ratio=1.2),
            Criterion("failure", "rate", max_increase=0.1),
        ),
    )
    measured = Noise("latency_s", 0.05, 0.08, 0.0, None, 60, 40, 400, 4000, 4000)
    found = LaneNoise("preview", {"latency_s": measured}, ["r-0001"], 1.0, "0" * 64, "2026-11-25T10:00:00.000000Z")
    table, source, other = blocks(noise.view(found, policy, "1" * 64), policy.criteria)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["latency p50", "latency p95", "cost per image"]
    assert [row[-1].text for row in table.rows if isinstance(row[-1], Cell)] == ["yes", "no", "yes"]
    assert {row[3] for row in table.rows} == {"1.105x"}
    assert isinstance(source, Note)
    assert source.text.startswith("Measured from A/A rollout r-0001")
    assert other == Note("Another model was the incumbent when it was measured.", Tone.DOUBT)
