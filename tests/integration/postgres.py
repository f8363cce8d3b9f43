"""Fixtures on a real PostgreSQL: one private server a session, one fresh migrated database a test."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from controller.adapters import embedded, migrate
from controller.adapters.database import Database

_numbers = count(1)


@cache
def _shared() -> tuple[Path, str]:
    folder = Path(tempfile.mkdtemp(prefix="swapgate-tests-"))
    url = embedded.start(folder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    migrate.upgrade(_named(url, "migrated"))
    return folder, url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The superuser's URL of a private server that lives as long as the session, with a migrated template.

    pytest makes one of these for every module that imports it; they share the server, and stopping it twice is fine.
    """
    folder, url = _shared()
    yield url
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """The superuser's URL of a fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE migrated").format(sql.Identifier(name)))
        yield _named(postgres_server, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database as the controller sees it."""
    database = Database(database_url)
    yield database
    database.close()


@dataclass(frozen=True, slots=True)
class PrivateServer:
    """A server of a test's own, which may be stopped, killed and frozen."""

    folder: Path
    url: str

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes, the one that starts the others first."""
        pid = int((self.folder / "cluster" / "postmaster.pid").read_text().split("\n", 1)[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children()]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the whole server for a while; a process whose client has just left may end meanwhile."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()


@pytest.fixture
def private_server() -> Iterator[PrivateServer]:
    """A migrated server of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="swapgate-tests-"))
    url = embedded.start(folder)
    migrate.upgrade(url)
    yield PrivateServer(folder, url)
    embedded.stop(folder)
    shutil.rmtree(folder)


def _named(url: str, name: str) -> str:
    return url.replace(f"/{embedded.DATABASE}?", f"/{name}?")
