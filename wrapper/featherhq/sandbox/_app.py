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
from featherhq.sandbox._answers import Answers
from featherhq.sandbox._connections import Connections, disconnected
from featherhq.sandbox._contract import KnownOperations, template
from featherhq.sandbox._fault_queue import FaultQueue
from featherhq.sandbox._operations import Operations, RefusedError, read_body
from featherhq.sandbox._requests import KEY_HEADER, RequestLog
from featherhq.sandbox._responses import error_response, fault_response
from featherhq.sandbox._state import as_message
from featherhq.sandbox._stream import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from featherhq.models import Message
    from featherhq.sandbox._answers import Answer, NoResponse
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
        known: The operations. Any thread may read them.
        faults: The faults that were injected. Any thread may use it.
        answers: The functions that answer operations.
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
        self.known = KnownOperations()
        self.faults = FaultQueue(self.known)
        self.answers = Answers(api_key)
        self._api_key = api_key
        self._limit = limit
        self._keeper = keeper
        self._stream_settings = stream_settings
        self._connections = Connections(transports)
        self._streams: dict[str, set[EventStream]] = defaultdict(set)
        self._agent = AgentRunner(agent, state, self.reply, api_key)
        self._operations = Operations(state, self.accepted)
        self._asgi = Starlette(routes=self._routes())

    def _routes(self) -> list[Route]:
        by_path: dict[str, list[Operation]] = defaultdict(list)
        for operation in self.known:
            by_path[template(operation.path)].append(operation)
        # A path without parameters comes before one with them (OpenAPI 3.0, section 4.7.8).
        paths = sorted(by_path, key=lambda path: [part == "{}" for part in path.split("/")])
        routes = [Route(by_path[path][0].path, _Endpoint(self, by_path[path])) for path in paths]
        return [*routes, Route("/{path:path}", _Endpoint(self, []))]

    def answer(self, operation: str, function: Answer) -> None:
        """Let a function answer an operation. See `Sandbox.answer`."""
        self.answers.add(self.known.learn(operation), function)
        self._asgi.router.routes[:] = self._routes()

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

    def reply(self, thread_id: str, message_id: str, replies: list[str]) -> None:
        """Add the agent's replies to a user's message, as `say` does."""
        for message in self.state.answer(thread_id, message_id, replies):
            self._put(message)

    def accepted(self, thread_id: str, message_id: str, text: str) -> None:
        """Go on with a user's message that was added to a thread."""
        self.log.wake()
        self._agent.start(thread_id, message_id, text)

    def _put(self, message: dict[str, Any]) -> None:
        for stream in self._streams[message["threadId"]]:
            stream.put(message)
        self.log.wake()

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
        fault = None if operation is None else self.faults.take(operation.id, recorded.parameters.get("threadId", ""))
        recorded.fault = fault
        if isinstance(fault, _faults.Stall) and not fault.after and not await _stall(fault, receive):
            return None
        response: Response | NoResponse | None
        if isinstance(fault, _faults.CutBefore | _faults.Garbage):
            response = fault
        elif operation is None:
            response = _no_operation(known, recorded)
        else:
            response = await self._respond(request, recorded, operation, body, fault)
        if isinstance(fault, _faults.CutAfter) or isinstance(response, _faults.CutBefore | _faults.CutAfter):
            return await self._connections.cut(scope)
        if isinstance(response, _faults.Garbage):
            return await self._connections.write([_NOT_HTTP], scope)
        if isinstance(fault, _faults.Stall) and fault.after and not await _stall(fault, receive):
            return None
        if response is None:
            return await self._stream(request, recorded, fault, send)
        recorded.status = response.status_code
        response.headers["X-Request-Id"] = str(uuid4())
        if isinstance(fault, _faults.Drip):
            return await self._connections.drip(response, fault.interval, scope)
        return await response(scope, receive, send)

    async def _respond(
        self, request: Request, recorded: RecordedRequest, operation: Operation, body: bytes, fault: Fault | None
    ) -> Response | NoResponse | None:
        """The response, or a fault to apply; `None` if it is an event stream."""
        after = isinstance(fault, _faults.Status) and fault.after
        if not after and (response := fault_response(fault)) is not None:
            return response
        if (response := self._rejection(request)) is not None:
            return response
        answer: Response | NoResponse | None
        try:
            data = read_body(request, operation, body)
        except RefusedError as error:
            answer = error_response(HTTPStatus.BAD_REQUEST, str(error))
        else:
            if operation in self.answers:
                answer = await self.answers.call(operation, recorded)
            else:
                answer = self._operations.run(request, operation, data, fault)
        return fault_response(fault) if after else answer

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


def _no_operation(known: list[Operation], request: RecordedRequest) -> Response:
    """The response if the path has no operation, or none with the request's method (RFC 9110, section 15.5.6)."""
    if not known:
        text = (
            f"The sandbox knows no operation {request.method} {request.path}; say with Sandbox.answer what it returns"
        )
        return error_response(HTTPStatus.NOT_FOUND, text)
    allowed = ", ".join(operation.method for operation in known)
    return error_response(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed}", {"Allow": allowed})


async def _stall(fault: _faults.Stall, receive: Receive) -> bool:
    """Wait as the fault says. Return whether to continue with the request."""
    if fault.seconds is None:
        await disconnected(receive)
        return False
    await asyncio.sleep(fault.seconds)
    return True
