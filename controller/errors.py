"""Errors by who must act.

GatectlError
├── UserError          the file or the request is wrong: correct it            exit 3 (files), 2 (usage)
├── ConflictError      somebody or something else holds what was asked for     exit 4
├── UnavailableError   a part (database, serving, provider) can't answer       exit 7
├── ForbiddenError     the caller may not do this                              exit 8
└── InvariantError     our own bug
"""

from dataclasses import dataclass


class GatectlError(Exception):
    """Base of every error we raise on purpose."""


class UserError(GatectlError):
    """The input is wrong; the message says what, where, what is allowed and what to do."""


class MissingBlobError(UserError):
    """The blob store holds nothing under a digest; the message says where it looked."""


class ConflictError(GatectlError):
    """What was asked for is held or has changed; the message says by whom."""


class UnavailableError(GatectlError):
    """A part can't answer now; the message says which and what to look at."""


class ForbiddenError(GatectlError):
    """The caller may not do this; the message says which role may."""


class InvariantError(GatectlError):
    """Something that can't happen did."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file; `line` and `column` count from 1, `key` is dotted such as `model.precision`."""

    path: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        """Return the form that editors can jump to."""
        return f"{self.path}:{self.line}:{self.column}: {self.key}: {self.message}"


class InvalidFileError(UserError):
    """A file does not say what it must; every fault is listed, not just the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
