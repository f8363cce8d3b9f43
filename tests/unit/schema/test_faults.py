"""What a person is told: where, what was found, what is allowed, what was probably meant."""

from pathlib import Path

import pytest

from controller.errors import InvalidFileError
from controller.schema import load_candidate, load_lane, load_policy, load_prices

from .conftest import REMOVED, Changed, Refusal


@pytest.mark.parametrize(
    ("change", "value", "key", "words"),
    [
        ("model.precison", "bfloat16", "model.precison", "unknown key; did you mean precision? allowed: provider,"),
        ("model.precision", "bf16", "model.precision", 'unknown value "bf16"; did you mean bfloat16? allowed: float32'),
        ("model.precision", REMOVED, "model.precision", "is required"),
        ("model.precision", None, "model.precision", "has no value"),
        ("model.source", 7, "model.source", "expected text, found the number 7; put it in quotes"),
        ("model", "sd35", "model", 'expected a mapping of keys to values, found "sd35"'),
        ("model.scheduler.klass", "X", "model.scheduler.klass", "unknown key; did you mean class?"),
        ("sampling.steps", "28", "sampling.steps", 'expected a whole number, found "28"'),
        ("sampling.steps", 2.5, "sampling.steps", "expected a whole number, found the number 2.5"),
        ("sampling.steps", True, "sampling.steps", "expected a whole number, found true"),
        ("sampling.steps", 0, "sampling.steps", "must be at least 1, found the number 0"),
        ("sampling.guidance_scale", [], "sampling.guidance_scale", "expected a number, found a list"),
        ("sampling.width_px", 100_000, "sampling.width_px", "must be at most 8192"),
        ("name", "SD 3.5", "name", "expected lower-case letters, digits and hyphens between them, 48 characters at"),
        ("owner", "", "owner", "must not be empty"),
        ("tradeoffs.unsuitable_for", "games", "tradeoffs.unsuitable_for", 'expected a list, found "games"'),
        ("tradeoffs.unsuitable_for.0", 3, "tradeoffs.unsuitable_for[0]", "expected text"),
        ("schema_version", 2, "schema_version", "this version reads files of schema_version 1, found 2"),
        ("schema_version", True, "schema_version", "expected a whole number, found true"),
    ],
)
def test_each_fault_says_what_where_and_what_is_allowed(
    changed: Changed, refusal: Refusal, change: str, value: object, key: str, words: str
) -> None:
    """One wrong value gives one problem, at its key, with what was found and what is allowed."""
    path = changed("candidate", {change: value})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.key == key
    assert problem.message.startswith(words)
    assert problem.path == str(path)


def test_every_fault_of_a_file_is_listed(changed: Changed, refusal: Refusal) -> None:
    """Faults of spelling, type, range and rule in different places are reported together, from top to bottom."""
    path = changed(
        "candidate",
        {
            "nmae": "x",
            "model.precision": "fp8",
            "sampling.steps": "many",
            "resources.replicas": 0,
            "model.source": "./nowhere",
        },
    )
    # A rule needs the values it judges: the missing folder is found although other parts are wrong.
    path.write_text(path.read_text().replace("precision: fp8", "precision: float16"))
    problems = refusal(lambda: load_candidate(path))
    assert [problem.key for problem in problems] == ["model.source", "sampling.steps", "resources.replicas", "nmae"]
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_faults_of_yaml_and_of_content_are_listed_together(tmp_path: Path, refusal: Refusal) -> None:
    """A disputed word is reported once, next to the faults that only the schema sees."""
    path = tmp_path / "p.yaml"
    path.write_text(
        "schema_version: 1\nkind: prices\nprices:\n  cpu: {usd_per_hour: -1, source: on, date: '2026-11-09'}\n"
    )
    assert [(p.key, p.line) for p in refusal(lambda: load_prices(path))] == [
        ("prices.cpu.usd_per_hour", 4),
        ("prices.cpu.source", 4),
    ]


def test_the_wrong_kind_of_file_is_one_fault(changed: Changed, refusal: Refusal) -> None:
    """A policy given as a candidate is called that, rather than forty misspelt keys."""
    path = changed("policy")
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.message == "this is a file of kind policy; expected candidate"


@pytest.mark.parametrize("kind", ["candidate", "lane", "policy", "prices"])
def test_an_unknown_key_at_the_top_is_refused_in_every_kind(changed: Changed, kind: str) -> None:
    """No kind of file ignores a key that it does not know."""
    path = changed(kind, {"colour": "blue"})
    load = {"candidate": load_candidate, "lane": load_lane, "policy": load_policy, "prices": load_prices}[kind]
    with pytest.raises(InvalidFileError, match="colour: unknown key"):
        load(path)


def test_options_belong_to_the_provider(changed: Changed) -> None:
    """Inside `options` any key and an empty value are carried as they are."""
    path = changed("candidate", {"model.options": {"text_encoder_3": None, "shift": 3.0}})
    assert load_candidate(path).spec.options == {"text_encoder_3": None, "shift": 3.0}
