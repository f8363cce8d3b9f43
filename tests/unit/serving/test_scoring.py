"""Scoring never holds up a request, and what it can't score is missing with its reason."""

import asyncio
from collections.abc import Sequence

import pytest

from controller.stats.tally import Arm
from serving.outcome import Outcome
from serving.recorder import Recorder, Ticket
from serving.scoring import TEXT_ACCURACY, Score, Scoring
from tests.unit.serving.worlds import tally_of

PROMPT = 'the word "SALE"'


def promised(recorder: Recorder) -> Ticket:
    ticket = recorder.assign("preview", 1, Arm.CANDIDATE, "a")
    ticket.resolve(Outcome({"latency_s": 1.0}), score_follows=True)
    return ticket


async def test_a_full_queue_is_a_reason() -> None:
    """A scorer that hangs costs the scores of those that find the queue full, at once."""
    recorder, never = Recorder(), asyncio.Event()

    async def hang(_prompt: str, _images: Sequence[bytes]) -> Score:
        await never.wait()
        return Score(1.0)

    scoring = Scoring(hang, queue_size=2)
    for _ in range(5):
        scoring.submit(promised(recorder), PROMPT, [b""])
    missing = tally_of(recorder, Arm.CANDIDATE).missing[TEXT_ACCURACY]
    await scoring.close()
    assert missing == {"queue_full": 3}


@pytest.mark.parametrize(
    ("error", "reason"), [(RuntimeError("no such app"), "scorer_down"), (TimeoutError(), "timeout")]
)
async def test_a_failing_scorer_is_a_reason(error: Exception, reason: str) -> None:
    """Whatever the scorers raise, the queue goes on."""
    recorder = Recorder()

    async def fail(_prompt: str, _images: Sequence[bytes]) -> Score:
        raise error

    scoring = Scoring(fail)
    for _ in range(2):
        scoring.submit(promised(recorder), PROMPT, [b""])
    await scoring.drain()
    await scoring.close()
    assert tally_of(recorder, Arm.CANDIDATE).missing[TEXT_ACCURACY] == {reason: 2}


async def test_a_slow_scorer_times_out() -> None:
    """A score that takes too long is given up."""
    recorder, never = Recorder(), asyncio.Event()

    async def hang(_prompt: str, _images: Sequence[bytes]) -> Score:
        await never.wait()
        return Score(1.0)

    scoring = Scoring(hang, timeout_s=0.01)
    scoring.submit(promised(recorder), PROMPT, [b""])
    await scoring.drain()
    await scoring.close()
    assert tally_of(recorder, Arm.CANDIDATE).missing[TEXT_ACCURACY] == {"timeout": 1}


async def test_closing_resolves_what_waits() -> None:
    """A gateway that stops leaves no request half counted."""
    recorder, never = Recorder(), asyncio.Event()

    async def hang(_prompt: str, _images: Sequence[bytes]) -> Score:
        await never.wait()
        return Score(1.0)

    scoring = Scoring(hang)
    for _ in range(3):
        scoring.submit(promised(recorder), PROMPT, [b""])
    await asyncio.sleep(0)
    await scoring.close()
    assert tally_of(recorder, Arm.CANDIDATE).missing[TEXT_ACCURACY] == {"shutdown": 3}
