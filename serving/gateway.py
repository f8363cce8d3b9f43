"""One replica of the gateway: wires table, router, recorder and link together, and lives on Ray Serve."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from controller.core.lane import Lane
from serving.backend import RayBackend
from serving.ingress import make_app
from serving.link import Link
from serving.recorder import Recorder
from serving.router import Router
from serving.routes import RouteTable
from serving.scoring import Scoring

log = logging.getLogger(__name__)


class Gateway:
    """See the module's docstring. `lanes` are `Lane.to_json()`; `usd_per_hour` maps a GPU class to its price."""

    def __init__(self, database_url: str, lanes: Sequence[dict[str, Any]], usd_per_hour: Mapping[str, float]) -> None:
        self._table = RouteTable(Lane.from_json(lane) for lane in lanes)
        self._recorder = Recorder()
        self._backend = RayBackend()
        self._scoring = Scoring(self._backend.score)
        self._router = Router(self._backend, self._recorder, self._scoring, usd_per_hour)
        self._replica = f"gw-{uuid.uuid4().hex[:12]}"
        self._database_url = database_url

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the ASGI application; Ray Serve asks for it once."""
        return make_app(self._table, self._router, self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        self._keep(self._table.names())

        def on_change(names: frozenset[str]) -> None:
            loop.call_soon_threadsafe(self._keep, names)

        link = Link(
            self._database_url,
            self._replica,
            self._table,
            self._recorder,
            on_change,
            self._router.in_flight,
        )
        link.start()
        log.info("gateway %s serves %s", self._replica, ", ".join(self._table.lanes()) or "no lane yet")
        yield
        await self._router.drain()
        await self._scoring.close()
        await asyncio.to_thread(link.stop)

    def _keep(self, names: frozenset[str]) -> None:
        self._backend.keep(names)
        self._router.keep(names)
