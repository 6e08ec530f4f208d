"""The sandbox's ASGI application. It finds the operation of each request, and sends a response or applies a fault."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from featherhq.sandbox import _faults
from featherhq.sandbox._agent import AgentRunner
from featherhq.sandbox._connections import Connections, disconnected
from featherhq.sandbox._contract import operations
from featherhq.sandbox._fault_queue import FaultQueue
from featherhq.sandbox._operations import Operations
from featherhq.sandbox._requests import KEY_HEADER, RequestLog
from featherhq.sandbox._responses import error_response, fault_response
from featherhq.sandbox._state import as_message
from featherhq.sandbox._stream import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from featherhq.models import Message
    from featherhq.sandbox._contract import Operation
    from featherhq.sandbox._faults import Fault
    from featherhq.sandbox._keep import Keeper
    from featherhq.sandbox._limit import Counter
    from featherhq.sandbox._requests import RecordedRequest
    from featherhq.sandbox._state import State
    from featherhq.sandbox._stream import StreamSettings

_NOT_HTTP: Final = b"This is not HTTP.\r\n\r\n"


class App:
    """The application without its sockets. Only the event loop's thread may call its methods.

    Attributes:
        state: The threads and their messages.
        log: The requests that were received. Any thread may use it.
        faults: The faults that were injected. Any thread may use it.
    """

    def __init__(
        self,
        state: State,
        agent: Callable[[str, list[Message]], str | list[str]],
        *,
        api_key: str,
        limit: Counter | None,
        keeper: Keeper | None,
        stream_settings: StreamSettings,
        transports: Mapping[Any, asyncio.Transport],
    ) -> None:
        self.state = state
        self.log = RequestLog(api_key)
        self.faults = FaultQueue()
        self._api_key = api_key
        self._limit = limit
        self._keeper = keeper
        self._stream_settings = stream_settings
        self._connections = Connections(transports)
        self._streams: dict[str, set[EventStream]] = defaultdict(set)
        self._agent = AgentRunner(agent, state, self.answer, api_key)
        self._operations = Operations(state, self._agent.start)
        by_path: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations():
            by_path[operation.path].append(operation)
        routes = [Route(path, _Endpoint(self, known)) for path, known in by_path.items()]
        self._asgi = Starlette(routes=[*routes, Route("/{path:path}", _Endpoint(self, []))])

    @contextmanager
    def running(self) -> Iterator[Starlette]:
        """Give the application for an ASGI server, and keep the threads in their file until the block ends.

        Raises:
            OSError: The file cannot be opened.
            ValueError: It is not the file of a sandbox, or damaged.
        """
        with nullcontext() if self._keeper is None else self._keeper.keeping(self.state):
            if self._keeper is not None:
                self._agent.resume()
            yield self._asgi

    def say(self, thread_id: str, text: str) -> Message:
        """Add a message of the agent to a thread, and send it to the thread's open streams."""
        message = self.state.say(thread_id, text)
        self._put(message)
        return as_message(message)

    def answer(self, thread_id: str, message_id: str, replies: list[str]) -> None:
        """Add the agent's replies to a user's message, as `say` does."""
        for message in self.state.answer(thread_id, message_id, replies):
            self._put(message)

    def _put(self, message: dict[str, Any]) -> None:
        for stream in self._streams[message["threadId"]]:
            stream.put(message)

    async def handle(self, known: list[Operation], scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Args:
            known: The operations of the request's path.
            scope: The ASGI scope.
            receive: The ASGI function that receives the request's body.
            send: The ASGI function that sends the response.
        """
        request = Request(scope, receive)
        operation = next((one for one in known if one.method == request.method), None)
        body = await request.body()
        recorded = self.log.add(request, operation, body)
        fault = None if operation is None else self.faults.take(operation.id, request.path_params.get("threadId", ""))
        if isinstance(fault, _faults.CutBefore):
            return await self._connections.cut(scope)
        if isinstance(fault, _faults.Garbage):
            return await self._connections.write([_NOT_HTTP], scope)
        if isinstance(fault, _faults.Stall) and not fault.after and not await _stall(fault, receive):
            return None
        response = self._respond(request, known, operation, body, fault)
        if isinstance(fault, _faults.CutAfter):
            return await self._connections.cut(scope)
        if isinstance(fault, _faults.Stall) and fault.after and not await _stall(fault, receive):
            return None
        if response is None:
            return await self._stream(request, recorded, fault, send)
        recorded.status = response.status_code
        response.headers["X-Request-Id"] = str(uuid4())
        if isinstance(fault, _faults.Drip):
            return await self._connections.drip(response, fault.interval, scope)
        return await response(scope, receive, send)

    def _respond(
        self, request: Request, known: list[Operation], operation: Operation | None, body: bytes, fault: Fault | None
    ) -> Response | None:
        """The response; `None` if it is an event stream."""
        after = isinstance(fault, _faults.Status) and fault.after
        if not after and (response := fault_response(fault)) is not None:
            return response
        if operation is None:
            return _no_operation(known)
        if (response := self._rejection(request)) is not None:
            return response
        response = self._operations.run(request, operation, body, fault)
        return fault_response(fault) if after else response

    def _rejection(self, request: Request) -> Response | None:
        """The response to a request with a wrong API key or above the rate limit; `None` for any other request."""
        if request.headers.get(KEY_HEADER) != self._api_key:
            return error_response(HTTPStatus.UNAUTHORIZED, "The API key is missing or invalid")
        if self._limit is not None and not self._limit.take(time.monotonic()):
            return error_response(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests", {"Retry-After": "1"})
        return None

    async def _stream(self, request: Request, recorded: RecordedRequest, fault: Fault | None, send: Send) -> None:
        thread_id = request.path_params["threadId"].lower()
        stream = EventStream(request, send, fault, self._stream_settings, self._connections)
        if isinstance(fault, _faults.Replay):
            for message in self.state.get(thread_id).last_said(fault.messages):
                stream.put(message)
        # Register before the head is sent. A client that has the head may send a message, and must get its reply.
        if not isinstance(fault, _faults.Mute):
            self._streams[thread_id].add(stream)
        try:
            await stream.run(recorded)
        finally:
            self._streams[thread_id].discard(stream)


class _Endpoint:
    """All operations of one path. It is an object, because Starlette allows a function the method GET only."""

    def __init__(self, app: App, known: list[Operation]) -> None:
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app.handle(self._known, scope, receive, send)


def _no_operation(known: list[Operation]) -> Response:
    """The response if the path has no operation, or none with the request's method (RFC 9110, section 15.5.6)."""
    if not known:
        return error_response(HTTPStatus.NOT_FOUND, "There is nothing at this path")
    allowed = ", ".join(operation.method for operation in known)
    return error_response(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed}", {"Allow": allowed})


async def _stall(fault: _faults.Stall, receive: Receive) -> bool:
    """Wait as the fault says. Return whether to continue with the request."""
    if fault.seconds is None:
        await disconnected(receive)
        return False
    await asyncio.sleep(fault.seconds)
    return True
