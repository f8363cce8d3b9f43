"""The files that ship: sound, in step with their JSON Schemas, and what they claim to be."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.schema import POLICIES, load_candidate, load_lane, load_policy, load_prices, policy_names
from controller.schema.__main__ import FILES, SCHEMAS

LANE = POLICIES / "lanes" / "preview.yaml"


@pytest.mark.parametrize("name", policy_names())
def test_policies_are_sound(name: str) -> None:
    """Every policy that ships can be loaded by its name."""
    assert load_policy(name).name == name


def test_both_documented_policies_ship() -> None:
    """The policy of the guide and the one of the demo are there."""
    assert policy_names() == ("demo", "preview-standard")


@pytest.mark.parametrize("path", sorted((POLICIES / "candidates").glob("*.yaml")), ids=lambda path: path.stem)
def test_candidates_are_sound(path: Path) -> None:
    """Every candidate that ships loads, names a lane, a policy and a priced class that ship too."""
    candidate = load_candidate(path, lanes=[load_lane(LANE).name], gpus=load_prices())
    assert candidate.name == path.stem
    assert load_policy(candidate.policy)


def test_the_a_a_candidate_differs_from_the_incumbent_in_name_alone() -> None:
    """`same` is the incumbent in everything but its variant, so it runs as a second application."""
    incumbent = load_lane(LANE).incumbent
    same = load_candidate(POLICIES / "candidates" / "same.yaml").spec
    assert {**same.to_json(), "variant": ""} == incumbent.to_json()
    assert same.digest != incumbent.digest


def test_json_schemas_are_in_step() -> None:
    """The JSON Schemas that editors use say what the models say."""
    assert SCHEMAS.drifted() == []


def test_drift_is_found(tmp_path: Path) -> None:
    """A schema that changed, is missing, or belongs to nothing is reported by name; generating mends it."""
    here = replace(SCHEMAS, folder=tmp_path)
    here.generate()
    assert {path.stem for path in tmp_path.iterdir()} == set(FILES)
    assert here.drifted() == []
    (tmp_path / "policy.json").write_text("{}")
    (tmp_path / "lane.json").unlink()
    (tmp_path / "old.json").write_text("{}")
    assert here.drifted() == ["lane.json", "old.json", "policy.json"]
    here.generate()
    assert here.drifted() == []


def test_unknown_verbs_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown verb prints the usage and exits with 2."""
    assert SCHEMAS.main(["chekc"]) == 2
    assert "usage" in capsys.readouterr().err
