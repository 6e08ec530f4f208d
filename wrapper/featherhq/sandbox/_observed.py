"""What a sandbox has received and what its threads contain, and how a test waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from featherhq.models import INBOUND, OUTBOUND, Message
from featherhq.sandbox import _checks
from featherhq.sandbox._app import App
from featherhq.sandbox._requests import RecordedRequest
from featherhq.sandbox._server import Server

T = TypeVar("T")
# The largest number of threads that an error lists.
_LISTED: Final = 5


class Observed:
    """The part of `Sandbox` that a test looks at. Any thread may use it."""

    _app: App
    _server: Server

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests that were received, in order, including those with a fault."""
        return list(self._app.log.requests)

    @property
    def threads(self) -> list[str]:
        """The ids of all threads, in the order in which they were created. The sandbox need not be running."""
        return list(self._app.state.threads)

    def messages(self, thread_id: str | UUID) -> list[Message]:
        """All messages of a thread, oldest first. The sandbox need not be running.

        Raises:
            ValueError: There is no such thread.
            TypeError: The id has a wrong type.
        """
        return self._app.state.get(self._known(thread_id)).history()

    def sent(self, thread_id: str | UUID | None = None) -> list[str]:
        """The texts of the messages that users have sent and the sandbox has accepted, oldest first.

            assert sandbox.sent() == ["Where is my order?"]

        Args:
            thread_id: The thread; `None` for all threads, one after the other.

        Raises:
            ValueError: There is no such thread.
            TypeError: The id has a wrong type.
        """
        return self._texts(thread_id, INBOUND)

    def replies(self, thread_id: str | UUID | None = None) -> list[str]:
        """The texts of the agent's messages, as `sent` gives those of the users."""
        return self._texts(thread_id, OUTBOUND)

    def wait_for_requests(self, count: int, operation: str | None = None, timeout: float = 5.0) -> None:
        """Wait until a number of requests was received, counted since the sandbox was created.

        Args:
            count: The number of requests, 0 or more.
            operation: The `operationId` of the requests to count, such as `"sendMessage"` or `"send_message"`; `None`
                for all requests.
            timeout: The longest time to wait, in seconds, 0 or more.

        Raises:
            TimeoutError: Fewer requests were received in this time.
            ValueError: There is no such operation, or a number is below 0.
            TypeError: An argument has a wrong type.
            RuntimeError: Fewer requests were received, and the sandbox is not running.
        """
        name = None if operation is None else self._app.known.find(operation).id
        self._wait(
            lambda: [request for request in self.requests if name in (None, request.operation)],
            count,
            "requests" if name is None else f"{name} requests",
            timeout,
        )

    def wait_for_sent(self, count: int, thread_id: str | UUID | None = None, timeout: float = 5.0) -> list[str]:
        """Wait until users have sent a number of messages, and return what `sent` does.

        Args:
            count: The number of messages, 0 or more.
            thread_id: The thread; `None` for all threads.
            timeout: The longest time to wait, in seconds, 0 or more.

        Raises:
            TimeoutError: Fewer messages were accepted in this time. The error lists them.
            ValueError: There is no such thread, or a number is below 0.
            TypeError: An argument has a wrong type.
            RuntimeError: Fewer messages were accepted, and the sandbox is not running.
        """
        return self._wait(lambda: self.sent(thread_id), count, "messages of users", timeout)

    def wait_for_replies(self, count: int, thread_id: str | UUID | None = None, timeout: float = 5.0) -> list[str]:
        """Wait until the agent has sent a number of messages, and return what `replies` does.

        The arguments and the errors are those of `wait_for_sent`.
        """
        return self._wait(lambda: self.replies(thread_id), count, "messages of the agent", timeout)

    def _wait(self, seen: Callable[[], list[T]], count: int, what: str, timeout: float) -> list[T]:
        _checks.whole("count", count, 0)
        _checks.number("timeout", timeout, "seconds, 0 or more", zero=True)
        changed = self._app.log.changed
        with changed:
            if len(found := seen()) >= count:
                return found
            self._server.must_run()
            changed.wait_for(lambda: len(seen()) >= count, timeout)
            found = seen()
        if len(found) < count:
            raise TimeoutError(f"expected {count} {what} within {timeout:g} s; there are {len(found)}: {found}")
        return found

    def _texts(self, thread_id: str | UUID | None, direction: str) -> list[str]:
        threads = self.threads if thread_id is None else [self._known(thread_id)]
        return [one.text for thread in threads for one in self.messages(thread) if one.direction == direction]

    def _known(self, thread_id: str | UUID) -> str:
        wanted, known = _checks.thread("thread_id", thread_id), self.threads
        if wanted in known:
            return wanted
        if not known:
            raise ValueError(f"no thread {wanted}; no thread has been created yet")
        listed = ", ".join([*(["…"] if len(known) > _LISTED else []), *known[-_LISTED:]])
        raise ValueError(f"no thread {wanted}; existing threads ({len(known)}): {listed}")
