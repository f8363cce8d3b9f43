"""Connections to PostgreSQL: few, bounded in time, and honest when it is gone.

A refused connection is known at once. A server that hangs (frozen, disk stalled, network cut) would keep a client
waiting for ever, so a watchdog hangs up on it. Either way the caller gets UnavailableError within the limits below
and the next call connects anew, with no back-off to wait out.
"""

import os
import queue
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from controller.errors import InvariantError, UnavailableError

CONTROLLER_ROLE = "swapgate_controller"
CONNECT_TIMEOUT_S = 2
TRANSACTION_TIMEOUT_S = 5.0
Row = DictRow
Cursor = psycopg.Cursor[DictRow]
Connection = psycopg.Connection[DictRow]


def connect(url: str, role: str = CONTROLLER_ROLE) -> Connection:
    """Open a connection that acts as `role`; UnavailableError, naming the server, when there is none."""
    given = conninfo_to_dict(url)
    timeout_ms = int(TRANSACTION_TIMEOUT_S * 1000)
    # A controller that freezes inside a transaction must not keep its locks: the next leader needs them.
    settings = {
        "role": role,
        "timezone": "UTC",
        "statement_timeout": timeout_ms,
        "idle_in_transaction_session_timeout": timeout_ms,
    }
    options = " ".join([str(given.get("options") or ""), *(f"-c {key}={val}" for key, val in settings.items())])
    try:
        return psycopg.connect(
            url,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=options.strip(),
            application_name=role,
            autocommit=True,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        place = f"{given.get('dbname')} at {given.get('host')}"
        raise UnavailableError(f"no connection to the database {place}: {error}") from error


class Database:
    """A handful of connections, shared by threads."""

    def __init__(self, url: str, role: str = CONTROLLER_ROLE, connections: int = 4) -> None:
        self.url = url
        self._role = role
        self._slots: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(connections):
            self._slots.put(None)
        self._connections = connections

    @contextmanager
    def transaction(self, *, snapshot: bool = False, limit_s: float = TRANSACTION_TIMEOUT_S) -> Iterator[Cursor]:
        """Run a transaction, rolled back on any exception; `snapshot` reads everything as of one moment.

        UnavailableError when the database is gone or lets us wait for longer than `limit_s`.
        """
        connection = self._take()
        watchdog = threading.Timer(limit_s, hang_up, [connection])
        watchdog.daemon = True
        watchdog.start()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                if snapshot:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield cursor
        except psycopg.Error as error:
            raise _translated(error) from error
        finally:
            watchdog.cancel()
            watchdog.join()
            self._give(connection)

    def rows(self, query: LiteralString, parameters: Any = None) -> list[Row]:
        """Run one query and return its rows."""
        with self.transaction() as cursor:
            return cursor.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the idle connections."""
        for _ in range(self._connections):
            connection = self._slots.get(timeout=TRANSACTION_TIMEOUT_S)
            if connection is not None:
                connection.close()
        for _ in range(self._connections):
            self._slots.put(None)

    def _take(self) -> Connection:
        try:
            connection = self._slots.get(timeout=CONNECT_TIMEOUT_S)
        except queue.Empty:
            raise UnavailableError(f"all {self._connections} database connections are busy; try again") from None
        if connection is not None and _is_quiet(connection):
            return connection
        try:
            if connection is not None:
                connection.close()
            return connect(self.url, self._role)
        except BaseException:
            self._slots.put(None)
            raise

    def _give(self, connection: Connection) -> None:
        if connection.info.transaction_status == pq.TransactionStatus.IDLE:
            self._slots.put(connection)
        else:
            connection.close()
            self._slots.put(None)


def _is_quiet(connection: Connection) -> bool:
    """Say whether an idle connection is alive: a server that went away leaves an end of file to read."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def hang_up(connection: Connection) -> None:
    """Cut a connection that another thread waits on; that thread gets an error at once."""
    try:
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
    except (OSError, psycopg.Error):
        return  # closed meanwhile
    with duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


def _translated(error: psycopg.Error) -> Exception:
    match error:
        case errors.UndefinedTable() | errors.UndefinedColumn() | errors.UndefinedFunction():
            return UnavailableError(f"the database's schema is too old: migrate it first ({error})")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return UnavailableError(f"the database does not answer: {error}")
        case _:
            return InvariantError(f"the database refused a statement: {error}")
