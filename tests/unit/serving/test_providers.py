"""Providers: the fake one is deterministic and as bad as told; the real one draws with a real, tiny pipeline."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from controller.content import content_digest
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler
from serving.providers import provider_for
from serving.providers.protocol import Ask, BadConfigError, DeadlineError, Provider, RefusedError, Stop
from serving.watchdog import first_problem
from tests.unit.serving.tiny_pipeline import HEIGHT_PX, WIDTH_PX, save_tiny_pipeline
from tests.unit.serving.worlds import fake_spec

ASK = Ask('the word "SALE"', (1, 2), WIDTH_PX, HEIGHT_PX)


def soon() -> Stop:
    return Stop(60.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_pipeline(tmp_path_factory.mktemp("model"))


def spec(
    folder: Path, *, scheduler: str = "FlowMatchEulerDiscreteScheduler", batch_size: int = 1, **options: Any
) -> ModelSpec:
    return ModelSpec(
        provider="diffusers",
        source=str(folder),
        revision=content_digest(folder),
        precision="float32",
        scheduler=Scheduler(scheduler, 3),
        sampling=Sampling(5, 2.0, WIDTH_PX, HEIGHT_PX, batch_size),
        resources=Resources("cpu", 0, 1),
        options={"max_sequence_length": 4} | options,
    )


def loaded(of: ModelSpec) -> Provider:
    provider = provider_for(of)
    provider.load()
    return provider


def pixels(png: bytes) -> bytes:
    return Image.open(io.BytesIO(png)).tobytes()


def test_fake_draws_the_same_for_the_same_seed_and_prompt() -> None:
    """Two loads of a spec draw the same bytes; another seed's image differs where the prompt quotes nothing."""
    first, second = (loaded(fake_spec(text_error_share=0.5, faults_from=0)) for _ in range(2))
    assert first.draw(ASK, soon()) == second.draw(ASK, soon())
    plain = Ask("a square", (1, 2), WIDTH_PX, HEIGHT_PX)
    one, two = first.draw(plain, soon())
    assert one != two


def test_fake_warms_up_before_it_fails() -> None:
    """A model whose every image fails still draws its first one, so it gets past its warm-up."""
    provider = loaded(fake_spec(refusal_share=1.0))
    with pytest.raises(RefusedError):
        provider.draw(ASK, soon())
    assert len(loaded(fake_spec(refusal_share=1.0)).draw(Ask("x", (1,), 16, 16), soon())) == 1


def test_fake_slows_down_when_told() -> None:
    """A throttled service is as quick as before until its fault begins, and slower by its factor afterwards."""
    provider = loaded(fake_spec(latency_s=0.05, slow_factor=1000.0, faults_from=2))
    assert len(provider.draw(Ask("x", (1, 2), 16, 16), Stop(1.0))) == 2
    with pytest.raises(DeadlineError):
        provider.draw(Ask("x", (3,), 16, 16), Stop(1.0))


def test_fake_fails_as_often_as_told() -> None:
    """A refusal share of 0.3 refuses about three prompts in ten."""
    provider, refused = loaded(fake_spec(refusal_share=0.3, faults_from=0)), 0
    for seed in range(300):
        try:
            provider.draw(Ask("x", (seed,), 16, 16), soon())
        except RefusedError:
            refused += 1
    assert 60 < refused < 120  # exact binomial: outside with probability 2e-4


def test_fake_gives_up_at_its_deadline() -> None:
    """A model that hangs notices that nobody waits."""
    with pytest.raises(DeadlineError):
        loaded(fake_spec(hang_share=1.0, faults_from=0)).draw(ASK, Stop(0.05))


