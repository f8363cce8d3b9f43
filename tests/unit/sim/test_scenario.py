"""Scenario files: what they may say, and what is said of those that may not."""

from pathlib import Path
from typing import Any

import pytest

from controller.errors import InvalidFileError
from controller.schema import POLICIES
from controller.schema.scenario import load_scenario
from tests.unit.sim.worlds import scenario, written


@pytest.mark.parametrize("path", sorted((POLICIES / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_scenarios_that_ship_are_sound(path: Path) -> None:
    """Every scenario that ships loads and is called like its file."""
    assert load_scenario(path).name == path.stem


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"rate_per_sec": 1}, "rate_per_sec", "unknown key; did you mean rate_per_s?"),
        ({"rate_per_s": None}, "file", "needs either `rate_per_s` or `window_requests`"),
        ({"window_requests": 1}, "file", "needs either `rate_per_s` or `window_requests`"),
        ({"max_requests": 10}, "file", "needs either `max_duration_h` or `max_requests`"),
        ({"policy": "dmo"}, "file", "no policy is called dmo; did you mean demo?"),
        ({"arms.incumbent.latency_s.family": "lognorm"}, "arms.incumbent.latency_s.family", "unknown value"),
        ({"arms.incumbent.latency_s.sigma": None}, "arms.incumbent.latency_s", "lognormal needs median and sigma"),
        ({"arms.incumbent.latency_s.mean": 1}, "arms.incumbent.latency_s.mean", "is no parameter of lognormal"),
        ({"arms.incumbent.latency_s.tail": {"share": 0.1}}, "arms.incumbent.latency_s.tail", "needs either"),
        ({"arms.incumbent.text_accuracy.mean": 2}, "arms.incumbent.text_accuracy.mean", "must be less than 1"),
        (
            {"arms.incumbent.cost_usd": {"family": "beta", "mean": 0.5, "concentration": 3}},
            "arms.incumbent.cost_usd.family",
            "beta does not fit cost_usd",
        ),
        ({"arms.incumbent.cost_usd.exact_share": 0.5}, "arms.incumbent.cost_usd.exact_share", "is for scores only"),
        (
            {"arms.incumbent.latency_s": {"family": "empirical", "file": "absent.txt"}},
            "arms.incumbent.latency_s.file",
            "",
        ),
        ({"arms.incumbent.latency_s": None}, "arms.incumbent", "has no law for latency_s, and"),
        ({"arms.candidate.scale": {"latency": 2}}, "arms.candidate.scale.latency", "latency can't be scaled"),
        ({"arms.incumbent.like": "incumbent"}, "arms.incumbent.like", "the incumbent is where the other starts"),
        ({"arms.incumbent.from_image": 5}, "arms.incumbent.from_image", "only the candidate has a first image"),
        ({"classes": [{"name": "a", "share": 0.5}]}, "classes", "the share of all classes must add up to 1"),
        ({"assignment": "sticky"}, "file", "needs `users`: the assignment is sticky"),
        ({"users": {"count": 0}}, "users.count", "must be at least 1"),
        ({"arms.incumbent.failure_rate": 1.5}, "arms.incumbent.failure_rate", "must be at most 1"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, changes: dict[str, Any], key: str, words: str) -> None:
    """Each fault is a problem with file, line and key, in the words of every other file."""
    with pytest.raises(InvalidFileError) as caught:
        load_scenario(written(tmp_path, changes))
    assert (key, True) in {(item.key, item.message.startswith(words)) for item in caught.value.problems}
    assert all(item.line >= 1 for item in caught.value.problems)


def test_files_of_values_are_checked(tmp_path: Path) -> None:
    """An empirical file is read from beside the scenario; a word in it is named with its place."""
    (tmp_path / "seen.txt").write_text("0.5\n0.7\n0.9\n")
    law = {"family": "empirical", "file": "seen.txt"}
    found = scenario(tmp_path, {"arms.incumbent.latency_s": law})
    assert found.incumbent.laws["latency_s"].values == (0.5, 0.7, 0.9)
    (tmp_path / "seen.txt").write_text("0.5\nslow\n")
    with pytest.raises(InvalidFileError, match="entry 2 is slow"):
        scenario(tmp_path, {"arms.incumbent.latency_s": law})


def test_a_candidate_starts_from_the_incumbent(tmp_path: Path) -> None:
    """`like` takes every law over; what the candidate says itself stands; an equal candidate is within its limits."""
    same = scenario(tmp_path)
    assert same.candidate == same.incumbent
    assert same.within
    other = scenario(tmp_path, {"arms.candidate.scale": {"latency_s": 2.0}, "arms.candidate.failure_rate": 0.1})
    assert other.candidate.laws == other.incumbent.laws
    assert other.candidate.scale == {"latency_s": 2.0}
    assert other.candidate.rates["failure"] == 0.1
    assert not other.within
    assert scenario(tmp_path, {"arms.candidate.scale": {"latency_s": 1.1}, "expect": "promoted"}).within
