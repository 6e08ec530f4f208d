"""Which hosts clients may connect to. All hosts are allowed, unless the pytest plugin forbids other machines."""

from __future__ import annotations

from typing import Final

from featherhq._http.proxies import is_loopback
from featherhq.errors import UsageError


class Switch:
    """One for the whole process, because a client's threads and tasks connect as well.

    Attributes:
        may_refuse: Whether the pytest plugin is at work, so that a connection may be refused now or later.
        refuse_all_but_loopback: Whether connections to other machines are refused now.
    """

    may_refuse: bool = False
    refuse_all_but_loopback: bool = False


switch: Final = Switch()


def forbid() -> None:
    """From now on, refuse connections to other machines."""
    switch.refuse_all_but_loopback = switch.may_refuse = True


def allow() -> None:
    """From now on, refuse no connection."""
    switch.refuse_all_but_loopback = False


def check(host: str) -> None:
    """Refuse a host that is not this machine, while other machines are forbidden.

    Args:
        host: A name or an address, as it stands in a URL.

    Raises:
        UsageError: the host is forbidden.
    """
    if switch.refuse_all_but_loopback and not is_loopback(host.lower().strip("[]").removesuffix(".")):
        raise UsageError(
            f"a test tried to connect to {host}, but featherhq's pytest plugin allows only loopback addresses",
            hint="Nothing was sent. Use the fixtures feather and feather_sandbox; or respx or pytest-httpx, with "
            "http_client=httpx.AsyncClient() or httpx.Client(); or mark the test with @pytest.mark.feather_network.",
        )
