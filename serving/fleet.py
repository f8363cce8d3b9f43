"""Model applications on Ray Serve: the controller's `Fleet`, and what `gatectl up` needs at start.

Every call to Ray has a deadline. Applications are immutable and named by digest; nothing is ever updated in
place.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from controller.core.lane import Lane
from controller.core.spec import ModelSpec
from controller.errors import UnavailableError
from controller.ports import AppStatus
from serving import app
from serving.deadline import Deadlines
from serving.names import GATEWAY_APP, MODEL_DEPLOYMENT, MODEL_PREFIX, SCORERS_APP
from serving.providers.protocol import Ask
from serving.status import Debounce, Overview, app_status, exists
from serving.watchdog import first_problem

STATUS_TIMEOUT_S: Final = 10.0
DEPLOY_TIMEOUT_S: Final = 20.0
REMOVE_TIMEOUT_S: Final = 10.0
START_TIMEOUT_S: Final = 90.0
READY_TIMEOUT_S: Final = 120.0
POLL_S: Final = 0.1
PROBE_PROMPT: Final = 'the word "PROBE" in black on white'
PROBE_SEED: Final = 7
LOGICAL_CPUS: Final = 16
OBJECT_STORE_BYTES: Final = 256 * 2**20


class RayFleet:
    """Implements `controller.ports.Fleet`; one per process, usable from any thread."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()
        self._debounce = Debounce()
        self._packing = threading.Lock()

    def status(self) -> Mapping[str, AppStatus]:
        """Return every model application that exists."""
        found = {
            name: app_status(name, overview)
            for name, overview in self._applications().items()
            if name.startswith(MODEL_PREFIX) and exists(overview)
        }
        return self._debounce(found, time.monotonic())

    def deploy(self, name: str, spec: ModelSpec, lane: Lane) -> None:
        """Start an application without waiting for it; a no-op when it exists."""
        overview = self._applications().get(name)
        if overview is None or not exists(overview):
            self._deploy(name, app.build_model(spec, lane), route_prefix=None)

    def remove(self, name: str) -> None:
        """Stop an application without waiting for it; a no-op when it doesn't exist."""
        from ray import serve

        overview = self._applications().get(name)
        if overview is not None and exists(overview):
            self._deadlines.call(f"delete {name}", REMOVE_TIMEOUT_S, lambda: serve.delete(name, _blocking=False))

    def probe(self, name: str, spec: ModelSpec, timeout_s: float) -> str | None:
        """Draw one image; return None when it is sound, else what is wrong with it."""
        size = spec.sampling
        ask = Ask(PROBE_PROMPT, (PROBE_SEED,), size.width_px, size.height_px)

        def draw() -> Mapping[str, Any]:
            from ray import serve

            handle = serve.get_deployment_handle(MODEL_DEPLOYMENT, name, _check_exists=False)
            response = handle.generate.remote(ask.to_wire(timeout_s))
            try:
                reply: Mapping[str, Any] = response.result(timeout_s=timeout_s)
            except BaseException:
                response.cancel()
                raise
            return reply

        try:
            reply = self._deadlines.call(f"draw an image with {name}", timeout_s + 1.0, draw)
        except UnavailableError as error:
            return f"no image within {timeout_s:g} s ({error})"
        if "fault" in reply:
            return f"{reply['fault']}: {reply['message']}"
        return first_problem(reply["images"], 1, ask.width_px, ask.height_px)

    def connect(
        self,
        address: str | None = None,
        *,
        port: int = 8000,
        host: str = "127.0.0.1",
        state_folder: Path | None = None,
        temp_folder: Path | None = None,
    ) -> None:
        """Join the Ray cluster at `address`, or start one in this process, and start Serve on `host:port`.

        `state_folder` holds the token of a cluster started here; `temp_folder` must be short (sockets live
        in it).
        """
        _prepare(state_folder)
        if address is None:
            # On this thread: Linux kills Ray's processes when the thread that started them ends.
            _start_local(temp_folder)
        else:
            self._deadlines.call(f"join {address}", START_TIMEOUT_S, lambda: _join(address))
        self._deadlines.call("start Serve", START_TIMEOUT_S, lambda: _start_serve(host, port))

    def disconnect(self) -> None:
        """Leave the cluster; one that was started here ends with everything on it."""
        import ray

        self._deadlines.call("shut down", START_TIMEOUT_S, ray.shutdown)

    def ensure_gateway(
        self,
        database_url: str,
        lanes: Sequence[Lane],
        usd_per_hour: Mapping[str, float],
        *,
        num_replicas: int = 2,
    ) -> None:
        """Start the gateway unless it runs, and wait until it serves; it is never updated in place."""
        self._ensure(
            GATEWAY_APP,
            lambda: app.build_gateway(database_url, lanes, usd_per_hour, num_replicas=num_replicas),
            "/",
        )

    def ensure_scorers(self, *, num_replicas: int = 1) -> None:
        """Start the scorers unless they run, and wait until they do."""
        self._ensure(SCORERS_APP, lambda: app.build_scorers(num_replicas=num_replicas), None)

    def _ensure(self, name: str, build: Callable[[], Any], route_prefix: str | None) -> None:
        give_up_s = time.monotonic() + READY_TIMEOUT_S
        overview = self._applications().get(name)
        if overview is None or not exists(overview):
            self._deploy(name, build(), route_prefix)
            overview = None
        status = AppStatus(name, "deploying")
        while time.monotonic() < give_up_s:
            status = app_status(name, overview) if overview else status
            if status.phase == "ready":
                return
            if status.phase == "failed":
                self.remove(name)  # whoever asks next starts it anew
                break
            time.sleep(POLL_S)
            overview = self._applications().get(name)
        raise UnavailableError(f"{name} is {status.phase} instead of ready: {status.message}")

    def _applications(self) -> Mapping[str, Overview]:
        return self._deadlines.call("report its status", STATUS_TIMEOUT_S, _applications)

    def _deploy(self, name: str, application: Any, route_prefix: str | None) -> None:
        from ray import serve

        target = serve.RunTarget(application, name, route_prefix)

        def run() -> None:
            # Ray registers modules for pickling in a global list while it packs an application: one at a time.
            with self._packing:
                serve.run_many(
                    [target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False
                )

        self._deadlines.call(f"deploy {name}", DEPLOY_TIMEOUT_S, run)


def _applications() -> Mapping[str, Overview]:
    # `serve.status()` asks for the very same and builds its models from it, which takes longer than everything else.
    from ray.serve.context import _get_global_client

    client = _get_global_client(raise_if_no_controller_running=False)
    found: Mapping[str, Overview] = {} if client is None else client.get_serve_details()["applications"]
    return found


def _prepare(state_folder: Path | None) -> None:
    """Set what Ray reads from the environment when it is imported, unless somebody has."""
    defaults = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    if state_folder is not None and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        token = state_folder / "ray-token"
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(secrets.token_hex(32))
        defaults["RAY_AUTH_TOKEN_PATH"] = str(token)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _start_local(temp_folder: Path | None) -> None:
    import ray

    if not ray.is_initialized():
        ray.init(
            address="local",
            num_cpus=LOGICAL_CPUS,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(temp_folder) if temp_folder else None,
        )


def _join(address: str) -> None:
    import ray

    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def _start_serve(host: str, port: int) -> None:
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # it tells of every single call
    serve.start(http_options={"host": host, "port": port}, logging_config={"log_level": "WARNING"})
