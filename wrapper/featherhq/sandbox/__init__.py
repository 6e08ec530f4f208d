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

import time
from collections.abc import Callable
from typing import Final, Self
from uuid import UUID, uuid4

try:
    from featherhq.sandbox._app import App, RecordedRequest, known_operation
    from featherhq.sandbox._server import Server
except ImportError as error:
    raise ImportError(f"the sandbox needs {error.name}: pip install 'featherhq[sandbox]'", name=error.name) from error

from featherhq._settings import DEFAULT_RATE_LIMIT
from featherhq.models import Message
from featherhq.sandbox import _checks
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

_LARGEST_PORT: Final = 65535
# How many threads an error lists.
_LISTED: Final = 5

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
        ValueError: an argument has a value that cannot be; the error names it, and says what fits.
        TypeError: an argument is of another type.
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
        _checks.agent("agent", agent)
        _checks.api_key("api_key", api_key)
        _checks.whole("port", port, 0, _LARGEST_PORT)
        _checks.flag("newest_first", newest_first)
        _checks.whole("largest_page", largest_page, 1)
        _checks.number("heartbeat", heartbeat, "seconds above 0")
        _checks.one_of("envelope", envelope, "message", "data", None)
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
            RuntimeError: it runs already.
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
            operation: Of which operation, as for `inject`; all by default.
            timeout: Seconds.

        Raises:
            TimeoutError: it has not.
            ValueError: there is no such operation, or the count or the seconds are below 0.
            TypeError: an argument is of another type.
            RuntimeError: it has not, and does not run.
        """
        _checks.whole("count", count, 0)
        _checks.number("timeout", timeout, "seconds, 0 or more", zero=True)
        name = None if operation is None else known_operation(operation)

        def enough() -> bool:
            return sum(name in (None, request.operation) for request in self._app.requests) >= count

        with self._app.seen:
            if enough():
                return
            self._server.must_run()
            if not self._app.seen.wait_for(enough, timeout):
                raise TimeoutError(f"not {count} requests within {timeout:g} s: {self._app.requests}")

    def inject(self, operation: str, fault: Fault, times: int = 1, *, thread_id: str | UUID | None = None) -> None:
        """Make the next requests of an operation go wrong.

        Args:
            operation: Its `operationId`, such as `"sendMessage"` or `"send_message"`, or `"*"` for any to which the
                fault does something.
            fault: How.
            times: How many requests.
            thread_id: Of which thread, which need not be there yet; of any by default.

        Raises:
            ValueError: there is no such operation, the fault does nothing to it, or the times are below 1.
            TypeError: an argument is of another type, such as a fault's class in the place of a fault.
        """
        self._app.inject(operation, fault, times, thread_id)

    def forget_faults(self) -> None:
        """From now on nothing goes wrong any more, whatever was injected."""
        self._app.forget_faults()

    def say(self, thread_id: str | UUID, text: str) -> Message:
        """Have the agent say something of its own accord.

        Raises:
            ValueError: there is no such thread, or the text is empty.
            TypeError: an argument is of another type.
            RuntimeError: it does not run.
        """
        self._server.must_run()
        _checks.text("text", text)
        said: Message = self._server.call(self._app.say, self._known(thread_id), text)
        return said

    def messages(self, thread_id: str | UUID) -> list[Message]:
        """What stands in a thread, oldest first. It may be asked for after the end, too.

        Raises:
            ValueError: there is no such thread.
            TypeError: the id is of another type.
        """
        return self._app.state.get(self._known(thread_id)).history()

    def _known(self, thread_id: str | UUID) -> str:
        wanted, known = _checks.thread("thread_id", thread_id), list(self._app.state.threads)
        if wanted in known:
            return wanted
        listed = ", ".join(known[-_LISTED:])
        there = (
            f"there are {len(known)}: {'…, ' if len(known) > _LISTED else ''}{listed}"
            if known
            else "there are none yet"
        )
        raise ValueError(f"no thread {wanted}; {there}")


def _shortest_and_longest(stream_life: float | tuple[float, float] | None) -> tuple[float, float] | None:
    if stream_life is None:
        return None
    expected = "seconds above 0 or (shortest, longest), or None for no end"
    lives = stream_life if isinstance(stream_life, tuple) else (stream_life, stream_life)
    for life in lives:
        _checks.number("stream_life", life, expected)
    if len(lives) != 2 or lives[0] > lives[1]:  # noqa: PLR2004 - a pair
        raise _checks.refusal(ValueError, "stream_life", expected, stream_life)
    return lives
