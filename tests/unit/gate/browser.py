"""A headless Chromium, spoken to through its debugging pipe: no port, no driver, no package."""

import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)
DEADLINE_S = 60.0


def chromium() -> str | None:
    """Return the browser of this machine, None when there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Tab:
    """One page; `events` holds what the browser told of it."""

    to_browser: int
    from_browser: int
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0
    _rest: bytes = b""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            self.events.append(told)

    def wait(self, method: str) -> None:
        """Read until an event was told."""
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """Return the parameters of the events of some kinds."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def _next(self) -> dict[str, Any]:
        give_up_s = time.monotonic() + DEADLINE_S
        with selectors.DefaultSelector() as ready:
            ready.register(self.from_browser, selectors.EVENT_READ)
            while b"\0" not in self._rest:
                assert ready.select(give_up_s - time.monotonic()), "the browser says nothing"
                chunk = os.read(self.from_browser, 65_536)
                assert chunk, "the browser has ended"
                self._rest += chunk
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def opened(path: Path, width_px: int, profile: Path, *, dark: bool = False) -> Iterator[Tab]:
    """Open a file in a window of a phone's or a desk's width; `profile` is an empty folder."""
    browser = chromium()
    assert browser is not None
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()
    # The browser wants its commands on descriptor 3 and answers on 4.
    launch = f'exec "$0" "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", launch, browser, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(read_commands, write_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        tab = Tab(write_commands, read_answers)
        _attach(tab, width_px, dark=dark)
        tab.call("Page.navigate", url=path.as_uri())
        tab.wait("Page.loadEventFired")
        yield tab
        tab.session = ""
        tab.call("Browser.close")
    finally:
        os.close(write_commands)
        os.close(read_answers)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _attach(tab: Tab, width_px: int, *, dark: bool) -> None:
    target = tab.call("Target.createTarget", url="about:blank")["targetId"]
    tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.call(f"{domain}.enable")
    tab.call(
        "Emulation.setDeviceMetricsOverride", width=width_px, height=800, deviceScaleFactor=1, mobile=width_px < 600
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    tab.call("Emulation.setEmulatedMedia", features=[scheme])
