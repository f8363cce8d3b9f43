"""The coin: an independent draw per request with a recorded probability.

The e-processes are valid *because of* this coin, so its input is a request id that the gateway made itself (never
one a client chose), keyed by the rollout's salt, and a request is the candidate's when the draw falls below the
share: raising the share never takes a request away from the candidate (shares are nested).

Where a split is sticky the key is the user's, so a user stays on an arm while the share grows. Requests of one user
are no fresh coins, so a user has one vote in a rollout: the first request. What a client calls itself is its own
choice, but the salt is secret: nobody can choose a coin.
"""

from hashlib import blake2b

from controller.core.split import Split
from controller.stats.tally import Arm


def draw(salt: str, key: str, purpose: str = "arm") -> float:
    """Return a uniform draw in [0, 1) that depends on nothing but salt, purpose and key."""
    digest = blake2b(key.encode(), digest_size=8, key=salt.encode()[:64], person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def assign(split: Split, key: str) -> Arm:
    """Return the arm of a request or user: the split's candidate with probability `split.share`.

    In a flipped split the small share goes to the other end of the draw: who had the new model keeps it.
    """
    drawn = draw(split.salt, key)
    chosen = drawn >= 1.0 - split.share if split.flipped else drawn < split.share
    return Arm.CANDIDATE if chosen else Arm.INCUMBENT


def voter(salt: str, user: str) -> int:
    """Return 64 bits (signed) that stand for a user in one rollout and say nothing about who it is."""
    digest = blake2b(user.encode(), digest_size=8, key=salt.encode()[:64], person=b"vote").digest()
    return int.from_bytes(digest, "big", signed=True)
