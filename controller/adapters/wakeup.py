"""Sleep that a notification from PostgreSQL ends."""

import threading
import time
from typing import LiteralString

import psycopg
from psycopg import sql

from controller.adapters.database import Connection, connect, hang_up
from controller.errors import UnavailableError

SPLIT_CHANNEL: LiteralString = "swapgate_split"
REQUEST_CHANNEL: LiteralString = "swapgate_request"
OUTCOME_CHANNEL: LiteralString = "swapgate_outcome"


class Wakeup:
    """Waits on one LISTEN connection; only a faster poll, so a lost notification does no harm."""

    def __init__(self, url: str, *channels: str) -> None:
        self._url = url
        self._channels = channels or (REQUEST_CHANNEL,)
        self._connection: Connection | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def wait(self, timeout_s: float) -> None:
        """Return after a notification or `timeout_s`, whichever is first; without a database after `timeout_s`.

        It also returns at once after connecting, since whatever was notified before could not be heard.
        """
        until_s = time.monotonic() + timeout_s
        with self._lock:
            if self._closed.is_set():
                return
            try:
                if self._connection is None:
                    self._connection = self._listen()
                    return
                for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
                    pass
            except (psycopg.Error, UnavailableError):
                self._drop()
                self._closed.wait(max(0.0, until_s - time.monotonic()))

    def close(self) -> None:
        """End the wait that is under way, in whichever thread, and every later one."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            hang_up(connection)
        with self._lock:
            self._drop()

    def _listen(self) -> Connection:
        connection = connect(self._url)
        for channel in self._channels:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
