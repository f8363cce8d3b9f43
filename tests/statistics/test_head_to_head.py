"""The comparison with other tools' rules and with the information floor, in small (fixed seeds)."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.decisions import floor, ports, tables
from tests.benchmarks.decisions.__main__ import QUICK_RUNS, plan, quick
from tests.benchmarks.decisions.book import Book, work
from tests.benchmarks.decisions.head import OURS
from tests.benchmarks.decisions.traffic import Arm, Traffic
from tests.benchmarks.decisions.worlds import LATENCY, RAMP, STEADY, Setting

SEED = 1


@pytest.fixture(scope="module")
def measured() -> Book:
    """Return what `--quick` measures: a few runs of each cell."""
    book = Book(None)
    work(book, quick(), SEED)
    return book


def reverted(book: Book, setting: Setting, rule: str) -> list[int]:
    """Return the candidate images at each revert."""
    return [call.images for call in tables.calls_of(book, setting, rule) if call.outcome == "reverted"]


def test_thresholds_misfire_on_an_identical_candidate(measured: Book) -> None:
    """At a 10 % share and 600 requests a minute, Flagger-like 1.25x reverts most identical candidates, ours none."""
    same = Setting("same", 600, STEADY)
    assert len(reverted(measured, same, "Flagger-like 1.25x")) >= 6
    assert reverted(measured, same, OURS) == []


def test_a_pooled_z_test_rejects_an_identical_candidate_under_load(measured: Book) -> None:
    """Over a ramp of shares while load slows both arms, the naive test reverts every identical candidate, ours none."""
    same = Setting("same", 600, RAMP)
    assert len(reverted(measured, same, "naive z-test")) == QUICK_RUNS
    assert reverted(measured, same, OURS) == []


def test_points_of_a_minute_cost_a_hundred_times_the_images(measured: Book) -> None:
    """On the swap at a 10 % share, Kayenta-like needs at least 100 times our images, Flagger-like 50 times."""
    swap = Setting("3.5x", 600, STEADY)
    ours = np.mean(reverted(measured, swap, OURS))
    assert len(reverted(measured, swap, OURS)) == QUICK_RUNS
    assert np.mean(reverted(measured, swap, "Kayenta-like 10")) >= 100 * ours
    assert np.mean(reverted(measured, swap, "Flagger-like 1.25x")) >= 50 * ours


def test_our_tests_stay_near_the_floor(measured: Book) -> None:
    """A few runs of three tests need on average less than twice what anyone needs."""
    rows = list(tables.floor_rows(measured))[2:]
    assert len(rows) == 3
    assert all(float(row.split(" | ")[5].split(" ")[0]) < 2 for row in rows)


def arm(rng: np.random.Generator, n: int, failure: float = 0.0) -> Arm:
    """Return an arm's requests of one minute."""
    values = {"latency": rng.normal(1.0, 0.1, n), "failure": (rng.random(n) < failure).astype(float)}
    return Arm(np.sort(rng.random(n)) * 60.0, {**values, "cost": values["latency"], "loss": values["failure"]})


@pytest.mark.parametrize(("n", "low", "high"), [(10, 0.0, 0.06), (50, 0.36, 0.56), (100, 0.75, 0.93)])
def test_kayenta_like_has_the_power_of_another_port(n: int, low: float, high: float) -> None:
    """Points 20 % higher, spreading by .3, are high in about 2, 46 and 84 % of judgements of 10, 50 and 100 points."""
    rng = np.random.default_rng(1)
    high_ones = [ports._is_high(1.2 * rng.normal(1.0, 0.3, n), rng.normal(1.0, 0.3, n)) for _ in range(200)]
    assert low <= np.mean(high_ones) <= high


def test_kayenta_like_is_blind_to_failures_in_half_of_the_points() -> None:
    """No failure in 60 points against failures in 30 of them passes."""
    assert not ports._is_high(np.repeat([0.0, 0.02], 30), np.zeros(60))


@pytest.mark.parametrize(("n", "low", "high"), [(200, 0.0, 0.05), (500, 0.65, 0.87)])
def test_growthbook_like_has_the_power_of_another_port(n: int, low: float, high: float) -> None:
    """Failures of 5 % against 1 % are found in about 1 and 76 % of looks at 200 and 500 users of each arm."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(200):
        worse, same = arm(rng, n, 0.05), arm(rng, n, 0.01)
        found.append(ports.growthbook(Traffic(worse, same, same, 1), None).outcome == "reverted")
    assert low <= np.mean(found) <= high


def test_no_traffic_fails_flaggers_checks_and_argos_queries() -> None:
    """Without a candidate request five minutes roll back Flagger-like, 50 s of errors abort Argo-like."""
    nothing, some = arm(np.random.default_rng(3), 0), arm(np.random.default_rng(3), 10)
    quiet = Traffic(nothing, some, some, 60)
    assert ports.flagger(quiet, None, 1.25).after_s == 300.0
    assert ports.argo(quiet, None).after_s == 340.0


@pytest.mark.parametrize(("factor", "share", "images"), [(1.05, 0.01, 305), (1.1, 0.1, 89), (1.25, 0.5, 31.9)])
def test_floors_of_the_whole_law_are_those_of_an_independent_computation(
    factor: float, share: float, images: float
) -> None:
    """The two-sample floors equal those that another program integrated, to half a percent."""
    assert floor.of_law(LATENCY, factor, share) == pytest.approx(images, rel=5e-3)


def test_a_floor_of_a_rate_at_a_vanishing_share_is_that_of_one_sample() -> None:
    """With nearly no candidates the incumbent's rate is as good as known."""
    known = floor.LOG_NEEDED / (0.01 * np.log(10) + 0.99 * np.log(0.99 / 0.999))
    assert floor.of_rate(0.01, 0.001, 1e-6) == pytest.approx(known, rel=1e-4)


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    """A book that is read again misses nothing of what it holds, and says the same."""
    [(key, (cell, _))] = [item for item in plan(1, 1, 1).items() if item[0] == "efficiency/law 1.25x/0.1"]
    first = Book(tmp_path / "book.jsonl")
    work(first, {key: (cell, 12)}, SEED)
    again = Book(tmp_path / "book.jsonl")
    assert again.calls(key) == first.calls(key)
    assert len(again.calls(key)) == 12
    assert list(again.missing({key: (cell, 12)})) == []
    assert [chunk.n for chunk in again.missing({key: (cell, 25)})] == [8, 5]


def test_the_page_keeps_what_is_not_ours(tmp_path: Path, measured: Book) -> None:
    """Only the two sections of the page are written; writing them twice changes nothing."""
    (tmp_path / "decisions.md").write_text(
        "# Page\n\n## Before\n\nkept\n\n## Head to head\n\noutdated\n\n## After\n\nkept\n"
    )
    tables.write(measured, tmp_path)
    once = (tmp_path / "decisions.md").read_text()
    tables.write(measured, tmp_path)
    assert (tmp_path / "decisions.md").read_text() == once
    assert "outdated" not in once
    assert [line for line in once.splitlines() if line.startswith("## ")] == [
        "## Before",
        "## Head to head",
        f"## {tables.FLOOR_TITLE}",
        "## After",
    ]
    assert (tmp_path / "decisions" / "head-to-head-600.svg").read_text().startswith("<svg")
