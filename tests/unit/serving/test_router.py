"""The router: whoever fails, a user gets the incumbent's image, and the outcome stays with the assigned arm."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import pytest

from controller.core.assign import assign, voter
from controller.core.policy import Mode
from controller.stats.bins import LOG_HIGHEST
from controller.stats.tally import Arm
from serving.calls import CallError, Reply
from serving.providers.protocol import Ask, Fault
from serving.recorder import Recorder
from serving.router import MAX_MIRRORED, RETRY_SHARE, Answer, Router
from serving.routes import Route, boot_route
from serving.scoring import Score, Scoring
from tests.unit.serving.worlds import (
    CANDIDATE_APP,
    HEIGHT_PX,
    INCUMBENT_APP,
    LANE,
    USAGE,
    WIDTH_PX,
    Behaviour,
    Models,
    failing,
    png,
    route,
    tally_of,
)

ASK = Ask("a red square", (1,), WIDTH_PX, HEIGHT_PX)
QUOTING = Ask('the word "SALE"', (1,), WIDTH_PX, HEIGHT_PX)


class World:
    """A router with models, and what it counted."""

    def __init__(
        self, behaviours: Mapping[str, Behaviour] | None = None, prices: Mapping[str, float] | None = None
    ) -> None:
        self.models = Models(behaviours)
        self.recorder = Recorder()
        self.scored: list[str] = []
        self.scoring = Scoring(self.score)
        self.router = Router(self.models, self.recorder, self.scoring, {"cpu": 3600.0} if prices is None else prices)

    async def score(self, prompt: str, _images: Sequence[bytes]) -> Score:
        self.scored.append(prompt)
        return Score(0.5)

    async def answer(self, over: Route, ask: Ask = ASK) -> Answer:
        return await self.router.answer(over, ask, uuid.uuid4().hex)


async def test_says_what_users_wait_for() -> None:
    """A call is in flight on the arm that draws until it is answered, whatever became of it."""
    world = World({CANDIDATE_APP: failing(Fault.BROKEN)})
    world.models.gates[INCUMBENT_APP] = asyncio.Event()
    waiting = [asyncio.create_task(world.answer(route())) for _ in range(3)]
    await asyncio.sleep(0)
    assert world.router.in_flight() == {CANDIDATE_APP: 0, INCUMBENT_APP: 3}
    world.router.keep(frozenset())
    assert world.router.in_flight() == {INCUMBENT_APP: 3}
    waiting.pop().cancel()
    world.models.gates[INCUMBENT_APP].set()
    await asyncio.gather(*waiting)
    assert world.router.in_flight() == {INCUMBENT_APP: 0}


async def test_assigns_by_the_coin_of_salt_and_request_id() -> None:
    """The arm is the coin's, which anybody can toss again from salt, id and share."""
    world, half = World(), route(0.5)
    for _ in range(50):
        request_id = uuid.uuid4().hex
        answer = await world.router.answer(half, ASK, request_id)
        assert answer.arm is assign(half.split, request_id)
    assert {INCUMBENT_APP, CANDIDATE_APP} == set(world.models.calls)


async def test_a_sticky_split_keeps_a_user_on_an_arm() -> None:
    """Whatever the request, the user's coin decides, at a larger share too; nobody else's does."""
    world, half, most = World(), route(0.5, sticky=True), route(0.9, sticky=True)
    for user in map(str, range(20)):
        answers = [await world.router.answer(half, ASK, uuid.uuid4().hex, user) for _ in range(3)]
        assert {answer.arm for answer in answers} == {assign(half.split, user)}
        if answers[0].arm is Arm.CANDIDATE:
            assert (await world.router.answer(most, ASK, uuid.uuid4().hex, user)).arm is Arm.CANDIDATE
    votes = world.recorder.claims()
    assert [(vote.rollout, vote.voter) for vote in votes] == [
        ("r-0001", voter("salt", str(user))) for user in range(20)
    ]
    world.recorder.settle(votes, set(votes))
    assert sum(tally_of(world.recorder, arm).assigned for arm in Arm) == 20
    assert sum(tally_of(world.recorder, arm).answered for arm in Arm) == len(world.models.calls)


@pytest.mark.parametrize(("sticky", "user"), [(False, "ada"), (True, None), (True, "")])
async def test_who_names_nobody_is_a_user_of_its_own(user: str | None, *, sticky: bool) -> None:
    """Without a user, or without stickiness, every request has a coin and a vote."""
    world, half = World(), route(0.5, sticky=sticky)
    for _ in range(20):
        request_id = uuid.uuid4().hex
        assert (await world.router.answer(half, ASK, request_id, user)).arm is assign(half.split, request_id)
    assert world.recorder.claims() == []
    assert sum(tally_of(world.recorder, arm).assigned for arm in Arm) == 20


