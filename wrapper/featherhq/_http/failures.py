"""What the errors of transports mean. They all come here as httpx's errors: our own transports raise those too."""

from __future__ import annotations

import re
import ssl
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx

from featherhq._core.bodies import Body
from featherhq._core.exchange import EXCHANGE
from featherhq._core.responses import Response, TransportFailure
from featherhq.errors import one_line

if TYPE_CHECKING:
    from featherhq._core.exchange import Exchange

# h11 and aiohttp quote the bytes that they could not read, at the end of their errors.
_QUOTED: Final = re.compile(r":?\s*(bytearray\()?b['\"].*", re.DOTALL)
_LIBRARIES: Final = frozenset(
    {"aiohttp", "anyio", "collections", "h11", "httpcore", "httpx", "opentelemetry", "socksio", "ssl", "wrapt"}
)

# With these errors, no request can have reached the server. With any other error, it may have.
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
    (httpx.ProxyError, "the proxy refused the connection"),
    ((httpx.TimeoutException, TimeoutError), "no response in time"),
    (httpx.RemoteProtocolError, "the connection was lost, or the response is not valid HTTP"),
    (httpx.DecodingError, "the encoding of the response is broken"),
    (httpx.NetworkError, "the connection was lost"),
)


def outcome(
    error: Exception, exchange: Exchange, status_code: int | None = None, via: str | None = None
) -> Response | TransportFailure:
    """What an error of a transport means. Any other error is raised again, unchanged.

    Args:
        error: The error. It goes no further than this, because it holds the request and so the key.
        exchange: What the request has done on its connection.
        status_code: The status, if the head of a response had come.
        via: The proxy that the request went through, if there is one.
    """
    raise_if_from_signal(error)
    if isinstance(error, httpx.HTTPStatusError) and error.request.extensions.get(EXCHANGE) is exchange:
        # A hook of the caller has judged the response. It was read already, or cannot be read any more.
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
        reason=reason(error) + ("" if via is None else f", through the proxy {via}"),
        cause=_root(error),
        status_code=status_code,
        stale=exchange.reused and not exchange.received and not timed_out,
    )


def reason(error: Exception) -> str:
    """An error of a transport, in a few words."""
    what = next((words for kinds, words in _REASONS if isinstance(error, kinds)), type(error).__name__)
    # A parser quotes what it could not read. That may be anything, the key too.
    detail = one_line(_QUOTED.sub("", str(error)))
    return f"{what}: {detail}" if detail and detail != "timed out" else what


def forget_variables(error: BaseException) -> None:
    """Clear the local variables of the libraries below ours, in the frames of an error: they may hold the key."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            for frame, _ in traceback.walk_tb(one.__traceback__):
                # The frames of the caller's hooks and handlers stay as they are.
                if str(frame.f_globals.get("__name__")).partition(".")[0] in _LIBRARIES:
                    with suppress(RuntimeError):  # the frame still runs
                        frame.clear()
            todo += [one.__cause__, one.__context__]


def raise_if_from_signal(error: BaseException) -> None:
    """Raise the exception of a signal handler again, if the error is that one or was caused by it.

    Libraries may have taken it for an error of their own.
    """
    if (signal := sys.modules.get("signal")) is None:
        # Nobody has imported it, so there is no handler.
        return
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
    """The operating system's error below httpx's, if there is one, without its frames: they hold the key."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ConnectionError | ssl.SSLError):
            below.__cause__ = below.__context__ = None
            return below.with_traceback(None)
        below = below.__cause__ or below.__context__
    return None
