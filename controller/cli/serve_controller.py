"""`gatectl serve-controller`: one controller process, API and loop; `gatectl up` and deployments start it."""

import os
from typing import TYPE_CHECKING

import typer

from controller.errors import UserError

if TYPE_CHECKING:
    from controller.wiring import Settings


def serve_controller(
    host: str = typer.Option("127.0.0.1", help="Where the API listens."),
    port: int = typer.Option(8700, envvar="SWAPGATE_API_PORT", help="The API's port."),
    gateway_host: str = typer.Option("127.0.0.1", envvar="SWAPGATE_GATEWAY_HOST", help="Where gateways listen."),
    gateway_port: int = typer.Option(8710, envvar="SWAPGATE_GATEWAY_PORT", help="The gateways' port."),
    gateway_replicas: int = typer.Option(2, min=1, envvar="SWAPGATE_GATEWAY_REPLICAS", help="How many gateways."),
    keep_images_days: float | None = typer.Option(
        None, min=1, envvar="SWAPGATE_KEEP_IMAGES_DAYS", help="How long images of benches are kept (default: for good)."
    ),
) -> None:
    """Run a controller until SIGTERM.

    Secrets and addresses come from the environment: SWAPGATE_DATABASE_URL, SWAPGATE_RAY_ADDRESS, and if wanted
    SWAPGATE_POLICIES (a folder), SWAPGATE_BLOBS (where images and results are kept: a folder or a URL such as s3://...,
    by default a folder in the data directory) and SWAPGATE_WEBHOOK_URL.
    """
    import uvicorn

    _configure_logs()
    from controller.api.app import build_api
    from controller.wiring import build_controller

    controller = build_controller(_settings(gateway_host, gateway_port, gateway_replicas, keep_images_days))
    controller.start()
    try:
        api = build_api(controller.service, controller.benches, controller.role_of, controller.pulse)
        # uvicorn ends on SIGTERM and SIGINT, and then the threads do.
        uvicorn.run(api, host=host, port=port, log_level="warning", server_header=False)
    finally:
        controller.stop()


def _configure_logs() -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            # The plain form: a traceback with local variables would write secrets into the log.
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


def _settings(
    gateway_host: str, gateway_port: int, gateway_replicas: int, keep_images_days: float | None
) -> "Settings":
    from controller.adapters.blobs import BLOBS_VARIABLE
    from controller.benches import DAY_S
    from controller.cli.propose import policies_folder
    from controller.platform.home import Home
    from controller.wiring import Settings

    return Settings(
        database_url=_required("SWAPGATE_DATABASE_URL"),
        ray_address=_required("SWAPGATE_RAY_ADDRESS"),
        gateway_host=gateway_host,
        gateway_port=gateway_port,
        gateway_replicas=gateway_replicas,
        policies=policies_folder(),
        blobs=os.environ.get(BLOBS_VARIABLE) or str(Home.current().blobs),
        keep_images_s=None if keep_images_days is None else keep_images_days * DAY_S,
        webhook_url=os.environ.get("SWAPGATE_WEBHOOK_URL") or None,
    )


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UserError(f"{name} is not set; `gatectl up` starts a controller with everything it needs")
    return value
