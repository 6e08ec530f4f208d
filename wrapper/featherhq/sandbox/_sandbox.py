"""The class `Sandbox`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID, uuid4

from featherhq._settings import DEFAULT_RATE_LIMIT
from featherhq.models import Message
from featherhq.sandbox import _checks
from featherhq.sandbox._agent import default_agent
from featherhq.sandbox._app import App
from featherhq.sandbox._faults import Fault
from featherhq.sandbox._limit import Counting, counter
from featherhq.sandbox._observed import Observed
from featherhq.sandbox._requests import RecordedRequest
from featherhq.sandbox._server import Server
from featherhq.sandbox._state import LARGEST_LIMIT, State
from featherhq.sandbox._stream import StreamSettings

if TYPE_CHECKING:
    from featherhq.sandbox._keep import Keeper

_LARGEST_PORT: Final = 65535


class Sandbox(Observed):
    """A server on a loopback port, which runs inside a `with` block.

    Args:
        agent: The function that replies to messages. It is called with a message's text and the thread's earlier
            messages, oldest first, and returns one reply or a list of replies. It may block. If it raises an error
            or returns anything else, there is no reply, and the logger `featherhq.sandbox` logs the error.
        api_key: The API key that a request must have.
        rate_limit: Requests per second, of all clients together; `None` for no limit. The default is the limit of the
            vendor's standard plan.
        counting: How requests are counted; the vendor does not say how. `"bucket"` is a token bucket that holds the
            tokens of one second. `"sliding"` is a sliding window of one second. `"fixed"` is a fixed window, which
            begins at each whole second. Both windows round the rate limit down. Below one request per second, a window
            is as long as one request needs.
        port: The port; 0 for any free port.
        newest_first: Whether the newest message is listed first. The vendor's API reference does not say.
        largest_page: The largest number of messages in a page, even if the request asks for more.
        heartbeat: Seconds without an event on a stream, after which a comment is sent.
        stream_life: Seconds after which a stream's connection is closed, as a load balancer may do; `None` for never. A
            pair (shortest, longest) gives each stream a random time between these two.
        envelope: The field of an event's data that holds the message, `"message"` or `"data"`; `None` if the data is
            the message itself. The vendor's API reference does not say.
        keep: The file in which threads and messages are kept; `None` to keep them in memory only. It is a SQLite
            database, and is made if there is none. A sandbox that starts later with the same file has them, also if
            this process was killed. The agent then replies to the messages that are still without a reply. The file is
            read when the sandbox starts. It is not safe if the machine loses its power.

    Attributes:
        url: The base URL while the sandbox runs.
        api_key: The API key that a request must have.

    Raises:
        ValueError: An argument has an invalid value. The error names the argument and the valid values.
        TypeError: An argument has a wrong type.
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
        keep: str | Path | None = None,
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
            keeper=None if keep is None else _keeper(keep),
            stream_settings=StreamSettings(heartbeat, _shortest_and_longest(stream_life), envelope),
            transports=self._server.transports,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stop()
        if error is None:
            self._app.answers.raise_first()

    def start(self) -> None:
        """Start the sandbox, and wait until it accepts connections.

        Raises:
            OSError: The port is in use, or the file of `keep` cannot be opened, or another sandbox uses it.
            ValueError: The file of `keep` is damaged, or it is not the file of a sandbox. It is left as it is.
            RuntimeError: The sandbox is already running.
        """
        self.url = self._server.start(self._app.running, self._port)

    def stop(self) -> None:
        """Stop the sandbox at once, and close all connections. Nothing happens if it is not running."""
        self._server.stop()

    def inject(self, operation: str, fault: Fault, times: int = 1, *, thread_id: str | UUID | None = None) -> None:
        """Apply a fault to the next requests of an operation.

        Faults with the same operation and thread are applied in the order of their injection. A fault for an operation
        is applied before one for `"*"`, and then a fault for a thread before one for any thread.

        Args:
            operation: The `operationId`, such as `"sendMessage"` or `"send_message"`, or its method and path; `"*"`
                for any operation on which the fault has an effect.
            fault: The fault.
            times: The number of requests, 1 or more.
            thread_id: The thread of the requests, which need not exist yet; `None` for any thread.

        Raises:
            ValueError: There is no such operation, the fault has no effect on it, or `times` is below 1.
            TypeError: An argument has a wrong type, such as the class of a fault instead of a fault.
        """
        self._app.faults.add(operation, fault, times, thread_id)

    def answer(self, operation: str, function: Callable[[RecordedRequest], Any]) -> None:
        """Let a function answer an operation, from now on and in place of the sandbox.

        It is meant for operations whose responses the sandbox does not know. The function is called with each request
        that has the API key, stays below the rate limit and conforms to the contract. It may block. It returns

        - a body for JSON (a dictionary, a list, a string, a number): the response has the status 200;
        - a pair (status, body); `(204, None)` is a response without a body;
        - one of the faults `Status`, `Html`, `Body`, `CutBefore`, `CutAfter`, `Garbage`.

        If it raises an error or returns something else, the response is an error 500, the logger `featherhq.sandbox`
        logs the error, and the end of the sandbox's `with` block raises it.

        Args:
            operation: The `operationId`, such as `"listParticipants"` or `"list_participants"`, or a method and a path,
                such as `"GET /api/v1/agents/{agentId}"`. The contract need not have this path.
            function: The function. It takes a `RecordedRequest`.

        Raises:
            ValueError: There is no such operation, and it is not a method and a path.
            TypeError: An argument has a wrong type, such as an `async` function.
        """
        _checks.function("function", function, "a request")
        if self._server.runs:
            self._server.call(self._app.answer, operation, function)
        else:
            self._app.answer(operation, function)

    def forget_faults(self) -> None:
        """Remove all faults that were injected and have not happened yet."""
        self._app.faults.clear()

    def say(self, thread_id: str | UUID, text: str) -> Message:
        """Add a message of the agent to a thread, without a message of the user before it.

        Raises:
            ValueError: There is no such thread, or the text is empty.
            TypeError: An argument has a wrong type.
            RuntimeError: The sandbox is not running.
            OSError: The file of `keep` cannot be written.
        """
        self._server.must_run()
        _checks.text("text", text)
        said: Message = self._server.call(self._app.say, self._known(thread_id), text)
        return said


def _shortest_and_longest(stream_life: float | tuple[float, float] | None) -> tuple[float, float] | None:
    """Check `stream_life`, and return it as a pair; `None` for no limit."""
    if stream_life is None:
        return None
    expected = "seconds above 0, a pair (shortest, longest), or None for no end"
    lives = stream_life if isinstance(stream_life, tuple) else (stream_life, stream_life)
    for life in lives:
        _checks.number("stream_life", life, expected)
    if len(lives) != 2 or lives[0] > lives[1]:  # noqa: PLR2004 - a pair
        raise _checks.bad_value(ValueError, "stream_life", expected, stream_life)
    return lives


def _keeper(keep: str | Path) -> Keeper:
    # Imported here, because Python may have been built without SQLite.
    from featherhq.sandbox._keep import Keeper  # noqa: PLC0415

    return Keeper(_checks.path("keep", keep))
