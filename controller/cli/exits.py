"""Exit codes, one table: scripts and CI decide by them, so they never change."""

from enum import IntEnum

from controller.errors import (
    ConflictError,
    ForbiddenError,
    GatectlError,
    InvalidFileError,
    UnavailableError,
    UserError,
)


class Exit(IntEnum):
    """What a verb's exit code says."""

    DONE = 0  # done, or the rollout was promoted
    FAILED = 1  # a check that was asked for found something (audit verify, demo), or a bug of ours
    USAGE = 2
    REJECTED = 3  # the file is invalid, or lint, bench or a person rejected the rollout before any traffic
    CONFLICT = 4  # the lane is busy, or the state does not allow it
    REVERTED = 5
    UNDECIDED = 6  # held, superseded, or still open when the watching ended
    UNAVAILABLE = 7
    FORBIDDEN = 8


OF_STATE = {
    "promoted": Exit.DONE,
    "rejected": Exit.REJECTED,
    "reverted": Exit.REVERTED,
}


def of_state(state: str) -> Exit:
    """Return the exit code of a rollout's state; everything that isn't an outcome is undecided."""
    return OF_STATE.get(state, Exit.UNDECIDED)


def of_error(error: GatectlError) -> Exit:
    """Return the exit code of an error."""
    for of, code in (
        (InvalidFileError, Exit.REJECTED),
        (UserError, Exit.USAGE),
        (ConflictError, Exit.CONFLICT),
        (UnavailableError, Exit.UNAVAILABLE),
        (ForbiddenError, Exit.FORBIDDEN),
    ):
        if isinstance(error, of):
            return code
    return Exit.FAILED
