"""From what pydantic refuses to what a person can act on: where, what is wrong, what is allowed."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from controller.errors import InvalidFileError, Problem
from controller.schema.document import Document, Loc, shown

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$"
PATTERN_WORDS: Mapping[str, str] = {
    NAME_PATTERN: "lower-case letters, digits and hyphens between them, 48 characters at most",
}
FREE_KEYS = frozenset({"options"})
"""Keys whose content belongs to somebody else, so that an empty value in it means something."""

_LONGEST_WORD = 60
_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "date_type": "a date such as 2026-11-09",
    "date_parsing": "a date such as 2026-11-09",
    "date_from_datetime_parsing": "a date such as 2026-11-09",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}

Fault = tuple[Loc, str]
_Model = TypeVar("_Model", bound=BaseModel)


class FileModel(BaseModel):
    """A mapping in a file: exact types, no unknown keys, never changed once read."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def refuse(faults: Iterable[Fault]) -> None:
    """Raise what a validator found, if anything; locations are relative to the model or field it guards."""
    found = tuple(faults)
    if found:
        raise PydanticCustomError("faults", "breaks a rule", {"faults": found})


def nearest(word: str, allowed: Collection[str]) -> str:
    """Return the sentence that names the nearest allowed word, if any is near, and all of them."""
    folded = {name.lower(): name for name in allowed}
    close = get_close_matches(word.lower(), folded, 1, 0.5) if len(word) <= _LONGEST_WORD else []
    hint = f"did you mean {folded[close[0]]}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'nothing'}"


def accept(document: Document, model: type[_Model], context: Any = None) -> _Model:
    """Return the document as a model; InvalidFileError with every fault of the file otherwise."""
    expected, kind = allowed_at(model, ("kind",)), document.value.get("kind")
    if isinstance(kind, str) and kind not in expected:
        # Judged alone: against the wrong kind every other key would look misspelt.
        message = f"this is a file of kind {shown(kind)}; expected {', '.join(expected)}"
        raise InvalidFileError((document.problem(("kind",), message),))
    problems = {
        **document.faults,
        **{loc: document.problem(loc, text) for loc, text in _empty(document.value)},
    }
    accepted = None
    try:
        accepted = model.model_validate_json(json.dumps(document.value), context=context)
    except ValidationError as error:
        for loc, problem in _problems(document, model, error):
            problems.setdefault(loc, problem)
    if problems or accepted is None:
        raise InvalidFileError(tuple(sorted(problems.values(), key=lambda p: (p.line, p.column, p.key))))
    return accepted


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def allowed_at(model: type[BaseModel], loc: Loc) -> tuple[str, ...]:
    """Return the keys or values that a model allows at a location, in the order of their declaration."""
    root = _schema(model)
    node: dict[str, Any] = root
    for part in loc:
        node = _resolved(root, node)
        below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        node = below or node.get("additionalProperties") or {}
    node = _resolved(root, node)
    if "const" in node:
        return (str(node["const"]),)
    return tuple(str(word) for word in node.get("enum", node.get("properties", ())))


def _resolved(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            node = choice
            break
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return root["$defs"][name] if name else node


def _empty(value: Any, loc: Loc = ()) -> Iterator[Fault]:
    if value is None:
        yield loc, "has no value; give one or remove the key"
    elif isinstance(value, dict):
        for key, below in value.items():
            if key not in FREE_KEYS:
                yield from _empty(below, (*loc, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _empty(below, (*loc, index))


def _problems(document: Document, model: type[BaseModel], error: ValidationError) -> Iterator[tuple[Loc, Problem]]:
    details = error.errors(include_url=False)
    for detail in details:
        loc: Loc = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] == "too_short" and any(other["loc"][:-1][: len(loc)] == loc for other in details):
            continue  # the list has items, but pydantic counts only the sound ones
        if detail["type"] == "faults":
            for below, message in detail["ctx"]["faults"]:
                yield (*loc, *below), document.problem((*loc, *below), message)
        else:
            at_key = detail["type"] == "extra_forbidden" or detail["loc"] != loc
            yield loc, document.problem(loc, _message(model, loc, detail), at_key=at_key)


def _message(model: type[BaseModel], loc: Loc, detail: ErrorDetails) -> str:
    kind, value, limits = detail["type"], detail["input"], detail.get("ctx", {})
    found = _found(value)
    match kind:
        case "extra_forbidden":
            text = f"unknown key; {nearest(str(loc[-1]), allowed_at(model, loc[:-1]))}"
        case "missing":
            text = "is required"
        case "literal_error":
            text = f"unknown value {found}; {nearest(str(value), allowed_at(model, loc))}"
        case "string_type" if isinstance(value, int | float):
            text = f"expected text, found {found}; put it in quotes if it is text"
        case "string_pattern_mismatch":
            text = f"expected {PATTERN_WORDS.get(limits['pattern'], limits['pattern'])}, found {found}"
        case "too_short" | "string_too_short":
            text = "must not be empty"
        case _ if kind in _EXPECTED:
            text = f"expected {_EXPECTED[kind]}, found {found}"
        case _ if kind in _BOUNDS:
            limit = limits[_BOUNDS[kind][1]]
            text = f"must be {_BOUNDS[kind][0]} {limit if isinstance(limit, int) else f'{limit:g}'}, found {found}"
        case _:
            text = f"{detail['msg']}, found {found}"
    return text


def _found(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{shown(value)}"'
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return f"the number {shown(str(value))}"
