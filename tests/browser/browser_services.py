"""What the tests in a browser share: a Chromium, and the two servers, each in a process that a test can kill.

The next word stops a warning of pytest, which cannot rewrite assertions here: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from conftest import AGENT_ID
from featherhq import Feather
from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]


class Process:
    """A server in a process of its own.

    Args:
        line: Its command.
        environment: What its environment has beside that of the tests.
        is_ready: Whether it accepts requests.
        log: The file for what it prints.
    """

    def __init__(self, line: list[str], environment: dict[str, str], is_ready: Callable[[], bool], log: Path) -> None:
        self._line = line
        self._environment = {**os.environ, **environment}
        self._is_ready = is_ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._line, env=self._environment, cwd=ROOT, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not self._is_ready():
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, number: signal.Signals) -> float:
        """Tell it to stop. Returns how many seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(20)
        return time.monotonic() - began

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None


class Services:
    """The sandbox and the web server, and what is in the sandbox.

    Attributes:
        key: The API key, which no browser may see.
        feather_url: Where the sandbox is.
        url: Where the page is.
        sandbox: The process of the sandbox.
        web: The process of the web server.
    """

    def __init__(self, folder: Path) -> None:
        self.key = f"k-{secrets.token_hex(16)}"
        ports = [_free_port(), _free_port()]
        self.feather_url, self.url = (f"http://127.0.0.1:{port}" for port in ports)
        sandbox = [sys.executable, str(HERE / "sandbox_process.py"), str(ports[0]), self.key, str(folder / "threads")]
        web = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", "examples/webchat", "--port", str(ports[1])]
        environment = {
            "FEATHER_API_KEY": self.key,
            "FEATHER_BASE_URL": self.feather_url,
            "AGENT_ID": AGENT_ID,
            "SESSION_SECRET": secrets.token_hex(16),
            "LEDGER": str(folder / "ledger"),
            "HTTPS": "false",
        }
        self.sandbox = Process(sandbox, {}, lambda: _answers(self.feather_url), folder / "sandbox.log")
        self.web = Process(web, environment, lambda: _answers(self.url), folder / "web.log")

    def texts(self, visitor: Visitor) -> list[str]:
        """The texts in the thread of a visitor, oldest first, as Feather has them."""
        with Feather(self.key, base_url=self.feather_url) as feather:
            return [message.text for message in feather.thread(visitor.chat()).messages()]

    def close(self, visitor: Visitor) -> None:
        """Close the thread of a visitor."""
        with Feather(self.key, base_url=self.feather_url) as feather:
            feather.thread(visitor.chat()).close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Both servers, for all tests."""
    made = Services(tmp_path_factory.mktemp("services"))
    try:
        yield made
    finally:
        made.web.kill()
        made.sandbox.kill()


@pytest.fixture
def services(started: Services) -> Services:
    """Both servers, running, whatever the test before has done to them."""
    for process in (started.sandbox, started.web):
        if not process.runs:
            process.start()
    return started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    # Chromium refuses to run as root with its sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield launched
        launched.close()


class Visitor:
    """A person with a browser of their own.

    Attributes:
        page: The page that they see.
        events: The events of all streams, as the protocol of the browser's tools tells them.
        requests: The heads of all requests.
        problems: Uncaught exceptions of the page.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.events: list[dict[str, Any]] = []
        self.requests: list[dict[str, str]] = []
        self.problems: list[str] = []
        self._url = url
        self.page = self.open()

    def open(self) -> Page:
        """Open the page in a new tab."""
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        tools = self.context.new_cdp_session(page)

        def note(event: dict[str, Any]) -> None:
            self.events.append(event)

        tools.on("Network.eventSourceMessageReceived", note)
        tools.on("Network.requestWillBeSentExtraInfo", lambda event: self.requests.append(event["headers"]))
        tools.send("Network.enable")
        page.goto(self._url)
        return page

    def chat(self) -> str:
        """The id of their thread."""
        chat: str = self.page.evaluate("fetch('chat').then((response) => response.json())")["chat"]
        return chat

    def say(self, text: str) -> None:
        """Write a message, and press Enter."""
        self.page.get_by_label("Your message").fill(text)
        self.page.keyboard.press("Enter")

    def sees(self, *texts: str, page: Page | None = None) -> None:
        """Wait until the page shows exactly these messages, in this order."""
        shown = (page or self.page).locator("#messages li > p")
        expect(shown).to_have_text(list(texts), timeout=30_000)

    def is_told(self, state: str) -> None:
        """Wait until the page says this about the connection."""
        expect(self.page.get_by_role("status")).to_have_text(re.compile(state), timeout=15_000)


@pytest.fixture
def arrive(browser: Browser, services: Services) -> Iterator[Callable[..., Visitor]]:
    """A function that lets a new visitor open the page."""
    visitors: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, services.url, **options))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()
        assert visitor.problems == []
