"""Every rule fires where it must, and only there."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lint import RULES, Severity, keys
from controller.lint.waivers import FOREVER
from tests.unit.lint.cases import CASES, Case
from tests.unit.lint.desk import lint, ours, rules

WRONG = {"model": "sd3.5-large", "batch_size": 8, "guidance_scale": 12.0, "scheduler": "fast_ema", "precision": "fp32"}
MENDED = {
    "model": "sd3.5-medium",
    "torch_dtype": "auto",
    "batch_size": 2,
    "num_inference_steps": 28,
    "guidance_scale": 7.5,
}
MARKED_WRONG = {
    "precision-fp32-on-gpu",
    "unknown-pipeline-kwarg",
    "vram-budget-exceeded",
    "batch-too-large-for-lane",
    "scheduler-unknown",
    "steps-uncapped",
    "guidance-out-of-range",
    "model-id-unqualified",
    "revision-unpinned",
    "seed-missing",
}
MARKED_MENDED = {
    "dtype-not-torch-dtype",
    "unknown-pipeline-kwarg",
    "guidance-out-of-range",
    "model-id-unqualified",
    "revision-unpinned",
    "seed-missing",
}


def _named(case: Case) -> str:
    return f"{case.rule}@{case.key}"


@pytest.mark.parametrize("case", CASES, ids=_named)
def test_a_rule_fires_at_the_key(case: Case) -> None:
    """The rule finds its fault, at the key that has it, and says what to do."""
    found = [one for one in lint(case.fires, case.facts) if one.rule == case.rule]
    assert [one.key for one in found] == [case.key]
    assert found[0].message
    assert found[0].fix


@pytest.mark.parametrize("case", CASES, ids=_named)
def test_a_rule_stays_silent_beside_its_fault(case: Case) -> None:
    """The same file without the fault gets no finding of the rule."""
    assert case.rule not in rules(lint(case.silent, case.silent_facts or case.facts))


def test_every_rule_has_a_case() -> None:
    """No rule of the catalogue is untested; what stands for the file itself is tested with files."""
    assert {case.rule for case in CASES} == RULES.keys() - FOREVER


def test_a_sound_manifest_has_no_errors() -> None:
    """The manifest of the guide gets remarks, and nothing that refuses it."""
    assert rules(lint(ours()), Severity.ERROR) == set()


@pytest.mark.parametrize(
    ("value", "marked", "mild"),
    [(WRONG, MARKED_WRONG, {"licence-unacknowledged"}), (MENDED, MARKED_MENDED, {"licence-unacknowledged"})],
    ids=["wrong", "mended"],
)
def test_the_configurations_of_the_story(value: Mapping[str, Any], marked: set[str], mild: set[str]) -> None:
    """Both get what the catalogue marks, as errors and warnings, and beyond it only a question of licence."""
    found = lint(value)
    assert rules(found, Severity.ERROR, Severity.WARNING) == marked | mild
    assert rules(found, Severity.WARNING) >= mild


def test_guidance_is_an_error_only_for_models_with_a_known_range() -> None:
    """12 is an error for SD3.5, a warning for an unknown model and for the small one that ships."""
    key = "sampling.guidance_scale"
    for source, severity in (
        ("stabilityai/stable-diffusion-3.5-large", Severity.ERROR),
        ("somebody/fine-tune", Severity.WARNING),
        ("serving/tinydiff/shiny", Severity.WARNING),
    ):
        found = [one for one in lint(ours({key: 12.0, "model.source": source})) if one.key == key]
        assert [one.severity for one in found] == [severity], source


def test_a_retiring_model_warns_before_it_is_an_error() -> None:
    """A model that ends within 90 days is a warning, one that has ended an error."""
    for model, severity in (("gpt-image-1.5", Severity.WARNING), ("dall-e-3", Severity.ERROR)):
        found = [one for one in lint({"model": model}) if one.rule == "model-retired-or-retiring"]
        assert [one.severity for one in found] == [severity]
        assert found[0].fix == "gpt-image-2"


@pytest.mark.parametrize(
    ("changes", "nearest"),
    [
        ({"model.precision": "bfloat"}, "bfloat16"),
        ({"model.scheduler.class": "FlowMatchEulerScheduler"}, "FlowMatchEulerDiscreteScheduler"),
        ({"sampling.width_px": 1010}, "1008"),
        ({"resources.gpu": "L5"}, "L4"),
        ({"model.source": "sd3.5-larg"}, "stabilityai/stable-diffusion-3.5-large"),
        ({"model.options.max_seq_length": 5}, "max_sequence_length"),
    ],
    ids=str,
)
def test_the_nearest_legal_value_is_named(changes: Mapping[str, Any], nearest: str) -> None:
    """What is misspelt or out of step gets the legal value that is nearest as its fix."""
    (key,) = changes
    assert nearest in [one.fix for one in lint(ours(changes)) if one.key == key]


@pytest.mark.parametrize(
    "value",
    [
        {"model": {"source": 7, "scheduler": [], "options": 3}, "sampling": "fast", "resources": None},
        {"kind": "candidate", "model": [1, 2], "sampling": {"steps": True, "width_px": "wide"}, "tenants": 5},
        {"kind": "lane", "incumbent": 3, "lanes": {"a": 1}, "prompts": [1, None], "seed": [None, "x"]},
        {"kind": ["candidate"], "n": 2, "size": "axb", "model": "gpt-image-2", "retry_on": None},
        {"kind": "prices", "prices": [1]},
        {"kind": "prices", "prices": {"L4": 3, "T4": {"usd_per_hour": "many", "date": 7}}},
        {"kind": "policy", "criteria": {"statistic": ["p99"]}, "samples": 3},
    ],
    ids=str,
)
def test_rules_survive_any_shape(value: Mapping[str, Any]) -> None:
    """Values of the wrong type are the schema's to refuse: no rule raises."""
    lint(value)


_NAMES = sorted(
    {part for name in vars(keys).values() if isinstance(name, tuple) for dotted in name for part in dotted.split(".")}
    | {"kind", "tenants", "lanes", "prices", "criteria", "statistic", "incumbent", "n", "width", "style", "quality"}
)
_WORDS = [
    "candidate",
    "lane",
    "prices",
    "V_2",
    "dall-e-3",
    "gpt-image-2",
    "sd3.5-medium",
    "stability",
    "p99",
    "0x0",
    "",
]
_SCALARS = st.one_of(st.sampled_from(_WORDS), st.booleans(), st.none(), st.integers(-5, 2**40), st.floats(-10, 1e9))
_VALUES = st.recursive(
    _SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), below, max_size=6),
    max_leaves=20,
)


@settings(max_examples=150, derandomize=True)
@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES, min_size=1, max_size=8))
def test_rules_survive_known_names_with_any_value(value: Mapping[str, Any]) -> None:
    """Whatever stands under a name that a rule reads, it answers with findings that have a place, or stays silent."""
    for one in lint(value):
        assert one.line >= 1
        assert one.column >= 1
        assert one.fix
