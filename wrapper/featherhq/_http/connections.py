"""The connections of a runner: the client that the caller has handed in, or our own, made when they are needed."""

from __future__ import annotations

import os
import warnings
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.request import getproxies

import httpx

from featherhq import _forks
from featherhq._http.failures import raise_if_from_signal
from featherhq._http.proxies import proxy_for
from featherhq.errors import ConfigurationError, InvalidArgumentError, UsageError, one_line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from featherhq._http.proxies import Proxy

# Seconds. Common servers (Node.js, uvicorn) close an idle connection after five.
_KEEPALIVE: Final = 4.0

CALL_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE)
"""Calls are many and short."""

STREAM_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""Streams are few and long. They have connections of their own, so that open streams never delay a call."""

# The connections of a parent process. In a forked child they must not even be garbage collected.
_of_the_parent: Final[list[object]] = []


class Transport(Protocol):
    """What holds connections."""

    def abandon(self) -> None:
        """Close them without waiting, from any thread."""

    def forked(self) -> bool:
        """In a forked child: let go of them without a byte to anybody. Returns whether that is possible."""


T = TypeVar("T", bound=Transport)
Client = TypeVar("Client", bound=httpx.Client | httpx.AsyncClient)


class Connections(Generic[T, Client]):
    """The transports of a runner: none if a client was handed in, else one for calls and one for streams.

    Args:
        given: The client that was handed in. It is used as it is.
        kind: The class that it must have.
        transport: Makes a transport of ours, from certificates, limits and a proxy.
        base_url: The URL that all requests go to.

    Attributes:
        are_ours: Whether no client was handed in.

    Raises:
        InvalidArgumentError: the client is of another class.
    """

    def __init__(
        self,
        given: Client | None,
        kind: type[Client],
        transport: Callable[[ssl.SSLContext, httpx.Limits, Proxy | None], T],
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
        self._transport = transport
        self._base_url = base_url
        self._own: dict[bool, T] = {}
        self._proxy: Proxy | None = None
        self._tls: ssl.SSLContext | None = None
        self._lock = Lock()
        self._is_closed = self._is_parents = False
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the connections belong to the parent, and the child makes its own."""
        self._lock = Lock()
        kept = [transport for transport in self._own.values() if not transport.forked()]
        if kept:
            _of_the_parent.append(kept)
            self._is_parents = True
        else:
            self._own = {}

    @property
    def via(self) -> str | None:
        """The proxy that requests go through, and where it was configured."""
        return None if self._proxy is None else f"{self._proxy.shown} ({self._proxy.variable})"

    def get(self, *, streams: bool) -> Client | T:
        """The client that was handed in, or our transport for calls or for streams.

        Raises:
            UsageError: the client is closed, or a client that was handed in was used before a fork.
            ConfigurationError: the environment has invalid settings for proxies or certificates.
        """
        with self._lock:
            if self._is_closed:
                raise UsageError("this client is closed", hint="Make the call before its `with` block ends.")
            if self._given is not None:
                self._check_process()
                return self._given
            if streams not in self._own:
                self._own[streams] = self._made(STREAM_LIMITS if streams else CALL_LIMITS)
            return self._own[streams]

    def close(self) -> list[T]:
        """Give out no more transports. Returns those that must be closed."""
        with self._lock:
            self._is_closed = True
            own, self._own = self._own, {}
            return list(own.values())

    def abandon(self, name: str, source: object) -> None:
        """Close what nobody has closed, now that it is garbage collected, and warn about it.

        Args:
            name: The name of the client that owns it.
            source: The object that is garbage collected.
        """
        self._is_closed = True
        own = {} if self._is_parents else self._own
        self._own = {}
        for transport in own.values():
            transport.abandon()
        if own:
            message = f"unclosed {name}: use it in a `with` block, or close it"
            warnings.warn(message, ResourceWarning, stacklevel=3, source=source)

    def _check_process(self) -> None:
        """Refuse a client of the caller whose connections belong to the parent process too."""
        self._given_to = self._given_to or os.getpid()
        if self._given_to != os.getpid():
            raise UsageError(
                "this http_client= was used before this process was forked, and the parent uses its connections too",
                hint="Make the http_client= in each process. Nothing was sent.",
            )

    def _made(self, limits: httpx.Limits) -> T:
        self._proxy = proxy_for(self._base_url, os.environ, getproxies())
        try:
            # To read the certificates takes longer than all the rest, so they are read once for both.
            self._tls = self._tls or httpx.create_ssl_context()
            return self._transport(self._tls, limits, self._proxy)
        except (OSError, ImportError, ValueError, RuntimeError, httpx.InvalidURL) as error:
            problem: Exception = error
        raise_if_from_signal(problem)
        raise ConfigurationError(
            f"invalid proxy or TLS settings in the environment: {one_line(str(problem))}",
            hint="Check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY. Nothing was sent.",
        )


def bare_options() -> dict[str, Any]:
    """Options of an httpx client that adds nothing of its own to a request.

    Each request brings its own deadlines. A redirect could carry the key to another host. No cookie is needed, so none
    is kept.
    """
    return {
        "trust_env": False,
        "timeout": None,
        "follow_redirects": False,
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    }
