"""Parts killed in the middle of a canary, on a real platform under traffic: users notice nothing, it goes on."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.cli.client import Client
from controller.cli.propose import proposal
from controller.cli.story import Audience, affordable_rate, audience
from controller.cli.traffic import Response
from controller.platform.home import Home, Platform
from controller.platform.lifecycle import bring_up, take_down
from controller.schema import POLICIES

LEASE_GRACE_S = 5.0
HIGHEST_RATE_PER_S = 1.0
ENDLESS = """
schema_version: 1
kind: policy
name: endless
budget: {false_revert: 0.01, false_promote: 0.05}
deadline_h: 1
stages: [{share: 0.3, min_images: 100000}]
bake_h: 0.01
criteria:
  - {metric: failure, statistic: rate, max_increase: 0.5}
"""


@dataclass(frozen=True, slots=True)
class Canary:
    """A platform with a rollout that stays at 30 %, and the users."""

    home: Home
    platform: Platform
    client: Client
    rollout: str
    users: Audience

    @property
    def state(self) -> str:
        return str(self.client.get(f"/rollouts/{self.rollout}")["state"])

    @property
    def errors(self) -> list[Response]:
        """Return what users got instead of images."""
        return [answer for answer in list(self.users.answers) if answer.status != 200]

    def candidate_answers(self, since_s: float) -> int:
        """Count the images that the candidate drew for requests that were sent after a time (Unix seconds)."""
        return sum(
            answer.arm == "candidate" and answer.fallback is None and answer.time_s - answer.latency_s > since_s
            for answer in list(self.users.answers)
        )

    def goes_on(self) -> None:
        """Wait until users get images of the candidate again, and everything recorded is whole."""
        now_s = time.time()
        until(lambda: self.candidate_answers(now_s) >= 2, "no candidate image", 120.0)
        found = self.client.get("/audit/verify")
        assert found["ok"], found["problem"]
        assert self.errors == []

    def falls_back(self, since_s: float) -> None:
        """Wait well past the lease and see that every request sent after it was answered by the incumbent."""
        quiet_s = since_s + LEASE_GRACE_S
        later = lambda: [a for a in list(self.users.answers) if a.time_s - a.latency_s > quiet_s]  # noqa: E731
        until(lambda: len(later()) >= 8, "no answers", 120.0)
        assert {answer.arm for answer in later()} == {"incumbent"}
        assert self.errors == []


def until(found: Callable[[], Any], missing: str, timeout_s: float) -> Any:
    """Poll until something is found."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < deadline_s, f"{missing} within {timeout_s:.0f} s"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    """A canary at 30 % that has served users already."""
    with tempfile.TemporaryDirectory(prefix="sg-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        policy = Path(folder) / "endless.yaml"
        policy.write_text(ENDLESS)
        platform = bring_up(home, lambda _text: None)
        client = Client(str(platform.api_url), str(home.token()))
        try:
            rate_per_s = min(affordable_rate(str(platform.gateway_url)), HIGHEST_RATE_PER_S)
            with audience(str(platform.gateway_url), rate_per_s) as users:
                manifest = POLICIES / "candidates" / "turbo.yaml"
                row = client.post("/rollouts", proposal(manifest, str(policy), "kill something"))
                canary = Canary(home, platform, client, row["id"], users)
                until(lambda: canary.candidate_answers(0.0) >= 2, "no candidate image", 240.0)
                yield canary
        finally:
            take_down(home, lambda _text: None)


def heal(canary: Canary) -> None:
    """Do what the on-call does."""
    bring_up(canary.home, lambda _text: None)


def test_the_candidates_replica_is_killed(canary: Canary) -> None:
    """After kill -9 of the candidate's replica no client sees an error, and a new replica serves."""
    digest = canary.client.get(f"/rollouts/{canary.rollout}")["candidate"]["digest"][:12]
    ray = psutil.Process(canary.platform.processes["ray"].pid)
    replicas = [child for child in ray.children(recursive=True) if digest in " ".join(child.cmdline())]
    assert replicas
    for replica in replicas:
        replica.kill()
    canary.goes_on()


def test_the_controller_is_killed(canary: Canary) -> None:
    """After kill -9 of the controller only the incumbent serves; a restarted one takes the rollout up again."""
    psutil.Process(canary.platform.processes["controller"].pid).kill()
    canary.falls_back(time.time())
    heal(canary)
    assert canary.state == "observing"
    canary.goes_on()


def test_the_database_is_killed(canary: Canary) -> None:
    """After kill -9 of PostgreSQL only the incumbent serves; with the database the rollout comes back."""
    os.kill(int((canary.home.postgres / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    canary.falls_back(time.time())
    heal(canary)
    until(lambda: canary.state == "observing", "not observing", 60.0)
    canary.goes_on()


def test_an_abort_is_the_last_word(canary: Canary) -> None:
    """After all that an abort takes the candidate out of service at every gateway, and says how many users saw it."""
    canary.client.post(f"/rollouts/{canary.rollout}/abort", {"reason": "seen enough"})
    at_s = time.time()
    until(lambda: canary.state == "reverted", "not reverted", 60.0)
    assert canary.candidate_answers(at_s + 1.0) == 0
    reason = canary.client.get(f"/rollouts/{canary.rollout}")["reason"]
    assert reason.startswith("aborted by ")
    assert "users saw " in reason
