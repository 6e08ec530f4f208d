"""The sandbox over HTTP: routes from the contract, answers in its form, and faults where they are asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

from attrs import define, field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from featherhq.errors import phrase
from featherhq.sandbox import _checks, _faults
from featherhq.sandbox._contract import operations
from featherhq.sandbox._state import ClosedThreadError, State, UnknownThreadError, as_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from featherhq.models import Message
    from featherhq.sandbox._contract import Operation
    from featherhq.sandbox._faults import Fault
    from featherhq.sandbox._limit import Counter

logger: Final = logging.getLogger("featherhq.sandbox")

# Faults that answer in the place of the work, and those that come after it.
_NOT_HTTP: Final = b"This is not HTTP.\r\n\r\n"
_ANY: Final = "*"
_KEY_HEADER: Final = "x-api-key"
_STRUCK: Final = "***"
# A key that is shorter is struck out as a whole word alone: no secret, and else a key "k" would garble every text.
_LEAST_SECRET: Final = 8


@define(eq=False)
class RecordedRequest:
    """A request that the sandbox saw. Where it held an API key, right or wrong, it says `***`.

    Attributes:
        operation: The `operationId`, or `""` for what the contract does not know.
        method: The HTTP method.
        path: The path.
        query: The query's parameters.
        headers: The headers, without the key.
        body: The body.
        at: When it came, in seconds since 1970.
        status: The status it was answered with, heard or not; `None` while, or if, it is not answered.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    at: float
    status: int | None = None


