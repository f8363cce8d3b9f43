"""The API's routes about benches and blobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from controller.api.auth import Caller, operator, viewer
from controller.api.body import bench_of, raw_body, reason_of
from controller.api.problems import missing
from controller.benches import Benches
from controller.errors import UserError

Json = dict[str, Any]
_PNG = b"\x89PNG\r\n\x1a\n"
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def bench_routes(benches: Benches) -> APIRouter:
    """Return the routes; viewers read, operators start and abort benches."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(viewer)])

    @router.post("/benches", status_code=201)
    def start(caller: Annotated[Caller, Depends(operator)], body: Annotated[bytes, Depends(raw_body)]) -> Json:
        return benches.start(bench_of(body), caller.name)

    @router.post("/benches/{bench_id}/abort")
    def abort(
        bench_id: str, caller: Annotated[Caller, Depends(operator)], body: Annotated[bytes, Depends(raw_body)]
    ) -> Json:
        with missing():
            known = benches.bench(bench_id)
        return benches.abort(known["id"], caller.name, reason_of(body))

    @router.get("/benches")
    def rows(rollout: str | None = None, limit: int = 100) -> list[Json]:
        if not 0 < limit <= 1000:
            raise UserError(f"limit: {limit} is not between 1 and 1000")
        return benches.benches(rollout, limit)

    @router.get("/benches/{bench_id}")
    def row(bench_id: str) -> Json:
        with missing():
            return benches.bench(bench_id)

    @router.get("/benches/{bench_id}/result")
    def result(bench_id: str) -> Response:
        with missing():
            return Response(benches.result(bench_id), media_type="application/json")

    @router.get("/blobs/{digest}")
    def blob(digest: str) -> Response:
        with missing():
            content = benches.blob(digest)
        kind = "image/png" if content.startswith(_PNG) else "application/octet-stream"
        return Response(content, media_type=kind, headers=_FOR_EVER)

    return router
