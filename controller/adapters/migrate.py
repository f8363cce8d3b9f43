"""The schema: Alembic migrations, run on purpose and never at the start of the app.

`python -m controller.adapters.migrate check` compares, on a private server, what the migrations make with the
snapshot `migrations/schema.sql` that people read; `snapshot` writes it; `upgrade` migrates the database that
SWAPGATE_DATABASE_URL names.
"""

import difflib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from controller.adapters import embedded
from controller.errors import UnavailableError

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
SNAPSHOT = FOLDER / "schema.sql"
LOCK = 7_309_251_604  # any number, the same for every migrating process
CONNECT_TIMEOUT_S = 5
_USAGE = "python -m controller.adapters.migrate"


def upgrade(url: str) -> None:
    """Bring a database to the newest schema, in one transaction and under a lock; a no-op when it is."""
    with _connected(url) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """Return the revision that a database is at, None when it is empty."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def pending(url: str) -> tuple[str, ...]:
    """Return the revisions that a database lacks, in the order in which `upgrade` runs them."""
    script = ScriptDirectory.from_config(_config())
    missing = script.iterate_revisions("head", current(url) or "base")
    return tuple(reversed([revision.revision for revision in missing]))


def drift() -> str:
    """Return how the migrations differ from the snapshot as a unified diff, empty when they agree."""
    lines = difflib.unified_diff(
        SNAPSHOT.read_text().splitlines(keepends=True) if SNAPSHOT.exists() else [],
        _migrated_schema().splitlines(keepends=True),
        "migrations/schema.sql",
        "what the migrations make",
    )
    return "".join(lines)


def main(arguments: list[str]) -> int:
    """Run one of `check`, `snapshot`, `upgrade`; return the exit code."""
    match arguments:
        case ["check"]:
            difference = drift()
            sys.stderr.write(difference and f"{difference}\nwrite it anew: {_USAGE} snapshot\n")
            return 1 if difference else 0
        case ["snapshot"]:
            SNAPSHOT.write_text(_migrated_schema())
            return 0
        case ["upgrade"] if url := os.environ.get("SWAPGATE_DATABASE_URL"):
            upgrade(url)
            return 0
        case _:
            sys.stderr.write(f"usage: {_USAGE} check|snapshot|upgrade (upgrade: set SWAPGATE_DATABASE_URL)\n")
            return 2


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """Give one transaction on a database; UnavailableError when it can't be reached."""

    def connect() -> psycopg.Connection:
        return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S)

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise UnavailableError(f"the database can't be migrated or read: {error.orig}") from error


def _migrated_schema() -> str:
    with tempfile.TemporaryDirectory(prefix="swapgate-") as folder:
        url = embedded.start(Path(folder))
        try:
            upgrade(url)
            return _schema_of(url)
        finally:
            embedded.stop(Path(folder))


def _schema_of(url: str) -> str:
    """Return a private server's schema as SQL, without comments and session settings."""
    dump = subprocess.run(
        [embedded.program("pg_dump"), "--schema-only", "--no-owner", "--exclude-table=alembic_version", url],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kept = [
        line
        for line in dump.stdout.splitlines()
        if line.strip() and not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\"))
    ]
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
