"""The client for programs of tasks (asyncio). Its twin is `_client.py`: change both, and decide in neither."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Self
from uuid import UUID

from featherhq import _arguments
from featherhq._core.pagination import History
from featherhq._late import Late
from featherhq._live import Live
from featherhq._settings import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_PAGE_SIZE,
    DEFAULT_RATE_LIMIT,
    DEFAULT_TIMEOUT,
    UNCHANGED,
    Settings,
    Unchanged,
    hidden,
)
from featherhq._threads import flows
from featherhq._threads.flows import Listing
from featherhq._threads.send import send
from featherhq.models import Message, SentMessage

if TYPE_CHECKING:
    import featherhq_api
    import httpx
    from featherhq_api import models

    from featherhq import _async_pump
    from featherhq._threads import conversation
else:
    # Brought in by what needs them, or by who asks what the annotations mean.
    httpx, featherhq_api, models = Late("httpx"), Late("featherhq_api"), Late("featherhq_api.models")
    _async_pump, conversation = Late("featherhq._async_pump"), Late("featherhq._threads.conversation")


class AsyncFeather(Live):
    """A client for Feather web chat.

    Safe to share between the tasks of one event loop. Every call ends within `timeout`, raises only
    `FeatherError`s, and repeats a request only where that is safe: what never reached Feather or was refused
    before any work, and, but for POST, what became of nobody knows what.

    Args:
        api_key: The key, or a callable, or coroutine function, that gives one. It is asked again after a 401.
            `$FEATHER_API_KEY` by default.
        base_url: `$FEATHER_BASE_URL` by default, then `https://prod.featherhq.com`.
        timeout: Seconds that one call may take in all: every attempt, wait and retry inside it.
        max_retries: Attempts after the first.
        rate_limit: Requests a second that this client allows itself; `None` for no limit.
        headers: More headers for every request.
        http_client: An `httpx.AsyncClient` of your own. It is used as it is and not closed.

    Raises:
        ConfigurationError: no key, a bad key, or a bad URL.
        InvalidArgumentError: anything else that cannot be.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str | Awaitable[str]] | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        rate_limit: float | None = DEFAULT_RATE_LIMIT,
        headers: Mapping[str, str] | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        # Here and below: what is imported late, not everybody needs, and it brings httpx, aiohttp or generated code.
        from featherhq._async_pump import AsyncPump

        key, api_key = hidden(api_key), None
        self._settings = Settings.read(
            key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            rate_limit=rate_limit,
            headers=headers,
        )
        self._pump = AsyncPump(http_client, self._settings.base_url, repr(self))
        self._owns_pump = True

    def __repr__(self) -> str:
        # The traceback of an error in `__init__` shows one without settings.
        where = f" for {self._settings.base_url}" if hasattr(self, "_settings") else ""
        return f"<{type(self).__name__}{where}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, but for those of an `http_client` of yours."""
        if self._owns_pump:
            await self._pump.aclose()

    async def close(self) -> None:
        """As `aclose`."""
        await self.aclose()

    def with_options(
        self,
        *,
        timeout: float | Unchanged = UNCHANGED,
        max_retries: int | Unchanged = UNCHANGED,
        rate_limit: float | Unchanged | None = UNCHANGED,
        headers: Mapping[str, str] | Unchanged = UNCHANGED,
    ) -> Self:
        """A view on the same connections with other options; closing it closes nothing.

        Headers are added to those that are set. A `rate_limit` given here is the view's own.

        Raises:
            InvalidArgumentError: an option cannot be.
        """
        view = type(self).__new__(type(self))
        view._settings = self._settings.changed(
            timeout=timeout, max_retries=max_retries, rate_limit=rate_limit, headers=headers
        )
        view._pump = self._pump
        view._owns_pump = False
        return view

    @property
    def threads(self) -> AsyncThreads:
        """The threads of the organization that the key belongs to."""
        return AsyncThreads(self._settings, self._pump)

    def thread(self, thread_id: str | UUID) -> AsyncThread:
        """A thread by its id. No request is made.

        Raises:
            InvalidArgumentError: the id is no UUID.
        """
        return AsyncThread(self._settings, self._pump, _arguments.identifier("thread_id", thread_id))

    @property
    def api(self) -> featherhq_api.AuthenticatedClient:
        """The generated client, for any generated function: same key, retries, deadline and errors."""
        from featherhq._api import WiredClient

        return WiredClient(self._settings, run=self._pump.run, asynchronous=True)