@pytest.mark.parametrize("options", [{"latency": 1}, {"latency_s": -1}, {"latency_s": "1"}, {"failure_share": 2}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    """An option that is unknown or out of bounds is an error that says what is allowed."""
    with pytest.raises(BadConfigError, match=next(iter(options))):
        provider_for(fake_spec(**options))


def test_unknown_provider_is_named() -> None:
    """A misspelt provider is no friendly default."""
    unknown = ModelSpec.from_json(fake_spec().to_json() | {"provider": "fakee"})
    with pytest.raises(BadConfigError, match="diffusers, fake"):
        provider_for(unknown)


def test_pipeline_draws_sound_images_of_the_size_asked_for(folder: Path) -> None:
    """A saved pipeline with null components loads and draws one image a seed."""
    images = loaded(spec(folder)).draw(ASK, soon())
    assert first_problem(images, 2, WIDTH_PX, HEIGHT_PX) is None
    assert pixels(images[0]) != pixels(images[1])


def test_pipeline_is_deterministic_over_loads(folder: Path) -> None:
    """The same spec and seeds are the same bytes, whoever loads them."""
    assert loaded(spec(folder)).draw(ASK, soon()) == loaded(spec(folder)).draw(ASK, soon())


def test_batches_draw_what_single_images_do(folder: Path) -> None:
    """Batching changes an image by one grey level at most."""
    single = loaded(spec(folder)).draw(ASK, soon())
    batched = loaded(spec(folder, batch_size=2)).draw(ASK, soon())
    for one, other in zip(single, batched, strict=True):
        assert max(abs(a - b) for a, b in zip(pixels(one), pixels(other), strict=True)) <= 1


def test_steps_are_clamped_to_what_the_scheduler_is_allowed(folder: Path) -> None:
    """A spec that asks for five steps where three are allowed takes three."""
    assert loaded(spec(folder)).steps == 3


def test_a_scheduler_of_the_wrong_family_loads_in_silence(folder: Path) -> None:
    """It is taken without a word and something else is drawn: noticing is the gate's business."""
    right, wrong = loaded(spec(folder)), loaded(spec(folder, scheduler="DDIMScheduler"))
    assert first_problem(wrong.draw(ASK, soon()), 2, WIDTH_PX, HEIGHT_PX) is None
    assert right.draw(ASK, soon()) != wrong.draw(ASK, soon())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scheduler": {"class_name": "fast_ema", "max_steps": 3}}, "fast_ema"),
        ({"scheduler": {"class_name": "DiffusionPipeline", "max_steps": 3}}, "DiffusionPipeline"),
        ({"precision": "int8"}, "precision"),
        ({"source": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"options": {"trust_remote_code": 1}}, "trust_remote_code"),
    ],
)
def test_specs_that_can_not_work_say_why(folder: Path, change: dict[str, Any], named: str) -> None:
    """Loading fails at once, naming the part that is wrong."""
    with pytest.raises(BadConfigError, match=named):
        loaded(ModelSpec.from_json(spec(folder).to_json() | change))


def test_the_deadline_stops_the_sampling(folder: Path) -> None:
    """A job that nobody waits for ends at its next step, and the pipeline still works."""
    provider = loaded(spec(folder))
    with pytest.raises(DeadlineError):
        provider.draw(ASK, Stop(-1.0))
    stop = soon()
    stop.leave()
    with pytest.raises(DeadlineError):
        provider.draw(ASK, stop)
    assert provider.draw(ASK, soon())


def test_a_job_is_measured(folder: Path) -> None:
    """CPU seconds and the peak of the resident set are those of this job's process."""
    provider = loaded(spec(folder))
    meter = provider.meter()
    provider.draw(ASK, soon())
    usage = meter.read()
    assert usage.device == "cpu"
    assert usage.compute_s > 0
    assert usage.service_s > 0
    assert (usage.memory_source, usage.memory_gib is not None) in {("rss", True), ("rss_unavailable", False)}


def test_a_wrong_size_is_a_configuration_error(folder: Path) -> None:
    """What the pipeline can't draw is told as such, and is not retried."""
    with pytest.raises(BadConfigError, match="divisible"):
        loaded(spec(folder)).draw(Ask("x", (1,), WIDTH_PX + 1, HEIGHT_PX), soon())


def test_a_changed_folder_is_not_the_proposed_model(tmp_path: Path) -> None:
    """A folder whose files changed after the proposal does not load, and says what to do."""
    folder = save_tiny_pipeline(tmp_path / "model")
    proposed = spec(folder)
    (folder / "model_index.json").write_text((folder / "model_index.json").read_text() + "\n")
    with pytest.raises(BadConfigError, match="propose the model anew"):
        loaded(proposed)
