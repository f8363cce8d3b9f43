"""Errors on the wire: one JSON shape, the status code that fits, and the way back on the client's side.

{"error": {"kind": "conflict", "message": "...", "problems": [...]}}
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from controller.errors import (
    ConflictError,
    ForbiddenError,
    GatectlError,
    InvalidFileError,
    InvariantError,
    Problem,
    UnavailableError,
    UserError,
)


class UnauthenticatedError(ForbiddenError):
    """The caller did not say who it is; the message says how."""


class MissingError(UserError):
    """What was asked for does not exist; the message says where to look."""


class missing:  # noqa: N801  # reads like the keyword it stands beside
    """On a path that names one thing, a wrong name is that thing missing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, UserError):
            raise MissingError(str(error)) from error


# The first match counts, so a class comes before its base.
KINDS: tuple[tuple[str, type[GatectlError], int], ...] = (
    ("unauthenticated", UnauthenticatedError, 401),
    ("forbidden", ForbiddenError, 403),
    ("missing", MissingError, 404),
    ("file", InvalidFileError, 400),
    ("user", UserError, 400),
    ("conflict", ConflictError, 409),
    ("unavailable", UnavailableError, 503),
    ("invariant", InvariantError, 500),
)


def to_wire(error: GatectlError) -> tuple[int, dict[str, Any]]:
    """Return the status code and the body that tell a client of an error."""
    kind, status = next(((kind, status) for kind, of, status in KINDS if isinstance(error, of)), ("invariant", 500))
    body: dict[str, Any] = {"kind": kind, "message": str(error)}
    if isinstance(error, InvalidFileError):
        body["problems"] = [asdict(problem) for problem in error.problems]
    return status, {"error": body}


def from_wire(status: int, body: Mapping[str, Any]) -> GatectlError:
    """Return the error that a server told of; what is not ours counts as an unavailable part."""
    error = body.get("error")
    if not isinstance(error, Mapping) or "message" not in error:
        return UnavailableError(f"the controller answered {status} without an explanation")
    if error.get("kind") == "file":
        return InvalidFileError(tuple(Problem(**problem) for problem in error.get("problems", ())))
    for kind, of, _ in KINDS:
        if kind == error.get("kind"):
            return of(str(error["message"]))
    return UnavailableError(str(error["message"]))
