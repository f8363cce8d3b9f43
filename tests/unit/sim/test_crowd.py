"""Requests that are counted have the law of requests that are drawn one by one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.schema.scenario import Scenario
from controller.sim import world as worlds
from controller.sim.conditions import START_S
from controller.sim.lots import Lots
from controller.sim.run import Run
from controller.sim.world import World
from controller.stats.columns import NO_VALUE, Columns
from controller.stats.tally import WINDOW_S
from tests.unit.sim.worlds import scenario

RICH: dict[str, Any] = {
    "rate_per_s": None,
    "window_requests": 4000,
    "timeout_s": 4,
    "arms.incumbent.failure_rate": 0.05,
    "arms.incumbent.refusal_rate": 0.02,
    "arms.candidate.scale": {"latency_s": 1.5, "cost_usd": 1.2},
    "scores": {"median_delay_s": 3, "sigma": 0.8, "missing_share": 0.1},
    "drift": {"trend": 1.3},
    "classes": [
        {"name": "small", "share": 0.7, "share_end": 0.2},
        {"name": "large", "share": 0.3, "share_end": 0.8, "scale": {"latency_s": 2.0, "cost_usd": 2.0}},
    ],
}


def one_by_one(found: Scenario, monkeypatch: pytest.MonkeyPatch) -> World:
    with monkeypatch.context() as patch:
        patch.setattr(worlds, "is_crowd", lambda *_: False)
        return World(found, 1, 0)


def summary(columns: Columns) -> dict[tuple[bool, int, int], int]:
    """Return requests by arm, class, and cell in tenths of a decade (None of them for those without a value)."""
    total: dict[tuple[bool, int, int], int] = {}
    cell = np.where(columns.cell == NO_VALUE, -1, columns.cell // 23)
    for key, n in zip(zip(columns.candidate, columns.kind, cell, strict=True), columns.n, strict=True):
        total[key] = total.get(key, 0) + int(n)
    return total


def test_counted_requests_have_the_law_of_drawn_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arm by arm, class by class and metric by metric, 80,000 counted and as many drawn requests differ by chance."""
    found = scenario(tmp_path, RICH)
    drawn = one_by_one(found, monkeypatch).draw(START_S, 20, 0.3, 0).span(1, 0, 0.3)
    counted = World(found, 1, 1).draw(START_S, 20, 0.3, 0)
    assert isinstance(counted, Lots)
    span = counted.span(1, 0, 0.3)
    assert span.incumbents.sum() + span.candidates.sum() == counted.requests == 20 * 4000
    for metric, columns in span.columns.items():
        first, second = summary(columns), summary(drawn.columns[metric])
        for key in {*first, *second}:
            n, m = first.get(key, 0), second.get(key, 0)
            assert abs(n - m) <= 5 * (n + m) ** 0.5 + 5, (metric, key)


def test_a_latency_is_known_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every whole second after a window's end as many of its latencies are known as when requests are drawn."""
    changes = {"window_requests": 20_000, "rate_per_s": None, "arms.candidate.scale": {"latency_s": 3.0}}
    found = scenario(tmp_path, changes)
    drawn = one_by_one(found, monkeypatch).draw(START_S, 4, 0.5, 0).span(1, 0, 0.5).columns["latency_s"]
    counted = World(found, 1, 1).draw(START_S, 4, 0.5, 0).span(1, 0, 0.5).columns["latency_s"]
    for age_s in range(1, 8):
        known = [int(rows.n[(rows.known_s <= age_s) & rows.candidate].sum()) for rows in (drawn, counted)]
        assert abs(known[0] - known[1]) <= 5 * sum(known) ** 0.5


def test_lots_are_cut_at_whole_seconds(tmp_path: Path) -> None:
    """What came before a moment and what is drawn after it fill a window, and nothing is counted twice."""
    found = scenario(tmp_path, {"rate_per_s": None, "window_requests": 10_000})
    world = World(found, 1, 0)
    whole = world.draw(START_S, 2, 0.2, 0)
    cut = whole.before(START_S + WINDOW_S + 2)
    assert cut.in_window(int(START_S // WINDOW_S)) == 10_000
    already = cut.in_window(int(START_S // WINDOW_S) + 1)
    assert 3500 < already < 4500
    rest = world.draw(START_S + WINDOW_S + 2, 1, 0.2, already)
    assert rest.requests == 10_000 - already
    assert cut.candidates + whole.candidates > 0
    assert cut.shown <= cut.candidates
    assert whole.before(START_S).requests == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_per_s": 10.0},
        {"rate_per_s": 2000.0, "outages": [{"start_h": 0.01, "duration_h": 0.01}]},
        {"rate_per_s": 2000.0, "arms.candidate.oom": {"per_1000_images": 1}},
        {"rate_per_s": 2000.0, "arms.incumbent.text_accuracy": {"family": "beta", "mean": 0.8, "concentration": 1.0}},
    ],
    ids=["few", "outage", "deaths", "no masses"],
)
def test_where_one_request_matters_each_is_drawn(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Small windows, outages, deaths and laws without masses are drawn request by request."""
    assert not isinstance(World(scenario(tmp_path, changes), 1, 0).draw(START_S, 1, 0.5, 0), Lots)


def test_a_crowd_is_judged_like_anybody(tmp_path: Path) -> None:
    """At 2,000 requests a second an identical candidate is promoted, a slow one reverted, a late fault found."""
    found = replace(scenario(tmp_path, {"rate_per_s": 2000.0}), duration_s=400.0)
    assert Run(found, 1, 0).go().outcome == "promoted"
    slow = replace(found, candidate=replace(found.candidate, scale={"latency_s": 1.5}))
    result = Run(slow, 1, 0).go()
    assert (result.outcome, result.stage) == ("reverted", 0)
    late = Run(replace(slow, from_image=9_000), 1, 0).go()
    assert late.outcome == "reverted"
    assert late.candidate_images > 9_000
