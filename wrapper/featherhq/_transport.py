"""What sync and async share of httpx: how its clients are made, what they are asked, what their errors mean."""

from __future__ import annotations

import inspect
import os
import re
import signal
import ssl
import traceback
import warnings
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.request import getproxies

import httpx

from featherhq import _forks
from featherhq._core.bodies import Body
from featherhq._core.effects import Response, TransportFailure
from featherhq._core.secrets import Secret
from featherhq._exchange import EXCHANGE, Exchange
from featherhq._proxies import Proxy, proxy_for
from featherhq.errors import ConfigurationError, InvalidArgumentError, UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from featherhq._core.effects import SendRequest

# Bytes that h11 and aiohttp quote in their errors, to the end.
_QUOTED: Final = re.compile(r":?\s*(bytearray\()?b['\"].*", re.DOTALL)

_BELOW: Final = frozenset({"aiohttp", "h11", "httpcore", "ssl"})

# In a forked child, what must not even be collected there.
_of_the_parent: Final[list[object]] = []

Client = TypeVar("Client", bound=httpx.Client | httpx.AsyncClient)

# Calls are many and short, streams few and long. Streams have connections of their own, as many as
# there are streams, so that open ones never keep a call waiting.
# Seconds: less than the five after which common servers (Node.js, uvicorn) close an idle connection.
_KEEPALIVE: Final = 4.0
_CALLS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE)
_STREAMS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=0)

# httpx's errors that say that no request can have reached the server. What is not here may have.
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

_REASONS: Final = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.ConnectError, "could not connect"),
    (httpx.ProxyError, "the proxy refused"),
    ((httpx.TimeoutException, TimeoutError), "no answer in time"),
    (httpx.RemoteProtocolError, "the connection was lost, or what came is no HTTP"),
    (httpx.DecodingError, "the answer's encoding is broken"),
    (httpx.NetworkError, "the connection was lost"),
)


