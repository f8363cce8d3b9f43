"""The controller's API as the verbs use it: errors come back as the errors they were on the server."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from controller.errors import ForbiddenError, UnavailableError
from controller.platform.home import Home

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
"""Longer than the server waits for its loop to take a command up."""


@dataclass(frozen=True)
class Client:
    """A controller at `url`, spoken to as the owner of `token`."""

    url: str
    token: str

    @staticmethod
    def here() -> "Client":
        """Return the controller that SWAPGATE_URL and SWAPGATE_TOKEN name, else the local platform's."""
        home = Home.current()
        url = os.environ.get("SWAPGATE_URL")
        if not url:
            platform = home.read()
            url = platform.api_url if platform else None
        if not url:
            raise UnavailableError(
                f"no controller is known: {home.root} holds no platform; `gatectl up` starts one here, "
                "SWAPGATE_URL and SWAPGATE_TOKEN name one elsewhere"
            )
        token = os.environ.get("SWAPGATE_TOKEN") or home.token()
        if not token:
            raise ForbiddenError(
                f"no token: set SWAPGATE_TOKEN, or use the data directory of your `gatectl up` ({home.root})"
            )
        return Client(url.rstrip("/"), token)

    def get(self, path: str, **query: Any) -> Any:
        """Ask; the error that the server told of, UnavailableError when it can't be reached."""
        return self._send("GET", path, params={key: val for key, val in query.items() if val is not None}).json()

    def content(self, path: str) -> bytes:
        """Fetch something that is no JSON, such as an image; errors as in `get`."""
        return bytes(self._send("GET", path).content)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Wish for something; errors as in `get`, ConflictError also when it is not possible now."""
        return self._send("POST", path, json=body).json()

    def audit(self, rollout: str | None = None, after_seq: int = 0) -> Iterator[dict[str, Any]]:
        """Stream the audit log."""
        import httpx

        query = {"after_seq": after_seq} | ({"rollout": rollout} if rollout else {})
        try:
            with self._http.stream("GET", f"{self.url}/api/v1/audit", params=query) as answer:
                if answer.status_code != 200:
                    answer.read()
                    self._refuse(answer)
                for line in answer.iter_lines():
                    yield json.loads(line)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    @cached_property
    def _http(self) -> Any:
        # One for all calls: to make one takes many times longer than a call. No connection outlives its call.
        import httpx

        return httpx.Client(
            headers={"Authorization": f"Bearer {self.token}"},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # A proxy has no business between us and a controller on this machine.
            trust_env=not _loopback(self.url),
        )

    def _send(self, method: str, path: str, **more: Any) -> Any:
        import httpx

        try:
            answer = self._http.request(method, f"{self.url}/api/v1{path}", **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 400:
            self._refuse(answer)
        return answer

    def _refuse(self, answer: Any) -> None:
        from controller.api.problems import from_wire

        try:
            body = answer.json()
        except ValueError:
            body = {}
        raise from_wire(answer.status_code, body if isinstance(body, dict) else {})

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"the controller at {self.url} does not answer ({type(error).__name__}); "
            "`gatectl up` starts or heals the local one, `gatectl doctor` says what is wrong"
        )


def _loopback(url: str) -> bool:
    host = url.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
    return host in {"127.0.0.1", "localhost", "[::1]"}