class AsyncThreads(Live):
    """Makes threads, and finds them."""

    def __init__(self, settings: Settings, pump: _async_pump.AsyncPump) -> None:
        self._settings = settings
        self._pump = pump

    async def create(
        self,
        agent_id: str | UUID,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> AsyncThread:
        """Make a web chat thread with an agent.

        Raises:
            InvalidArgumentError: the id is no UUID, or a value is no string.
            FeatherError: Feather did not make it (`delivered` is `False`), or nobody knows (`None`): a thread made
                twice costs nothing but an empty thread.
        """
        flow = flows.create_thread(self._settings, agent_id, metadata, variables)
        thread_id, details = await self._pump.run(flow)
        return AsyncThread(self._settings, self._pump, thread_id, details)

    async def get(self, thread_id: str | UUID) -> AsyncThread:
        """A thread with its `details`.

        Raises:
            InvalidArgumentError: the id is no UUID.
            FeatherError: Feather did not give it.
        """
        checked = _arguments.identifier("thread_id", thread_id)
        return await AsyncThread(self._settings, self._pump, checked).refresh()


class AsyncThread(Live):
    """A web chat thread.

    Attributes:
        id: Its id.
        details: The generated model of Feather's last answer about it, or `None` before there was one.
    """

    def __init__(
        self, settings: Settings, pump: _async_pump.AsyncPump, thread_id: str, details: models.Thread | None = None
    ) -> None:
        self._settings = settings
        self._pump = pump
        self.id = thread_id
        self.details = details

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    async def send(self, text: str, *, timeout: float | None = None) -> SentMessage:
        """Send a user's message, at most once. Returns when Feather has accepted it.

        Args:
            text: The message, of one character at least.
            timeout: Seconds, in all; the client's own by default.

        Raises:
            InvalidArgumentError: the message is empty or no string; nothing was sent.
            DeliveryUnknownError: it may or may not have arrived. Its note says whether the thread could be looked at.
            FeatherError: it has not arrived: `delivered` is `False`.
        """
        deadline = self._settings.deadline(timeout)
        return (await self._pump.run(send(self._settings, self.id, text, deadline))).receipt

    async def ask(self, text: str, *, timeout: float | None = None) -> Message:
        """Send a user's message and wait for the agent's first message after it.

        Args:
            text: The message, of one character at least.
            timeout: Seconds for both, in all; the client's own by default.

        Raises:
            ReplyTimeoutError: the message was accepted, and no reply came in time.
            FeatherError: as `send`.
        """
        deadline = self._settings.deadline(timeout)
        async with self._pump.mailbox(self.id) as mailbox:
            flow = conversation.ConversationFlow(self._settings, self.id).ask_once(text, deadline)
            return await self._pump.run(flow, mailbox)

    def conversation(self) -> AsyncConversation:
        """A conversation over one live connection, for the time of an `async with` block.

        async with thread.conversation() as chat:
            await chat.send("And when will it arrive?")
            async for message in chat:
                ...
        """
        return AsyncConversation(self._settings, self._pump, self.id)

    def messages(
        self,
        *,
        direction: str | None = None,
        status: str | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
    ) -> AsyncIterator[Message]:
        """Every message of the thread, oldest first; pages are fetched as they are needed.

        Args:
            direction: `"INBOUND"` for the user's alone, `"OUTBOUND"` for the agent's.
            status: Those with this status alone, such as `"FAILED"`.
            page_size: Messages a request, 1 to 100. Each request has the client's timeout.

        Raises:
            InvalidArgumentError: an argument is not what the contract takes.
            ResponseDecodeError: a message has no id or no text.
            FeatherError: Feather did not give them.
        """
        return self._pages(Listing.read(self.id, direction, status, page_size))

    async def _pages(self, listing: Listing) -> AsyncIterator[Message]:
        history = History()
        while not history.is_over:
            for message in await self._pump.run(flows.next_messages(self._settings, listing, history)):
                yield message

    async def update(
        self,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Self:
        """Merge metadata and variables into the thread, and refresh `details`.

        Raises:
            InvalidArgumentError: a value is no string.
            FeatherError: Feather did not do it.
        """
        flow = flows.update_thread(self._settings, self.id, metadata, variables)
        self.details = await self._pump.run(flow)
        return self

    async def close(self, reason: str | None = None) -> Self:
        """Close the thread, and refresh `details`.

        Raises:
            InvalidArgumentError: the reason is no string.
            FeatherError: Feather did not do it.
        """
        self.details = await self._pump.run(flows.close_thread(self._settings, self.id, reason))
        return self

    async def refresh(self) -> Self:
        """Fetch `details` anew.

        Raises:
            FeatherError: Feather did not give them.
        """
        self.details = await self._pump.run(flows.get_thread(self._settings, self.id))
        return self


class AsyncConversation(Live):
    """New messages of a thread as they come, and messages sent, over one live connection.

    Each of the agent's messages that Feather makes while the block lasts is handed out once, and in order, whatever the
    connection does: it is opened again when it ends, breaks or falls silent, what it has missed is looked up
    in the thread's history, and where there is no event stream the history is looked at instead.

    One task at a time may wait for messages; `send` may be called from any.
    """

    def __init__(self, settings: Settings, pump: _async_pump.AsyncPump, thread_id: str) -> None:
        self._settings = settings
        self._pump = pump
        self._mailbox = pump.mailbox(thread_id)
        self._flow = conversation.ConversationFlow(settings, thread_id)
        # For those who drop it without leaving its block.
        weakref.finalize(self, self._mailbox.abandon).atexit = False

    async def __aenter__(self) -> Self:
        try:
            await self._pump.run(self._flow.open(), self._mailbox)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, with the connection; whoever iterates over it comes to an end."""
        await self._mailbox.aclose(self._flow.close())

    async def close(self) -> None:
        """As `aclose`."""
        await self.aclose()

    async def send(self, text: str, *, timeout: float | None = None) -> SentMessage:
        """As `AsyncThread.send`."""
        deadline = self._settings.deadline(timeout)
        return await self._pump.run(self._flow.send(text, deadline), self._mailbox)

    async def ask(self, text: str, *, timeout: float | None = None) -> Message:
        """Send a user's message and wait for the agent's first message after it.

        Messages that came before are left for iteration, as are those that follow the reply: the last 256 of them. A
        reply cannot be told from a late answer to an earlier message: while one is unanswered, a warning is logged.

        Raises:
            ReplyTimeoutError: the message was accepted, and no reply came in time.
            FeatherError: as `send`.
        """
        deadline = self._settings.deadline(timeout)
        return await self._pump.run(self._flow.ask(text, deadline), self._mailbox)

    def replies(self, timeout: float | None = None) -> AsyncIterator[Message]:
        """The agent's messages as they come.

        Args:
            timeout: Ends, without an error, after so many seconds with nothing new; `None` goes on until closed.

        Raises:
            InvalidArgumentError: it is no number of seconds above 0.
            FeatherError: they cannot be had (the key is refused, the thread is gone); what may pass is waited for.
        """
        return _AsyncReplies(self._pump, self._mailbox, self._flow, self._flow.patience(timeout))

    def __aiter__(self) -> AsyncIterator[Message]:
        return self.replies()


class _AsyncReplies:
    """Iterates over a conversation. A wait that is cancelled does not end it."""

    def __init__(
        self,
        pump: _async_pump.AsyncPump,
        mailbox: _async_pump.AsyncMailbox,
        flow: conversation.ConversationFlow,
        patience: float | None,
    ) -> None:
        self._pump = pump
        self._mailbox = mailbox
        self._flow = flow
        self._patience = patience
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = None if self._ended else await self._pump.run(self._flow.next(self._patience), self._mailbox)
        if message is None:
            self._ended = True
            raise StopAsyncIteration
        return message
