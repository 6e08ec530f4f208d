"""What sync and async share of httpx: how its clients are made, what they are asked, what their errors mean."""

from __future__ import annotations

import re
import ssl
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import httpx

from featherhq._core.effects import TransportFailure
from featherhq.errors import ConfigurationError, InvalidArgumentError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import SendRequest

# Bytes that h11 and aiohttp quote in their errors, to the end.
_QUOTED: Final = re.compile(r":?\s*(bytearray\()?b['\"].*", re.DOTALL)

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
        make: Makes one of our own, from what the constructors of `kind` take.

    Attributes:
        are_ours: Whether none was handed in.

    Raises:
        InvalidArgumentError: the one that was handed in is of another kind.
    """

    def __init__(self, given: Client | None, kind: type[Client], make: Callable[..., Client]) -> None:
        if given is not None and not isinstance(given, kind):
            raise InvalidArgumentError(
                f"http_client: expected an httpx.{kind.__name__}, got {type(given).__name__}",
                hint="Feather takes an httpx.Client, AsyncFeather an httpx.AsyncClient.",
            )
        self.are_ours = given is None
        self._given = given
        self._make = make
        self._own: dict[bool, Client] = {}
        self._tls: ssl.SSLContext | None = None
        self._lock = Lock()
        self._closed = False

    def get(self, *, streams: bool) -> Client:
        """The client for calls, or for streams.

        Raises:
            ConfigurationError: they are closed, or what the environment says of proxies and certificates cannot be.
        """
        with self._lock:
            if self._closed:
                raise ConfigurationError("this client is closed", hint="Make the call before its `with` block ends.")
            if self._given is not None:
                return self._given
            if streams not in self._own:
                self._own[streams] = self._made(_STREAMS if streams else _CALLS)
            return self._own[streams]

    def close(self) -> list[Client]:
        """Give no more of them out; those that are to be closed."""
        with self._lock:
            self._closed = True
            own, self._own = self._own, {}
            return list(own.values())

    def _made(self, limits: httpx.Limits) -> Client:
        try:
            # Reading the certificates takes longer than all the rest: once for both.
            self._tls = self._tls or httpx.create_ssl_context()
            # Deadlines are set on each request, and a redirect might carry the key to another host.
            made = self._make(verify=self._tls, limits=limits, timeout=None, follow_redirects=False)
        except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
            problem = str(error)
        else:
            # Each request brings its own, and to replace one takes httpx a while.
            del made.headers["Accept"], made.headers["User-Agent"]
            return made
        raise ConfigurationError(
            f"no connections can be made as the environment has it: {problem}",
            hint="Check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY. Nothing was sent.",
        )


def build(client: httpx.Client | httpx.AsyncClient, step: SendRequest) -> httpx.Request:
    """The httpx request of a step.

    Raises:
        InvalidArgumentError: no request can be made of it, such as a body that is no JSON.
    """
    problem: Exception
    try:
        return client.build_request(timeout=httpx.Timeout(**step.timeouts), **step.request)
    except (TypeError, ValueError, httpx.InvalidURL) as error:
        problem = error
    raise InvalidArgumentError(f"no request can be made of this: {problem}", hint="Nothing was sent.")


def came(answer: httpx.Response, request: httpx.Request, cookies: httpx.Cookies) -> httpx.Response:
    """An answer straight from a transport, with what httpx's clients do about it: name its request, keep cookies."""
    answer.request = request
    if "set-cookie" in answer.headers:
        cookies.extract_cookies(answer)
    return answer


def has_begun(request: httpx.Request) -> None:
    """A stream has begun: from now on its silences are the conversation's to judge, not httpx's."""
    # httpx hands this very mapping down, and looks into it when the reading begins.
    request.extensions["timeout"]["read"] = None


def failure(error: Exception, status_code: int | None = None, *, stale: bool = False) -> TransportFailure:
    """What an error of httpx, or of what lies below it, means.

    Args:
        error: The error.
        status_code: The status, where the head of an answer had come.
        stale: Whether the connection was one used before, on which no byte had come.

    The error itself goes no further: it holds the request, and with it the key.
    """
    what = next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), type(error).__name__)
    # What a parser could not read may be anything, and hold the key.
    detail = one_line(_QUOTED.sub("", str(error)))
    timed_out = isinstance(error, httpx.TimeoutException | TimeoutError)
    return TransportFailure(
        sent=not isinstance(error, _NEVER_SENT),
        timed_out=timed_out,
        reason=f"{what}: {detail}" if detail and detail != "timed out" else what,
        cause=_root(error),
        status_code=status_code,
        stale=stale and not timed_out,
    )


def _root(error: BaseException) -> BaseException | None:
    """The operating system's error under httpx's and httpcore's, if there is one."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ConnectionError | ssl.SSLError):
            return below
        below = below.__cause__ or below.__context__
    return None
