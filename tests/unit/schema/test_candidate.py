"""Candidate and lane files become core values; what they refer to must be there."""

from pathlib import Path

import pytest

from controller.schema import load_candidate, load_lane
from controller.schema.sources import ROOT, Sources, content_digest

from .conftest import REMOVED, Changed, Refusal

COMMIT = "b940f670f0eda2d07fbb75229e779da1ad11eb80"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that looks like a pipeline, next to the manifests."""
    path = tmp_path / "tiny"
    (path / "vae").mkdir(parents=True)
    (path / "model_index.json").write_text("{}")
    (path / "vae" / "weights.bin").write_bytes(b"\x01\x02")
    return path


def test_a_sound_manifest_becomes_core_values(changed: Changed) -> None:
    """Every value of a manifest arrives in the core's own types, defaults filled in."""
    candidate = load_candidate(changed("candidate"), lanes=["preview"], gpus=["L4"])
    spec = candidate.spec
    assert (candidate.name, candidate.lane, candidate.owner) == ("sd35-medium-bf16", "preview", "imaging-team")
    assert candidate.policy == "preview-standard"
    assert candidate.tradeoffs == {
        "gives_up": "long text",
        "in_exchange_for": "cost",
        "unsuitable_for": ["live editing"],
    }
    assert (spec.provider, spec.revision, spec.precision) == ("diffusers", COMMIT, "bfloat16")
    assert (spec.scheduler.class_name, spec.scheduler.max_steps) == ("FlowMatchEulerDiscreteScheduler", 40)
    assert (spec.sampling.steps, spec.sampling.batch_size, spec.sampling.seeds) == (28, 1, "per_image")
    assert (spec.resources.gpu, spec.resources.num_gpus, spec.resources.replicas) == ("L4", 1.0, 1)


def test_a_lane_holds_the_same_spec_as_a_candidate(changed: Changed) -> None:
    """The same model written in a lane and in a candidate has the same digest."""
    lane = load_lane(changed("lane", {"title": "Preview"}))
    assert (lane.name, lane.timeout_s, lane.title) == ("preview", 30, "Preview")
    assert lane.incumbent.digest == load_candidate(changed("candidate")).spec.digest


def test_numbers_written_with_and_without_a_point_are_one_spec(changed: Changed) -> None:
    """`guidance_scale: 4` and `4.0` mean one model, so they have one digest."""
    digests = {
        load_candidate(changed("candidate", {"sampling.guidance_scale": scale})).spec.digest for scale in (4, 4.0)
    }
    assert len(digests) == 1


def test_a_variant_is_another_application(changed: Changed) -> None:
    """A variant gives an otherwise identical spec another digest."""
    plain = load_candidate(changed("candidate")).spec
    varied = load_candidate(changed("candidate", {"model.variant": "a-a"})).spec
    assert plain.digest != varied.digest
    assert varied.variant == "a-a"


def test_an_unknown_lane_names_the_nearest(changed: Changed, refusal: Refusal) -> None:
    """A misspelt lane is refused with the lanes that exist, and accepted when the caller can't know them."""
    path = changed("candidate", {"lane": "preveiw"})
    [problem] = refusal(lambda: load_candidate(path, lanes=["export", "preview"]))
    assert problem.key == "lane"
    assert problem.message.endswith("did you mean preview? allowed: export, preview")
    assert load_candidate(path).lane == "preveiw"


def test_a_gpu_needs_a_price(changed: Changed, refusal: Refusal) -> None:
    """A class of GPU that the price book lacks is refused, because its cost could not be judged."""
    path = changed("candidate", {"resources.gpu": "L40"})
    [problem] = refusal(lambda: load_candidate(path, gpus=["L4", "T4"]))
    assert problem.message == "L40 has no price in the price book; did you mean L4? allowed: L4, T4"


@pytest.mark.parametrize(("gpu", "num_gpus"), [("cpu", 1), ("L4", 0)])
def test_gpus_and_their_number_agree(changed: Changed, refusal: Refusal, gpu: str, num_gpus: int) -> None:
    """`gpu: cpu` with GPUs, and a GPU class without any, are refused."""
    path = changed("candidate", {"resources.gpu": gpu, "resources.num_gpus": num_gpus})
    assert [problem.key for problem in refusal(lambda: load_candidate(path))] == ["resources.num_gpus"]


@pytest.mark.parametrize("provider", ["openai", "ideogram", "stability"])
def test_providers_of_later_versions(changed: Changed, refusal: Refusal, provider: str) -> None:
    """A declared provider without an adapter is refused with those that this version supports."""
    path = changed("candidate", {"model.provider": provider})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.message == f"{provider} is not supported by this version; supported: diffusers, fake"


