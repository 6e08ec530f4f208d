"""For web services with Starlette or FastAPI: errors become responses, and browsers follow conversations.

    @asynccontextmanager
    async def lifespan(app):
        async with AsyncFeather() as feather, EventStreams() as streams:
            yield {"feather": feather, "streams": streams}

    async def events(request):
        thread = request.state.feather.thread(...)
        return request.state.streams.response(thread)

    app = Starlette(
        routes=[Route("/events", events)], lifespan=lifespan, exception_handlers={FeatherError: error_response}
    )

It needs the extra `featherhq[starlette]`. `docs/web.md` tells what a service and its page must do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

try:
    from starlette.datastructures import Headers, QueryParams
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse, Response
except ImportError as error:
    raise ImportError(
        f"featherhq.contrib.starlette needs {error.name}: pip install 'featherhq[starlette]'", name=error.name
    ) from error

from featherhq._validation import seconds
from featherhq.contrib.responses import body_of, headers_of, message_data, status_of
from featherhq.errors import FeatherError, UsageError
from featherhq.models import Message

if TYPE_CHECKING:
    from types import FrameType

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from featherhq import AsyncThread

__all__ = ["EventStreams", "error_response"]

logger: Final = logging.getLogger("featherhq.contrib.starlette")

_SERVER_ERROR: Final = 500
_STREAM_HEADERS: Final = {
    "Cache-Control": "no-store",
    # nginx sends each event on at once. Other proxies ignore it.
    "X-Accel-Buffering": "no",
}


async def error_response(request: Request, error: Exception) -> Response:
    """The response to a request that an error of this library has ended, as JSON.

    It is an exception handler: `Starlette(exception_handlers={FeatherError: error_response})`, or in FastAPI
    `app.add_exception_handler(FeatherError, error_response)`.

    `featherhq.contrib.responses` says which status it has, and what is in its body. The error itself is logged if the
    status is 500 or more.

    Raises:
        Exception: it is not an error of this library.
    """
    if not isinstance(error, FeatherError):
        raise error
    _log(error, f"{request.method} {request.url.path}")
    return JSONResponse(body_of(error), status_of(error), headers_of(error))


class EventStreams:
    """Relays conversations to browsers, as Server-Sent Events, and ends these streams when the server stops.

    Enter it in the lifespan of the application, after the client. A server waits for open responses before the
    lifespan ends. So in the main thread, it listens to SIGTERM and SIGINT, and calls the handlers that were set before.
    If your server stops in another way, call `end`.

    Args:
        heartbeat: Seconds without a message, after which an event `heartbeat` is sent. It keeps the connection open in
            proxies, and shows each side that the other one is there.
        reconnect: Seconds after which a browser that has lost its stream opens it again.

    Raises:
        InvalidArgumentError: an argument is not a number of seconds above 0.
    """

    def __init__(self, *, heartbeat: float = 15.0, reconnect: float = 1.0) -> None:
        self._heartbeat = seconds("heartbeat", heartbeat)
        self._reconnect = seconds("reconnect", reconnect)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._signals: dict[int, Callable[[int, FrameType | None], Any]] = {}

    async def __aenter__(self) -> Self:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                earlier = signal.getsignal(number)
                # Without a handler, the signal ends the process at once, or is ignored. That stays so.
                if callable(earlier):
                    self._signals[number] = earlier
                    signal.signal(number, self._signalled)
        return self

    async def __aexit__(self, *_: object) -> None:
        for number, earlier in self._signals.items():
            # Somebody who has set a handler later may still call this one.
            if signal.getsignal(number) == self._signalled:
                signal.signal(number, earlier)
        self._ending.set()
        if self._relays:
            await asyncio.wait(self._relays)
        self._loop = None

    def end(self) -> None:
        """End all streams, also those that are opened later. Any thread may call it.

        Browsers open their streams again after `reconnect` seconds, and go on where they were.
        """
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._ending.set)

    def response(
        self,
        thread: AsyncThread,
        *,
        data: Callable[[Message], object] = message_data,
        timeout: float | None = 10.0,
    ) -> Response:
        """A response that sends the new messages of the agent to a browser, as long as the browser stays.

        The id of each event is a bookmark. A browser that reconnects sends the last one as `Last-Event-ID`, and the
        conversation goes on there. A page may also open the stream with `?after=` and a bookmark. Without both, the
        stream begins with new messages. The first event, `ready`, comes at once and brings a bookmark, and the time of
        the heartbeat as data. A page that reads the history after it has missed nothing.

        If the stream cannot be opened, the exception handler of the application makes the response: 400 if the bookmark
        is damaged or belongs to another thread. If messages cannot be received any more, an event `failure` with the
        body of `error_response` comes, and the stream ends.

        Args:
            thread: The thread. Check before that it belongs to the visitor.
            data: Makes the data of an event from a message. Its result is encoded as JSON.
            timeout: Seconds that the opening may take; `None` for the client's own.

        Raises:
            UsageError: these streams are not entered.
        """
        if self._loop is None:
            raise UsageError(
                "these EventStreams are not open",
                hint="Enter them in the lifespan: async with EventStreams() as streams:",
            )
        return _EventStream(
            thread,
            data,
            heartbeat=self._heartbeat,
            reconnect=self._reconnect,
            timeout=timeout,
            ending=self._ending,
            relays=self._relays,
        )

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.end()
        self._signals[number](number, frame)


class _EventStream(Response):
    """The response of `EventStreams.response`."""

    media_type = "text/event-stream"

    def __init__(
        self,
        thread: AsyncThread,
        data: Callable[[Message], object],
        *,
        heartbeat: float,
        reconnect: float,
        timeout: float | None,
        ending: asyncio.Event,
        relays: set[asyncio.Task[None]],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_STREAM_HEADERS)
        self._thread = thread
        self._data = data
        self._heartbeat = heartbeat
        self._reconnect = reconnect
        self._timeout = timeout
        self._ending = ending
        self._relays = relays
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay the conversation until the browser is gone, the server stops, or the conversation fails."""
        relay = asyncio.create_task(self._relay(_place(scope), send))
        self._relays.add(relay)
        gone, ending = asyncio.create_task(_gone(receive)), asyncio.create_task(self._ending.wait())
        tasks = (relay, gone, ending)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            browser_left = gone.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._relays.discard(relay)
        error = None if relay.cancelled() else relay.exception()
        if error is not None and not isinstance(error, FeatherError | ClientDisconnect):
            raise error
        if not browser_left:
            with suppress(ClientDisconnect):
                await self._finish(scope, send, error)

    async def _finish(self, scope: Scope, send: Send, error: FeatherError | ClientDisconnect | None) -> None:
        """End the response. An error before its first byte passes to the exception handler of the application."""
        if error is not None and not self._started:
            raise error
        await self._start(send)
        if isinstance(error, FeatherError):
            _log(error, f"{scope['method']} {scope['path']}")
            await self._write(send, f"event: failure\ndata: {json.dumps(body_of(error))}\n\n")
        await self._write(send, "", more=False)

    async def _relay(self, after: str | None, send: Send) -> None:
        async with self._thread.conversation(after=after, timeout=self._timeout) as chat:
            await self._start(send)
            # With this id, the browser loses nothing if the connection breaks before the first message.
            ready = json.dumps({"heartbeat": self._heartbeat})
            await self._write(send, f"event: ready\nid: {chat.bookmark}\ndata: {ready}\n\n")
            while True:
                async for message in chat.replies(self._heartbeat):
                    data = json.dumps(self._data(message))
                    await self._write(send, f"id: {chat.bookmark}\ndata: {data}\n\n")
                # Not a comment: no page sees comments, and some connections die without a word.
                await self._write(send, "event: heartbeat\ndata: {}\n\n")

    async def _start(self, send: Send) -> None:
        if not self._started:
            self._started = True
            await _sent(send, type="http.response.start", status=self.status_code, headers=self.raw_headers)
            await self._write(send, f"retry: {math.ceil(self._reconnect * 1000)}\n\n")

    async def _write(self, send: Send, text: str, *, more: bool = True) -> None:
        await _sent(send, type="http.response.body", body=text.encode(), more_body=more)


async def _sent(send: Send, **message: object) -> None:
    """Send a part of the response.

    Raises:
        ClientDisconnect: the browser is gone. Newer servers say so with an `OSError`.
    """
    try:
        await send(message)
    except OSError:
        raise ClientDisconnect from None


def _place(scope: Scope) -> str | None:
    """Where the browser goes on. A browser that reconnects repeats the URL, so its header is younger."""
    return Headers(scope=scope).get("last-event-id") or QueryParams(scope["query_string"]).get("after") or None


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Wait until the browser is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _log(error: FeatherError, request: str) -> None:
    status = status_of(error)
    if status >= _SERVER_ERROR:
        logger.error("%s was answered with %d: %s", request, status, error, exc_info=error)
