"""Runs plans in the calling task. Its twin is `_pump.py`."""

from __future__ import annotations

import asyncio
from asyncio import Event, Queue, QueueEmpty
from contextlib import AsyncExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

import httpx

from featherhq._aiohttp import AsyncClient
from featherhq._steps import READ_AHEAD, Answer, Exchange, Failure, HangUp, Pause, ReadStream, Sleep
from featherhq._transport import Clients, build, failure, has_begun

if TYPE_CHECKING:
    from featherhq._steps import Plan, Step

T = TypeVar("T")


class AsyncLine:
    """At most one open stream, read ahead by a task of its own, so that a wait for it can end without ending it."""

    def __init__(self) -> None:
        self._closed = Event()
        self._stream: _Stream | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose()

    async def hold(self, response: httpx.Response) -> None:
        """Keep a stream, in the place of the one there was."""
        before, self._stream = self._stream, _Stream(response)
        await _end(before)
        if self._closed.is_set():
            await self.hang_up()

    async def read(self, seconds: float) -> bytes | Failure | None:
        """As `ReadStream`."""
        return b"" if self._stream is None else await self._stream.read(seconds)

    async def pause(self, seconds: float) -> bool:
        """As `Pause`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()

    async def hang_up(self) -> None:
        """Close the stream, if there is one."""
        stream, self._stream = self._stream, None
        await _end(stream)

    async def aclose(self) -> None:
        """Close the stream, and those that would be held from now on."""
        self._closed.set()
        await self.hang_up()


class _Stream:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks: Queue[bytes | Failure] = Queue(READ_AHEAD)
        self._task = asyncio.create_task(_read_ahead(response, self._chunks), name="featherhq-stream")

    async def read(self, seconds: float) -> bytes | Failure | None:
        with suppress(QueueEmpty):
            return self._chunks.get_nowait()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._chunks.get()
        return None

    async def aclose(self) -> None:
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            # Also where this task is cancelled meanwhile, or the other had not begun.
            await self._response.aclose()
        with suppress(QueueEmpty):
            while True:
                self._chunks.get_nowait()
        # Whoever waits for it shall not wait in vain.
        self._chunks.put_nowait(b"")


async def _read_ahead(response: httpx.Response, chunks: Queue[bytes | Failure]) -> None:
    # Not a method: what is read into must not hold on to who reads, or only the garbage collector would end both.
    end: bytes | Failure = b""
    try:
        async for chunk in response.aiter_bytes():
            await chunks.put(chunk)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
        end = failure(error)
    await chunks.put(end)


async def _end(stream: _Stream | None) -> None:
    if stream is not None:
        await stream.aclose()


class AsyncPump:
    """Takes the steps of plans, one after the other, over connections that it keeps."""

    def __init__(self, http_client: httpx.AsyncClient | None) -> None:
        self._clients = Clients(http_client, httpx.AsyncClient, AsyncClient)
        self._lines: WeakSet[AsyncLine] = WeakSet()

    def line(self) -> AsyncLine:
        """A line for a plan that opens a stream. It is closed with the client, if not before."""
        line = AsyncLine()
        self._lines.add(line)
        return line

    async def run(self, plan: Plan[T], line: AsyncLine | None = None) -> T:
        """Run a plan to its end; one that opens a stream needs a line to hold it."""
        with closing(plan):
            result: Any = None
            while True:
                try:
                    step = plan.send(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                result = await self._take(step, line)

    async def aclose(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        own = self._clients.close()
        for line in list(self._lines):
            await line.aclose()
        for client in own:
            await client.aclose()

    async def _take(self, step: Step, line: AsyncLine | None) -> Any:
        if isinstance(step, Exchange):
            return await self._exchange(step, line)
        if isinstance(step, Sleep):
            return await asyncio.sleep(step.seconds)
        assert line is not None  # noqa: S101 - the other steps are of plans that have one
        if isinstance(step, Pause):
            return await line.pause(step.seconds)
        if isinstance(step, ReadStream):
            return await line.read(step.seconds)
        assert isinstance(step, HangUp)  # noqa: S101 - there are no others
        return await line.hang_up()

    async def _exchange(self, step: Exchange, line: AsyncLine | None) -> Answer | Failure:
        client = self._clients.get(streams=step.streaming)
        request = build(client, step)
        async with AsyncExitStack() as until_read:
            try:
                async with asyncio.timeout(step.cut):
                    response = await client.send(request, stream=True, follow_redirects=False)
                    until_read.push_async_callback(response.aclose)
                    if line is None or not step.stays_open(response.status_code, response.headers):
                        content = await response.aread()
                        return Answer(response.status_code, response.headers, content)
                has_begun(request)
                until_read.pop_all()
                await line.hold(response)
                return Answer(response.status_code, response.headers, is_stream=True)
            except Exception as error:  # noqa: BLE001 - as above
                return failure(error)
