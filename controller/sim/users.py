"""Users of a world: who comes again, how they differ, and what a sticky split makes of them.

Under a sticky split a user's coin is tossed once, and the first request under it is the user's vote; the others are
served and are no evidence. What is drawn ahead and never happens spends no vote: `happened` does.
"""

import numpy as np

from controller.schema.scenario import UsersInWorld
from controller.stats.columns import Bools, Floats, Ints


class Users:
    """The users of one run: coins, log slowness and how often each comes."""

    def __init__(self, among: UsersInWorld, rng: np.random.Generator) -> None:
        self._rng = rng
        self._coins = rng.random(among.count)
        self._log_slowness = among.sigma * rng.standard_normal(among.count)
        activity = np.exp(among.activity_sigma * rng.standard_normal(among.count))
        self._chances = np.cumsum(activity) / activity.sum()
        self._voted = np.zeros(among.count, dtype=np.bool_)

    def come(self, n: int) -> Ints:
        """Return who sends each of n requests."""
        at = np.searchsorted(self._chances, self._rng.random(n), side="right")
        return np.minimum(at, len(self._chances) - 1)

    def log_slowness(self, user: Ints) -> Floats:
        """Return what a user's requests have on top of every log latency, on either arm."""
        return np.asarray(self._log_slowness[user])

    def assigned(self, user: Ints, share: float) -> Bools:
        """Say which requests of a sticky split are the candidate's."""
        return np.asarray(self._coins[user] < share)

    def votes(self, user: Ints) -> Bools:
        """Say which requests, in this order, are the first of a user who has not voted yet."""
        first = np.zeros(len(user), dtype=np.bool_)
        first[np.unique(user, return_index=True)[1]] = True
        return np.asarray(first & ~self._voted[user])

    def happened(self, user: Ints) -> None:
        """Take note of requests that came under a sticky split."""
        self._voted[user] = True
