"""Choose the proxy for the requests to one base URL, from the environment and the system's settings.

This is done once for each client, without I/O and without a look-up of host names. The values of the variables are
never shown, because they may contain a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Lock
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from featherhq._logging import logger
from featherhq.errors import ConfigurationError, one_line

_SYSTEM: Final = "the system's settings"
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The schemes of proxies, each with its default port."""

# Compiled when they are first needed, because few environments name a proxy.
_NAME: Final = r"[\w\x80-\U0010ffff-][\w.\x80-\U0010ffff-]*"  # IDNA and DNS check the characters that are not ASCII
_HOST: Final = rf"\[([\w.]*:[\w.:]*(?:%[\w.-]+)?)\]|(\d+(?:\.\d+){{3}})|{_NAME}"
_ENTRY: Final = (
    rf"(?:\[(?P<address>[^][]+)\]|(?:\*?\.)?(?P<name>{_NAME})|(?P<all>\*))(?P<prefix>/[0-9.]+)?(?::(?P<port>.*))?"
)
_warned: Final[set[str]] = set()
_warned_lock: Final = Lock()

_Address = IPv4Address | IPv6Address
_Exception = tuple[IPv4Network | IPv6Network | str, int | None]
"""A network or a host name (`*` is every host), and the only port that it is for, or `None` for all ports."""


@frozen
class Proxy:
    """A proxy.

    Attributes:
        url: Its URL with the credentials as they were given.
        shown: Its URL without credentials, always with a port. It is used in errors and to connect.
        variable: The environment variable that names it, or "the system's settings".
        username: The decoded user name for the proxy, or an empty string if there is none.
        password: The decoded password for the proxy, or an empty string if there is none.
    """

    url: str = field(repr=False)
    shown: str
    variable: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def proxy_for(base_url: str, environ: Mapping[str, str], system: Mapping[str, str] = {}) -> Proxy | None:
    """The proxy for a base URL, or `None` if requests go to the server directly.

    Args:
        base_url: An absolute URL with the scheme http or https.
        environ: The environment variables.
        system: The result of `urllib.request.getproxies()`. It is used if no environment variable is set.

    Raises:
        ConfigurationError: the value of the variable is not a valid proxy.
    """
    parts = urlsplit(base_url)
    host = _plain(parts.hostname or "")
    address = _address(host)
    if is_loopback(host):
        return None
    named = _named(environ, system)
    proxy = named.get(parts.scheme) or named.get("all")
    if proxy is None:
        return None
    port = parts.port or _PORTS[parts.scheme]
    exceptions = _exceptions(*named.get("no", ("", "")))
    if any(only_port in {None, port} and _matches(pattern, host, address) for pattern, only_port in exceptions):
        return None
    return _proxy(*proxy)


def _named(environ: Mapping[str, str], system: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The variable and its value for each of http, https, all and no, by the rules of urllib."""
    # A copy, because on Windows `os.environ` ignores case, and would find HTTP_PROXY by the name http_proxy too.
    values = dict(environ)
    if "REQUEST_METHOD" in values:
        # In a CGI process, anybody can set this variable with the request header `Proxy:`.
        values.pop("HTTP_PROXY", None)
    named = {}
    for kind in ("http", "https", "all", "no"):
        variable = f"{kind}_proxy"
        if variable not in values:
            variable = variable.upper()
        if value := values.get(variable, "").strip():
            named[kind] = variable, value
    return named or {kind: (_SYSTEM, value.strip()) for kind, value in system.items() if value.strip()}


def _exceptions(variable: str, value: str) -> list[_Exception]:
    """The entries of NO_PROXY. If a value has invalid entries, they are skipped, and one warning is logged."""
    read = {entry: _exception(entry) for entry in value.replace(",", " ").split()}
    # An entry may be a URL with a password. So the warning shows only what follows the last "@".
    skipped = [repr(entry.rpartition("@")[2]) for entry, exception in read.items() if exception is None]
    if skipped:
        with _warned_lock:
            is_new = value not in _warned
            _warned.add(value)
        if is_new:
            logger.warning("%s: skipped invalid entries: %s", variable, one_line(", ".join(skipped)))
    return [exception for exception in read.values() if exception is not None]


def _exception(entry: str) -> _Exception | None:
    # The whole entry is tried first: the end of an IPv6 address without brackets looks like a port.
    if (network := _network(entry)) is not None:
        return network, None
    found = re.fullmatch(_ENTRY, entry, re.ASCII)
    if found is None or not (found["port"] is None or _is_port(found["port"])):
        return None
    host = found["address"] or found["name"] or found["all"]
    network = _network(host + (found["prefix"] or ""))
    if network is None and (found["address"] or found["prefix"]):
        return None
    return network or _plain(host), None if found["port"] is None else int(found["port"])


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def _matches(pattern: IPv4Network | IPv6Network | str, host: str, address: _Address | None) -> bool:
    if not isinstance(pattern, str):
        return address is not None and address in pattern
    return pattern == "*" or (address is None and f".{host}".endswith(f".{pattern}"))


def _proxy(variable: str, value: str) -> Proxy:
    scheme, separator, rest = value.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("http", value)
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    credentials, at, address = authority.rpartition("@")
    in_brackets, bracket, after = address.rpartition("]")
    name, _, port = after.partition(":")
    host = f"{in_brackets}{bracket}{name}".lower()
    if not value.isprintable():
        problem = "contains a character that cannot be printed"
    elif scheme not in _PORTS:
        problem = f"has a scheme other than {', '.join(_PORTS)}"
    elif "@" in rest[len(authority) :]:
        problem = "has a /, ? or # in its credentials"
    elif not host:
        problem = "has no host"
    elif not _is_host(host):
        problem = "has an invalid host"
    elif port and not _is_port(port):
        problem = "has a port that is not a number from 1 to 65535"
    else:
        where = f"{host}:{int(port or _PORTS[scheme])}"
        username, _, password = map(unquote, credentials.partition(":"))
        return Proxy(f"{scheme}://{credentials}{at}{where}", f"{scheme}://{where}", variable, username, password)
    raise ConfigurationError(
        f"{variable}: expected a proxy such as 'http://proxy:3128', but its value (not shown) {problem}",
        hint="Write an IPv6 address in brackets, and a special character of a password as %XX. Nothing was sent.",
    )


def _is_host(text: str) -> bool:
    found = re.fullmatch(_HOST, text, re.ASCII)
    return found is not None and not (found.lastindex and _address(text.strip("[]")) is None)


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) < 1 << 16


def _plain(name: str) -> str:
    """A host name in the form in which names are compared: lower case, ASCII if possible, and no dot at the end."""
    if not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("idna").decode()
    return name.lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine. The host is a name or an address, in lower case and without brackets."""
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _address(host: str) -> _Address | None:
    """The host as an IP address, or `None` if it is a name."""
    with suppress(ValueError):
        address = ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    return None
