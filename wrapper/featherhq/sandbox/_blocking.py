"""Calls functions of the caller, which may block, beside the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
logger: Final = logging.getLogger("featherhq.sandbox")


async def in_thread(function: Callable[[], T], name: str) -> T:
    """Call a function that raises nothing, in a new thread. It is a daemon thread, so the program can exit."""
    loop = asyncio.get_running_loop()
    returned: asyncio.Future[T] = loop.create_future()

    def done(result: T) -> None:
        # The future is cancelled if the sandbox is being stopped.
        with suppress(asyncio.InvalidStateError):
            returned.set_result(result)

    def run() -> None:
        result = function()
        try:
            loop.call_soon_threadsafe(done, result)
        except RuntimeError:
            logger.debug("%s returned after the sandbox had stopped", name)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await returned
