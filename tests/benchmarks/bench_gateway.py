"""What the gateway costs: its latency over that of an ingress that only forwards to the same handle.

    python -m tests.benchmarks.bench_gateway

Both run on one Ray cluster, with the same model (the fake one, which waits without using the CPU), the same payload
and the same clients, in alternating rounds, so a busy machine hurts both; read the ratios, not the milliseconds.
Aim: at most 1.2 at p50 and at p99.
"""

import asyncio
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from fastapi import FastAPI, Request, Response

from controller.adapters import embedded, migrate
from controller.core.lane import Lane
from controller.core.spec import Resources, app_name
from serving.fleet import RayFleet
from serving.names import MODEL_DEPLOYMENT
from serving.openai_api import images_body
from serving.providers.protocol import Ask
from serving.worker_env import runtime_env
from tests.integration.ray_cluster import free_port
from tests.integration.serving_world import PATH, ServedLane, until
from tests.unit.serving.worlds import fake_spec

SEED = 7


class Forwarder:
    """The least an ingress can do: call the handle, encode the answer."""

    def __init__(self, app: str, width_px: int, height_px: int) -> None:
        self._app, self._size = app, (width_px, height_px)

    def __serve_build_asgi_app__(self) -> FastAPI:
        from ray import serve

        handle = serve.get_deployment_handle(MODEL_DEPLOYMENT, self._app)
        app = FastAPI()

        @app.post(PATH)
        async def generate(request: Request) -> Response:
            body = await request.json()
            ask = Ask(body["prompt"], (body["seed"],), *self._size)
            reply = await handle.generate.remote(ask.to_wire(30.0))
            return Response(images_body(reply["images"], ask.seeds, 0), media_type="application/json")

        return app


def quantile(values: list[float], share: float) -> float:
    """Return an empirical quantile."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def measure(urls: dict[str, str], clients: int, rounds: int, requests: int) -> dict[str, list[float]]:
    """Return seconds by variant, measured in alternating rounds of `requests` by `clients` at once."""
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    body = {"model": "preview", "prompt": "a red square", "seed": SEED}
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(limits=limits, timeout=60.0) as client:

        async def work(url: str, into: list[float]) -> None:
            for _ in range(requests // clients):
                started_s = time.perf_counter()
                response = await client.post(url + PATH, json=body)
                into.append(time.perf_counter() - started_s)
                response.raise_for_status()

        for number in range(rounds + 1):
            for name in sorted(urls, reverse=bool(number % 2)):
                into: list[float] = []
                await asyncio.gather(*(work(urls[name], into) for _ in range(clients)))
                if number:  # the first round warms up
                    seconds[name] += into
    return seconds


def report(seconds: dict[str, list[float]]) -> None:
    """Print quantiles of both and their ratios."""
    for name, values in seconds.items():
        p50, p99 = (1000 * quantile(values, share) for share in (0.5, 0.99))
        mean = 1000 * statistics.fmean(values)
        typer.echo(f"{name:10} n={len(values)}  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  mean {mean:7.1f} ms")
    for share in (0.5, 0.99):
        ratio = quantile(seconds["gateway"], share) / quantile(seconds["minimal"], share)
        typer.echo(f"ratio at p{100 * share:g}: {ratio:.3f}")


def served(fleet: RayFleet, url: str, folder: Path, lane: Lane, share: float) -> dict[str, str]:
    """Deploy the model, the gateway and the forwarder; return the URL of each variant."""
    from ray import serve

    database_url = embedded.start(folder)
    migrate.upgrade(database_url)
    world = ServedLane(database_url, 1, fleet, url, folder)
    world.store(lane)
    name = world.deploy(lane.incumbent)
    fleet.ensure_gateway(database_url, [lane], {"cpu": 0.04}, num_replicas=1)
    world.split(world.deploy(replace(lane.incumbent, variant="b")) if share else None, share)
    size = lane.incumbent.sampling
    options: dict[str, Any] = {"num_cpus": 0.1, "runtime_env": runtime_env()}
    minimal = serve.deployment(serve.ingress()(Forwarder)).options(
        name="Forwarder", max_ongoing_requests=512, ray_actor_options=options
    )
    serve.run(minimal.bind(name, size.width_px, size.height_px), name="minimal", route_prefix="/minimal")
    until("the incumbent answers", lambda: httpx.get(f"{url}/healthz").status_code == 200)
    return {"gateway": url, "minimal": f"{url}/minimal"}


def main(
    clients: Annotated[int, typer.Option(help="Requests at once, and replicas of the model.")] = 4,
    rounds: Annotated[int, typer.Option(help="Rounds of each variant.")] = 40,
    requests: Annotated[int, typer.Option(help="Requests a round.")] = 80,
    latency_s: Annotated[float, typer.Option(help="What the model takes.")] = 0.05,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of an equal candidate, if any.")] = 0.0,
) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="sgb"))
    spec = replace(fake_spec(latency_s=latency_s), resources=Resources("cpu", 0, clients))
    lane, port, fleet = Lane("preview", 30.0, spec), free_port(), RayFleet()
    fleet.connect(port=port, state_folder=folder, temp_folder=folder)
    try:
        urls = served(fleet, f"http://127.0.0.1:{port}", folder / "database", lane, share)
        typer.echo(f"model {app_name(lane.name, spec.digest)}: {latency_s:g} s, {clients} replicas and clients")
        report(asyncio.run(measure(urls, clients, rounds, requests)))
    finally:
        fleet.disconnect()
        embedded.stop(folder / "database")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
