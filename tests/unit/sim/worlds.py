"""Scenarios small enough for unit tests."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from controller.schema.scenario import Scenario, load_scenario

SOUND: dict[str, Any] = {
    "schema_version": 1,
    "kind": "scenario",
    "name": "small",
    "policy": "demo",
    "rate_per_s": 4.0,
    "max_duration_h": 0.5,
    "timeout_s": 10,
    "history_requests": 1000,
    "arms": {
        "incumbent": {
            "latency_s": {"family": "lognormal", "median": 0.85, "sigma": 0.25},
            "service_s": {"family": "lognormal", "median": 0.80, "sigma": 0.25},
            "cost_usd": {"family": "gamma", "mean": 0.1, "shape": 10},
            "text_accuracy": {"family": "beta", "exact_share": 0.75, "mean": 0.8, "concentration": 10},
            "failure_rate": 0.002,
        },
        "candidate": {"like": "incumbent"},
    },
}


def written(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """Write the sound scenario with changes, given as {"a.b.0.c": value} (None: take away), and return its path."""
    value = deepcopy(SOUND)
    for dotted, new in (changes or {}).items():
        *parents, last = (int(part) if part.isdecimal() else part for part in dotted.split("."))
        node: Any = value
        for part in parents:
            node = node[part]
        if new is None:
            del node[last]
        else:
            node[last] = new
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return path


def scenario(folder: Path, changes: dict[str, Any] | None = None) -> Scenario:
    return load_scenario(written(folder, changes))
