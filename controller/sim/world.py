"""The synthetic world: requests arrive, a coin assigns them, each arm answers after its laws.

Nothing here knows of statistics. All randomness comes from one generator, seeded by (seed, run).
"""

import math

import numpy as np

from controller.core.judge import SCORE_SETTLE_S
from controller.core.policy import METRICS
from controller.schema.arms import Arm
from controller.schema.scenario import Scenario
from controller.sim.conditions import DRIFTING, START_S, Conditions
from controller.sim.crowd import Crowd, is_crowd
from controller.sim.draws import draw_logs, draw_scores
from controller.sim.lots import Lots
from controller.sim.rows import Rows
from controller.sim.users import Users
from controller.stats.bins import LOG_HIGHEST, Axis
from controller.stats.columns import NO_VALUE, Bools, Floats, Ints, cells_of, log_cells
from controller.stats.tally import WINDOW_S

Drawn = Rows | Lots


class World:
    """One run's world; `images` counts the candidate's requests so far, on which `from_image` counts."""

    def __init__(self, scenario: Scenario, seed: int, run: int) -> None:
        self._scenario = scenario
        self._rng = np.random.default_rng([seed, run])
        self._names = tuple(item.name for item in scenario.classes)
        judged = {item.metric for item in scenario.policy.criteria}
        self._metrics = [name for name in METRICS if name in judged or name in {"latency_s", "failure"}]
        self._conditions = Conditions(scenario, self._rng)
        self._users = Users(scenario.users, self._rng) if scenario.users else None
        self._crowd = Crowd(scenario, self._metrics, self._conditions) if is_crowd(scenario, self._metrics) else None
        self.images = 0

    def history(self) -> Rows:
        """Return what the incumbent did before the rollout, all of it at the drift of the start."""
        window = np.full(self._scenario.history_requests, int(START_S // WINDOW_S) - 1, dtype=np.int64)
        return self._rows(window, START_S - WINDOW_S * self._rng.random(len(window)), 0.0, sticky=False)

    def draw(self, from_s: float, n_windows: int, share: float, already: int, *, sticky: bool = False) -> Drawn:
        """Return the requests from a moment to the end of the n-th window that ends after it.

        `already`: requests of the first of these windows that were assigned before `from_s`; `sticky`: the coin is
        the user's.
        """
        if self._crowd is not None and self.images >= self._scenario.from_image:
            return self._crowd.draw(self._rng, from_s, n_windows, share, already)
        scenario, first = self._scenario, int(from_s // WINDOW_S)
        begins = np.maximum(np.arange(first, first + n_windows) * float(WINDOW_S), from_s)
        lengths = (np.arange(first, first + n_windows) + 1.0) * WINDOW_S - begins
        if scenario.window_requests is not None:
            counts = np.full(n_windows, scenario.window_requests, dtype=np.int64)
            counts[0] = max(0, counts[0] - already)
        else:
            counts = self._rng.poisson(scenario.rate_per_s * lengths)
        at = np.repeat(np.arange(n_windows), counts)
        arrival_s = begins[at] + lengths[at] * self._rng.random(len(at))
        if self._users is not None:
            arrival_s = np.sort(arrival_s)  # which request is a user's first is a matter of time
        return self._rows(first + at, arrival_s, share, sticky=sticky)

    def happened(self, drawn: Drawn) -> None:
        """Take note that these requests, of those drawn last, came."""
        self.images += drawn.candidates
        if isinstance(drawn, Rows) and drawn.votes is not None and self._users is not None and drawn.user is not None:
            self._users.happened(drawn.user)

    def _rows(self, window: Ints, arrival_s: Floats, share: float, *, sticky: bool) -> Rows:
        rng, n = self._rng, len(window)
        users, user, votes = self._users, None, None
        candidate = rng.random(n) < share
        if users is not None:
            user = users.come(n)
            if sticky:
                candidate, votes = users.assigned(user, share), users.votes(user)
        faulty = candidate & (self.images + np.cumsum(candidate) > self._scenario.from_image)
        kind = self._kinds(window)
        drift = self._conditions.log_factor(window, candidate)
        if users is not None and user is not None:
            drift = drift + users.log_slowness(user)
        logs = {
            metric: self._logs(metric, kind, faulty, drift)
            for metric in self._metrics
            if METRICS[metric].axis is Axis.LOG
        }
        latency_s = np.exp(logs["latency_s"])
        late = latency_s > self._scenario.timeout_s
        failed = late | self._failed(arrival_s, candidate, faulty)
        refused = ~failed & self._flags("refusal", faulty)
        silent = failed | refused
        cells = {metric: np.where(silent, NO_VALUE, log_cells(values)) for metric, values in logs.items()}
        cells["latency_s"] = np.where(late, LOG_HIGHEST, log_cells(logs["latency_s"]))
        cells["failure"], cells["refusal"] = failed.astype(np.int64), refused.astype(np.int64)
        cells["invalid"] = self._flags("invalid", faulty).astype(np.int64)
        if "text_accuracy" in self._metrics:
            cells["text_accuracy"] = np.where(silent, NO_VALUE, self._scores(faulty))
        latency_s = np.minimum(latency_s, self._scenario.timeout_s)
        return Rows(self._names, window, arrival_s, candidate, kind, latency_s, ~silent, cells, user, votes)

    def _arms(self) -> tuple[Arm, Arm]:
        return self._scenario.incumbent, self._scenario.candidate

    def _kinds(self, window: Ints) -> Ints:
        classes = self._scenario.classes
        if len(classes) == 1:
            return np.zeros(len(window), dtype=np.int64)
        limits = np.cumsum(self._conditions.class_shares(window), axis=1)[:, :-1]
        return np.asarray((self._rng.random(len(window))[:, None] >= limits).sum(axis=1))

    def _logs(self, metric: str, kind: Ints, faulty: Bools, drift: Floats) -> Floats:
        classes = self._scenario.classes
        logs = np.log([item.scale.get(metric, 1.0) for item in classes])[kind]
        if metric in DRIFTING:
            logs = logs + drift
        for arm, mine in zip(self._arms(), (~faulty, faulty), strict=True):
            n = int(mine.sum())
            if n:
                logs[mine] += draw_logs(arm.laws[metric], self._rng, n) + math.log(arm.scale.get(metric, 1.0))
        return logs

    def _scores(self, faulty: Bools) -> Ints:
        scenario, n = self._scenario, len(faulty)
        cells = np.empty(n, dtype=np.int64)
        for arm, mine in zip(self._arms(), (~faulty, faulty), strict=True):
            cells[mine] = cells_of(Axis.SCORE, draw_scores(arm.laws["text_accuracy"], self._rng, int(mine.sum())))
        absent = self._rng.random(n) < scenario.score_missing
        if scenario.score_delay_s * math.exp(5 * scenario.score_delay_sigma) > SCORE_SETTLE_S:
            delay_s = scenario.score_delay_s * np.exp(scenario.score_delay_sigma * self._rng.standard_normal(n))
            absent |= delay_s > SCORE_SETTLE_S
        return np.where(absent, NO_VALUE, cells)

    def _flags(self, name: str, faulty: Bools) -> Bools:
        rates = [arm.rates[name] for arm in self._arms()]
        if not any(rates):
            return np.zeros(len(faulty), dtype=np.bool_)
        return np.asarray(self._rng.random(len(faulty)) < np.where(faulty, rates[1], rates[0]))

    def _failed(self, arrival_s: Floats, candidate: Bools, faulty: Bools) -> Bools:
        failed = self._flags("failure", faulty)
        for outage in self._scenario.outages:
            inside = (arrival_s >= START_S + outage.start_s) & (arrival_s < START_S + outage.end_s)
            failed |= inside & (self._rng.random(len(failed)) < outage.failure_rate)
        rates, bursts = (
            np.array([getattr(arm, name) for arm in self._arms()])[faulty.astype(np.int64)]
            for name in ("oom_per_image", "oom_burst")
        )
        if not rates.any():
            return failed
        deaths = self._rng.random(len(failed)) < rates
        for own in (~candidate, candidate):
            line, dead = np.flatnonzero(own), np.flatnonzero(deaths & own)
            # A death takes the arm's next requests along.
            hit = np.searchsorted(line, dead)[:, None] + np.arange(int(bursts.max()))
            taken = (np.arange(int(bursts.max())) < bursts[dead][:, None]) & (hit < len(line))
            failed[line[hit[taken]]] = True
        return failed
