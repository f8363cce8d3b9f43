"""The REST API: every question and wish of the service, with the caller's role checked on each call."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from controller.api.auth import Caller, RoleOf, operator, viewer
from controller.api.benches import bench_routes
from controller.api.body import noise_of, proposal_of, raw_body, reason_of
from controller.api.metrics import Pulse, exposition
from controller.api.problems import MissingError, missing, to_wire
from controller.benches import Benches
from controller.core.audit import AuditEntry
from controller.errors import GatectlError, UserError
from controller.service import COMMANDS, Service

Body = Annotated[bytes, Depends(raw_body)]
Operator = Annotated[Caller, Depends(operator)]
Json = dict[str, Any]
STALE_TICK_S = 10.0
"""A loop that has not finished a tick for so long is stuck, or its database is gone."""


def build_api(service: Service, benches: Benches, role_of: RoleOf, pulse: Pulse = dict) -> FastAPI:
    """Return the ASGI application.

    `role_of` maps a bearer token to its owner's name and role; `pulse` says how this process's loop is doing.
    """
    # No interactive documentation: its page loads scripts from a host that is not ours.
    api = FastAPI(title="Swapgate", docs_url=None, redoc_url=None, openapi_url=None)
    api.state.role_of = role_of
    api.add_exception_handler(GatectlError, _refused)
    api.add_exception_handler(RequestValidationError, _malformed)
    api.include_router(_questions(service))
    api.include_router(_records(service))
    api.include_router(_wishes(service))
    api.include_router(bench_routes(benches))
    api.include_router(_operations(service, pulse))
    return api


def _questions(service: Service) -> APIRouter:
    # The role stands on the router, so that no route can forget it.
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(viewer)])

    @router.get("/lanes")
    def lanes() -> list[Json]:
        return service.lanes()

    @router.get("/lanes/{name}")
    def lane(name: str) -> Json:
        with missing():
            return service.lane(name)

    @router.get("/lanes/{name}/traffic")
    def traffic(name: str) -> Json:
        with missing():
            return service.traffic(name)

    @router.get("/rollouts")
    def rollouts(limit: int = 100) -> list[Json]:
        if not 0 < limit <= 1000:
            raise UserError(f"limit: {limit} is not between 1 and 1000")
        return service.rollouts(limit)

    @router.get("/rollouts/{rollout_id}")
    def rollout(rollout_id: str) -> Json:
        with missing():
            return service.rollout(rollout_id)

    return router


def _records(service: Service) -> APIRouter:
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(viewer)])

    @router.get("/audit")
    def audit(rollout: str | None = None, after_seq: int = 0) -> Response:
        entries = service.audit(rollout, after_seq)
        # The first entry is read before the answer starts, so that a failing database is an error and no cut stream.
        first = [entry for entry in (next(entries, None),) if entry is not None]
        return StreamingResponse(_lines(chain(first, entries)), media_type="application/x-ndjson")

    @router.get("/audit/verify")
    def verify() -> Json:
        return service.verify()

    return router


def _wishes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(operator)])

    @router.post("/rollouts", status_code=201)
    def propose(caller: Operator, body: Body) -> Json:
        return service.propose(proposal_of(body), caller.name)

    @router.post("/lanes/{name}/noise", status_code=201)
    def noise(name: str, caller: Operator, body: Body) -> Json:
        wish = noise_of(body)
        return service.measure_noise(name, wish.hours, caller.name, wish.reason)

    @router.post("/rollouts/{rollout_id}/{kind}")
    def command(rollout_id: str, kind: str, caller: Operator, body: Body) -> Json:
        if kind not in COMMANDS:
            raise MissingError(f"{kind!r} is not a command; allowed: {', '.join(sorted(COMMANDS))}")
        return service.command(rollout_id, kind, caller.name, reason_of(body))

    return router


def _operations(service: Service, pulse: Pulse) -> APIRouter:
    router = APIRouter()
    render = exposition(service, pulse)

    @router.get("/healthz")
    def healthz() -> Response:
        beat = dict(pulse())
        age_s = beat.get("tick_age_s")
        ok = age_s is None or age_s < STALE_TICK_S
        return JSONResponse({"ok": ok, **beat}, status_code=200 if ok else 503)

    @router.get("/metrics", dependencies=[Depends(viewer)])
    def metrics() -> Response:
        return PlainTextResponse(render(), media_type="text/plain; version=0.0.4")

    return router


def _lines(entries: Iterator[AuditEntry]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(asdict(entry), ensure_ascii=False) + "\n"


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, GatectlError)
    status, body = to_wire(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status_code=status, headers=headers)


def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = (f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return JSONResponse(to_wire(UserError("; ".join(faults)))[1], status_code=400)
