"""Whether clients may connect to other machines: all may, but while the pytest plugin forbids it for a test."""

from __future__ import annotations

from typing import Final

from featherhq._proxies import is_loopback
from featherhq.errors import UsageError


class Switch:
    """One for the whole process, since a client's threads and tasks connect as well.

    Attributes:
        refuse_all_but_loopback: Whether connections to other machines are refused.
    """

    refuse_all_but_loopback: bool = False


switch: Final = Switch()


def forbid() -> None:
    """From now on, refuse connections to other machines."""
    switch.refuse_all_but_loopback = True


def allow() -> None:
    """From now on, refuse none."""
    switch.refuse_all_but_loopback = False


def check(host: str) -> None:
    """Refuse a host that is not this machine, while others are forbidden.

    Args:
        host: A name or an address, as it stands in a URL.

    Raises:
        UsageError: it is forbidden.
    """
    if switch.refuse_all_but_loopback and not is_loopback(host.lower().strip("[]").removesuffix(".")):
        raise UsageError(
            f"a test was about to connect to {host}, and featherhq's pytest plugin allows loopback addresses alone",
            hint="Nothing was sent. Use the fixtures feather and feather_sandbox; or respx or pytest-httpx, with "
            "http_client=httpx.AsyncClient() or httpx.Client(); or mark the test with @pytest.mark.feather_network.",
        )
