"""Tells people what happened: always a log line, and a webhook where one is configured."""

import logging
import queue
import threading
from contextlib import suppress
from typing import Any

import httpx
import structlog

from controller.core.rollout import Event, Rollout

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
ATTEMPTS = 3
PAUSE_S = 1.0
WAITING = 100


class LogNotifier:
    """Implements `Notifier` with a log line."""

    def notify(self, rollout: Rollout, event: Event) -> None:
        """Announce a step."""
        log.info("rollout moved", **_message(rollout, event))

    def close(self) -> None:
        """Nothing waits."""


class WebhookNotifier:
    """Implements `Notifier` with a log line and a JSON POST, sent from a thread of its own.

    The body's `text` is the sentence that chat systems show. A message that can't be delivered is logged and given
    up: the audit log, not the webhook, is the record. The URL is a secret and never logged.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO
        self._url = url
        self._client = httpx.Client(timeout=TIMEOUT_S, transport=transport)
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swapgate-notifier", daemon=True)
        self._thread.start()

    def notify(self, rollout: Rollout, event: Event) -> None:
        """Announce a step."""
        message = _message(rollout, event)
        log.info("rollout moved", **message)
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            log.warning("notification dropped: too many wait for the webhook", rollout=rollout.id)

    def close(self) -> None:
        """Send what waits until the first failure, and stop."""
        self._closing.set()
        with suppress(queue.Full):
            self._waiting.put(None, timeout=TIMEOUT_S)
        self._thread.join(2 * TIMEOUT_S)
        self._client.close()

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            problem = self._problem(message)
            if problem is not None:
                log.warning("notification not delivered", rollout=message["rollout"], problem=problem)
                if self._closing.is_set():
                    return

    def _problem(self, message: dict[str, Any]) -> str | None:
        """Deliver a message; return what was wrong with the last attempt, None when one succeeded."""
        problem = None
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.post(self._url, json=message)
            except httpx.HTTPError as error:
                problem = type(error).__name__
            else:
                if answer.is_success:
                    return None
                problem = f"status {answer.status_code}"
            if self._closing.wait(PAUSE_S):
                break
        return problem


def _message(rollout: Rollout, event: Event) -> dict[str, Any]:
    return {
        "text": f"{rollout.lane}: {rollout.name} ({rollout.id}) is {rollout.state.value}: {event.reason}",
        "rollout": rollout.id,
        "lane": rollout.lane,
        "state": rollout.state.value,
        "kind": event.kind.value,
        "actor": event.actor,
        "at_s": event.at_s,
    }
