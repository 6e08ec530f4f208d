"""A Feather that runs on your machine: real sockets, no network, no key.

    from featherhq import Feather
    from featherhq.sandbox import CutAfter, Sandbox

    with Sandbox(agent=lambda text, history: text.upper()) as sandbox:
        with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
            print(thread.ask("hello").text)             # HELLO

            sandbox.inject("sendMessage", CutAfter())   # the next message is accepted, and nobody says so

Needs the extra `featherhq[sandbox]`. It does what Feather's pages say, and guesses where they are silent (whether a
closed thread takes messages, what an event looks like, which way lists run); it was never held against the vendor's
servers.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self
from uuid import uuid4

try:
    from featherhq.sandbox._app import App, RecordedRequest
    from featherhq.sandbox._server import Server
except ImportError as error:
    raise ImportError(f"the sandbox needs {error.name}: pip install 'featherhq[sandbox]'", name=error.name) from error

from featherhq._settings import DEFAULT_RATE_LIMIT
from featherhq.sandbox._agent import default_agent
from featherhq.sandbox._faults import (
    Body,
    CutAfter,
    CutBefore,
    CutStream,
    Drip,
    Duplicate,
    Fault,
    Garbage,
    Hide,
    HoldHead,
    Html,
    Lag,
    Mute,
    Reorder,
    Replay,
    Skip,
    Stall,
    Status,
)
from featherhq.sandbox._limit import Counting, counter
from featherhq.sandbox._state import LARGEST_LIMIT, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq.models import Message

__all__ = [
    "Body",
    "CutAfter",
    "CutBefore",
    "CutStream",
    "Drip",
    "Duplicate",
    "Fault",
    "Garbage",
    "Hide",
    "HoldHead",
    "Html",
    "Lag",
    "Mute",
    "RecordedRequest",
    "Reorder",
    "Replay",
    "Sandbox",
    "Skip",
    "Stall",
    "Status",
    "default_agent",
]


class Sandbox:
    """A Feather on a loopback port, for the time of a `with` block.

    Args:
        agent: Called with a message and the thread's earlier messages, oldest first; gives a reply or several. It may
            block. If it raises, there is no reply, and the logger `featherhq.sandbox` tells.
        api_key: The key it takes.
        rate_limit: Requests a second for all callers together; `None` for no limit.
        counting: How it counts them; Feather's pages do not say. `"bucket"` is a token bucket that holds one second's
            worth. `"sliding"` allows so many in any one second. `"fixed"` allows so many in each whole second of its
            clock. The windows round the rate down; for less than one request a second, a window is as long as it takes
            for one.
        port: The port; any free one by default.
        newest_first: List messages from the newest on. Feather's pages do not say which way it does.
        largest_page: Messages in a page of history, whatever is asked for.
        heartbeat: Seconds of silence on a stream before a comment is sent.
        stream_life: Seconds after which each event stream is cut, its connection with it, as a load balancer does; or a
            pair (shortest, longest), from which each stream's life is drawn at random. `None` for never.
        envelope: The name under which an event's data holds the message, `"message"` or `"data"`; `None` for the
            message alone. Feather's pages do not say.

    Attributes:
        url: Where it listens, while it does.
        api_key: The key it takes.

    Raises:
        ValueError: there is no such way of counting, the rate is not above 0, or a stream cannot live so long.
    """

    def __init__(
        self,
        agent: Callable[[str, list[Message]], str | list[str]] = default_agent,
        *,
        api_key: str = "sandbox-key",
        rate_limit: float | None = DEFAULT_RATE_LIMIT,
        counting: Counting = "bucket",
        port: int = 0,
        newest_first: bool = False,
        largest_page: int = LARGEST_LIMIT,
        heartbeat: float = 15.0,
        stream_life: float | tuple[float, float] | None = None,
        envelope: str | None = None,
    ) -> None:
        self.url = ""
        self.api_key = api_key
        self._port = port
        self._server = Server()
        self._app = App(
            State(time.time, lambda: str(uuid4()), newest_first, largest_page),
            agent,
            api_key=api_key,
            limit=counter(counting, rate_limit),
            heartbeat=heartbeat,
            stream_life=_shortest_and_longest(stream_life),
            envelope=envelope,
            transports=self._server.transports,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it. Returns when it accepts connections.

        Raises:
            OSError: the port is taken.
        """
        self.url = self._server.start(lambda: self._app.asgi, self._port)

    def stop(self) -> None:
        """End it at once, with whatever is open."""
        self._server.stop()

    @property
    def requests(self) -> list[RecordedRequest]:
        """What it saw, in order, also what went wrong."""
        return list(self._app.requests)

    def wait_for_requests(self, count: int, operation: str | None = None, timeout: float = 5.0) -> None:
        """Wait until it has seen so many requests.

        Args:
            count: How many.
            operation: Of which operation; all by default.
            timeout: Seconds.

        Raises:
            TimeoutError: it has not.
        """

        def enough() -> bool:
            seen = self._app.requests
            return sum(operation in (None, request.operation) for request in seen) >= count

        with self._app.seen:
            if not self._app.seen.wait_for(enough, timeout):
                raise TimeoutError(f"not {count} requests within {timeout:g} s: {self._app.requests}")

    def inject(self, operation: str, fault: Fault, times: int = 1, *, thread_id: str | None = None) -> None:
        """Make the next requests of an operation go wrong.

        Args:
            operation: Its `operationId`, such as `"sendMessage"` or `"send_message"`, or `"*"` for any.
            fault: How.
            times: How many requests.
            thread_id: Of which thread; of any by default.

        Raises:
            ValueError: there is no such operation.
        """
        self._app.inject(operation, fault, times, thread_id)

    def forget_faults(self) -> None:
        """From now on nothing goes wrong any more, whatever was injected."""
        self._app.forget_faults()

    def say(self, thread_id: str, text: str) -> Message:
        """Have the agent say something of its own accord."""
        said: Message = self._server.call(self._app.say, thread_id, text)
        return said

    def messages(self, thread_id: str) -> list[Message]:
        """What stands in a thread, oldest first."""
        return self._app.state.get(thread_id).history()


def _shortest_and_longest(stream_life: float | tuple[float, float] | None) -> tuple[float, float] | None:
    if stream_life is None:
        return None
    shortest, longest = stream_life if isinstance(stream_life, tuple) else (stream_life, stream_life)
    if not 0 < shortest <= longest < math.inf:
        raise ValueError(f"stream_life: expected seconds above 0 or (shortest, longest), not {stream_life!r}")
    return shortest, longest
