"""Helpers for the tests that no error, object or log shows the API key."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest
from sight import Watch, renderings


def new_key() -> str:
    """A new random key."""
    return f"k-{secrets.token_hex(16)}"


def watch_for_key(key: str) -> Iterator[Watch]:
    """A watch for the key. The test fails at its end when the watch has found the key."""
    made = Watch(key)
    yield made
    assert not made.found


def error_of(call: Callable[[], Any]) -> BaseException:
    """Return the error that a call raises."""
    try:
        call()
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - any error will do
        return error
    pytest.fail("no error")


def look(watch: Watch, error: BaseException, *, code: bool = False) -> None:
    """Look for the key in all renderings of an error. First check that the renderings contain frames of the package."""
    shown = list(renderings(error, code=code))
    assert any("/wrapper/featherhq/" in one for one in shown)
    for one in shown:
        for spelled in (one, unquote(one), re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), one)):
            watch.look(type(error).__name__, spelled)


def begin_and_wait(said: bytes, reached: threading.Event, *, asked: bool = True) -> Any:
    """Make an answer that sends its beginning, and then waits until the caller is gone. `reached` is set after the
    beginning.
    """

    def answer(request: bytes, connection: socket.socket) -> None:
        assert not asked or request
        connection.sendall(said)
        reached.set()
        with suppress(OSError):
            connection.recv(1)

    return answer


def raw(thing: Any) -> Any:
    """Return the asynchronous object that a test drives through a synchronous one; return any other object as it is."""
    return getattr(thing, "target", thing)
