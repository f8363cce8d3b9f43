import json
from dataclasses import replace
from typing import Any

import pytest

from controller.core.policy import Gate
from controller.core.shot import ShotResult
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler
from controller.gate.quantities import quantiles
from controller.gate.result import About, document
from controller.stats.tally import Arm
from tests.unit.gate.world import Painter, bench, gated, latency, rate, score

SPEC = ModelSpec(
    provider="fake",
    source="model",
    revision="1",
    precision="float32",
    scheduler=Scheduler("FlowMatchEulerDiscreteScheduler", 40),
    sampling=Sampling(16, 3.0, 96, 64),
    resources=Resources("cpu", 0.0, 1),
)
ABOUT = About(
    id="b-0001",
    rollout=None,
    candidate_name="turbo",
    candidate=replace(SPEC, revision="2"),
    incumbent=SPEC,
    versions={"code": "test"},
    machine={"device": "cpu"},
    started_at="2026-11-25T00:00:00Z",
    finished_at="2026-11-25T00:10:00Z",
)
CRITERIA = (latency(max_ratio=1.25), rate(max_increase=0.1), score("likeness", limit=0.9))


def written(candidate: Painter | None = None, **changes: object) -> dict[str, Any]:
    assessment, drawn, shots = bench(gated(*CRITERIA, **changes), candidate or Painter(), seed=3)
    for shot in drawn.load():
        shots[shot.key] = ShotResult(latency_s=0.5, service_s=0.2)
    return document(ABOUT, drawn, assessment, shots)


def test_the_document_is_json_with_everything_a_repetition_needs() -> None:
    """It survives JSON without NaN or infinity, and holds suite, gate, specs, versions and machine."""
    result = written(Painter(failures=0.05))
    text = json.dumps(result, allow_nan=False)
    assert json.dumps(json.loads(text)) == text
    assert (result["kind"], result["schema_version"], result["id"]) == ("bench", 1, "b-0001")
    assert Gate.from_json(result["gate"]).criteria == CRITERIA
    assert ModelSpec.from_json(result["candidate"]["spec"]).digest == result["candidate"]["digest"]
    assert result["suite"].keys() == {"name", "version", "digest"}
    assert (result["versions"], result["machine"]) == ({"code": "test"}, {"device": "cpu"})


def test_the_document_shows_what_was_judged() -> None:
    """Pairs are those of the judge in their order, and each criterion states its numbers and what was missing."""
    result = written(min_repeats=2)
    assert len(result["pairs"]) == result["criteria"][0]["n"]
    assert [pair["repeat"] for pair in result["pairs"]] == sorted(pair["repeat"] for pair in result["pairs"])
    assert result["stopped_early"]
    for row in result["criteria"]:
        assert row["verdict"] == "pass"
        assert row["missing"] == {}
        assert row["log_safety"] > 2.3
    assert result["criteria"][0]["change"] == pytest.approx(
        result["criteria"][0]["candidate"] / result["criteria"][0]["incumbent"]
    )


def test_likeness_lies_with_the_candidate() -> None:
    """Whichever image came second, the number is shown where it belongs."""
    for pair in written()["pairs"]:
        assert "likeness" in pair["candidate"]["scores"]
        assert "likeness" not in pair["incumbent"]["scores"]


def test_drawings_with_the_same_seed_are_rows_of_their_own() -> None:
    """Each second drawing has a row per arm with its value."""
    again = written()["again"]
    assert {row["arm"] for row in again} == {arm.value for arm in Arm}
    assert all(row["value"] == 0.97 for row in again)


def test_categories_compare_means_over_pairs_that_both_arms_have() -> None:
    """A category lists the scores that apply to it and no others, with the pairs behind the means."""
    rows = {(row["category"], row["metric"]): row for row in written(min_repeats=2, max_repeats=2)["categories"]}
    assert rows["typography", "text_accuracy"]["n"] == 2 * 39
    assert rows["small_objects", "objects"]["n"] == 2 * 18
    assert ("small_objects", "text_accuracy") not in rows
    assert rows["typography", "stability"]["n"] == 39


def test_a_load_is_a_row_per_level_and_arm_with_its_throughput() -> None:
    """Four at a time that take half a second each are eight a second; a load that was not drawn is no row."""
    rows = written(concurrency=(1, 4))["load"]
    assert [(row["level"], row["arm"], row["n"]) for row in rows] == [("c4", "incumbent", 60), ("c4", "candidate", 60)]
    assert rows[0]["images_per_s"] == pytest.approx(8.0)
    assert written()["load"] == []


def test_a_quantile_that_too_few_images_support_is_not_stated() -> None:
    """With 120 images a p95 is an order statistic with its exact bound, a p99 is refused with the number it needs."""
    stated = quantiles([float(n) for n in range(1, 121)])
    assert stated["p95"] == {"value": 114.0, "upper": 119.0, "n": 120}
    assert stated["p99"] == {"value": None, "n": 120, "reason": "a p99 needs 299 images, there are 120"}


def test_failed_drawings_take_the_tail() -> None:
    """A quantile that failed drawings reach is not stated, one whose bound they reach has no bound."""
    stated = quantiles([1.0] * 112 + [float("inf")] * 8)
    assert stated["p50"]["upper"] == 1.0
    assert stated["p95"]["value"] is None
    assert "failed drawings" in stated["p95"]["reason"]
    assert quantiles([1.0] * 116 + [float("inf")] * 4)["p95"]["upper"] is None


def test_an_arm_states_failures_cost_and_memory() -> None:
    """Failures are counted, the mean cost is of drawings that were paid, and memory is the peak with its source."""
    arm = written(Painter(failures=0.05, memory_gib=1.5))["arms"]["candidate"]
    assert 0 < arm["failures"] < arm["n"]
    assert (arm["memory_gib_max"], arm["memory_source"], arm["steps"]) == (1.5, "process_peak", 16)
    assert arm["cost_usd_mean"] == pytest.approx(0.25 * 0.04 / 3600, rel=0.1)
