"""The HTTP face of a gateway replica.

Response headers: `x-swapgate-arm` and `x-swapgate-epoch`, the arm that the coin named and the generation of
the split; `x-swapgate-fallback`, why the incumbent answered in the candidate's place, when it did;
`x-swapgate-request-id`, made here and the coin's only input besides the salt, unless the split is sticky and the body
names its `user`. (`x-request-id` belongs to Ray Serve's proxy, which echoes the client's.)
"""

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from serving.calls import CallError
from serving.openai_api import ApiError, fault_error, images_body, parse_request, size_px, unknown_model
from serving.providers.protocol import Ask, Fault
from serving.router import Router
from serving.routes import Route, RouteTable

log = logging.getLogger(__name__)

LARGE_BYTES: Final = 256 * 1024
_DRAWN_SEEDS: Final = 2**32

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _nothing_to_do(_: FastAPI) -> AsyncIterator[None]:
    yield


def make_app(table: RouteTable, router: Router, lifespan: Lifespan = _nothing_to_do) -> FastAPI:
    """Return the ASGI application; knows nothing of Ray or the database."""
    app = FastAPI(title="Swapgate gateway", openapi_url=None, lifespan=lifespan)

    @app.exception_handler(ApiError)
    async def on_api_error(_: Request, error: ApiError) -> Response:
        headers = {"retry-after": "1"} if error.status == 429 else None
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(404)
    async def on_unknown_path(request: Request, _: Exception) -> Response:
        error = ApiError(404, f"There is no {request.method} {request.url.path}.", code="unknown_url")
        return JSONResponse(error.body(), 404)

    @app.exception_handler(405)
    async def on_wrong_method(request: Request, _: Exception) -> Response:
        error = ApiError(405, f"{request.url.path} takes no {request.method}.", code="method_not_allowed")
        return JSONResponse(error.body(), 405)

    @app.post("/v1/images/generations")
    async def generate(request: Request) -> Response:
        return await _generate(table, router, await request.body())

    @app.get("/v1/models")
    async def models() -> Mapping[str, Any]:
        return {"object": "list", "data": [_model(lane) for lane in sorted(table.lanes())]}

    @app.get("/v1/models/{lane}")
    async def model(lane: str) -> Mapping[str, Any]:
        if table.get(lane) is None:
            raise unknown_model(lane, table.lanes())
        return _model(lane)

    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse(_health(table, router), 200 if table.ready else 503)

    return app


async def _generate(table: RouteTable, router: Router, body: bytes) -> Response:
    request = parse_request(body)
    route = table.get(request.model)
    if route is None:
        raise unknown_model(request.model, table.lanes())
    width_px, height_px = size_px(request.size, route.incumbent)
    seed = secrets.randbelow(_DRAWN_SEEDS) if request.seed is None else request.seed
    seeds = tuple(range(seed, seed + (request.n or 1)))
    request_id, started_s = uuid.uuid4().hex, time.monotonic()
    headers = {"x-swapgate-request-id": request_id, "x-swapgate-epoch": str(route.split.epoch)}
    try:
        ask = Ask(request.prompt, seeds, width_px, height_px)
        answer = await router.answer(route, ask, request_id, request.user)
    except CallError as error:
        api_error = fault_error(error.fault)
        if error.fault is not Fault.REFUSED:  # the prompt's own fault, and no news for on-call
            waited_s = time.monotonic() - started_s
            log.warning(
                "lane %s, epoch %d: no image for request %s after %.1f s (%s, status %d)",
                request.model, route.split.epoch, request_id, waited_s, error.fault.value, api_error.status,
            )  # fmt: skip
        retry = {"retry-after": "1"} if api_error.status == 429 else {}
        return JSONResponse(api_error.body(), api_error.status, headers | retry)
    headers["x-swapgate-arm"] = answer.arm.value
    if answer.stood_in_for is not None:
        headers["x-swapgate-fallback"] = answer.stood_in_for.value
    if sum(map(len, answer.images)) < LARGE_BYTES:
        content = images_body(answer.images, seeds, int(time.time()))
    else:
        content = await asyncio.to_thread(images_body, answer.images, seeds, int(time.time()))
    return Response(content, media_type="application/json", headers=headers)


def _model(lane: str) -> dict[str, Any]:
    return {"id": lane, "object": "model", "created": 0, "owned_by": "swapgate"}


def _health(table: RouteTable, router: Router) -> dict[str, Any]:
    now_s = time.monotonic()
    age_s = None if table.read_at_s is None else round(now_s - table.read_at_s, 3)
    routes = [route for lane in table.lanes() if (route := table.get(lane))]
    lanes = {route.split.lane: _lane_health(route, now_s) for route in routes}
    return {"ready": table.ready, "splits_age_s": age_s, "prices": router.prices, "lanes": lanes}


def _lane_health(route: Route, now_s: float) -> dict[str, Any]:
    return {
        "incumbent": route.split.incumbent,
        "candidate": route.split.candidate if route.live(now_s) else None,
        "epoch": route.split.epoch,
    }