async def test_a_stale_lease_serves_the_incumbent_and_counts_nothing() -> None:
    """Without a fresh lease no coin is tossed, so the request is no evidence of the split."""
    world = World()
    answer = await world.answer(route(1.0, lease_s=-1.0))
    assert answer.arm is Arm.INCUMBENT
    assert world.models.calls == [INCUMBENT_APP]
    assert world.recorder.snapshot().rows == {}


async def test_the_boot_configuration_serves_the_incumbent_and_counts_nothing() -> None:
    """There is no epoch under which it could be counted."""
    world = World()
    await world.answer(boot_route(LANE))
    assert world.models.calls == [INCUMBENT_APP]
    assert world.recorder.snapshot().rows == {}


@pytest.mark.parametrize(
    "fault",
    [Fault.BROKEN, Fault.UNAVAILABLE, Fault.DEADLINE, Fault.OUT_OF_MEMORY, Fault.THROTTLED, Fault.BAD_CONFIG],
)
async def test_users_never_see_a_failure_of_the_candidate(fault: Fault) -> None:
    """Whatever it fails of, the incumbent answers the same request, and the failure is the candidate's."""
    world = World({CANDIDATE_APP: failing(fault)})
    answer = await world.answer(route(1.0))
    assert (answer.arm, answer.stood_in_for) == (Arm.CANDIDATE, fault)
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.assigned == 1
    assert counted.of("failure") == {1: 1}
    assert max(counted.of("latency_s")) < LOG_HIGHEST
    assert counted.missing["service_s"] == {"no_answer": 1}
    assert tally_of(world.recorder, Arm.INCUMBENT).assigned == 0


@pytest.mark.parametrize("images", [(b"no image",), (png(blank=True),), (png(WIDTH_PX, WIDTH_PX),), (), (png()[:-20],)])
async def test_the_watchdog_lets_no_bad_image_through(images: tuple[bytes, ...]) -> None:
    """Bytes that don't decode, one colour, a wrong size, none at all: the incumbent answers."""
    world = World({CANDIDATE_APP: lambda *_: Reply(images, USAGE, 0.02)})
    answer = await world.answer(route(1.0))
    assert answer.stood_in_for is Fault.INVALID_IMAGE
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.of("failure") == {1: 1}
    assert sum(counted.of("cost_usd").values()) == 1  # drawing the bad image did cost something


async def test_a_hanging_candidate_leaves_time_for_the_incumbent() -> None:
    """The candidate gets a part of the lane's timeout only; the user waits for that and gets an image."""
    world = World()
    world.models.gates[CANDIDATE_APP] = asyncio.Event()
    answer = await world.answer(route(1.0, timeout_s=0.2))
    assert answer.stood_in_for is Fault.DEADLINE
    assert world.models.calls == [CANDIDATE_APP, INCUMBENT_APP]


async def test_a_refusal_is_passed_on_and_is_no_failure() -> None:
    """A content policy's no is not retried elsewhere, on either arm."""
    world = World({CANDIDATE_APP: failing(Fault.REFUSED)})
    with pytest.raises(CallError) as caught:
        await world.answer(route(1.0))
    assert caught.value.fault is Fault.REFUSED
    assert world.models.calls == [CANDIDATE_APP]
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert (counted.of("refusal"), counted.of("failure")) == ({1: 1}, {0: 1})


async def test_when_both_fail_the_candidate_s_request_is_censored() -> None:
    """Nobody answered: the latency is beyond every threshold, the failure the candidate's."""
    behaviours = {CANDIDATE_APP: failing(Fault.BROKEN), INCUMBENT_APP: failing(Fault.BROKEN)}
    world = World(behaviours)
    with pytest.raises(CallError):
        await world.answer(route(1.0))
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.of("latency_s") == {LOG_HIGHEST: 1}
    assert counted.of("failure") == {1: 1}


async def test_a_failing_candidate_is_ejected_and_still_charged() -> None:
    """Once the breaker is open the candidate isn't asked, and its requests count as its failures."""
    world = World({CANDIDATE_APP: failing(Fault.UNAVAILABLE)})
    for _ in range(5):
        await world.answer(route(1.0))
    assert world.models.calls.count(CANDIDATE_APP) == 1
    assert tally_of(world.recorder, Arm.CANDIDATE).of("failure") == {1: 5}


async def test_retries_of_the_incumbent_have_a_budget() -> None:
    """Every request failing, at most a tenth of them is tried again."""
    world = World({INCUMBENT_APP: failing(Fault.TRANSIENT)})
    requests = 60
    for _ in range(requests):
        with pytest.raises(CallError):
            await world.answer(route(0.0))
    retries = len(world.models.calls) - requests
    assert 0 < retries <= RETRY_SHARE * requests


