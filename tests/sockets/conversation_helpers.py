"""What the tests of conversations share: a check of threads, the texts of messages, and a wait.

A test module imports the functions, and loads this module as a plugin for its fixture. pytest cannot rewrite the
assertions of a module that was imported before. The next word stops its warning: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def no_stream_threads_remain() -> Iterator[None]:
    """Check that no thread of a stream still runs after the test."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "featherhq-stream"]


def stream_threads() -> list[threading.Thread]:
    """The threads of all streams that run now."""
    return [thread for thread in threading.enumerate() if thread.name == "featherhq-stream"]


def texts(messages: Any) -> list[str]:
    """The texts of messages."""
    return [message.text for message in messages]


def gone(what: Callable[[], Any], timeout: float = 5.0) -> bool:
    """Wait until `what` returns nothing. Tell whether that happened in time."""
    until = time.monotonic() + timeout
    while what() and time.monotonic() < until:
        time.sleep(0.01)
    return not what()
