"""Files as values: ours with some keys changed, and other people's."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

from controller.core.lane import Lane
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler
from controller.lint import Facts, Finding, ModelFolder, Price, Severity, judge
from controller.schema import load_policy, parse

TODAY = date(2026, 11, 24)
COMMIT = "b940f670f0eda2d07fbb75229e779da1ad11eb80"
FLOW = "FlowMatchEulerDiscreteScheduler"
OURS: Mapping[str, Any] = {
    "schema_version": 1,
    "kind": "candidate",
    "name": "sd35-medium-bf16",
    "lane": "preview",
    "owner": "imaging-team",
    "model": {
        "provider": "diffusers",
        "source": "stabilityai/stable-diffusion-3.5-medium",
        "revision": COMMIT,
        "precision": "bfloat16",
        "scheduler": {"class": FLOW, "max_steps": 40},
        "options": {},
    },
    "sampling": {"steps": 28, "guidance_scale": 4.5, "width_px": 1024, "height_px": 1024, "batch_size": 1},
    "resources": {"gpu": "L4", "num_gpus": 1, "replicas": 1},
    "policy": "preview-standard",
}
SPEC = ModelSpec(
    "diffusers",
    "stabilityai/stable-diffusion-3.5-large",
    COMMIT,
    "bfloat16",
    Scheduler(FLOW, 40),
    Sampling(28, 4.5, 1024, 1024),
    Resources("L4", 1.0, 1),
)
LANE = Lane("preview", 15.0, SPEC)
FACTS = Facts(TODAY, LANE, load_policy("preview-standard"), {"L4": Price(0.8, "a list", date(2026, 11, 1))})
TINY_FOLDER = ModelFolder("StableDiffusion3Pipeline", {"vae": "AutoencoderTiny"}, {"transformer": 2_000_000}, {}, 8)


def ours(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return our sound manifest with keys changed, given as {"model.source": value}; None takes a key away."""
    value: dict[str, Any] = deepcopy(dict(OURS))
    for dotted, new in (changes or {}).items():
        *parents, last = dotted.split(".")
        node = value
        for parent in parents:
            node = node.setdefault(parent, {})
        if new is None:
            del node[last]
        else:
            node[last] = new
    return value


def lint(value: Mapping[str, Any], facts: Facts = FACTS, comment: str = "") -> tuple[Finding, ...]:
    """Return what the rules say about a value, written as JSON, which is YAML."""
    text = json.dumps(value, indent=1) + (f"\n# {comment}\n" if comment else "\n")
    return judge(parse(text.encode(), "file.yaml"), text, facts)


def rules(findings: tuple[Finding, ...], *severities: Severity) -> set[str]:
    """Return which rules fired, of all severities or of some."""
    return {one.rule for one in findings if not severities or one.severity in severities}


def with_incumbent(**changes: Any) -> Facts:
    """Return the facts with a changed incumbent."""
    return replace(FACTS, lane=replace(LANE, incumbent=replace(SPEC, **changes)))
