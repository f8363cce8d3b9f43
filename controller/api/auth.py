"""Who calls and what they may do, decided on the server for every call."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request

from controller.api.problems import UnauthenticatedError
from controller.errors import ForbiddenError


class Role(StrEnum):
    """A viewer reads, an operator also proposes and commands."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token; `name` is the actor that the audit log records."""

    name: str
    role: Role


RoleOf = Callable[[str], tuple[str, str] | None]
"""Token -> (name, role), None for an unknown one."""


def viewer(request: Request) -> Caller:
    """Return who calls; UnauthenticatedError without a known bearer token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("send a token: `Authorization: Bearer ...` (gatectl reads SWAPGATE_TOKEN)")
    role_of: RoleOf = request.app.state.role_of
    found = role_of(token.strip())
    if found is None:
        raise UnauthenticatedError("the token is not known here; it may belong to another installation")
    return Caller(found[0], Role(found[1]))


def operator(request: Request) -> Caller:
    """Return who calls; ForbiddenError when they may only look."""
    caller = viewer(request)
    if caller.role is not Role.OPERATOR:
        raise ForbiddenError(
            f"{caller.name} has the role {caller.role}; proposing and commanding need the role operator"
        )
    return caller
