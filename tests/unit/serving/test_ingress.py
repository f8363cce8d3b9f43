"""The HTTP face: OpenAI's words for what is right and wrong, and our headers."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from controller.core.assign import assign
from controller.core.spec import digest_of
from serving.ingress import make_app
from serving.openai_api import MAX_BODY_BYTES
from serving.providers.protocol import Fault
from serving.recorder import Recorder
from serving.router import Router
from serving.routes import RouteTable
from serving.scoring import Score, Scoring
from tests.unit.serving.worlds import CANDIDATE_APP, INCUMBENT_APP, Models, failing, png, route

PATH = "/v1/images/generations"
GOOD = {"model": "preview", "prompt": "a red square"}


async def _no_score(*_: Any) -> Score:
    return Score(None, "not_applicable")


class Gate:
    """A client of an application whose models live in this process."""

    def __init__(self) -> None:
        self.table = RouteTable([])
        self.models = Models()
        router = Router(self.models, Recorder(), Scoring(_no_score), {})
        transport = httpx.ASGITransport(make_app(self.table, router))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gate")

    async def draw(self, **more: Any) -> httpx.Response:
        return await self.client.post(PATH, json=GOOD | more)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate()
    gate.table.apply([route(0.5)], 0.0)
    async with gate.client:
        yield gate


async def test_answers_with_the_image_the_model_drew(gate: Gate) -> None:
    """The bytes survive base64 and JSON, and the seeds are told."""
    response = await gate.draw(seed=41)
    body = response.json()
    assert response.status_code == 200
    assert base64.b64decode(body["data"][0]["b64_json"]) == png()
    assert body["swapgate"] == {"seeds": [41]}
    assert body["created"] > 0


async def test_headers_tell_the_coin(gate: Gate) -> None:
    """Arm, epoch and the id that decided are in the headers, so anybody can check the coin."""
    for _ in range(20):
        response = await gate.draw()
        request_id = response.headers["x-swapgate-request-id"]
        assert response.headers["x-swapgate-arm"] == assign(route(0.5).split, request_id).value
        assert response.headers["x-swapgate-epoch"] == "3"


async def test_a_client_can_not_choose_the_coin(gate: Gate) -> None:
    """The same x-request-id falls on both arms."""
    headers = {"x-request-id": "mine", "x-swapgate-request-id": "mine"}
    arms = {(await gate.client.post(PATH, json=GOOD, headers=headers)).headers["x-swapgate-arm"] for _ in range(40)}
    assert arms == {"incumbent", "candidate"}


async def test_says_when_the_incumbent_stood_in(gate: Gate) -> None:
    """A fallback is visible to whoever operates the gate."""
    gate.table.apply([route(1.0, epoch=4)], 0.0)
    gate.models.behaviours[CANDIDATE_APP] = failing(Fault.BROKEN)
    response = await gate.draw()
    assert response.status_code == 200
    assert response.headers["x-swapgate-arm"] == "candidate"
    assert response.headers["x-swapgate-fallback"] == "broken"


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"model": "nobody"}, 404, "model_not_found", "model"),
        ({"size": "1024x1024"}, 400, "invalid_size", "size"),
        ({"size": "large"}, 400, "invalid_size", "size"),
        ({"prompt": "  "}, 400, "empty_prompt", "prompt"),
        ({"prompt": "x" * 4001}, 400, "invalid_value", "prompt"),
        ({"prompt": None}, 400, "invalid_value", "prompt"),
        ({"n": 0}, 400, "invalid_value", "n"),
        ({"n": 5}, 400, "invalid_value", "n"),
        ({"n": True}, 400, "invalid_value", "n"),
        ({"n": "2"}, 400, "invalid_value", "n"),
        ({"seed": -1}, 400, "invalid_value", "seed"),
        ({"response_format": "url"}, 400, "unsupported_response_format", "response_format"),
        ({"response_format": "jpeg"}, 400, "invalid_value", "response_format"),
        ({"qualty": "hd"}, 400, "unknown_parameter", "qualty"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(
    gate: Gate, change: dict[str, Any], status: int, code: str, param: str
) -> None:
    """Status, code and parameter are OpenAI's, the message is for a person, and no model is asked."""
    response = await gate.draw(**change)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(".")
    assert gate.models.calls == []


async def test_a_size_error_names_the_size_that_works(gate: Gate) -> None:
    """The message holds what to send instead, and sending it works."""
    assert "24x16" in (await gate.draw(size="8x8")).json()["error"]["message"]
    assert (await gate.draw(size="24x16")).status_code == 200
    assert (await gate.draw(size="auto")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", json.dumps({}).encode()])
async def test_bodies_that_are_no_request_are_refused(gate: Gate, body: bytes) -> None:
    """Whatever the bytes, the answer is a 400 in OpenAI's shape."""
    response = await gate.client.post(PATH, content=body)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


async def test_large_bodies_are_refused(gate: Gate) -> None:
    """Nobody makes the gateway parse megabytes."""
    response = await gate.client.post(PATH, content=b" " * (MAX_BODY_BYTES + 1))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.REFUSED, 400, "content_policy_violation"),
        (Fault.THROTTLED, 429, "rate_limit_exceeded"),
        (Fault.DEADLINE, 504, "timeout"),
        (Fault.BROKEN, 503, "model_unavailable"),
    ],
)
async def test_the_incumbent_s_faults_are_told_by_status(gate: Gate, fault: Fault, status: int, code: str) -> None:
    """A client can tell what to do: change the prompt, come back later, or give up."""
    gate.table.apply([route(0.0, epoch=4)], 0.0)
    gate.models.behaviours[INCUMBENT_APP] = failing(fault)
    response = await gate.draw()
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in response.headers) is (status == 429)


async def test_who_got_no_image_stands_in_the_log_without_the_prompt(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for a request that failed, with its id, and none for one that the content policy refused."""
    gate.table.apply([route(0.0, epoch=4)], 0.0)
    gate.models.behaviours[INCUMBENT_APP] = failing(Fault.REFUSED)
    await gate.draw(prompt="a secret cat")
    gate.models.behaviours[INCUMBENT_APP] = failing(Fault.DEADLINE)
    answer = await gate.draw(prompt="a secret cat")
    [line] = [record.getMessage() for record in caplog.records if record.name == "serving.ingress"]
    assert answer.headers["x-swapgate-request-id"] in line
    assert line.endswith("(deadline, status 504)")
    assert "cat" not in line


async def test_lists_the_lanes_as_models(gate: Gate) -> None:
    """A lane is what a client calls a model."""
    listed = (await gate.client.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["preview"]
    assert (await gate.client.get("/v1/models/preview")).json()["object"] == "model"
    assert (await gate.client.get("/v1/models/nobody")).status_code == 404


async def test_unknown_paths_are_told_in_the_same_shape(gate: Gate) -> None:
    """Clients parse one kind of error."""
    for response in (await gate.client.get("/v1/images"), await gate.client.get(PATH)):
        assert response.status_code in {404, 405}
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


async def test_is_healthy_once_it_knows_a_lane() -> None:
    """A gateway that knows nobody is not sent traffic."""
    gate = Gate()
    async with gate.client:
        assert (await gate.client.get("/healthz")).status_code == 503
        gate.table.apply([route(0.5)], 0.0)
        health = await gate.client.get("/healthz")
        assert health.status_code == 200
        assert health.json()["lanes"]["preview"]["candidate"] == CANDIDATE_APP
        assert health.json()["prices"] == digest_of({})
