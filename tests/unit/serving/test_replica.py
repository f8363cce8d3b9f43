"""A model's replica: foreseen faults are values, callers that leave stop the work, health means a new process helps."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import controller
from controller.core.spec import CPU
from controller.errors import InvariantError
from serving import worker_env
from serving.gently import NICENESS
from serving.providers.fake import FakeProvider
from serving.providers.protocol import Ask, BadConfigError, MemoryExhaustedError, Stop
from serving.replica import MEMORY_FAULTS, STUCK_S, Replica
from serving.watchdog import first_problem
from tests.unit.serving.worlds import HEIGHT_PX, WIDTH_PX, fake_spec

LOWEST_PRIORITY = 19
ASK = Ask("a red square", (1, 2), WIDTH_PX, HEIGHT_PX)


def replica(**options: Any) -> Replica:
    return Replica(fake_spec(**options).to_json())


async def test_returns_images_and_what_they_cost() -> None:
    """Bytes and plain numbers, nothing that lives on the cluster."""
    reply = await replica(memory_gib=2.5, latency_s=0.01).generate(ASK.to_wire(5.0))
    assert first_problem(reply["images"], 2, WIDTH_PX, HEIGHT_PX) is None
    assert reply["seeds"] == [1, 2]
    assert reply["usage"]["memory_gib"] == 2.5
    assert reply["usage"]["service_s"] >= 0.02


@pytest.mark.parametrize(
    ("option", "fault"), [("refusal_share", "refused"), ("failure_share", "transient"), ("hang_share", "deadline")]
)
async def test_foreseen_faults_are_values_with_their_cost(option: str, fault: str) -> None:
    """What a failure cost is known, because it does not travel as an exception."""
    reply = await replica(**{option: 1.0}).generate(ASK.to_wire(0.1))
    assert reply["fault"] == fault
    assert reply["usage"]["compute_s"] >= 0


async def test_unforeseen_faults_are_raised() -> None:
    """A bug of the model is no value."""
    with pytest.raises(RuntimeError, match="broken_share"):
        await replica(broken_share=1.0).generate(ASK.to_wire(1.0))


async def test_a_caller_that_leaves_stops_the_work() -> None:
    """The next request does not wait for one that nobody wants any more."""
    serving = replica(hang_share=1.0)
    request = asyncio.create_task(serving.generate(ASK.to_wire(600.0)))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    reply = await asyncio.wait_for(serving.generate(ASK.to_wire(0.05)), 10.0)
    assert reply["fault"] == "deadline"


def test_a_model_that_can_not_load_never_gets_ready() -> None:
    """The constructor raises what is wrong."""
    with pytest.raises(BadConfigError, match="load_failure"):
        replica(load_failure=1)


def test_a_model_that_can_not_draw_never_gets_ready() -> None:
    """Warming up draws, so a broken model is found before it is asked."""
    with pytest.raises(RuntimeError, match="broken_share"):
        replica(broken_share=1.0, faults_from=0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
@pytest.mark.parametrize(("device", "given_way"), [(CPU, NICENESS), ("l4", 0)])
def test_a_start_gives_way_where_processors_are_shared(
    device: str, given_way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading and warming up yield the processors to users; requests, and a model on a GPU, have the usual priority."""
    usual, met = os.nice(0), []
    load, draw = FakeProvider.load, FakeProvider.draw

    def noting(act: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            met.append(os.nice(0) - usual)
            return act(*arguments)

        return noted

    monkeypatch.setattr(FakeProvider, "load", noting(load))
    monkeypatch.setattr(FakeProvider, "draw", noting(draw))
    model = fake_spec()
    serving = Replica(replace(model, resources=replace(model.resources, gpu=device)).to_json())
    asyncio.run(serving.generate(ASK.to_wire(5.0)))
    started = min(given_way, LOWEST_PRIORITY - usual)  # the tests themselves may have stepped back
    assert met == [started, started, 0]
    assert os.nice(0) == usual


async def test_memory_that_stays_full_is_ill_health() -> None:
    """Three times out of memory in a row ask for a new process; one success in between does not."""
    serving = replica()
    sound = serving._provider.draw

    def full(_ask: Ask, _stop: Stop) -> list[bytes]:
        raise MemoryExhaustedError("full")

    for _ in range(MEMORY_FAULTS - 1):
        serving._provider.draw = full  # type: ignore[method-assign]
        await serving.generate(ASK.to_wire(1.0))
    serving._provider.draw = sound  # type: ignore[method-assign]
    await serving.generate(ASK.to_wire(1.0))
    await serving.check_health()
    serving._provider.draw = full  # type: ignore[method-assign]
    for _ in range(MEMORY_FAULTS):
        await serving.generate(ASK.to_wire(1.0))
    with pytest.raises(RuntimeError, match="out of memory"):
        await serving.check_health()


async def test_a_job_that_never_ends_is_ill_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that ignores its deadline by a minute is only ended by a new process."""
    serving = replica()
    serving._job = Stop(-STUCK_S + 30.0)
    await serving.check_health()
    monkeypatch.setattr(serving._job, "deadline_s", time.monotonic() - STUCK_S - 1.0)
    with pytest.raises(RuntimeError, match="past its deadline"):
        await serving.check_health()


def test_packages_that_are_not_siblings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package called `controller` on the path is named instead of used."""
    other = ModuleType("controller")
    other.__file__ = "/somewhere/else/controller/__init__.py"
    monkeypatch.setattr(worker_env, "controller", other)
    with pytest.raises(InvariantError, match="/somewhere/else/controller"):
        worker_env.code_folder()


def test_workers_find_our_code_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of both packages leads the PYTHONPATH that workers get, and the caller's is kept."""
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    root = Path(str(controller.__file__)).resolve().parents[1]
    assert worker_env.runtime_env()["env_vars"]["PYTHONPATH"] == f"{root}:/theirs"
