"""Parses a spec's `options` into a provider's own frozen dataclass: unknown or absurd options are errors."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from serving.providers.protocol import BadConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_O = TypeVar("_O", bound="DataclassInstance")


def parse_options(schema: type[_O], given: Mapping[str, Any]) -> _O:
    """Return the options as `schema`, whose fields carry their bounds `low` and `high` as metadata.

    Raises BadConfigError naming the option and what is allowed.
    """
    known = {field.name: field for field in fields(schema)}
    for name, value in given.items():
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise BadConfigError(f"options.{name}: unknown option; this provider knows: {allowed}")
        low, high = known[name].metadata["low"], known[name].metadata["high"]
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:
            raise BadConfigError(f"options.{name}: {value!r} is not a number from {low} to {high}")
        if known[name].metadata.get("whole") and not isinstance(value, int):
            raise BadConfigError(f"options.{name}: {value!r} is not a whole number")
    return schema(**given)