async def test_a_retry_that_helps_is_an_answer() -> None:
    """A transient fault of the incumbent is not shown while the budget lasts."""
    world = World()
    for _ in range(20):
        await world.answer(route(0.0))
    world.models.behaviours[INCUMBENT_APP] = failing(Fault.TRANSIENT, times=1)
    await world.answer(route(0.0))
    assert tally_of(world.recorder, Arm.INCUMBENT).of("failure") == {0: 21}


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.REFUSED, Fault.BAD_CONFIG, Fault.BROKEN])
async def test_quota_policy_and_configuration_are_never_retried(fault: Fault) -> None:
    """Asking again can't help, or makes it worse."""
    world = World()
    for _ in range(20):
        await world.answer(route(0.0))
    world.models.calls.clear()
    world.models.behaviours[INCUMBENT_APP] = failing(fault)
    with pytest.raises(CallError):
        await world.answer(route(0.0))
    assert world.models.calls == [INCUMBENT_APP]


async def test_shadow_answers_with_the_incumbent_and_counts_the_candidate() -> None:
    """A mirrored request is the incumbent's for its user and the candidate's in the evidence, once."""
    world = World()
    answer = await world.answer(route(1.0, mode=Mode.SHADOW))
    await world.router.drain()
    assert answer.arm is Arm.INCUMBENT
    assert sorted(world.models.calls) == sorted([INCUMBENT_APP, CANDIDATE_APP])
    assert tally_of(world.recorder, Arm.CANDIDATE).of("failure") == {0: 1}
    assert tally_of(world.recorder, Arm.INCUMBENT).assigned == 0


async def test_a_broken_shadow_touches_no_user() -> None:
    """Its failure is censored, because nobody stands in for what nobody waits for."""
    world = World({CANDIDATE_APP: failing(Fault.BROKEN)})
    answer = await world.answer(route(1.0, mode=Mode.SHADOW))
    await world.router.drain()
    assert answer.stood_in_for is None
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert (counted.of("failure"), counted.of("latency_s")) == ({1: 1}, {LOG_HIGHEST: 1})


async def test_mirrored_calls_are_bounded() -> None:
    """A hanging shadow can't collect requests without end; what is not sent is missing, not failed."""
    world = World()
    world.models.gates[CANDIDATE_APP] = asyncio.Event()
    for _ in range(MAX_MIRRORED + 3):
        await world.answer(route(1.0, mode=Mode.SHADOW))
    world.models.gates[CANDIDATE_APP].set()
    await world.router.drain()
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.assigned == MAX_MIRRORED + 3
    assert counted.missing["failure"] == {"mirror_full": 3}


async def test_a_client_that_leaves_is_a_censored_wait() -> None:
    """Leaving tells that it waited in vain until then; it says nothing about failing."""
    world = World()
    world.models.gates[CANDIDATE_APP] = asyncio.Event()
    request = asyncio.create_task(world.answer(route(1.0)))
    await asyncio.sleep(0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.of("latency_s") == {LOG_HIGHEST: 1}
    assert counted.missing["failure"] == {"client_left": 1}


async def test_costs_are_compute_times_price_by_image() -> None:
    """0.01 CPU seconds at $3600 an hour are one cent."""
    world = World()
    await world.answer(route(1.0))
    (cell,) = tally_of(world.recorder, Arm.CANDIDATE).of("cost_usd")
    assert 10 ** (cell / 232) <= 0.01 < 10 ** ((cell + 1) / 232)


async def test_an_unknown_price_is_missing_and_never_zero() -> None:
    """Free and unknown are different."""
    world = World(prices={})
    await world.answer(route(1.0))
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert counted.missing["cost_usd"] == {"no_price": 1}
    assert counted.of("cost_usd") == {}


async def test_scores_arrive_later_and_only_where_text_was_asked_for() -> None:
    """A prompt that quotes nothing has no text accuracy, which is not the same as missing it."""
    world = World()
    await world.answer(route(1.0), QUOTING)
    await world.answer(route(1.0), ASK)
    await world.scoring.drain()
    await world.scoring.close()
    counted = tally_of(world.recorder, Arm.CANDIDATE)
    assert world.scored == [QUOTING.prompt]
    assert counted.of("text_accuracy") == {100: 1}
    assert "text_accuracy" not in counted.missing


async def test_the_incumbent_s_image_never_scores_for_the_candidate() -> None:
    """Where the incumbent stood in, the candidate's text accuracy is missing."""
    world = World({CANDIDATE_APP: failing(Fault.BROKEN)})
    await world.answer(route(1.0), QUOTING)
    assert world.scored == []
    assert tally_of(world.recorder, Arm.CANDIDATE).missing["text_accuracy"] == {"no_answer": 1}
