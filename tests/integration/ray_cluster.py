"""One real local Ray cluster for the session, with the environment that Ray reads when it is imported."""

import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.fleet import RayFleet


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Cluster:
    """A fleet and the address of its gateway."""

    def __init__(self, fleet: RayFleet, port: int) -> None:
        self.fleet = fleet
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    """Start Ray and Serve once; sockets need a short folder."""
    folder = Path(tempfile.mkdtemp(prefix="sgr"))
    port = free_port()
    fleet = RayFleet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray Serve's own use of pydantic, when it is imported
        fleet.connect(port=port, state_folder=folder, temp_folder=folder)
    yield Cluster(fleet, port)
    fleet.disconnect()
    shutil.rmtree(folder, ignore_errors=True)
