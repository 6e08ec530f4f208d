"""What sync and async share of httpx: how its clients are made, what they are asked, what their errors mean."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx

from featherhq._errors import ConfigurationError, InvalidArgumentError
from featherhq._steps import Failure

if TYPE_CHECKING:
    from featherhq._steps import Exchange

# Calls are many and short, streams few and long. Streams have connections of their own, as many as
# there are streams, so that open ones never keep a call waiting.
_CALLS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
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


def client_options(*, streams: bool) -> dict[str, Any]:
    """What an `httpx.Client` or `httpx.AsyncClient` of ours is made with; proxies and certificates as httpx does."""
    # Deadlines are set on each request, and a redirect might carry the key to another host.
    return {"limits": _STREAMS if streams else _CALLS, "timeout": None, "follow_redirects": False}


def check_client(given: object, kind: type) -> None:
    """Refuse a `http_client=` of the wrong kind.

    Raises:
        InvalidArgumentError: it is none of `kind`.
    """
    if given is not None and not isinstance(given, kind):
        raise InvalidArgumentError(
            f"http_client: expected an httpx.{kind.__name__}, got {type(given).__name__}",
            hint="Feather takes an httpx.Client, AsyncFeather an httpx.AsyncClient.",
        )


def closed() -> ConfigurationError:
    """The error for a call on a client that was closed."""
    return ConfigurationError("this client is closed", hint="Make the call before its `with` block ends.")


def build(client: httpx.Client | httpx.AsyncClient, step: Exchange) -> httpx.Request:
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


def has_begun(request: httpx.Request) -> None:
    """A stream has begun: from now on its silences are the conversation's to judge, not httpx's."""
    # httpx hands this very mapping down, and looks into it when the reading begins.
    request.extensions["timeout"]["read"] = None


def wake(response: httpx.Response) -> bool:
    """End the wait of a thread that reads a stream; closing the socket would not. Whether that can be done.

    Not over an `http_client=` of another kind, nor where the connection is shared (HTTP/2).
    """
    connection = response.extensions.get("network_stream")
    raw = None if connection is None else connection.get_extra_info("socket")
    if not isinstance(raw, socket.socket) or not response.http_version.startswith("HTTP/1"):
        return False
    with suppress(OSError):
        # Past the TLS layer, which the other thread is using.
        socket.socket.shutdown(raw, socket.SHUT_RDWR)
    return True


def failure(error: Exception) -> Failure:
    """What an error of httpx, or of what lies below it, means.

    The error itself goes no further: it holds the request, and with it the key.
    """
    what = next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), type(error).__name__)
    detail = str(error)
    return Failure(
        sent=not isinstance(error, _NEVER_SENT),
        timed_out=isinstance(error, httpx.TimeoutException | TimeoutError),
        reason=f"{what}: {detail}" if detail and detail != "timed out" else what,
        cause=_root(error),
    )


def _root(error: BaseException) -> BaseException | None:
    """The operating system's error under httpx's and httpcore's, if there is one."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ConnectionError | ssl.SSLError):
            return below
        below = below.__cause__ or below.__context__
    return None
