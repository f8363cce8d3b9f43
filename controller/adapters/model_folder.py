"""What a local model's small files say: its pipeline, its parts, and how many numbers they hold. No weight is read."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.lint.facts import ModelFolder

INDEX = "model_index.json"
MAX_JSON_BYTES = 64 * 2**20
_LENGTH_BYTES = 8


def read_model_folder(folder: Path) -> ModelFolder | None:
    """Return what a folder that `save_pretrained` wrote says, None when it is something else or can't be read."""
    try:
        index = _json(folder / INDEX)
        parts = {name: kind for name, kind in index.items() if isinstance(kind, list) and len(kind) == 2}
        return ModelFolder(
            pipeline=str(index.get("_class_name", "")),
            components={name: kind[1] for name, kind in parts.items()},
            parameters={name: count for name in parts if (count := _parameters(folder / name))},
            scheduler=_json(folder / "scheduler" / "scheduler_config.json"),
            multiple_px=_multiple_px(folder),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # The schema says what is wrong with a source.


def _json(path: Path) -> Mapping[str, Any]:
    if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
        return {}
    value = json.loads(path.read_bytes())
    return value if isinstance(value, dict) else {}


def _parameters(component: Path) -> int:
    files = sorted(component.glob("*.safetensors"))
    plain = [path for path in files if "." not in path.stem]  # `model.fp16.safetensors` holds the same numbers again
    return sum(math.prod(shape) for path in plain or files for shape in _shapes(path))


def _shapes(path: Path) -> Iterator[list[int]]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > MAX_JSON_BYTES:
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file")  # noqa: TRY004 - a wrong content, not a wrong argument
    yield from (tensor["shape"] for name, tensor in header.items() if name != "__metadata__")


def _multiple_px(folder: Path) -> int | None:
    channels = _json(folder / "vae" / "config.json").get("block_out_channels")
    if not isinstance(channels, list):
        return None
    patch = _json(folder / "transformer" / "config.json").get("patch_size", 1)
    return int(2 ** (len(channels) - 1) * patch)
