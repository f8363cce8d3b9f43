"""What rules look at: a document that may be anybody's, its meaning where it can be told, and the facts.

Files of ours have fixed keys; a foreign configuration (the keyword arguments of a pipeline as JSON, a request to a
hosted API) is judged by the same rules, so everything is looked up by meaning, and what is absent is None.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeGuard

from controller.core.spec import CPU, ModelSpec
from controller.lint import hosted, keys, models
from controller.lint.facts import Facts
from controller.lint.gpus import GPUS, Gpu
from controller.lint.models import Family, Model
from controller.schema.document import Document, Loc

PRECISIONS = ("float32", "float16", "bfloat16")
LOCAL = "diffusers"
UNHURRIED = ("export", "upscale", "batch", "offline")
_FULL_PRECISION = frozenset({"float32", "fp32", "float", "f32"})
_PROSE = "tradeoffs"


class Topic(StrEnum):
    """What a document is about."""

    ARM = "arm"
    POLICY = "policy"
    PRICES = "prices"
    OTHER = "other"


TOPICS = {
    "candidate": Topic.ARM,
    "lane": Topic.ARM,
    "policy": Topic.POLICY,
    "prices": Topic.PRICES,
    "suite": Topic.OTHER,
    "scenario": Topic.OTHER,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A value and where it stands."""

    loc: Loc
    value: Any


class Subject:
    """A document with its meaning; nothing in it is trusted to have the right type."""

    def __init__(self, document: Document, facts: Facts) -> None:
        self.document = document
        self.facts = facts
        self.kind = document.value.get("kind")
        self.ours = "schema_version" in document.value or (isinstance(self.kind, str) and self.kind in TOPICS)
        self.topic = TOPICS.get(self.kind, Topic.ARM) if isinstance(self.kind, str) else Topic.ARM
        self._root: Loc = ("incumbent",) if self.kind == "lane" else ()

    def at(self, *loc: str | int) -> Any:
        """Return the value at a place of the document, None when nothing is there."""
        value: Any = self.document.value
        for part in loc:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def place(self, dotted: str) -> Loc:
        """Return where a key of ours stands in this document, there or not."""
        return (*self._root, *dotted.split(".")) if self.ours else (dotted.rsplit(".", 1)[-1],)

    def all(self, names: keys.Names) -> Iterator[Found]:
        """Yield every value of these names."""
        for name in names:
            if "." in name:
                loc = (*self._root, *name.split("."))
                if loc in self.document.keys:
                    yield Found(loc, self.at(*loc))
            else:
                yield from self._leaves.get(name.lower(), ())

    def any(self, names: keys.Names) -> Found | None:
        """Return the first value that says something: not false, nothing or empty."""
        return next((found for found in self.all(names) if found.value not in (None, False, "", [], {}, 0)), None)

    def text(self, names: keys.Names) -> Found | None:
        """Return the first text."""
        return next((found for found in self.all(names) if isinstance(found.value, str)), None)

    def number(self, names: keys.Names) -> Found | None:
        """Return the first number."""
        return next((found for found in self.all(names) if is_number(found.value)), None)

    def value(self, names: keys.Names, default: float) -> float:
        """Return the first number's value, or the default."""
        found = self.number(names)
        return default if found is None else float(found.value)

    @cached_property
    def _leaves(self) -> dict[str, list[Found]]:
        leaves: dict[str, list[Found]] = {}
        for loc in self.document.keys:
            if _PROSE not in loc:
                leaves.setdefault(str(loc[-1]).lower(), []).append(Found(loc, self.at(*loc)))
        return leaves

    @cached_property
    def source(self) -> Found | None:
        """Return what names the model."""
        return self.text(keys.MODEL)

    @cached_property
    def provider(self) -> str:
        """Return who draws: as stated, else as the model's name tells, else the local runtime."""
        stated = self.text(keys.PROVIDER)
        if stated:
            return str(stated.value).lower()
        return hosted.provider_of(str(self.source.value)) if self.source else LOCAL

    @property
    def local(self) -> bool:
        """Say whether a diffusers pipeline of our own draws."""
        return self.provider == LOCAL

    @cached_property
    def model(self) -> Model | None:
        """Return what is known of the model that a local pipeline loads."""
        return models.known(str(self.source.value)) if self.local and self.source else None

    @cached_property
    def family(self) -> Family | None:
        """Return the pipeline's family: what the folder says, else what is known of the name."""
        folder = self.facts.folder
        if folder and self.local:
            return models.family_of(folder.pipeline)
        return self.model.family if self.model else None

    @cached_property
    def gpu_name(self) -> Found | None:
        """Return the stated GPU class, `cpu` included."""
        return self.text(keys.GPU)

    @property
    def on_cpu(self) -> bool:
        """Say whether the file says that no GPU is used."""
        return self.gpu_name is not None and str(self.gpu_name.value).lower() == CPU

    @property
    def gpu(self) -> Gpu | None:
        """Return the GPU class, None when it is not stated or not known."""
        return GPUS.get(str(self.gpu_name.value).lower()) if self.gpu_name else None

    @cached_property
    def precision(self) -> Found | None:
        """Return the stated precision."""
        return self.text(keys.PRECISION)

    @property
    def full_precision(self) -> bool:
        """Say whether 32 bits are asked for in so many words."""
        return self.precision is not None and plain_dtype(self.precision.value) in _FULL_PRECISION

    @property
    def loaded_bytes(self) -> int:
        """Return the bytes of a number as diffusers loads it: every word it does not know means float32."""
        return 2 if self.precision and plain_dtype(self.precision.value) in {"float16", "bfloat16"} else 4

    @property
    def lane(self) -> str | None:
        """Return the lane's name."""
        name = self.at("name" if self.kind == "lane" else "lane")
        return name if isinstance(name, str) else None

    @property
    def hurried(self) -> bool:
        """Say whether somebody waits for the image: unless the lane's name says otherwise."""
        return not any(word in (self.lane or "").lower() for word in UNHURRIED)

    @property
    def incumbent(self) -> ModelSpec | None:
        """Return what serves the lane now; a lane's own file is judged against nothing."""
        return self.facts.lane.incumbent if self.facts.lane and self.kind != "lane" else None

    @property
    def judges_text(self) -> bool:
        """Say whether the policy reverts a candidate that spells worse."""
        policy = self.facts.policy
        return policy is not None and any(
            item.metric == "text_accuracy" and item.role == "guardrail" for item in policy.criteria
        )


def is_number(value: Any) -> TypeGuard[float]:
    """Say whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain_dtype(value: Any) -> str:
    """Return a dtype's name without its module."""
    return str(value).removeprefix("torch.")
