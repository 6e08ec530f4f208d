"""Runs flows in the calling task. Its twin for threads is `thread_runner.py`. Neither decides anything."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from featherhq._core.bodies import Body
from featherhq._core.effects import (
    Announce,
    AskKey,
    Cancel,
    Closed,
    Post,
    Receive,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
)
from featherhq._core.responses import Response, TransportFailure
from featherhq._http import guard
from featherhq._http.aiohttp_sender import AiohttpSender, Answer
from featherhq._http.background import in_background
from featherhq._http.connections import Connections
from featherhq._http.failures import forget_variables, outcome
from featherhq._http.loops import no_loop, running_loop
from featherhq._http.requests import build, stop_timing
from featherhq._http.socks import SocksClient
from featherhq._http.task_mailbox import TaskMailbox

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from featherhq._core.effects import Effect, Flow
    from featherhq._http.proxies import Proxy
    from featherhq._http.task_mailbox import Job

T = TypeVar("T")
OpenResponse = httpx.Response | Answer


class TaskRunner:
    """Performs the effects of flows, one after the other, over connections that it keeps.

    Args:
        http_client: The client that the caller has handed in, if there is one.
        base_url: The URL that all requests go to.
        name: The name of its owner, for the warning that it was not closed.

    Attributes:
        is_asynchronous: Whether it runs flows in tasks.
    """

    is_asynchronous = True

    def __init__(self, http_client: httpx.AsyncClient | None, base_url: str, name: str) -> None:
        self._connections: Connections[AiohttpSender | SocksClient, httpx.AsyncClient] = Connections(
            http_client, httpx.AsyncClient, _made, base_url
        )
        self._name = name
        self._mailboxes: set[TaskMailbox] = set()

    def __del__(self) -> None:
        with suppress(AttributeError):  # its `__init__` has failed
            self._connections.abandon(self._name, self)

    def mailbox(self, thread_id: str) -> TaskMailbox:
        """A mailbox for a conversation in a thread. It is closed with the client at the latest."""
        mailbox = TaskMailbox(self, thread_id)
        self._mailboxes.add(mailbox)
        return mailbox

    def forget(self, mailbox: TaskMailbox) -> None:
        """A mailbox was closed."""
        self._mailboxes.discard(mailbox)

    async def run(self, flow: Flow[T], mailbox: TaskMailbox | None = None, job: Job | None = None) -> T:
        """Run a flow to its end.

        Args:
            flow: The flow.
            mailbox: The mailbox of its conversation, if it belongs to one.
            job: The job that runs it, if it runs in the background.
        """
        with closing(flow):
            if running_loop() is None:
                raise no_loop()
            go_on: Callable[[Any], Effect[Any]] = flow.send
            result: Any = None
            while True:
                try:
                    effect = go_on(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    go_on, result = flow.send, await self._perform(effect, mailbox, job)
                except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                    go_on, result = flow.throw, error

    async def aclose(self) -> None:
        """Close the connections. The connections of a client that was handed in stay open."""
        own = self._connections.close()
        for mailbox in list(self._mailboxes):
            await mailbox.aclose(Closed("client"))
        for client in own:
            await client.aclose()

    async def _perform(self, effect: Effect[Any], mailbox: TaskMailbox | None, job: Job | None) -> Any:
        if isinstance(effect, SendRequest):
            try:
                return await self._send(effect, job)
            except BaseException as error:
                # It comes from a cancellation or from a hook of the caller, who will see its frames.
                forget_variables(error)
                raise
        if isinstance(effect, TakeSlot):
            return await _take_slot(effect)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, AskKey):
            return await _ask_key(effect)
        if isinstance(effect, Announce):
            return await self._announce(effect)
        assert mailbox is not None  # noqa: S101 - the other effects are of conversations
        if isinstance(effect, Receive):
            return await mailbox.receive(effect.seconds)
        if isinstance(effect, Start):
            return await mailbox.start(effect.job, effect.flow)
        if isinstance(effect, Cancel):
            return await mailbox.cancel(effect.job)
        assert isinstance(effect, Post)  # noqa: S101 - there are no others
        return await mailbox.post(effect.notice)

    async def _announce(self, effect: Announce) -> None:
        for mailbox in list(self._mailboxes):
            if mailbox.thread_id == effect.thread_id:
                await mailbox.post(effect.notice)

    async def _send(self, effect: SendRequest, job: Job | None) -> Response | TransportFailure:
        # Before anything can fail: until the transport notes more, nothing was sent.
        effect.exchange.is_ours = self._connections.are_ours
        sender = self._connections.get(streams=effect.streaming)
        via = self._connections.via
        response: OpenResponse | None = None
        cut = asyncio.timeout(effect.cut)
        try:
            async with cut:
                if isinstance(sender, httpx.AsyncClient):
                    request = build(sender, effect)
                    response = await sender.send(request, stream=True, follow_redirects=False)
                else:
                    response = await sender.send(effect)
                status = response.status_code
                if job is None or not effect.stays_open(status, response.headers):
                    body = await _read(response)
                    return Response(status, response.headers, body.content(), via=via, flaw=body.flaw)
            stop_timing(response)
            job.response, stream, response = response, response, None
            return Response(status, stream.headers, is_stream=True, via=via)
        except TimeoutError as error:
            raised: Exception = httpx.ReadTimeout("") if cut.expired() else error
        except Exception as error:  # noqa: BLE001 - as above
            raised = error
        finally:
            if response is not None:
                await response.aclose()
        return outcome(raised, effect.exchange, None if response is None else response.status_code, via)


async def _read(response: OpenResponse) -> Body:
    body = Body(response.headers)
    if response.is_stream_consumed:
        # A hook of the caller has read it.
        body.unpacked(response.content)
        return body
    async for raw in response.aiter_raw():
        if not body.feed(raw):
            break
    return body


def _made(tls: ssl.SSLContext, limits: httpx.Limits, proxy: Proxy | None) -> AiohttpSender | SocksClient:
    refuses = guard.check if guard.switch.may_refuse else None
    if proxy is not None and proxy.shown.startswith("socks"):
        return SocksClient(tls, limits, proxy, refuses)
    return AiohttpSender(tls, limits, proxy, refuses)


async def _ask_key(effect: AskKey) -> Future[object] | None:
    loop = asyncio.get_running_loop()

    def finish(awaitable: Awaitable[object]) -> object:
        async def given() -> object:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(given(), loop).result()

    future = effect.ask(lambda ask: in_background(ask, finish))
    answered = asyncio.Event()

    def wake(_: Future[object]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(answered.set)

    future.add_done_callback(wake)
    with suppress(TimeoutError):
        async with asyncio.timeout(effect.seconds):
            await answered.wait()
    return future if future.done() else None


async def _take_slot(effect: TakeSlot) -> bool:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # there is no loop in this thread, or that one has ended
            if asyncio.get_running_loop() is loop:
                woken.set()
                return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(woken.set)

    effect.slot.join(wake)
    try:
        while isinstance(wait := effect.slot.ask(time.monotonic(), effect.until), float):
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await woken.wait()
            woken.clear()
        return wait
    finally:
        effect.slot.leave()
