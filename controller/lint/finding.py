"""What lint says: a finding, at a place, of a rule, with what to do about it."""

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from controller.schema.document import Loc


class Severity(StrEnum):
    """An error refuses a proposal, a warning is shown with it, an info is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule fires and why; `fix` and `severity` only where they differ from the rule's own."""

    loc: Loc
    message: str
    fix: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A comment that lets a rule pass until the end of a day, for a reason."""

    rule: str
    until: date
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; line and column count from 1, `key` is dotted such as `model.precision`."""

    rule: str
    severity: Severity
    key: str
    line: int
    column: int
    message: str
    fix: str
    waiver: Waiver | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; a waiver is part of the message."""
        value = asdict(self)
        del value["waiver"]
        return value
