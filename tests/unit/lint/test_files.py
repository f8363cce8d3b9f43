"""Lint over real files: what can't be read, what ships, what lies beside."""

import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.lint_files import Surroundings
from controller.adapters.model_folder import read_model_folder
from controller.lint import Finding, Severity
from controller.schema import POLICIES, load_candidate
from tests.unit.lint.desk import TODAY, ours, rules

HERE = Surroundings(TODAY)
SHIPPED = sorted((POLICIES / "candidates").glob("*.yaml"))
MODEL = POLICIES.parent / "serving" / "tinydiff" / "model"
PER_FILE_S = 0.050

Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value or a text as a file."""

    def call(value: Any) -> Path:
        path = tmp_path / "candidate.yaml"
        path.write_bytes(value if isinstance(value, bytes) else (json.dumps(value, indent=1) + "\n").encode())
        return path

    return call


def _errors(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(one.rule, one.key) for one in findings if one.severity is Severity.ERROR]


def test_ten_faults_are_ten_findings(write: Write) -> None:
    """One run tells of ten faults of ten kinds, a misspelt key and a wrong type among them, each once."""
    faulty = {
        "lane": "elsewhere",
        "owner": 7,
        "tradeofs": {},
        "model.source": "stabilityai/stable-diffusion-3.5-large",
        "model.revision": "main",
        "model.precision": "bf16",
        "model.scheduler.class": "DDIMScheduler",
        "model.scheduler.max_steps": 100,
        "sampling.guidance_scale": 12.0,
        "sampling.width_px": 1000,
        "sampling.seeds": "shared",
        "model.options.batch": 4,
        "resources.gpu": "A100-80GB",
    }
    found = HERE.lint(write(ours(faulty)))
    assert len(_errors(found)) == 10
    assert sorted(_errors(found)) == sorted(
        [
            ("schema", "owner"),
            ("schema", "tradeofs"),
            ("revision-unpinned", "model.revision"),
            ("dtype-not-torch-dtype", "model.precision"),
            ("scheduler-not-flow-match", "model.scheduler.class"),
            ("steps-uncapped", "model.scheduler.max_steps"),
            ("guidance-out-of-range", "sampling.guidance_scale"),
            ("resolution-invalid", "sampling.width_px"),
            ("generator-reused", "sampling.seeds"),
            ("unknown-pipeline-kwarg", "model.options.batch"),
        ]
    )


def test_a_finding_stands_at_its_key(tmp_path: Path) -> None:
    """Line and column are those of the offending key, in block and in flow style."""
    path = tmp_path / "call.yaml"
    path.write_text("model: sd3.5-large\ncall: {seed: 1,  guidance_scale: 12.0}\n")
    (found,) = (one for one in HERE.lint(path) if one.rule == "guidance-out-of-range")
    assert (found.key, found.line, found.column) == ("call.guidance_scale", 2, 18)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: [1, 2\n", "is not YAML"),
        (b"a: 1\na: 2\n", "given twice"),
        (b"a: &x [1]\nb: *x\n", "anchors and aliases"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"", "is empty"),
        (b"- a\n", "must be a mapping"),
        (b"a: " + b"[" * 100 + b"]" * 100, "deep"),
        (b"a: " + b"x" * 10_000_000, "is larger than"),
        (b"kind: candidat\nschema_version: 1\n", "did you mean candidate?"),
        (b"kind: candidate\nschema_version: 1\nmodel: 3\n", "expected a mapping"),
    ],
    ids=["yaml", "twice", "bomb", "bytes", "empty", "list", "deep", "10 MB", "kind", "type"],
)
def test_a_broken_file_is_told_at_once(write: Write, content: bytes, told: str) -> None:
    """It is a finding of the rule `schema` with a place, in well under a second."""
    path = write(content)
    before_s = time.process_time()
    found = HERE.lint(path)
    assert time.process_time() - before_s < 1.0
    assert told in "; ".join(one.message for one in found if one.rule == "schema")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A file that is not there is a finding too, so the others of the same run are judged."""
    (found,) = HERE.lint(tmp_path / "nothing.yaml")
    assert found.rule == "schema"
    assert "no such file" in found.message


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_passes_but_for_the_wrong_scheduler(path: Path) -> None:
    """The candidates of the demo have no errors; `wrong-scheduler` has the one it is there for."""
    wrong = [("scheduler-not-flow-match", "model.scheduler.class")] if path.stem == "wrong-scheduler" else []
    assert _errors(HERE.lint(path)) == wrong


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")) + sorted((POLICIES / "lanes").glob("*.yaml")), ids=str)
def test_policies_lanes_and_prices_pass(path: Path) -> None:
    """The other files that ship have no errors."""
    assert _errors(HERE.lint(path)) == []


def test_a_licence_is_acknowledged_in_the_manifest(write: Write) -> None:
    """`license_ack` is a key of a manifest, answers the rule, and does not change what the model is."""
    said = {"model.license_ack": "community licence, revenue below 1 million USD"}
    assert "licence-unacknowledged" in rules(HERE.lint(write(ours())))
    silent = load_candidate(write(ours())).spec.digest
    found = HERE.lint(write(ours(said)))
    assert "licence-unacknowledged" not in rules(found)
    assert "schema" not in rules(found)
    assert load_candidate(write(ours(said))).spec.digest == silent


