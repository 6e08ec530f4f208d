"""Runs plans in the calling task. Its twin is `_pump.py`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from featherhq._steps import Answer, Exchange, Failure, ReadStream, Sleep
from featherhq._transport import build, check_client, client_options, closed, failure

if TYPE_CHECKING:
    from featherhq._steps import Plan

T = TypeVar("T")


class AsyncPump:
    """Takes the steps of plans, one after the other, over connections that it keeps."""

    def __init__(self, http_client: httpx.AsyncClient | None) -> None:
        check_client(http_client, httpx.AsyncClient)
        self._given = http_client
        self._own: dict[bool, httpx.AsyncClient] = {}
        self._closed = False

    async def run(self, plan: Plan[T]) -> T:
        """Run a plan to its end. Streams that it has opened are closed with it."""
        async with AsyncExitStack() as streams:
            result: Any = None
            while True:
                try:
                    step = plan.send(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                if isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                    result = None
                elif isinstance(step, Exchange):
                    result = await self._exchange(step, streams)
                else:
                    result = await self._read(step)

    async def aclose(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        self._closed = True
        own, self._own = self._own, {}
        for client in own.values():
            await client.aclose()

    def _client(self, *, streams: bool) -> httpx.AsyncClient:
        if self._closed:
            raise closed()
        if self._given is not None:
            return self._given
        if streams not in self._own:
            self._own[streams] = httpx.AsyncClient(**client_options(streams=streams))
        return self._own[streams]

    async def _exchange(self, step: Exchange, streams: AsyncExitStack) -> Answer | Failure:
        client = self._client(streams=step.streaming)
        request = build(client, step)
        async with AsyncExitStack() as until_read:
            try:
                async with asyncio.timeout(step.cut):
                    response = await client.send(request, stream=True, follow_redirects=False)
                    until_read.push_async_callback(response.aclose)
                    if step.stays_open(response.status_code, response.headers):
                        streams.push_async_exit(until_read.pop_all())
                        return Answer(response.status_code, response.headers, stream=response.aiter_bytes())
                    content = await response.aread()
                return Answer(response.status_code, response.headers, content)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
                return failure(error)

    async def _read(self, step: ReadStream) -> bytes | Failure:
        try:
            async with asyncio.timeout(step.cut):
                return await anext(step.stream, b"")
        except Exception as error:  # noqa: BLE001 - as above
            return failure(error)
