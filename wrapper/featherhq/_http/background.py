"""Runs the callable that gives the API key, in a thread of its own: it may block longer than a call may take."""

from __future__ import annotations

import inspect
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_background(ask: Callable[[], object], finish: Callable[[Any], object] | None = None) -> Future[object]:
    """Run a callable in a thread of its own, with the context variables of this one.

    Args:
        ask: The callable.
        finish: Waits in that thread for the result, if the result is awaitable.

    Returns:
        The result, or the exception.
    """
    future: Future[object] = Future()

    def run() -> None:
        try:
            result = ask()
            if inspect.isawaitable(result):
                result = _refuse(result) if finish is None else finish(result)
            future.set_result(result)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is used
            future.set_exception(error)

    Thread(target=copy_context().run, args=[run], name="featherhq-key", daemon=True).start()
    return future


def _refuse(awaitable: Any) -> object:
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    raise TypeError("a coroutine function needs an AsyncFeather")
