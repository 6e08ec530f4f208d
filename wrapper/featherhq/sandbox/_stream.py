"""Event streams: the responses to `streamMessages`, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import define, field, frozen

from featherhq.sandbox import _faults
from featherhq.sandbox._connections import disconnected

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Send

    from featherhq.sandbox._connections import Connections
    from featherhq.sandbox._faults import Fault
    from featherhq.sandbox._requests import RecordedRequest


@frozen
class StreamSettings:
    """What all streams of a sandbox have in common.

    Attributes:
        heartbeat: Seconds without an event, after which a comment is sent.
        life: The shortest and the longest time in seconds, after which a stream is cut; `None` for never.
        envelope: The field of an event's data that holds the message; `None` if the data is the message itself.
    """

    heartbeat: float
    life: tuple[float, float] | None
    envelope: str | None


@define(eq=False)
class EventStream:
    """One event stream."""

    _request: Request
    _send: Send
    _fault: Fault | None
    _settings: StreamSettings
    _connections: Connections
    _messages: asyncio.Queue[dict[str, Any]] = field(factory=asyncio.Queue, init=False)

    def put(self, message: dict[str, Any]) -> None:
        """Send a message as the stream's next event."""
        self._messages.put_nowait(message)

    async def run(self, recorded: RecordedRequest) -> None:
        """Send the head, then events, until the client disconnects or the stream is cut."""
        gone = asyncio.create_task(disconnected(self._request.receive))
        timer = self._cut_later()
        try:
            if isinstance(self._fault, _faults.HoldHead):
                await asyncio.wait({gone}, timeout=self._fault.seconds)
            if gone.done():
                return
            recorded.status = HTTPStatus.OK
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-request-id", str(uuid4()).encode()),
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._write(b": open\n\n")
            await self._send_events(gone)
        finally:
            gone.cancel()
            if timer is not None:
                timer.cancel()

    def _cut_later(self) -> asyncio.TimerHandle | None:
        """Start the timer that cuts the stream; `None` if there is no time limit."""
        if self._settings.life is None:
            return None
        life = random.uniform(*self._settings.life)  # noqa: S311 - not for secrets
        return asyncio.get_running_loop().call_later(life, self._connections.abort, self._request.scope)

    async def _send_events(self, gone: asyncio.Task[None]) -> None:
        """Send events and heartbeats until the client disconnects or a fault ends the stream."""
        cut = self._fault if isinstance(self._fault, _faults.CutStream) else None
        skipped = self._fault.events if isinstance(self._fault, _faults.Skip) else ()
        times = 2 if isinstance(self._fault, _faults.Duplicate) else 1
        events = sent = 0
        while cut is None or cut.after_events is None or events < cut.after_events:
            chunk = await self._next_chunk(gone)
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
            await self._write(chunk)
            if cut is not None and sent == cut.after_bytes:
                break
        if cut.clean:
            await self._write(b"", more=False)
        else:
            await self._connections.cut(self._request.scope)

    async def _next_chunk(self, gone: asyncio.Task[None]) -> bytes | None:
        """The next event or heartbeat; `None` if the client has disconnected."""
        waiting = asyncio.create_task(self._messages.get())
        done, _ = await asyncio.wait(
            {waiting, gone}, timeout=self._settings.heartbeat, return_when=asyncio.FIRST_COMPLETED
        )
        if waiting not in done:
            waiting.cancel()
            return None if gone in done else b": heartbeat\n\n"
        message = waiting.result()
        data = message if self._settings.envelope is None else {self._settings.envelope: message}
        return f"id: {message['id']}\nevent: message\ndata: {json.dumps(data)}\n\n".encode()

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
