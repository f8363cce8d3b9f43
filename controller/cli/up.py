"""`gatectl up`."""

import signal
import time

import typer

from controller.cli.output import OUTPUT, Output, emit, note
from controller.cli.progress import progress
from controller.platform.home import Home, Platform, to_json

LOOK_EVERY_S = 2.0


def up(
    detach: bool = typer.Option(False, "--detach", "-d", help="Leave everything running and return."),
    output: Output = OUTPUT,
) -> None:
    """Start a platform on this machine, or heal it.

    Whatever runs is left alone, whatever is missing starts. Without --detach it keeps watch, heals what dies, and
    stops everything at Ctrl-C.
    """
    from controller.platform.lifecycle import bring_up, take_down

    home = Home.current()
    # Whoever ends us politely wants what Ctrl-C wants.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with progress() as say:
            platform = bring_up(home, say)
        emit(output, to_json(platform), lambda: addresses(home, platform))
        if not detach:
            note("Ctrl-C stops everything; a part that dies meanwhile is started again")
            _keep_up(home)
    except KeyboardInterrupt:
        if detach:
            note("stopped half way; `gatectl up` goes on from here, `gatectl down` stops what runs")
            raise typer.Exit(130) from None
        with progress() as say:
            take_down(home, say)


def _keep_up(home: Home) -> None:
    from controller.errors import ConflictError, UnavailableError
    from controller.platform.lifecycle import bring_up, healthy_parts

    while True:
        time.sleep(LOOK_EVERY_S)
        platform = home.read()
        if platform is None or not platform.processes:
            note("the platform was taken down by `gatectl down`")
            return
        if all(healthy_parts(home, platform).values()):
            continue
        try:
            bring_up(home, note)
        except (ConflictError, UnavailableError) as error:
            note(f"gatectl: {error}; trying again")


def addresses(home: Home, platform: Platform) -> str:
    """Return where everything is."""
    return "\n".join(
        (
            f"gateway      {platform.gateway_url}/v1  (OpenAI Images API; `model` names the lane)",
            f"controller   {platform.api_url}/api/v1  (token in {home.token_file})",
            f"database     {platform.database_url}",
            f"logs         {home.logs}",
        )
    )
