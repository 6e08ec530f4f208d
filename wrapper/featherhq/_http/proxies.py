"""Which proxy the requests to one base URL go through: decided once, from the environment and the system's settings.

No I/O, and no look-up of host names. Values of the variables are shown nowhere, since they may hold a password.
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
"""The kinds of proxies, each with the port of one that names none."""

_NAME: Final = r"[\w\x80-\U0010ffff-][\w.\x80-\U0010ffff-]*"  # what is beyond ASCII is left to IDNA and DNS
_HOST: Final = re.compile(rf"\[([\w.]*:[\w.:]*(?:%[\w.-]+)?)\]|(\d+(?:\.\d+){{3}})|{_NAME}", re.ASCII)
_ENTRY: Final = re.compile(
    rf"(?:\[(?P<address>[^][]+)\]|(?:\*?\.)?(?P<name>{_NAME})|(?P<all>\*))(?P<prefix>/[0-9.]+)?(?::(?P<port>.*))?",
    re.ASCII,
)
_warned: Final[set[str]] = set()
_warned_lock: Final = Lock()

_Address = IPv4Address | IPv6Address
_Exception = tuple[IPv4Network | IPv6Network | str, int | None]
"""A network or a host name (`*`: every one), and the only port that it is for."""


@frozen
class Proxy:
    """A proxy.

    Attributes:
        url: Its URL with credentials, as they were given.
        shown: Its URL without credentials, and always with a port: for errors, and to connect to.
        variable: The environment variable that it comes from, or "the system's settings".
        username: For the proxy itself, decoded; empty where there is none. So is `password`.
    """

    url: str = field(repr=False)
    shown: str
    variable: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def proxy_for(base_url: str, environ: Mapping[str, str], system: Mapping[str, str] = {}) -> Proxy | None:
    """The proxy for a base URL, or `None` where requests go straight to it.

    Args:
        base_url: An absolute URL of http or https.
        environ: The environment's variables.
        system: What `urllib.request.getproxies()` gives; it counts where no variable names anything.

    Raises:
        ConfigurationError: what is named is no proxy.
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
    """The variable and the value for each of http, https, all and no, as urllib finds them."""
    # A copy, since on Windows `os.environ` itself finds HTTP_PROXY by the name http_proxy too.
    values = dict(environ)
    if "REQUEST_METHOD" in values:
        # In a CGI process, a request's header `Proxy:` comes as this variable.
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
    """What NO_PROXY names. Of each value that cannot be read in full, one warning is given."""
    read = {entry: _exception(entry) for entry in value.replace(",", " ").split()}
    # An entry may be a URL with a password.
    skipped = [repr(entry.rpartition("@")[2]) for entry, exception in read.items() if exception is None]
    if skipped:
        with _warned_lock:
            is_new = value not in _warned
            _warned.add(value)
        if is_new:
            logger.warning("%s: skipped invalid entries: %s", variable, one_line(", ".join(skipped)))
    return [exception for exception in read.values() if exception is not None]


def _exception(entry: str) -> _Exception | None:
    # As a whole first: in an IPv6 address without brackets, what follows the last colon looks like a port.
    if (network := _network(entry)) is not None:
        return network, None
    found = _ENTRY.fullmatch(entry)
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
    elif (found := _HOST.fullmatch(host)) is None or (found.lastindex and _address(host.strip("[]")) is None):
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


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) < 1 << 16


def _plain(name: str) -> str:
    """A host name as it is compared: in lower case, in ASCII where that can be, and without a dot at its end."""
    if not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("idna").decode()
    return name.lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address without brackets in lower case, is this machine."""
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _address(host: str) -> _Address | None:
    """The address that a host is; `None` for a name."""
    with suppress(ValueError):
        address = ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    return None
