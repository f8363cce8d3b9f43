"""Suites as values: their identity, their lanes, their seeds."""

import json
from dataclasses import replace

import pytest

from controller.core.spec import Digest
from controller.core.suite import COLOURS, SHAPES, Category, Expectation, Prompt, Suite, Thing
from serving.tinydiff import vocabulary

SUITE = Suite(
    name="shop",
    version=2,
    title="Shop",
    prompts=(
        Prompt("sale", Category.TYPOGRAPHY, 'a sign "SALE"', (7, 9), Expectation(text="SALE")),
        Prompt("dots", Category.SMALL_OBJECTS, "dots", (1,), Expectation(things=(Thing(3, "red"),)), ("preview",)),
        Prompt("mark", Category.LOGOS, "our mark", (1,), Expectation(no_text=True, logo="acme"), ("export",)),
    ),
    assets={"acme": Digest("0" * 64)},
    attribution="ours",
)


def test_json_and_back() -> None:
    """A suite survives its JSON text unchanged."""
    assert Suite.from_json(json.loads(json.dumps(SUITE.to_json()))) == SUITE


@pytest.mark.parametrize(
    "changed",
    [
        replace(SUITE, version=3),
        replace(SUITE, prompts=SUITE.prompts[:2]),
        replace(SUITE, prompts=(replace(SUITE.prompts[0], seeds=(9, 7)), *SUITE.prompts[1:])),
        replace(SUITE, assets={"acme": Digest("1" * 64)}),
    ],
    ids=["version", "prompts", "seeds", "picture"],
)
def test_the_digest_is_of_everything(changed: Suite) -> None:
    """A suite that differs in its version, a prompt, a seed or a reference picture has another digest."""
    assert changed.digest != SUITE.digest
    assert Suite.from_json(SUITE.to_json()).digest == SUITE.digest


def test_a_lane_draws_its_own_and_the_common_prompts() -> None:
    """A prompt without lanes is drawn on every lane, one with lanes on those alone, in the suite's order."""
    assert [prompt.id for prompt in SUITE.for_lane("preview")] == ["sale", "dots"]
    assert [prompt.id for prompt in SUITE.for_lane("elsewhere")] == ["sale"]


def test_seeds_go_on_past_the_last_one() -> None:
    """Repeats use the listed seeds in order and then count on from the last."""
    assert [SUITE.prompts[0].seed(repeat) for repeat in range(5)] == [7, 9, 10, 11, 12]


def test_what_can_be_checked() -> None:
    """An expectation that says nothing is not checkable; any single one is."""
    assert not Expectation().checkable
    assert all(prompt.expect.checkable for prompt in SUITE.prompts)


def test_the_words_for_things_are_those_that_the_small_model_draws() -> None:
    """The colours and shapes of suites are the vocabulary of the model that ships."""
    assert tuple(vocabulary.COLOURS) == COLOURS
    assert vocabulary.SHAPES == SHAPES
