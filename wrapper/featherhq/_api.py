"""`feather.api`: a client for generated functions. Their requests are made like all other requests of the library."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

from attrs import evolve
from featherhq_api import AuthenticatedClient

from featherhq import _unset  # noqa: F401
from featherhq._core.attempts import call
from featherhq._core.calls import Call, as_call
from featherhq._http.failures import raise_if_from_signal
from featherhq._resource import Resource
from featherhq._threads.send_request import send_request
from featherhq._validation import KEY_HEADER
from featherhq.errors import FeatherError, UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from featherhq._core.effects import Flow
    from featherhq._core.responses import Response
    from featherhq._settings import Settings
T = TypeVar("T")


class WiredClient(Resource, AuthenticatedClient):
    """The client to pass to generated functions: `send_message.sync(thread_id, client=feather.api, body=…)`.

    A generated function takes an httpx client from its client, and calls `request` on it. This class gives it an object
    whose `request` adds the key, the retries, the deadline and the errors of this library. The response can be read
    like an `httpx.Response`. `send_message` sends a message once, as `thread.send` does. This object does not hold the
    key, so its `repr` cannot show the key.

    Args:
        settings: The client's settings.
        run: Runs a flow. For an `AsyncFeather` it returns an awaitable.
        asynchronous: Whether it belongs to an `AsyncFeather`.
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
            extensions = kwargs.pop("extensions", None)
            using = settings if extensions is None else _with_credentials(settings, kwargs, **extensions)
            if "content" in kwargs:
                # It is a file, which can be read once. A request may need several attempts.
                kwargs["content"] = kwargs["content"].read()
            if "json" in kwargs and kwargs["json"] is None:
                # For httpx, this would be no body.
                del kwargs["json"]
                kwargs["content"] = b"null"
            deadline = using.deadline(None)
            # A generated `send_message` must not send a message twice either.
            flow = send_request(using, kwargs, deadline)
            if flow is None:
                made = Call("api", method=kwargs["method"].upper())
                flow = as_call(using, made, call(using, kwargs, deadline))
            return run(flow)

        self._requests = SimpleNamespace(request=request)
        self._asynchronous = asynchronous

    def __repr__(self) -> str:
        return f"<featherhq: generated client for {self._base_url}>"

    def read(self, response: Any, expected: dict[str, type | tuple[type, ...]], build: Callable[[], T]) -> T:
        """Read a response for a generated function.

        Raises:
            ResponseDecodeError: the body is not what the contract describes, so that it cannot be read.
        """
        response.check(expected)
        problem: Exception | None
        try:
            return build()
        except (FeatherError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the generated code raises
            problem = error
        raise_if_from_signal(problem)
        reason = one_line(f"{type(problem).__name__}: {problem}")
        # Its frames hold the body, and error reporters show local variables.
        problem = None
        raise response.not_as_promised(f"a body that is not what the contract describes ({reason})")

    def get_httpx_client(self) -> httpx.Client:
        """The object that generated `sync` functions call `request` on.

        Raises:
            UsageError: this client belongs to an `AsyncFeather`.
        """
        if self._asynchronous:
            raise UsageError(
                "sync() and sync_detailed() need the api of a Feather, but this is the api of an AsyncFeather",
                hint="Await asyncio() or asyncio_detailed() of the same module.",
            )
        return cast("httpx.Client", self._requests)

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        """The object that generated `asyncio` functions call `request` on.

        Raises:
            UsageError: this client belongs to a `Feather`.
        """
        if not self._asynchronous:
            raise UsageError(
                "asyncio() and asyncio_detailed() need the api of an AsyncFeather, but this is the api of a Feather",
                hint="Call sync() or sync_detailed() of the same module.",
            )
        return cast("httpx.AsyncClient", self._requests)

    # These methods of the generated client would change or close what all calls share. So they are refused, or do
    # nothing.

    def set_httpx_client(self, client: httpx.Client) -> NoReturn:
        """Not supported. Pass an httpx client to `Feather(http_client=…)`.

        Raises:
            UsageError: always.
        """
        _refuse("set_httpx_client", "http_client= of Feather")

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> NoReturn:
        """Not supported. Pass an httpx client to `AsyncFeather(http_client=…)`.

        Raises:
            UsageError: always.
        """
        _refuse("set_async_httpx_client", "http_client= of AsyncFeather")

    def with_headers(self, headers: dict[str, str]) -> NoReturn:
        """Not supported. Use `feather.with_options(headers=…).api`.

        Raises:
            UsageError: always.
        """
        _refuse("with_headers", "feather.with_options(headers=…).api")

    def with_timeout(self, timeout: httpx.Timeout) -> NoReturn:
        """Not supported. Use `feather.with_options(timeout=…).api`.

        Raises:
            UsageError: always.
        """
        _refuse("with_timeout", "feather.with_options(timeout=…).api")

    def with_cookies(self, cookies: dict[str, str]) -> NoReturn:
        """Not supported. Use `feather.with_options(headers={"Cookie": …}).api`.

        Raises:
            UsageError: always.
        """
        _refuse("with_cookies", 'feather.with_options(headers={"Cookie": …}).api')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object, **kwargs: object) -> None:
        """Close nothing. The connections belong to the `Feather`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object, **kwargs: object) -> None:
        """Close nothing. The connections belong to the `AsyncFeather`."""


def _with_credentials(
    settings: Settings, request: dict[str, Any], *, security: dict[str, str], with_key: bool
) -> Settings:
    """The settings for an operation that needs other credentials than the API key.

    Args:
        settings: The client's.
        request: The request.
        security: The security schemes that the operation needs, each with the header for its credentials.
        with_key: Whether it needs the API key too. If it does not, the key is not sent.

    Raises:
        UsageError: there are no other credentials.
    """
    given = {name.lower() for name in (*settings.headers, *request.get("headers", {}))}
    if given.isdisjoint(header.lower() for header in security.values()):
        headers = ", ".join(f'"{header}": …' for header in dict.fromkeys(filter(None, security.values())))
        raise UsageError(
            f"{request['method'].upper()} {request['url']} needs other credentials than the API key: "
            f"{' or '.join(security)}",
            hint=f"Pass them: feather.with_options(headers={{{headers}}}).api. Nothing was sent.",
        )
    return evolve(settings, sends_key=with_key)


def _refuse(name: str, instead: str) -> NoReturn:
    raise UsageError(f"feather.api: {name}() would change what all calls share", hint=f"Use {instead}.")
