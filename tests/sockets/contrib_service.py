"""A web service for the tests of `featherhq.contrib.starlette`: a real server with a client of the sandbox.

The next word stops a warning of pytest, which cannot rewrite assertions here: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from conftest import AGENT_ID
from featherhq import AsyncFeather, Feather, FeatherError
from featherhq.contrib.responses import message_data
from featherhq.contrib.starlette import EventStreams, error_response
from featherhq.sandbox import Sandbox
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@pytest.fixture
def thread_id(sandbox: Sandbox) -> str:
    """The id of a thread in the sandbox."""
    with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        return feather.threads.create(AGENT_ID).id


class Service:
    """The service, and what a test needs of it.

    Args:
        sandbox: Its Feather.
        key: Its API key.
        data: As in `EventStreams.response`.
        options: Those of `EventStreams`.
    """

    def __init__(
        self, sandbox: Sandbox, *, key: str = "", data: Callable[[Any], object] = message_data, **options: float
    ) -> None:
        self.streams = EventStreams(**options)
        self._sandbox = sandbox
        self._key = key or sandbox.api_key
        self._data = data
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        path = "/threads/{thread}"
        self.app = Starlette(
            routes=[
                Route(f"{path}/events", self._events),
                Route(f"{path}/messages", self._send, methods=["POST"]),
                Route(f"{path}/close", self._close, methods=["POST"]),
            ],
            lifespan=self._lifespan,
            exception_handlers={FeatherError: error_response},
        )
        config = uvicorn.Config(self.app, log_config=None, log_level="error")
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        """Run the server in this thread until it is stopped."""
        self.server.run([self._listener])

    def http(self) -> httpx.Client:
        """A client of the service."""
        return httpx.Client(base_url=self.url, timeout=10)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[dict[str, object]]:
        client = AsyncFeather(self._key, base_url=self._sandbox.url, rate_limit=None, max_retries=0)
        async with client as feather, self.streams:
            yield {"feather": feather}

    async def _events(self, request: Request) -> Response:
        thread = request.state.feather.thread(request.path_params["thread"])
        return self.streams.response(thread, data=self._data)

    async def _send(self, request: Request) -> Response:
        thread = request.state.feather.thread(request.path_params["thread"])
        return JSONResponse({"id": (await thread.send((await request.body()).decode())).message_id})

    async def _close(self, request: Request) -> Response:
        await request.state.feather.thread(request.path_params["thread"]).close()
        return Response()


@contextmanager
def running(service: Service) -> Iterator[httpx.Client]:
    """Run the service in a thread, and give a client of it."""
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        with service.http() as http:
            yield http
    finally:
        service.server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


class Events:
    """The events of an open response, as a browser reads them.

    Attributes:
        first: The first event, once it was read.
        last_id: The id of the last event.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.first: dict[str, str] = {}
        self.last_id = ""
        self._lines = response.iter_lines()

    def next(self) -> dict[str, str] | None:
        """The next event, as its fields; `None` at the end of the stream."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and fields:
                self.last_id = fields.get("id", self.last_id)
                return fields
            name, _, value = line.partition(":")
            fields |= {name: value.strip()} if line else {}
        return None

    def read(self, name: str) -> dict[str, str]:
        """The next event with this field. Others are left out."""
        while (event := self.next()) is not None:
            if name in event:
                return event
        raise AssertionError(f"the stream has ended without {name!r}")


@contextmanager
def opened(http: httpx.Client, thread_id: str, query: str = "", **headers: str) -> Iterator[Events]:
    """Open the event stream of a thread, up to its event `ready`."""
    with http.stream("GET", f"/threads/{thread_id}/events{query}", headers=headers) as response:
        assert response.status_code == 200
        events = Events(response)
        events.first = events.read("event")
        assert events.first["event"] == "ready"
        yield events


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine function in an event loop of its own."""
    return asyncio.run(function(*arguments))
