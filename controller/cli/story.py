"""The demo's story: a good swap, a bad one twice, and one that only live traffic finds out."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.cli.client import Client
from controller.cli.follow import Glimpse, glimpses
from controller.cli.propose import policies_folder, proposal
from controller.cli.traffic import Plan, Response, Traffic
from controller.core.rollout import GATE
from controller.errors import UnavailableError

LANE = "preview"
HIGHEST_RATE_PER_S = 1.8
LOWEST_RATE_PER_S = 0.2
USED_CAPACITY = 0.6
"""Of what the incumbent alone can draw; scorers, candidate and bench need the rest and give way."""
SEED = 5
"""Of the users' arrivals: few come at once in the first minutes, when models are being started beside them."""
TIMED_DRAWS = 12
SLOW_DRAW = 9
"""Of the timed draws, in order, the one that counts: a shared machine is quicker at some moments than at most."""
HISTORY_ANSWERS = 24
"""Of the incumbent alone, before a proposal that gets traffic: the tests are tuned on them, and stand still without."""
CHAPTER_TIMEOUT_S = 2000.0
PROMOTION = frozenset({"promoting", "baking", "promoted"})
_SETTLED = re.compile(r"share 0 everywhere after ([0-9.]+) s")


@dataclass(frozen=True, slots=True)
class Chapter:
    """One swap and how it must end; `override` is the reason for which the offline gate is overridden, if it is."""

    title: str
    candidate: str
    expected: str
    override: str = ""

    @property
    def manifest(self) -> Path:
        """Return the file that declares the candidate."""
        return policies_folder() / "candidates" / f"{self.candidate}.yaml"


