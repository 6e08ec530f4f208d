# Made by `make generate` from _async/client.py: change that file, not this one.
"""The client: settings, one runner, and the threads that it gives. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self
from uuid import UUID

from featherhq import _validation
from featherhq._lazy import Lazy
from featherhq._limits import RateLimit, SharedRateLimit
from featherhq._resource import Resource
from featherhq._settings import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_RATE_LIMIT,
    DEFAULT_TIMEOUT,
    UNCHANGED,
    KeySource,
    Settings,
    Unchanged,
    hidden,
)
from featherhq._sync.thread import Thread
from featherhq._sync.threads import Threads
from featherhq.ledgers import Ledger

if TYPE_CHECKING:
    import featherhq_api
    import httpx
else:
    # For whoever asks what the annotations mean.
    featherhq_api, httpx = Lazy("featherhq_api"), Lazy("httpx")


class Feather(Resource):
    """A client for Feather web chat.

    For example::

        from featherhq import Feather

        with Feather() as feather:  # the key comes from FEATHER_API_KEY
            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")  # the id of your agent
            reply = thread.ask("Where is my order?")  # send, then wait for the agent
            print(reply.text)

    `threads` makes, gets and lists threads. `thread` is for a thread whose id you know.

    A client may be shared between the threads of a program. A call ends within `timeout`. It repeats a request only
    if that is safe: if the request did not reach Feather, if Feather refused it before it did any work, and, for
    methods other than POST, if the outcome is unknown. If a call fails, it raises a `FeatherError`.

    Args:
        api_key: The key, or a callable that returns one and is called again after a 401.
            Default: the environment variable `FEATHER_API_KEY`.
        base_url: An absolute URL, without `/api/v1`. Default: the environment variable `FEATHER_BASE_URL`. If it is not
            set, `https://prod.featherhq.com`.
        timeout: Seconds that one call may take in all: every attempt, wait and retry.
        max_retries: Attempts after the first. A request that got a 429 is repeated as long as the timeout allows, and
            does not count, except with `max_retries=0`.
        rate_limit: Requests per second that this client may send. `None`: no limit. A `RateLimit` also says how many
            may be sent at once. A `SharedRateLimit` is shared with other clients and processes.
        headers: Headers that are added to every request.
        http_client: An `httpx.Client` of your own. It is used as it is, and is not closed. A synchronous call
            then keeps its deadline only as exactly as httpx's timeouts do, which start again with every byte.
        ledger: Remembers what was sent with a `key=`: a `SQLiteLedger`, a `RedisLedger` or a `Ledger` of your own.
            Default: none, and then `key=` cannot be used.

    Raises:
        ConfigurationError: there is no key, or the key or the URL is invalid.
        InvalidArgumentError: another argument is invalid.
    """

    def __init__(
        self,
        api_key: KeySource | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        rate_limit: float | RateLimit | SharedRateLimit | None = DEFAULT_RATE_LIMIT,
        headers: Mapping[str, str] | None = None,
        http_client: httpx.Client | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        # Imported here and not above, because it imports an HTTP library. `import featherhq` stays fast without it.
        from featherhq._http.thread_runner import ThreadRunner

        key, api_key = hidden(api_key), None
        self._settings = Settings.read(
            key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            rate_limit=rate_limit,
            headers=headers,
            ledger=ledger,
        )
        self._runner = ThreadRunner(http_client, self._settings.base_url, repr(self))
        self._owns_runner = True

    def __repr__(self) -> str:
        # A traceback with local variables may show a client whose `__init__` has failed.
        where = f" for {self._settings.base_url}" if hasattr(self, "_settings") else ""
        return f"<{type(self).__name__}{where}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end open conversations. The connections of your own `http_client` stay open."""
        if self._owns_runner:
            self._runner.close()

    def with_options(
        self,
        *,
        timeout: float | Unchanged = UNCHANGED,
        max_retries: int | Unchanged = UNCHANGED,
        rate_limit: float | RateLimit | SharedRateLimit | Unchanged | None = UNCHANGED,
        headers: Mapping[str, str] | Unchanged = UNCHANGED,
    ) -> Self:
        """A view of this client: other options on the same connections. If you close the view, they stay open.

        For example::

            patient = feather.with_options(timeout=300)

        Args:
            timeout: As for the class. Default: unchanged, as for all of these.
            max_retries: As for the class.
            rate_limit: As for the class. A limit that is given here belongs to the view alone.
            headers: Headers to add to those that are set.

        Raises:
            InvalidArgumentError: an option is invalid.
        """
        view = type(self).__new__(type(self))
        view._settings = self._settings.changed(
            timeout=timeout, max_retries=max_retries, rate_limit=rate_limit, headers=headers
        )
        view._runner = self._runner
        view._owns_runner = False
        return view

    @property
    def threads(self) -> Threads:
        """Makes threads (`create`), gets one (`get`) and lists them (`list`).

        For example::

            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11", metadata={"customer": "Ada"})
            same = feather.threads.get(thread.id)
            for one in feather.threads.list(is_active=True):
                print(one.id, one.metadata)
        """
        return Threads._made()._with(self._settings, self._runner)

    def thread(self, thread_id: str | UUID) -> Thread:
        """A thread by its id. This makes no request, so its `details` are `None`. `threads.get` fetches them.

        Args:
            thread_id: The thread's id, a UUID.

        Raises:
            InvalidArgumentError: the id is not a UUID.
        """
        return Thread._made()._with(self._settings, self._runner, _validation.identifier("thread_id", thread_id))

    @property
    def api(self) -> featherhq_api.AuthenticatedClient:
        """The client to pass to generated functions. They get the same key, retries, deadline and errors.

        For example::

            from featherhq_api.api.threads import get_thread

            response = get_thread.sync(thread.id, client=feather.api)
        """
        from featherhq._api import WiredClient

        return WiredClient(self._settings, run=self._runner.run, asynchronous=self._runner.is_asynchronous)