class Clients(Generic[Client]):
    """The httpx clients of a pump: the one that was handed in, or else one for calls and one for streams.

    Args:
        given: The client that was handed in, to be used as it is.
        kind: What it has to be.
        transport: Makes a transport of ours, of certificates, limits and a proxy.
        base_url: Where all requests go.

    Attributes:
        are_ours: Whether none was handed in.

    Raises:
        InvalidArgumentError: the one that was handed in is of another kind.
    """

    def __init__(
        self,
        given: Client | None,
        kind: type[Client],
        transport: Callable[[ssl.SSLContext, httpx.Limits, Proxy | None], Any],
        base_url: str,
    ) -> None:
        if given is not None and not isinstance(given, kind):
            raise InvalidArgumentError(
                f"http_client: expected an httpx.{kind.__name__}, got {type(given).__name__}",
                hint="Feather takes an httpx.Client, AsyncFeather an httpx.AsyncClient.",
            )
        self.are_ours = given is None
        self._given = given
        self._given_to: int | None = None
        self._kind = kind
        self._transport = transport
        self._base_url = base_url
        self._own: dict[bool, tuple[Client, Any]] = {}
        self._proxy: Proxy | None = None
        self._tls: ssl.SSLContext | None = None
        self._lock = Lock()
        self.is_closed = self._is_parents = False
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the connections are the parent's; the child makes its own."""
        self._lock = Lock()
        if self._kind is httpx.Client:
            for _, transport in self._forgotten():
                transport.let_go()
        else:
            # Their event loop is the parent's too: what is closed here, were closed there.
            _of_the_parent.append(self._own)
            self._is_parents = True

    @property
    def via(self) -> str | None:
        """The proxy that they go through, in words."""
        return None if self._proxy is None else f"{self._proxy.shown} ({self._proxy.variable})"

    def get(self, *, streams: bool) -> tuple[Client, Any]:
        """The client for calls, or for streams; and its transport, if that is ours.

        Raises:
            UsageError: they are closed, or a client that was handed in was used before a fork.
            ConfigurationError: what the environment says of proxies and certificates cannot be.
        """
        with self._lock:
            if self.is_closed:
                raise UsageError("this client is closed", hint="Make the call before its `with` block ends.")
            if self._given is not None:
                return self._checked(self._given), None
            if streams not in self._own:
                self._own[streams] = self._made(_STREAMS if streams else _CALLS)
            return self._own[streams]

    def close(self) -> list[Client]:
        """Give no more of them out; those that are to be closed."""
        with self._lock:
            self.is_closed = True
            return [client for client, _ in self._forgotten()]

    def abandon(self, name: str, source: object) -> None:
        """Close what nobody holds any more and nobody has closed, and warn of it.

        Args:
            name: Whose it is.
            source: What is being collected.
        """
        self.is_closed = True
        own = [] if self._is_parents else self._forgotten()
        for _, transport in own:
            transport.abandon()
        if own:
            told = f"unclosed {name}: use it in a `with` block, or close it"
            warnings.warn(told, ResourceWarning, stacklevel=3, source=source)

    def _forgotten(self) -> list[tuple[Client, Any]]:
        own, self._own = self._own, {}
        return list(own.values())

    def _checked(self, given: Client) -> Client:
        """A client of the caller's, which may have connections that are its parent's too."""
        self._given_to = self._given_to or os.getpid()
        if self._given_to == os.getpid():
            return given
        raise UsageError(
            "this http_client= was used before this process was forked, and its connections are the parent's too",
            hint="Make the http_client= in each process. Nothing was sent.",
        )

    def _made(self, limits: httpx.Limits) -> tuple[Client, Any]:
        self._proxy = proxy_for(self._base_url, os.environ, getproxies())
        try:
            # Reading the certificates takes longer than all the rest: once for both.
            self._tls = self._tls or httpx.create_ssl_context()
            transport = self._transport(self._tls, limits, self._proxy)
            # Deadlines are set on each request, and a redirect might carry the key to another host. Nothing here needs
            # cookies, so none is kept.
            made = self._kind(
                transport=transport,
                trust_env=False,
                timeout=None,
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        except (OSError, ImportError, ValueError, RuntimeError, httpx.InvalidURL) as error:
            raised = error
        else:
            # Each request brings its own, and to replace one takes httpx a while.
            del made.headers["Accept"], made.headers["Accept-Encoding"], made.headers["User-Agent"]
            return made, transport
        _let_through(raised)
        raise ConfigurationError(
            f"no connections can be made as the environment has it: {one_line(str(raised))}",
            hint="Check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY. Nothing was sent.",
        )


def build(client: httpx.Client | httpx.AsyncClient, step: SendRequest) -> httpx.Request:
    """The httpx request of a step, with what is to be noted of it on its way.

    Raises:
        InvalidArgumentError: no request can be made of it, such as a body that is no JSON.
    """
    problem: Exception
    try:
        # The key is itself again in this one expression.
        return client.build_request(
            **{
                **step.request,
                "headers": {
                    name: value.reveal() if isinstance(value, Secret) else value
                    for name, value in step.request["headers"].items()
                },
            },
            timeout=httpx.Timeout(**step.timeouts),
            extensions={EXCHANGE: step.exchange},
        )
    except (TypeError, ValueError, RecursionError, httpx.InvalidURL) as error:
        problem = error
    _let_through(problem)
    raise InvalidArgumentError(f"no request can be made of this: {one_line(str(problem))}", hint="Nothing was sent.")


def no_loop() -> UsageError:
    """The error of an `AsyncFeather` that is used where no event loop of asyncio runs."""
    return UsageError(
        "an AsyncFeather needs a running event loop of asyncio, and there is none here",
        hint="Call it from asyncio.run(…). Elsewhere, use Feather; under trio, in trio.to_thread.run_sync. "
        "Nothing was sent.",
    )


def in_background(ask: Callable[[], object], finish: Callable[[Any], object] | None = None) -> Future[object]:
    """Run a callable in a thread of its own, in the context of this one; what comes of it.

    Args:
        ask: The callable.
        finish: What waits for its result in that thread, where that is awaitable.
    """
    future: Future[object] = Future()

    def run() -> None:
        try:
            result = ask()
            if inspect.isawaitable(result):
                result = _none(result) if finish is None else finish(result)
            future.set_result(result)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            future.set_exception(error)

    Thread(target=copy_context().run, args=[run], name="featherhq-key", daemon=True).start()
    return future


def _none(awaitable: Any) -> object:
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    raise TypeError("a coroutine function needs an AsyncFeather")


def readable(headers: Iterable[tuple[bytes, bytes]], request: httpx.Request) -> list[tuple[bytes, bytes]]:
    """An answer's headers without a `Location` that httpx could not read: it would fail on it, and need not follow."""
    return [(name, value) for name, value in headers if name.lower() != b"location" or _leads_somewhere(value, request)]


def _leads_somewhere(location: bytes, request: httpx.Request) -> bool:
    with suppress(ValueError, httpx.InvalidURL):
        return bool(request.url.join(location.decode("ascii")))
    return False


def has_begun(request: httpx.Request) -> None:
    """A stream has begun: from now on its silences are the conversation's to judge, not httpx's."""
    # httpx hands this very mapping down, and looks into it when the reading begins.
    request.extensions["timeout"]["read"] = None


def outcome(
    error: Exception, request: httpx.Request, exchange: Exchange, status_code: int | None = None, via: str | None = None
) -> Response | TransportFailure:
    """What an error of httpx's transports means. Whatever else was raised is raised again, as it is.

    Args:
        error: The error.
        request: The request that it came of.
        exchange: What the request did on its connection.
        status_code: The status, where the head of an answer had come.
        via: The proxy that it went through, if there is one.

    The error itself goes no further: it holds the request, and with it the key.
    """
    _let_through(error)
    if isinstance(error, httpx.HTTPStatusError) and error.request.url == request.url:
        # A hook of the caller's has judged the answer. It is read already, or cannot be any more.
        answer, body = error.response, Body({})
        with suppress(httpx.StreamError):
            body.unpacked(answer.content)
        return Response(answer.status_code, answer.headers, body.content(), via=via, flaw=body.flaw)
    if not isinstance(error, httpx.TransportError | httpx.DecodingError):
        raise error
    timed_out = isinstance(error, httpx.TimeoutException)
    return TransportFailure(
        sent=not isinstance(error, _NEVER_SENT) and exchange.may_have_left,
        timed_out=timed_out,
        reason=told(error) + ("" if via is None else f", through the proxy {via}"),
        cause=_root(error),
        status_code=status_code,
        stale=exchange.reused and not exchange.received and not timed_out,
    )


def forget_variables(error: BaseException) -> None:
    """Forget the local variables of what lies below httpx and has ended with an error: the key is among them."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            for frame, _ in traceback.walk_tb(one.__traceback__):
                # Those of the caller's hooks and handlers are the caller's.
                if str(frame.f_globals.get("__name__")).partition(".")[0] in _BELOW:
                    with suppress(RuntimeError):  # it has not ended yet
                        frame.clear()
            todo += [one.__cause__, one.__context__]


def told(error: Exception) -> str:
    """An error of a transport, in a few words."""
    what = next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), type(error).__name__)
    # What a parser could not read may be anything, and hold the key.
    detail = one_line(_QUOTED.sub("", str(error)))
    return f"{what}: {detail}" if detail and detail != "timed out" else what


def _let_through(error: BaseException) -> None:
    """Raise what a signal's handler has raised, if it is that, or is below it: libraries may take it for their own."""
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    below: BaseException | None = error if handlers else None
    while below is not None:
        if any(frame.f_code in handlers for frame, _ in traceback.walk_tb(below.__traceback__)):
            raise below
        below = below.__cause__ or below.__context__


def _code(handler: Any) -> object:
    if not callable(handler):
        return None
    function = getattr(handler, "func", handler)
    return getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)


def _root(error: BaseException) -> BaseException | None:
    """The operating system's error below httpx's, if there is one; without its frames, which hold the key."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ConnectionError | ssl.SSLError):
            below.__cause__ = below.__context__ = None
            return below.with_traceback(None)
        below = below.__cause__ or below.__context__
    return None