def test_an_unknown_provider_names_the_nearest(changed: Changed, refusal: Refusal) -> None:
    """A misspelt provider is refused with the allowed ones."""
    path = changed("candidate", {"model.provider": "difusers"})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.message == 'unknown value "difusers"; did you mean diffusers? allowed: diffusers, fake'


def test_the_fake_provider_needs_no_weights(changed: Changed) -> None:
    """The fake provider takes any source, and no revision."""
    path = changed("candidate", {"model.provider": "fake", "model.source": "slow", "model.revision": REMOVED})
    spec = load_candidate(path).spec
    assert (spec.source, spec.revision) == ("slow", "")


@pytest.mark.parametrize(
    ("revision", "key", "words"),
    [
        (REMOVED, "model.source", "a hub id needs `revision`"),
        ("main", "model.revision", "expected the 40 hex digits of a commit, found main"),
        (COMMIT[:12], "model.revision", "expected the 40 hex digits"),
        (COMMIT.upper(), "model.revision", "expected the 40 hex digits"),
    ],
)
def test_a_hub_id_needs_a_commit(changed: Changed, refusal: Refusal, revision: object, key: str, words: str) -> None:
    """A hub id without a whole commit is refused, because names and tags move."""
    path = changed("candidate", {"model.revision": revision})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.key == key
    assert problem.message.startswith(words)


@pytest.mark.parametrize(
    "source",
    ["./no-such", "../no-such", "/no-such/y", "~/no-such", "serving/tinydiff/modle", "serving/tinydif", "a/b/c"],
)
def test_a_path_that_is_not_there(changed: Changed, refusal: Refusal, source: str) -> None:
    """A source that reads like a path and is not there is not mistaken for a hub id."""
    path = changed("candidate", {"model.source": source})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.key == "model.source"
    assert problem.message.startswith("model not found")


def test_a_bare_word_is_no_source(changed: Changed, refusal: Refusal) -> None:
    """A source without an owner that is no folder is refused with both possibilities."""
    path = changed("candidate", {"model.source": "sd3.5-large"})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.message == "sd3.5-large is neither a folder nor a hub id (owner/name)"


def test_a_folder_is_identified_by_its_content(changed: Changed, folder: Path) -> None:
    """A folder next to the manifest is found; its revision is its digest, and changes with one byte of a weight."""
    path = changed("candidate", {"model.source": "./tiny", "model.revision": REMOVED})
    before = load_candidate(path).spec
    assert before.source == str(folder)
    assert before.revision == content_digest(folder)
    (folder / "vae" / "weights.bin").write_bytes(b"\x01\x03")
    assert load_candidate(path).spec.revision != before.revision


def test_a_folder_in_the_repository_has_a_relative_identity(folder: Path) -> None:
    """Inside the repository a source is named relative to its root, from wherever it is looked up."""
    sources = Sources(base=folder, root=folder.parent)
    assert sources.identity("tiny") == sources.identity("../tiny") == "tiny"
    assert Sources(base=folder.parent, root=ROOT).identity("tiny") == str(folder)


def test_a_stated_revision_must_be_the_content(changed: Changed, refusal: Refusal, folder: Path) -> None:
    """A revision that differs from a folder's content is refused with both; the right one is accepted."""
    actual = content_digest(folder)
    assert load_candidate(changed("candidate", {"model.source": "./tiny", "model.revision": actual}))
    path = changed("candidate", {"model.source": "./tiny", "model.revision": "0" * 64})
    [problem] = refusal(lambda: load_candidate(path))
    assert problem.key == "model.revision"
    assert "0" * 64 in problem.message
    assert actual in problem.message


def test_a_folder_must_hold_a_pipeline(changed: Changed, refusal: Refusal, folder: Path) -> None:
    """A folder without model_index.json, and a file, are refused as sources."""
    for source, words in (("./tiny/vae", "holds no model_index.json"), ("./tiny/model_index.json", "is a file")):
        path = changed("candidate", {"model.source": source, "model.revision": REMOVED})
        [problem] = refusal(lambda path=path: load_candidate(path))
        assert words in problem.message


def test_the_digest_is_of_names_and_bytes_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    """Renaming a file changes the digest; hidden files, times and the folder's own place do not."""
    before = content_digest(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "download").write_text("yesterday")
    moved = folder.rename(tmp_path / "moved")
    assert content_digest(moved) == before
    (moved / "vae" / "weights.bin").rename(moved / "vae" / "weights2.bin")
    assert content_digest(moved) != before
