"""The tables agree with what they describe."""

import ast
import importlib.util
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from controller.docs import DOCS
from controller.lint.arguments import PROVIDER_OPTIONS
from controller.lint.hosted import SHUTDOWN
from controller.lint.memory import GIB, estimate
from controller.lint.models import LARGE, MEDIUM, MODELS, Family, family_of, known
from controller.lint.samples import samples_needed
from controller.lint.schedulers import FLOW, FLOW_BY_FLAG, SCHEDULERS, STOCHASTIC
from controller.lint.subject import Subject
from controller.schema import parse
from serving.providers.diffusers import DiffusersOptions
from serving.providers.fake import FakeOptions
from tests.unit.lint.desk import FACTS


def _diffusers_schedulers() -> set[str]:
    spec = importlib.util.find_spec("diffusers")
    assert spec is not None
    assert spec.origin is not None
    init = ast.parse(Path(spec.origin).read_text())  # importing it would take seconds and import torch
    words = {node.value for node in ast.walk(init) if isinstance(node, ast.Constant)}
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"(?!Flax)[A-Z]\w*Scheduler", word)}


def test_the_schedulers_are_those_of_diffusers() -> None:
    """The table names every scheduler of the installed diffusers that is exported, and no other."""
    assert _diffusers_schedulers() == SCHEDULERS
    assert FLOW | FLOW_BY_FLAG | STOCHASTIC <= SCHEDULERS


def test_options_are_those_of_the_providers() -> None:
    """What lint accepts in `options` is what the providers take."""
    assert set(PROVIDER_OPTIONS["diffusers"]) == {field.name for field in fields(DiffusersOptions)}
    assert set(PROVIDER_OPTIONS["fake"]) == {field.name for field in fields(FakeOptions)}


@pytest.mark.parametrize(("percentile", "needed"), [(0.90, 29), (0.95, 59), (0.99, 299)])
def test_samples_needed(percentile: float, needed: int) -> None:
    """At 95 % the exact binomial asks for 29, 59 and 299 samples, and one fewer is not enough."""
    assert samples_needed(percentile) == needed
    assert 1 - percentile**needed >= 0.95 > 1 - percentile ** (needed - 1)


@pytest.mark.parametrize(
    ("source", "dtype", "weights_gib"),
    [(LARGE.source, "float32", 51.1), (LARGE.source, "bfloat16", 25.6), (MEDIUM.source, "float32", 29.5)],
)
def test_weights_of_known_models(source: str, dtype: str, weights_gib: float) -> None:
    """Known models weigh what their published parameter counts say."""
    document = parse(f'{{"model": "{source}", "precision": "{dtype}"}}'.encode(), "f")
    need = estimate(Subject(document, FACTS))
    assert need is not None
    assert need.weights_gib == pytest.approx(weights_gib, abs=0.1)


def test_memory_grows_with_batch_pixels_and_precision() -> None:
    """Activations are proportional to images and pixels, weights are not; 32 bits double both."""

    def need(**changes: object) -> tuple[float, float]:
        keys = {"model": MEDIUM.source, "precision": "bfloat16", "width": 1024, "height": 1024} | changes
        text = ", ".join(f'"{key}": {f"{value!r}".replace(chr(39), chr(34))}' for key, value in keys.items())
        found = estimate(Subject(parse(f"{{{text}}}".encode(), "f"), FACTS))
        assert found is not None
        return found.weights_gib, found.activations_gib

    weights, activations = need()
    assert need(batch=4) == pytest.approx((weights, 4 * activations))
    assert need(width=512) == pytest.approx((weights, activations / 2))
    assert need(precision="float32") == pytest.approx((2 * weights, 2 * activations))
    assert need(text_encoder_3="none")[0] == pytest.approx(weights - MEDIUM.t5_params * 2 / GIB)


def test_names_of_models() -> None:
    """A model is found by its full name and by what people call it; unknown ones are unknown."""
    for model in MODELS:
        assert all(known(name) is model for name in (model.source, model.source.upper(), *model.aliases))
    assert known("somebody/fine-tune") is None


def test_families_of_pipelines() -> None:
    """Variants of a pipeline belong to its family, and SDXL is not SD."""
    assert family_of("StableDiffusion3Img2ImgPipeline") is Family.SD3
    assert family_of("StableDiffusionXLPipeline") is Family.SDXL
    assert family_of("StableDiffusionPipeline") is Family.SD
    assert family_of("StableDiffusionUpscalePipeline") is Family.UPSCALE
    assert family_of("SanaPipeline") is None


def test_successors_live() -> None:
    """No model that ends is given as the successor of another."""
    assert {successor for _, successor in SHUTDOWN.values()}.isdisjoint(SHUTDOWN)


def test_the_pages_are_in_step() -> None:
    """The generated documentation says what the code says."""
    assert DOCS.drifted() == []


def test_drift_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that changed, is missing or is about nothing is named; generating mends it."""
    here = replace(DOCS, folder=tmp_path)
    here.generate()
    assert here.drifted() == []
    (tmp_path / "lint" / "cost.md").write_text("old")
    (tmp_path / "lint" / "seeds.md").unlink()
    (tmp_path / "lint" / "nothing.md").write_text("left over")
    assert here.drifted() == ["lint/cost.md", "lint/nothing.md", "lint/seeds.md"]
    here.generate()
    assert here.drifted() == []
    assert DOCS.main(["chekc"]) == 2
    assert "usage" in capsys.readouterr().err
