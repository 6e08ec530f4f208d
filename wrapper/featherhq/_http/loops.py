"""Connections that belong to one event loop, and are closed with it if nobody has closed them before."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final

from featherhq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

# What is still open. Held here, because Python may collect an object together with the generator that should close it.
_open: Final[set[AsyncGenerator[None]]] = set()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def no_loop() -> UsageError:
    """The error of an `AsyncFeather` that is used without a running event loop of asyncio."""
    return UsageError(
        "an AsyncFeather needs a running event loop of asyncio, and there is none here",
        hint="Call it from asyncio.run(…). Elsewhere, use Feather; under trio, in trio.to_thread.run_sync. "
        "Nothing was sent.",
    )


async def yield_to_loop() -> None:
    """Let the event loop run twice. So it notices what servers have done by now."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def has_input(transport: asyncio.Transport | None) -> bool:
    """Whether something has come over a connection that its event loop has not noticed yet: bytes, or the end."""
    raw = None if transport is None else transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0 or not hasattr(select, "poll"):
        # Not known. Windows has no `poll`.
        return True
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class LoopBound:
    """Connections of one event loop: the first in which they were used."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closes: AsyncGenerator[None] | None = None
        self._is_closed = False

    def check_loop(self) -> None:
        """Go on only in the event loop that they belong to, and only while they are not closed.

        Raises:
            UsageError: there is no event loop of asyncio, or it is another one, or they are closed.
        """
        loop = running_loop()
        self._loop = self._loop or loop
        if loop is None:
            raise no_loop()
        if self._loop is not loop:
            problem = "this AsyncFeather was used in another event loop before, and its connections belong to that one"
            hint = "Make one within each asyncio.run(…)."
        elif self._is_closed:
            problem = "this client is closed"
            hint = "Make the call before its `with` block ends."
        else:
            return
        raise UsageError(problem, hint=f"{hint} Nothing was sent.")

    async def close_with_loop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have `close` called at the end at the latest: when nobody holds the connections, or when the loop ends."""
        if self._closes is None:
            self._closes = _until_dropped(close)
            _open.add(self._closes)
            await anext(self._closes)

    async def aclose(self) -> None:
        """Close them."""
        self._is_closed = True
        if self._loop is not None and self._loop is not running_loop():
            self.abandon()
            return
        closes, self._closes = self._closes, None
        if closes is not None:
            _open.discard(closes)
            await closes.aclose()

    def abandon(self) -> None:
        """As `Transport.abandon`. The loop closes them when nobody holds them, or has done so at its own end."""
        self._is_closed = True
        if self._closes is not None:
            _open.discard(self._closes)
        self._closes = None

    def forked(self) -> bool:
        """As `Transport.forked`. The parent uses the event loop too: to close them here would close them there."""
        return False

    @property
    def outlives_loop(self) -> bool:
        """Whether their event loop was closed before them."""
        return self._loop is not None and self._loop.is_closed()


async def _until_dropped(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Calls `close` at its end. An event loop ends such a generator if nobody holds it, and before the loop closes."""
    try:
        yield
    finally:
        await close()
