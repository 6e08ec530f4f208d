"""The checks of `featherhq doctor`, in order. Each builds on those before it."""

from __future__ import annotations

import os
import socket
import statistics
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from featherhq._cli.exits import Exit
from featherhq._cli.failures import lines_of
from featherhq._cli.findings import Finding, State, bad, good
from featherhq._cli.responses import Answer, ask, clock, request_problem, tls
from featherhq._cli.settings import KEY_VARIABLE
from featherhq._http.proxies import is_loopback, proxy_for
from featherhq._settings import DEFAULT_MAX_RETRIES, DEFAULT_RATE_LIMIT, Settings
from featherhq.errors import ConfigurationError, FeatherError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq import Feather
    from featherhq._cli.settings import Connection
    from featherhq._http.proxies import Proxy

# Seconds. A connection takes less, or something is wrong.
_LONGEST_CONNECT: Final = 10.0
_MEASURED: Final = 3
# Sent if there is no key, to check all that comes before the key.
_NO_KEY: Final[Any] = "no-key"
_PORTS: Final = {"http": 80, "https": 443}


def examine(connection: Connection) -> Iterator[Finding]:
    """Check all that a call needs. The checks end with the first problem that makes the others impossible.

    Args:
        connection: What the options say.

    Raises:
        FeatherError: the timeout is invalid.
    """
    key = None
    try:
        key = connection.api_key()
        source = KEY_VARIABLE if connection.key_file is None else connection.key_file
        yield good("key", f"from {source}, well formed")
    except ConfigurationError as error:
        yield _wrong("key", error)
    try:
        url = _url(connection)
    except ConfigurationError as error:
        yield _wrong("url", error)
        return
    yield _url_finding(url)
    try:
        proxy = proxy_for(url, os.environ, getproxies())
    except ConfigurationError as error:
        yield _wrong("proxy", error)
        return
    yield good(
        "proxy", "none: requests go to the server directly" if proxy is None else f"{proxy.shown} ({proxy.variable})"
    )
    reached = _connect(url, proxy, min(connection.timeout, _LONGEST_CONNECT))
    yield reached
    if reached.state is State.OK:
        yield from _requests(connection, url, key)


def _url(connection: Connection) -> str:
    """The base URL that requests go to.

    Raises:
        ConfigurationError: it is invalid.
    """
    settings = Settings.read(
        _NO_KEY,
        base_url=connection.base_url,
        timeout=connection.timeout,
        max_retries=DEFAULT_MAX_RETRIES,
        rate_limit=DEFAULT_RATE_LIMIT,
        headers=None,
        ledger=None,
    )
    return settings.base_url


def _url_finding(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return good("url", url)
    return Finding("url", State.NOTE, f"{url}: the API key is sent without encryption", "Use https://, if you can.")


def _connect(url: str, proxy: Proxy | None, seconds: float) -> Finding:
    """Look up the name of the server or the proxy, and connect to it."""
    target = urlsplit(url if proxy is None else proxy.shown)
    host, what = target.hostname or "", "the server" if proxy is None else "the proxy"
    port = target.port or _PORTS[target.scheme]
    began = time.monotonic()
    try:
        with socket.create_connection((host, port), seconds):
            took = time.monotonic() - began
    except socket.gaierror as error:
        problem = f"the name {host} of {what} does not resolve: {one_line(str(error.strerror))}"
        hint = "Check the name, and the DNS settings of this machine. In many networks, only a proxy (HTTPS_PROXY) can."
        return bad("connection", problem, hint, Exit.NOT_DELIVERED)
    except (OSError, UnicodeError) as error:
        problem = f"no connection to {what} {host}:{port}: {one_line(str(error))}"
        hint = "Check the URL, the firewall, and whether this network needs a proxy (HTTPS_PROXY)."
        if proxy is not None:
            hint = f"Check {proxy.variable}, and whether the proxy runs."
        return bad("connection", problem, hint, Exit.NOT_DELIVERED)
    return good("connection", f"to {what} {host}:{port} in {took * 1000:.0f} ms")


def _requests(connection: Connection, url: str, key: Any) -> Iterator[Finding]:
    """Send one request, and judge its response. Then send a few more, and measure how long they take."""
    from featherhq import Feather

    with Feather(key or _NO_KEY, **connection.options(), max_retries=0) as feather:
        first = ask(feather)
        if url.startswith("https:"):
            yield (found := tls(first))
            if found.state is State.PROBLEM:
                return
        else:
            yield Finding("tls", State.SKIPPED, "an http:// URL has none")
        if first.headers is not None:
            yield clock(first)
        if key is None and first.was_refused:
            yield Finding("access", State.SKIPPED, "the server wants a key, as it should, but there is none")
            return
        if first.error is not None:
            yield request_problem(first.error)
            return
        yield good("access", "the server accepts the key")
        yield from _measure(feather)


def _measure(feather: Feather) -> Iterator[Finding]:
    """The time that a request takes on an open connection, and whether the rate limit refuses any."""
    answers: list[Answer] = []
    for _ in range(_MEASURED):
        answers.append(ask(feather))
        if (error := answers[-1].error) is not None:
            yield request_problem(error)
            return
    median = statistics.median(answer.seconds for answer in answers)
    yield good("latency", f"{median * 1000:.0f} ms (the median of {_MEASURED} requests)")
    yield good("rate limit", f"none of {_MEASURED + 1} requests was refused")


def _wrong(check: str, error: FeatherError) -> Finding:
    """A setting that is wrong."""
    return bad(check, *lines_of(error), Exit.WRONG_USE)