def test_an_unknown_policy_is_a_finding(write: Write) -> None:
    """A manifest whose policy does not exist is told so at the key."""
    found = HERE.lint(write(ours({"policy": "preview-standart"})))
    assert ("schema", "policy") in _errors(found)
    assert any("did you mean preview-standard?" in one.message for one in found)


def test_the_lane_that_ships_is_the_incumbent(write: Write) -> None:
    """Without a controller a candidate is compared with the lane's file."""
    found = HERE.lint(write(ours()))
    assert {"resolution-mismatch-vs-incumbent", "gpu-class-mismatch"} <= rules(found)


def test_a_folder_tells_its_pipeline_and_its_size() -> None:
    """Parameters come from safetensors headers: as many as the files hold numbers of four bytes."""
    folder = read_model_folder(MODEL)
    assert folder is not None
    assert folder.pipeline == "StableDiffusion3Pipeline"
    assert folder.multiple_px == 8
    assert folder.scheduler["_class_name"] == "FlowMatchEulerDiscreteScheduler"
    tensors = _loaded_numbers(MODEL / "transformer")
    assert folder.parameters["transformer"] == tensors


def test_a_folder_with_two_precisions_counts_once(tmp_path: Path) -> None:
    """`model.fp16.safetensors` beside `model.safetensors` holds the same numbers."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(48)
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text('{"_class_name": "X", "unet": ["diffusers", "U"]}')
    for name in ("model.safetensors", "model.fp16.safetensors"):
        (tmp_path / "unet" / name).write_bytes(content)
    folder = read_model_folder(tmp_path)
    assert folder is not None
    assert folder.parameters == {"unet": 12}


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]"], ids=["empty", "length", "header"])
def test_a_broken_folder_is_no_folder(tmp_path: Path, content: bytes) -> None:
    """A file that is no safetensors file leaves the model unknown; the schema and loading tell of it."""
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text('{"_class_name": "X", "unet": ["diffusers", "U"]}')
    (tmp_path / "unet" / "model.safetensors").write_bytes(content)
    assert read_model_folder(tmp_path) is None


def test_a_folder_states_its_digest_or_is_not_hashed(tmp_path: Path) -> None:
    """A stated digest that is wrong is told; without one no weight is read."""
    text = (POLICIES / "candidates" / "turbo.yaml").read_text()
    path = tmp_path / "turbo.yaml"
    path.write_text(text.replace("  precision:", f'  revision: "{"0" * 64}"\n  precision:'))
    assert ("schema", "model.revision") in _errors(HERE.lint(path))


def test_a_large_folder_is_not_read(tmp_path: Path) -> None:
    """A model of 20 GiB beside the manifest costs no more than a small one, and its size counts."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [5, 2**30], "data_offsets": [0, 20 * 2**30]}}).encode()
    (tmp_path / "model" / "transformer").mkdir(parents=True)
    index = {"_class_name": "StableDiffusion3Pipeline", "transformer": ["diffusers", "SD3Transformer2DModel"]}
    (tmp_path / "model" / "model_index.json").write_text(json.dumps(index))
    with (tmp_path / "model" / "transformer" / "model.safetensors").open("wb") as weights:
        weights.write(len(header).to_bytes(8, "little") + header)
        weights.truncate(20 * 2**30)
    path = tmp_path / "candidate.yaml"
    changes = {"model.source": "./model", "model.revision": None, "model.precision": "float32", "lane": "elsewhere"}
    path.write_text(json.dumps(ours(changes)))
    before_s = time.process_time()
    found = HERE.lint(path)
    assert time.process_time() - before_s < 1.0
    assert sorted(_errors(found)) == [
        ("precision-fp32-on-gpu", "model.precision"),
        ("vram-budget-exceeded", "model.precision"),
    ]


def test_a_missing_folder_is_told_as_missing(write: Write) -> None:
    """A path that leads nowhere is told so, not that it lacks a revision."""
    found = HERE.lint(write(ours({"model.source": "./nowhere", "model.revision": None})))
    assert any("model not found" in one.message for one in found if one.key == "model.source")


def test_a_foreign_file_may_name_a_lane(write: Write) -> None:
    """What somebody else's file says of a lane that is known here is held against that lane."""
    found = HERE.lint(write({"model": "gpt-image-2", "lane": "preview", "timeout_s": 600}))
    assert "timeout-vs-slo" in rules(found)


def test_a_file_costs_little_time() -> None:
    """After the first one a file takes less than 50 ms of computing, the local model's headers included."""
    HERE.lint(SHIPPED[0])
    spent_s = []
    for path in SHIPPED * 5:
        before_s = time.process_time()
        HERE.lint(path)
        spent_s.append(time.process_time() - before_s)
    assert sorted(spent_s)[len(spent_s) // 2] < PER_FILE_S


def test_prices_go_stale() -> None:
    """The same files a year later are warned about, not refused: a book does not become wrong in one day."""
    later = Surroundings(date(2027, 11, 24)).lint(POLICIES / "prices.yaml")
    assert rules(later) == {"price-book-missing-or-stale"}
    assert {one.severity for one in later} == {Severity.WARNING}


def _loaded_numbers(component: Path) -> int:
    from safetensors import safe_open

    total = 0
    for path in component.glob("*.safetensors"):
        with safe_open(path, "numpy") as tensors:
            total += sum(tensors.get_tensor(name).size for name in tensors.keys())  # noqa: SIM118
    return total