class App:
    """The whole of it but the sockets. Lives on one event loop; what other threads may call says so."""

    def __init__(
        self,
        state: State,
        agent: Callable[[str, list[Message]], str | list[str]],
        *,
        api_key: str,
        limit: Counter | None,
        heartbeat: float,
        stream_life: tuple[float, float] | None,
        envelope: str | None,
        transports: Mapping[Any, asyncio.Transport],
    ) -> None:
        self.state = state
        self.requests: list[RecordedRequest] = []
        self.seen = threading.Condition()
        self._agent = agent
        self._api_key = api_key
        self._limit = limit
        self._heartbeat = heartbeat
        self._stream_life = stream_life
        self._envelope = envelope
        self._transports = transports
        self._faults: dict[tuple[str, str | None], deque[Fault]] = defaultdict(deque)
        self._injecting = threading.Lock()
        self._streams: dict[str, set[asyncio.Queue[dict[str, Any]]]] = defaultdict(set)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: dict[str, Callable[[Request, Any], dict[str, Any]]] = {
            "createThread": self._create,
            "getThread": self._get,
            "updateThread": self._update,
            "closeThread": self._close,
            "sendMessage": self._send,
        }
        by_path: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations():
            by_path[operation.path].append(operation)
        routes = [Route(path, _Endpoint(self, known)) for path, known in by_path.items()]
        self.asgi = Starlette(routes=[*routes, Route("/{path:path}", _Endpoint(self, []))])

    def inject(self, operation: str, fault: Fault, times: int, thread_id: str | UUID | None) -> None:
        """Arrange for faults. For any thread."""
        name = operation if operation == _ANY else known_operation(operation, _ANY)
        _faults.check(fault, None if name == _ANY else name)
        _checks.whole("times", times, 1)
        thread = None if thread_id is None else _checks.thread("thread_id", thread_id)
        paths = [known.path for known in operations() if name in (_ANY, known.id)]
        if thread is not None and not any("{threadId}" in path for path in paths):
            raise ValueError(f"thread_id: {name} is about no thread that there is already; leave thread_id out")
        with self._injecting:
            self._faults[name, thread].extend([fault] * times)

    def forget_faults(self) -> None:
        """Call off what has not gone wrong yet. For any thread."""
        with self._injecting:
            self._faults.clear()

    def say(self, thread_id: str, text: str) -> Message:
        """Have the agent say something. For the loop's own thread."""
        message = self.state.say(thread_id, text)
        for queue in self._streams[message["threadId"]]:
            queue.put_nowait(message)
        return as_message(message)

    async def handle(self, known: list[Operation], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it go wrong."""
        request = Request(scope, receive)
        operation = next((known for known in known if known.method == request.method), None)
        body = await request.body()
        recorded = self._record(request, operation, body)
        fault = None if operation is None else self._take(operation.id, request.path_params.get("threadId", ""))
        if isinstance(fault, _faults.CutBefore):
            return await self._cut(scope)
        if isinstance(fault, _faults.Garbage):
            return await self._write_raw(scope, [_NOT_HTTP])
        if isinstance(fault, _faults.Stall) and not fault.after and not await _stall(fault, receive):
            return None
        response = None if isinstance(fault, _faults.Status) and fault.after else _instead(fault)
        response = response or self._checked(request, known, operation)
        if response is None and operation is not None:
            response = self._answer(request, operation, body, fault)
            if isinstance(fault, _faults.Status) and fault.after:
                response = _instead(fault)
        if isinstance(fault, _faults.CutAfter):
            return await self._cut(scope)
        if isinstance(fault, _faults.Stall) and fault.after and not await _stall(fault, receive):
            return None
        if response is None:
            return await self._stream(request, recorded, fault, send)
        recorded.status = response.status_code
        response.headers["X-Request-Id"] = str(uuid4())
        if isinstance(fault, _faults.Drip):
            return await self._drip(scope, response, fault)
        return await response(scope, receive, send)

    def _record(self, request: Request, operation: Operation | None, body: bytes) -> RecordedRequest:
        strike = _striker(self._api_key, *request.headers.getlist(_KEY_HEADER))
        headers = [item for item in request.headers.items() if item[0] != _KEY_HEADER]
        recorded = RecordedRequest(
            operation="" if operation is None else operation.id,
            method=request.method,
            path=strike(request.url.path),
            query={strike(name): strike(value) for name, value in request.query_params.items()},
            headers={strike(name): strike(value) for name, value in headers},
            # Each byte is a character there, so that bytes that are no text stay as they are.
            body=strike(body.decode("latin-1")).encode("latin-1"),
            at=time.time(),
        )
        with self.seen:
            self.requests.append(recorded)
            self.seen.notify_all()
        return recorded

    def _take(self, operation: str, thread_id: str) -> Fault | None:
        with self._injecting:
            for name in (operation, _ANY):
                for thread in (thread_id.lower(), None):
                    waiting = self._faults.get((name, thread), deque())
                    for place, fault in enumerate(waiting):
                        # What does nothing here waits for a request to which it does.
                        if operation in fault.fits:
                            del waiting[place]
                            return fault
        return None

    def _checked(self, request: Request, known: list[Operation], operation: Operation | None) -> Response | None:
        """The refusal of a request that is not let in."""
        if not known:
            return _error(HTTPStatus.NOT_FOUND, "There is nothing at this path")
        if operation is None:
            allowed = ", ".join(operation.method for operation in known)
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed}", {"Allow": allowed})
        if request.headers.get(_KEY_HEADER) != self._api_key:
            return _error(HTTPStatus.UNAUTHORIZED, "The API key is missing or invalid")
        if self._limit is not None and not self._limit.take(time.monotonic()):
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests", {"Retry-After": "1"})
        return None

    def _answer(self, request: Request, operation: Operation, body: bytes, fault: Fault | None) -> Response | None:
        """The answer, or `None` for a stream, which is one that goes on."""
        try:
            data = _decode(request, body) if operation.takes_body else None
            problem = operation.problem(request.path_params, request.query_params, data)
            if problem is not None:
                return _error(HTTPStatus.BAD_REQUEST, problem)
            if operation.id == "streamMessages":
                self.state.get(request.path_params["threadId"])
                return None
            if operation.id == "listMessages":
                return _json(HTTPStatus.OK, self._list(request, fault))
            if operation.id not in self._work:
                return _error(HTTPStatus.NOT_IMPLEMENTED, f"The sandbox does not know {operation.id} yet")
            return _json(HTTPStatus.OK, self._work[operation.id](request, data))
        except ValueError as error:
            return _error(HTTPStatus.BAD_REQUEST, f"body: {error}")
        except UnknownThreadError:
            return _error(HTTPStatus.NOT_FOUND, "Thread not found")
        except ClosedThreadError:
            return _error(HTTPStatus.BAD_REQUEST, "The thread is closed")

    def _create(self, _: Request, body: Any) -> dict[str, Any]:
        created = self.state.create(body["agentId"], body.get("metadata", {}), body.get("variables", {}))
        return {"thread": created}

    def _get(self, request: Request, _: Any) -> dict[str, Any]:
        return {"thread": self.state.get(request.path_params["threadId"]).details}

    def _update(self, request: Request, body: Any) -> dict[str, Any]:
        thread_id = request.path_params["threadId"]
        return {"thread": self.state.update(thread_id, body.get("metadata", {}), body.get("variables", {}))}

    def _close(self, request: Request, body: Any) -> dict[str, Any]:
        return {"thread": self.state.close(request.path_params["threadId"], body.get("reason"))}

    def _list(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        names = ("limit", "cursor", "direction", "status")
        page = self.state.page(
            request.path_params["threadId"],
            *(request.query_params.get(name) for name in names),
            hidden=fault.messages if isinstance(fault, _faults.Lag) else 0,
            without=fault.text if isinstance(fault, _faults.Hide) else None,
        )
        if isinstance(fault, _faults.Reorder):
            random.Random(fault.seed).shuffle(page["messages"])  # noqa: S311 - not for secrets
        return {"thread": page}

    def _send(self, request: Request, body: Any) -> dict[str, Any]:
        accepted = self.state.accept(request.path_params["threadId"], body["message"])
        task = asyncio.create_task(self._reply(accepted["threadId"], accepted["messageId"], body["message"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return accepted

    async def _reply(self, thread_id: str, message_id: str, text: str) -> None:
        async with self._turns[thread_id]:
            history = [said for said in self.state.get(thread_id).history() if said.id != message_id]
            replies = await _in_thread(self._said, text, history)
            for reply in replies:
                self.say(thread_id, reply)

    def _said(self, text: str, history: list[Message]) -> list[str]:
        """What the agent says to a message; nothing where it fails."""
        try:
            return _replies(self._agent(text, history))
        except Exception:  # noqa: BLE001 - whatever it is, it must not end the sandbox
            # As text, since the error may quote the key.
            trace = _striker(self._api_key)(traceback.format_exc())
            logger.error("the agent failed, and gives no reply\n%s", trace)  # noqa: TRY400
            return []

    async def _stream(self, request: Request, recorded: RecordedRequest, fault: Fault | None, send: Send) -> None:
        thread_id = request.path_params["threadId"].lower()
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        if isinstance(fault, _faults.Replay):
            for message in self.state.get(thread_id).last_said(fault.messages):
                queue.put_nowait(message)
        # Before the head goes out: who has seen it may send, and must not miss the reply.
        if not isinstance(fault, _faults.Mute):
            self._streams[thread_id].add(queue)
        gone = asyncio.create_task(_disconnected(request.receive))
        end = self._end_in_time(request.scope)
        try:
            if isinstance(fault, _faults.HoldHead):
                await asyncio.wait({gone}, timeout=fault.seconds)
            if gone.done():
                return
            recorded.status = HTTPStatus.OK
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-request-id", str(uuid4()).encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
            await self._send_events(request, queue, gone, fault, send)
        finally:
            self._streams[thread_id].discard(queue)
            gone.cancel()
            if end is not None:
                end.cancel()

    def _end_in_time(self, scope: Scope) -> asyncio.TimerHandle | None:
        """What cuts a stream when its life is over, if it is to be cut."""
        if self._stream_life is None:
            return None
        life = random.uniform(*self._stream_life)  # noqa: S311 - not for secrets
        return asyncio.get_running_loop().call_later(life, self._abort, scope)

    async def _send_events(
        self,
        request: Request,
        queue: asyncio.Queue[dict[str, Any]],
        gone: asyncio.Task[None],
        fault: Fault | None,
        send: Send,
    ) -> None:
        """Send events and heartbeats until the caller is gone, or a fault ends the stream."""
        cut = fault if isinstance(fault, _faults.CutStream) else None
        skipped = fault.events if isinstance(fault, _faults.Skip) else ()
        times = 2 if isinstance(fault, _faults.Duplicate) else 1
        events = sent = 0
        while cut is None or cut.after_events is None or events < cut.after_events:
            chunk = await self._next_event(queue, gone)
            if chunk is None:
                return
            if not chunk.startswith(b":"):
                events += 1
                if events in skipped:
                    continue
                chunk *= times
            if cut is not None and cut.after_bytes is not None:
                chunk = chunk[: cut.after_bytes - sent]
            sent += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if cut is not None and sent == cut.after_bytes:
                break
        if cut.clean:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._cut(request.scope)

    async def _next_event(self, queue: asyncio.Queue[dict[str, Any]], gone: asyncio.Task[None]) -> bytes | None:
        """The next event or heartbeat; `None` where the caller is gone."""
        waiting = asyncio.create_task(queue.get())
        done, _ = await asyncio.wait({waiting, gone}, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
        if waiting not in done:
            waiting.cancel()
            return None if gone in done else b": heartbeat\n\n"
        message = waiting.result()
        data = message if self._envelope is None else {self._envelope: message}
        return f"id: {message['id']}\nevent: message\ndata: {json.dumps(data)}\n\n".encode()

    def _abort(self, scope: Scope) -> None:
        # The caller may have left of its own accord.
        with suppress(KeyError):
            self._transports[tuple(scope["client"])].abort()

    async def _cut(self, scope: Scope) -> None:
        self._abort(scope)
        # The server hears of it in the loop's next turn, and then asks for no response.
        await asyncio.sleep(0)

    async def _write_raw(self, scope: Scope, parts: list[bytes], interval: float = 0) -> None:
        transport = self._transports[tuple(scope["client"])]
        for part in parts:
            if transport.is_closing():
                break
            transport.write(part)
            await asyncio.sleep(interval)
        transport.close()
        await asyncio.sleep(0)

    async def _drip(self, scope: Scope, response: Response, fault: _faults.Drip) -> None:
        lines = [f"HTTP/1.1 {response.status_code} {phrase(response.status_code)}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        lines += [b"connection: close"]
        whole = b"\r\n".join([*lines, b"", bytes(response.body)])
        await self._write_raw(scope, [whole[i : i + 1] for i in range(len(whole))], fault.interval)


class _Endpoint:
    """All operations of one path. An object, since Starlette lets a function answer GET alone."""

    def __init__(self, app: App, known: list[Operation]) -> None:
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app.handle(self._known, scope, receive, send)


def _replies(said: object) -> list[str]:
    replies: list[Any] = list(said) if isinstance(said, Iterable) and not isinstance(said, str) else [said]
    for reply in replies:
        _checks.instance("a reply of the agent", reply, str, "a string")
    return replies


def known_operation(name: str, *others: str) -> str:
    """An operation's own name, from that in either spelling; the error lists them, and what else may be said.

    Raises:
        TypeError: it is no string.
        ValueError: there is no such operation.
    """
    _checks.instance("operation", name, str, "an operationId such as 'sendMessage'")
    known = {known.id.replace("_", "").lower(): known.id for known in operations()}
    found = known.get(name.replace("_", "").lower())
    if found is None:
        raise ValueError(f"no operation {name!r}; there are {', '.join([*known.values(), *others])}")
    return found


@lru_cache(maxsize=8)
def _striker(*keys: str) -> Callable[[str], str]:
    """What strikes keys out of a text, in whatever form a request may hold them."""
    patterns = []
    for key in filter(None, keys):
        for form in {key, quote(key, safe=""), quote(key), json.dumps(key)[1:-1]}:
            whole = re.escape(form)
            patterns.append(whole if len(key) >= _LEAST_SECRET else rf"(?<!\w){whole}(?!\w)")
    # The longest first, as one may be a part of another.
    pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)))
    return lambda text: pattern.sub(_STRUCK, text)


def _instead(fault: Fault | None) -> Response | None:
    """The answer that a fault gives in the place of the work."""
    if isinstance(fault, _faults.Status):
        if fault.body is None:
            return _error(fault.code, phrase(fault.code), fault.headers)
        return Response(fault.body, fault.code, dict(fault.headers), "application/json")
    if isinstance(fault, _faults.Html):
        page = f"<html><body><h1>{fault.code} {phrase(fault.code)}</h1></body></html>"
        return Response(page, fault.code, media_type="text/html")
    if isinstance(fault, _faults.Body):
        return Response(fault.content, fault.code, media_type=fault.content_type)
    return None


def _decode(request: Request, body: bytes) -> Any:
    if not body:
        # The vendor's pages require no body. What is required inside will be missed all the same.
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ValueError("expected application/json")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _json(status: int, data: object, headers: Mapping[str, str] | None = None) -> Response:
    # ASCII alone, since JSON may hold half a surrogate pair and UTF-8 may not.
    return Response(json.dumps(data), status, dict(headers or {}), "application/json")


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    try:
        code = HTTPStatus(status).name
    except ValueError:
        code = "UNKNOWN"
    body = {"status": status, "message": message, "code": code, "success": False}
    return _json(status, body, headers)


async def _stall(fault: _faults.Stall, receive: Receive) -> bool:
    """Say nothing for a while; whether there is anything to be said afterwards."""
    if fault.seconds is None:
        await _disconnected(receive)
        return False
    await asyncio.sleep(fault.seconds)
    return True


async def _disconnected(receive: Receive) -> None:
    # The body has been read, so there is nothing else left to come.
    await receive()


async def _in_thread(agent: Callable[[str, list[Message]], list[str]], text: str, history: list[Message]) -> list[str]:
    """What the agent says. In a thread of its own, one that does not keep the program: the agent may block."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[list[str]] = loop.create_future()

    def done(replies: list[str]) -> None:
        # Nobody waits for it any more where the sandbox is being stopped.
        with suppress(asyncio.InvalidStateError):
            said.set_result(replies)

    def run() -> None:
        replies = agent(text, history)
        try:
            loop.call_soon_threadsafe(done, replies)
        except RuntimeError:
            logger.debug("the agent answered after the sandbox had ended")

    threading.Thread(target=run, name="feather-sandbox-agent", daemon=True).start()
    return await said
