"""The coin: an independent draw per request with a recorded probability.

The e-processes are valid *because of* this coin, so its input is a request id that the gateway made itself (never
one a client chose), keyed by the rollout's salt, and a request is the candidate's when the draw falls below the
share: raising the share never takes a request away from the candidate (shares are nested).
"""

from hashlib import blake2b

from controller.stats.tally import Arm


def draw(salt: str, key: str, purpose: str = "arm") -> float:
    """Return a uniform draw in [0, 1) that depends on nothing but salt, purpose and key."""
    digest = blake2b(key.encode(), digest_size=8, key=salt.encode()[:64], person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def assign(salt: str, key: str, share: float) -> Arm:
    """Return the arm of a request: the candidate with probability `share`."""
    return Arm.CANDIDATE if draw(salt, key) < share else Arm.INCUMBENT