CHAPTERS = (
    Chapter("a good swap: half the steps, the words as legible", "turbo", "promoted"),
    Chapter("a bad swap: vivid pictures, wrong words; the offline gate refuses it", "shiny", "rejected"),
    Chapter("the same once more, the gate overridden: live traffic takes it back", "shiny", "reverted",
            override="the demo looked better"),
    Chapter("a swap that passes every bench and wears out under live load", "throttled", "reverted"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a chapter went.

    `images` counts, per arm, the answers that the server says the arm was asked for; `seen` the bad images that users
    got, by the server's books, `seen_by_client` by the client's. `exposed_s` is the time from the first candidate
    image in the client's hands to share 0 at every gateway, None for what was promoted. `false_promote` is the policy's
    budget: how often a model that breaks a limit may be promoted; `criteria` what was known when it was decided.
    """

    title: str
    rollout: str
    state: str
    as_told: bool
    reason: str
    images: dict[str, int]
    seen: int
    seen_by_client: int
    exposed_s: float | None
    took_s: float
    false_promote: float
    criteria: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(slots=True)
class Audience:
    """The users: steady traffic in the background, every answer remembered.

    `settled`: the answers there were when the lane last came to rest with one model.
    """

    traffic: Traffic
    answers: list[Response]
    settled: int = 0

    def candidate_images(self, since_s: float) -> list[Response]:
        """Return the images that the candidate itself drew for users since a time (Unix seconds)."""
        return [
            answer
            for answer in self.answers
            if answer.time_s >= since_s
            and answer.status == 200
            and answer.arm == "candidate"
            and answer.fallback is None
        ]

    def wait_for(self, answers: int) -> None:
        """Return when the one model has given so many answers; UnavailableError when they don't come."""
        wanted, give_up_s = self.settled + answers, time.monotonic() + CHAPTER_TIMEOUT_S
        while len(self.answers) < wanted:
            if time.monotonic() > give_up_s:
                raise UnavailableError("users get no answers; `gatectl doctor` looks at every part")
            time.sleep(0.2)

    @property
    def failures(self) -> list[Response]:
        """Return the answers that were no image."""
        return [answer for answer in self.answers if answer.status != 200]

    @property
    def errors(self) -> int:
        """Return how many requests were not answered with an image."""
        return len(self.failures) + self.traffic.dropped


@contextmanager
def audience(gateway_url: str, rate_per_s: float) -> Iterator[Audience]:
    """Send traffic from a thread of its own until the block ends and every answer is in."""
    import asyncio

    answers: list[Response] = []
    plan = Plan(gateway_url, LANE, rate_per_s, duration_s=None, count=None, seed=SEED, max_in_flight=256)
    traffic, done = Traffic(plan, heard=answers.append), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(traffic.run(done.is_set)), name="audience", daemon=True)
    thread.start()
    try:
        yield Audience(traffic, answers)
    finally:
        done.set()
        thread.join()


def affordable_rate(gateway_url: str) -> float:
    """Return a rate that this machine serves with room to spare, from the time a few images take now."""
    import httpx

    from controller.cli.traffic import prompts

    texts, times_s = prompts(), []
    for number in range(TIMED_DRAWS):
        started_s = time.monotonic()
        body = {"model": LANE, "prompt": texts[number], "seed": number}
        answer = httpx.post(f"{gateway_url}/v1/images/generations", json=body, timeout=60.0, trust_env=False)
        if answer.status_code != 200:
            raise UnavailableError(f"the gateway answered {answer.status_code}, no image: {answer.text[:200]}")
        times_s.append(time.monotonic() - started_s)
    affordable = USED_CAPACITY / sorted(times_s)[SLOW_DRAW - 1]
    return round(min(max(affordable, LOWEST_RATE_PER_S), HIGHEST_RATE_PER_S), 2)


def tell(chapter: Chapter, client: Client, users: Audience, show: Callable[[Glimpse], None]) -> Outcome:
    """Propose the chapter's candidate, follow it to its end, and return what can be said about it."""
    if chapter.expected != "rejected":
        users.wait_for(HISTORY_ANSWERS)
    started_s = time.time()
    body = proposal(chapter.manifest, reason=chapter.override or f"demo: {chapter.title}")
    body["overrides"] = [GATE] if chapter.override else []
    row = client.post("/rollouts", body)
    view: dict[str, Any] = row
    judged = view
    for glimpse in glimpses(client, row["id"]):
        show(glimpse)
        view = glimpse.view or view
        if judged["state"] not in PROMOTION:  # evidence goes on in the bake, where a proof may fade again
            judged = view
        if time.time() - started_s > CHAPTER_TIMEOUT_S:
            raise UnavailableError(f"{row['id']} is undecided after {CHAPTER_TIMEOUT_S / 60:.0f} minutes; gave up")
    if view["state"] != "rejected":
        users.settled = len(users.answers)
    images = users.candidate_images(started_s)
    steps = {entry["to_state"]: entry for entry in client.audit(view["id"])}
    exposed_s = None
    if chapter.expected == "reverted" and images:
        exposed_s = _share_zero_at_s(view, steps) - images[0].time_s
    return Outcome(
        title=chapter.title,
        rollout=view["id"],
        state=view["state"],
        as_told=view["state"] == chapter.expected,
        # Of a promotion the last step only says that it baked; why it came to that was said before.
        reason=steps.get("promoting", view)["reason"] if view["state"] == "promoted" else view["reason"],
        images=view["requests"],
        seen=view["seen"],
        seen_by_client=len(images),
        exposed_s=None if exposed_s is None else round(exposed_s, 1),
        took_s=round(time.time() - started_s, 1),
        false_promote=body["policy"]["budget"]["false_promote"],
        criteria=judged["criteria"],
    )


def _share_zero_at_s(view: dict[str, Any], steps: dict[str, dict[str, Any]]) -> float:
    """Return when (Unix seconds) every gateway had share 0; if nothing tells, the last step is an upper bound."""
    settled = _SETTLED.search(view["reason"])
    if settled and "reverting" in steps:
        return datetime.fromisoformat(steps["reverting"]["at"]).timestamp() + float(settled[1])
    return datetime.fromisoformat(steps[view["state"]]["at"]).timestamp()


def told_before(client: Client) -> str | None:
    """Return who serves the lane when it is not the one the story begins with, None when it can be told."""
    first = proposal(CHAPTERS[0].manifest)
    lane = client.get(f"/lanes/{LANE}")
    if lane["rollout"]:
        return f"a rollout is open on it: {lane['rollout']['id']} {lane['rollout']['name']}"
    serving = lane["incumbent"]["spec"]["sampling"]
    return "turbo serves it already" if serving == first["candidate"]["sampling"] else None


def certified(outcome: Outcome) -> tuple[list[str], list[str]]:
    """Return what the demo's policy proved of a promoted candidate, and what it left open."""
    proven = [f"{item['title']} {item['allowed']}" for item in outcome.criteria if item["verdict"] == "pass"]
    return proven, [
        "smaller harm than these margins: they are wide, because a few minutes on a few cores prove no more",
        "the slowest 1 % of requests: latency p99 needs about a thousand candidate images",
        "anything that isn't measured here: composition, style, faces, policy violations, longer texts",
        "tomorrow's traffic: the demo bakes for seconds, policies/preview-standard.yaml for a day",
    ]


def without_criteria(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain JSON values, short."""
    return replace(outcome, criteria=[]).to_json()
