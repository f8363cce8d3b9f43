"""A YAML file as JSON values, with the place of everything in it.

Only the part of YAML that JSON can hold is read, and only where YAML 1.1 and 1.2 agree: text, numbers, true,
false, nothing, lists and mappings. Anchors, aliases, tags and words such as `on` or `017`, which tools read
differently, are faults. So nothing here depends on which parser an editor uses, and no file can grow when it
is expanded.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controller.errors import InvalidFileError, Problem

MAX_BYTES = 2**20
MAX_NODES = 5_000
MAX_DEPTH = 16
MAX_NUMBER_CHARACTERS = 30

Loc = tuple[str | int, ...]
Place = tuple[int, int]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DISPUTED = re.compile(
    r"[yY]|yes|Yes|YES|[nN]|no|No|NO|on|On|ON|off|Off|OFF"  # true and false in YAML 1.1
    r"|[-+]?0[0-9_]+|[-+]?0[box][0-9a-fA-F_]+"  # other bases
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"  # digits in groups
    r"|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"  # base 60
)
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: JSON values, the place of every key and value (line, column from 1), its faults."""

    path: str
    value: Mapping[str, Any]
    keys: Mapping[Loc, Place]
    values: Mapping[Loc, Place]
    faults: Mapping[Loc, Problem]

    def problem(self, loc: Loc, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at a key's value, or at the key itself; what is not there stands at its parent."""
        places = (self.keys, self.values) if at_key else (self.values, self.keys)
        here = loc
        while here and here not in places[0]:
            here = here[:-1]
            places = (self.keys, self.values)
        line, column = places[0].get(here, places[1].get(here, (1, 1)))
        return Problem(self.path, line, column, dotted(loc), message)


def dotted(loc: Loc) -> str:
    """Return the readable form of a location, such as `stages[2].share`; `file` for the whole."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return text.removeprefix(".") or "file"


def shown(text: str, limit: int = 60) -> str:
    """Return text fit for one line of a terminal: printable and not longer than `limit` characters."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return printable + ("..." if len(text) > limit else "")


def read(path: Path) -> Document:
    """Read a file; InvalidFileError when it can't be read or is not YAML at all."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refused(path, "no such file; check the path") from None
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}") from error
    return parse(content, str(path))


def parse(content: bytes, path: str) -> Document:
    """Parse a file's bytes; InvalidFileError when it is too large, not UTF-8, empty or not a YAML mapping."""
    if len(content) > MAX_BYTES:
        raise _refused(path, f"is larger than {MAX_BYTES // 1024} KiB, which no file of ours needs to be")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        raise _refused(path, "is not UTF-8 here; save it as UTF-8", before) from error
    try:
        return _Builder(path, yaml.parse(text, Loader=yaml.CSafeLoader)).document()
    except yaml.reader.ReaderError as error:
        reason = "holds a control character, which YAML does not allow"
        raise _refused(path, reason, text[: error.position]) from error
    except yaml.MarkedYAMLError as error:
        raise InvalidFileError((_syntax_problem(path, text, error),)) from error


def _refused(path: Path | str, message: str, before: str = "") -> InvalidFileError:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return InvalidFileError((Problem(str(path), line, column, "file", message),))


def _syntax_problem(path: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    there = lines[line] if line < len(lines) else ""
    if "\t" in there[: len(there) - len(there.lstrip())]:
        message = "a tab in the indentation; YAML is indented with spaces"
    else:
        message = f"is not YAML: {' '.join(filter(None, (error.context, error.problem)))}"
    return Problem(path, line + 1, column + 1, "file", message)


@dataclass(slots=True)
class _Builder:
    """Turns parser events into values, once through."""

    path: str
    events: Iterator[Any]
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    faults: dict[Loc, Problem] = field(default_factory=dict)
    nodes: int = 0

    def document(self) -> Document:
        roots = 0
        value: Any = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                roots += 1
            elif isinstance(event, yaml.NodeEvent) and roots == 1:
                value = self._node(event, ())
        if roots == 0 or value is None:
            raise _refused(self.path, "is empty; it starts with `schema_version: 1` and `kind: ...`")
        if roots > 1:
            raise _refused(self.path, "holds more than one document (`---`); write one file for each")
        if not isinstance(value, dict):
            raise _refused(self.path, "must be a mapping of keys to values (`kind: ...`)")
        return Document(self.path, value, self.keys, self.values, self.faults)

    def _node(self, event: Any, loc: Loc) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(loc) > MAX_DEPTH:
            limit = f"more than {MAX_NODES} values" if self.nodes > MAX_NODES else f"nested over {MAX_DEPTH} deep"
            raise _refused(self.path, f"{limit}, which no file of ours needs")
        self.values[loc] = _place(event)
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self._fault(event, loc, "anchors and aliases (& and *) are not read; repeat the value")
        if getattr(event, "tag", None):
            self._fault(event, loc, f"tags ({shown(event.tag)}) are not read; write the plain value")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loc)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(loc)
        return self._scalar(event, loc) if isinstance(event, yaml.ScalarEvent) else None

    def _mapping(self, loc: Loc) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._fault(event, loc, "a key must be plain text")
                self._node(event, (*loc, "?"))
                self._node(next(self.events), (*loc, "?"))
                continue
            here = (*loc, event.value)
            if event.value in value:
                first = self.keys[here][0]
                self._fault(event, here, f"is given twice, first in line {first}; keep one")
            else:
                self.keys[here] = _place(event)
            value[event.value] = self._node(next(self.events), here)
        return value

    def _sequence(self, loc: Loc) -> list[Any]:
        value: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value.append(self._node(event, (*loc, len(value))))
        return value

    def _scalar(self, event: Any, loc: Loc) -> Any:
        text: str = event.value
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _DISPUTED.fullmatch(text):
            self._fault(
                event,
                loc,
                f'YAML 1.1 and 1.2 read {shown(text)} differently; write "{shown(text)}" in quotes for text, '
                "true or false for yes or no, or a plain decimal number",
            )
            return text
        if _NOT_FINITE.fullmatch(text):
            self._fault(event, loc, f"{text} is not a finite number")
            return 0
        return self._number(event, loc, text) if _REAL.fullmatch(text) else text

    def _number(self, event: Any, loc: Loc, text: str) -> float:
        value = 0.0
        if len(text) <= MAX_NUMBER_CHARACTERS:
            value = int(text) if _INTEGER.fullmatch(text) else float(text)
        if len(text) > MAX_NUMBER_CHARACTERS or value in {float("inf"), float("-inf")}:
            self._fault(event, loc, f"{shown(text)} is too large for a number; put it in quotes if it is text")
            return 0
        return value

    def _fault(self, event: Any, loc: Loc, message: str) -> None:
        line, column = _place(event)
        self.faults.setdefault(loc, Problem(self.path, line, column, dotted(loc), message))


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
