"""Sound files as values, to be broken one key at a time."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.errors import InvalidFileError, Problem

ARM: Mapping[str, Any] = {
    "model": {
        "provider": "diffusers",
        "source": "stabilityai/stable-diffusion-3.5-medium",
        "revision": "b940f670f0eda2d07fbb75229e779da1ad11eb80",
        "precision": "bfloat16",
        "scheduler": {"class": "FlowMatchEulerDiscreteScheduler", "max_steps": 40},
    },
    "sampling": {"steps": 28, "guidance_scale": 4.5, "width_px": 1024, "height_px": 1024},
    "resources": {"gpu": "L4", "num_gpus": 1, "replicas": 1},
}
FILES: Mapping[str, Mapping[str, Any]] = {
    "candidate": {
        "schema_version": 1,
        "kind": "candidate",
        "name": "sd35-medium-bf16",
        "lane": "preview",
        "owner": "imaging-team",
        **ARM,
        "policy": "preview-standard",
        "tradeoffs": {"gives_up": "long text", "in_exchange_for": "cost", "unsuitable_for": ["live editing"]},
    },
    "lane": {"schema_version": 1, "kind": "lane", "name": "preview", "timeout_s": 30, "incumbent": ARM},
    "policy": {
        "schema_version": 1,
        "kind": "policy",
        "name": "careful",
        "budget": {"false_revert": 0.01, "false_promote": 0.05},
        "deadline_h": 72,
        "gate": {"suite": "core", "min_repeats": 3},
        "stages": [{"shadow": 0.1}, {"share": 0.05}, {"share": 0.5, "approval": True}],
        "bake_h": 24,
        "criteria": [
            {"metric": "latency_s", "statistic": "p95", "max_ratio": 1.15},
            {"metric": "text_accuracy", "statistic": "mean", "max_drop": 0.02, "role": "watch"},
        ],
    },
    "prices": {
        "schema_version": 1,
        "kind": "prices",
        "prices": {"cpu": {"usd_per_hour": 0.04, "source": "a list", "date": "2026-11-09"}},
    },
}
REMOVED = object()
"""As a new value: take the key away."""

Changed = Callable[..., Path]
Refusal = Callable[[Callable[[], object]], list[Problem]]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Write the sound file of a kind with some values changed, given as {"a.b.0.c": value}, and return its path."""

    def write(kind: str, changes: Mapping[str, Any] | None = None) -> Path:
        value: Any = deepcopy(FILES[kind])
        for dotted, new in (changes or {}).items():
            *parents, last = (int(part) if part.isdecimal() else part for part in dotted.split("."))
            node = value
            for part in parents:
                node = node[part]
            if new is REMOVED:
                del node[last]
            elif isinstance(node, list) and last == len(node):
                node.append(new)
            else:
                node[last] = new
        path = tmp_path / f"{kind}.yaml"
        dumper = yaml.SafeDumper
        dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]  # aliases are what the reader refuses
        path.write_text(yaml.dump(value, Dumper=dumper, sort_keys=False))
        return path

    return write


@pytest.fixture
def refusal() -> Refusal:
    """Call something and return the problems for which it refuses a file."""

    def call(load: Callable[[], object]) -> list[Problem]:
        with pytest.raises(InvalidFileError) as caught:
            load()
        return list(caught.value.problems)

    return call
