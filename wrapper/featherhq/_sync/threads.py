# Made by `make generate` from _async/threads.py: change that file, not this one.
"""The threads of a client: makes them and finds them. It decides nothing."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Self
from uuid import UUID

from featherhq import _validation
from featherhq._lazy import Lazy
from featherhq._resource import Returned
from featherhq._settings import DEFAULT_PAGE_SIZE, Settings
from featherhq._sync.thread import Thread
from featherhq._threads import flows

if TYPE_CHECKING:
    from featherhq._http import thread_runner
    from featherhq._threads import lists
else:
    # Imported by what needs them, and by whoever asks what the annotations mean.
    thread_runner, lists = Lazy("featherhq._http.thread_runner"), Lazy("featherhq._threads.lists")


class Threads(Returned):
    """Makes threads and finds them. `feather.threads` is one.

    With a client `feather`, for example::

        thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
        same = feather.threads.get(thread.id)
        for one in feather.threads.list(is_active=True):
            print(one.id, one.created_at)
    """

    _from = "Use feather.threads."

    def _with(self, settings: Settings, runner: thread_runner.ThreadRunner) -> Self:
        self._settings = settings
        self._runner = runner
        return self

    def create(
        self,
        agent_id: str | UUID,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Thread:
        """Make a web chat thread with an agent.

        Args:
            agent_id: The agent's id, a UUID. It is in Feather's dashboard.
            metadata: Strings by their names, such as `{"customer": "Ada"}`. Default: none.
            variables: Strings by their names. Default: none.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is not a UUID, or a value is not a string.
            FeatherError: Feather did not make the thread (`delivered` is `False`), or the outcome is unknown (`None`).
                If it is unknown, you may make another thread: at most, an empty one is left.
        """
        flow = flows.create_thread(self._settings, agent_id, metadata, variables, timeout)
        thread_id, details = self._runner.run(flow)
        return Thread._made()._with(self._settings, self._runner, thread_id, details)

    def get(self, thread_id: str | UUID, *, timeout: float | None = None) -> Thread:
        """A thread with its `details`.

        Args:
            thread_id: The thread's id, a UUID.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is not a UUID.
            FeatherError: Feather did not return the thread.
        """
        checked = _validation.identifier("thread_id", thread_id)
        return Thread._made()._with(self._settings, self._runner, checked).refresh(timeout=timeout)

    def list(
        self,
        *,
        agent_id: str | UUID | None = None,
        is_active: bool | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        timeout: float | None = None,
    ) -> Generator[Thread]:
        """The threads of the organization, each with its `details`. Pages are fetched when they are needed.

        Threads of all kinds are listed, in the server's order: the vendor's page does not say which order that is.

        Args:
            agent_id: Only threads with this agent, a UUID. Default: all.
            is_active: `True` for active threads only, `False` for closed ones only. Default: all.
            page_size: Threads per request, 1 to 100.
            timeout: Seconds that reading the next threads may take in all. Default: the client's own.

        Raises:
            InvalidArgumentError: an argument is invalid.
            ResponseDecodeError: there is no list in the response, or a thread has no id.
            FeatherError: Feather did not return them.
        """
        return self._pages(lists.ThreadList(self._settings, agent_id, is_active, page_size, timeout))

    def _pages(self, listed: lists.ThreadList) -> Generator[Thread]:
        while not listed.is_over:
            for thread_id, details in self._runner.run(listed.next()):
                yield Thread._made()._with(self._settings, self._runner, thread_id, details)
