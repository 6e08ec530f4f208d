"""`feather.api`: the generated client, wired, so that every generated function goes the way of our own calls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from featherhq_api import AuthenticatedClient

from featherhq import _unset  # noqa: F401
from featherhq._core.attempts import call
from featherhq._resource import Resource
from featherhq._threads.send import send_request
from featherhq._validation import KEY_HEADER
from featherhq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from featherhq._core.effects import Flow
    from featherhq._core.responses import Response
    from featherhq._settings import Settings


class WiredClient(Resource, AuthenticatedClient):
    """What generated functions are called with: `send_message.sync(thread_id, client=feather.api, body=…)`.

    A generated function asks its client for an httpx client and that one for a `request`. This gives it
    a `request` with our key, retries, deadline and errors, and an answer that reads like an
    `httpx.Response`. `send_message` is sent once, as `thread.send` does it. The key is
    not in it, so that its `repr` cannot show it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run: Callable[[Flow[Response]], Any],
        asynchronous: bool,
    ) -> None:
        super().__init__(base_url=settings.base_url, token="", prefix="", auth_header_name=KEY_HEADER)

        def request(**kwargs: Any) -> Any:
            deadline = settings.deadline(None)
            # A message is sent once, whoever asks for it.
            flow = send_request(settings, kwargs, deadline)
            return run(call(settings, kwargs, deadline) if flow is None else flow)

        self._requests = SimpleNamespace(request=request)
        self._asynchronous = asynchronous

    def __repr__(self) -> str:
        return f"<featherhq: generated client for {self._base_url}>"

    def get_httpx_client(self) -> httpx.Client:
        """For generated `sync` functions.

        Raises:
            UsageError: this client is an `AsyncFeather`'s.
        """
        if self._asynchronous:
            raise UsageError(
                "sync() and sync_detailed() need the api of a Feather, but this is the api of an AsyncFeather",
                hint="Await asyncio() or asyncio_detailed() of the same module.",
            )
        return cast("httpx.Client", self._requests)

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        """For generated `asyncio` functions.

        Raises:
            UsageError: this client is a `Feather`'s.
        """
        if not self._asynchronous:
            raise UsageError(
                "asyncio() and asyncio_detailed() need the api of an AsyncFeather, but this is the api of a Feather",
                hint="Call sync() or sync_detailed() of the same module.",
            )
        return cast("httpx.AsyncClient", self._requests)

    # The rest would change or close what all calls share.

    def set_httpx_client(self, client: httpx.Client) -> NoReturn:
        """Refused: hand a client to `Feather(http_client=…)`."""
        _refuse("set_httpx_client", "http_client= of Feather")

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> NoReturn:
        """Refused: hand a client to `AsyncFeather(http_client=…)`."""
        _refuse("set_async_httpx_client", "http_client= of AsyncFeather")

    def with_headers(self, headers: dict[str, str]) -> NoReturn:
        """Refused: use `feather.with_options(headers=…).api`."""
        _refuse("with_headers", "feather.with_options(headers=…).api")

    def with_timeout(self, timeout: httpx.Timeout) -> NoReturn:
        """Refused: use `feather.with_options(timeout=…).api`."""
        _refuse("with_timeout", "feather.with_options(timeout=…).api")

    def with_cookies(self, cookies: dict[str, str]) -> NoReturn:
        """Refused: use `feather.with_options(headers={"Cookie": …}).api`."""
        _refuse("with_cookies", 'feather.with_options(headers={"Cookie": …}).api')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object, **kwargs: object) -> None:
        """Closes nothing: the connections are the `Feather`'s."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object, **kwargs: object) -> None:
        """Closes nothing: the connections are the `AsyncFeather`'s."""


def _refuse(name: str, instead: str) -> NoReturn:
    raise UsageError(f"feather.api: {name}() would change what all calls share", hint=f"Use {instead}.")
