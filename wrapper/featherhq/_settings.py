"""What a client is set up with: checked once, and shared by all that it makes."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from featherhq import _arguments
from featherhq._core.limit import RateLimit
from featherhq._core.retry import Deadline
from featherhq._threads.experience import Experience
from featherhq._threads.ledger import SendLedger
from featherhq._version import __version__
from featherhq.errors import ConfigurationError, one_line

DEFAULT_BASE_URL: Final = "https://prod.featherhq.com"
DEFAULT_TIMEOUT: Final = 60.0
"""Seconds."""
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_RATE_LIMIT: Final = 10.0
"""Requests a second: the vendor's standard plan."""
DEFAULT_PAGE_SIZE: Final = 100


class Unchanged:
    """The type of `UNCHANGED`, the default of what `with_options` may leave as it is."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()


class Key:
    """The API key: a string, or a callable that is asked for one, and again when Feather refuses it."""

    def __init__(self, source: str | Callable[[], str]) -> None:
        self._ask = source if callable(source) else None
        self._value = None if callable(source) else _arguments.api_key(source)

    def current(self) -> str:
        """The key to send.

        Raises:
            ConfigurationError: the callable failed, or gave what is no key.
        """
        if self._value is None:
            self._value = self._fetch()
        return self._value

    def renew(self, refused: str) -> bool:
        """Ask again after a 401; whether there is another key now than the one refused.

        Raises:
            ConfigurationError: as in `current`.
        """
        if self._ask is not None and self._value == refused:
            self._value = self._fetch()
        return self._value != refused

    def _fetch(self) -> str:
        assert self._ask is not None  # noqa: S101 - a key that was given as a string is never fetched
        try:
            value = self._ask()
        except Exception as error:
            raise ConfigurationError(
                f"api_key: the callable raised {type(error).__name__}",
                hint="Nothing was sent. See the cause above.",
            ) from error
        return _arguments.api_key(value)


@frozen
class Settings:
    """What every call of a client needs to know."""

    base_url: str
    key: Key = field(repr=False)
    timeout: float
    max_retries: int
    limit: RateLimit | None
    headers: Mapping[str, str] = field(repr=False)
    user_agent: str
    ledger: SendLedger = field(factory=SendLedger, repr=False)
    experience: Experience = field(factory=Experience, repr=False)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    random: Callable[[], float] = random.random

    @classmethod
    def read(
        cls,
        api_key: str | Callable[[], str] | None,
        *,
        base_url: str | None,
        timeout: float,
        max_retries: int,
        rate_limit: float | None,
        headers: Mapping[str, str] | None,
    ) -> Settings:
        """Settings from a client's arguments and the environment.

        Raises:
            ConfigurationError: no key, a bad key, or a bad URL.
            InvalidArgumentError: anything else that cannot be.
        """
        return cls(
            base_url=_base_url(_default_base_url() if base_url is None else base_url),
            key=Key(_key_source(api_key)),
            timeout=_arguments.seconds("timeout", timeout),
            max_retries=_arguments.retries(max_retries),
            limit=_limit(rate_limit),
            headers=_arguments.headers(headers),
            user_agent=_user_agent(),
        )

    def changed(self, **options: Any) -> Settings:
        """These settings with some changed, for `with_options`; what is `UNCHANGED` stays.

        Raises:
            InvalidArgumentError: an option cannot be.
        """
        given = {name: value for name, value in options.items() if value is not UNCHANGED}
        changes: dict[str, Any] = {}
        if "timeout" in given:
            changes["timeout"] = _arguments.seconds("timeout", given["timeout"])
        if "max_retries" in given:
            changes["max_retries"] = _arguments.retries(given["max_retries"])
        if "rate_limit" in given:
            changes["limit"] = _limit(given["rate_limit"])
        if "headers" in given:
            changes["headers"] = {**self.headers, **_arguments.headers(given["headers"])}
        return evolve(self, **changes)

    def deadline(self, timeout: float | None) -> Deadline:
        """When a call that begins now has to be over.

        Args:
            timeout: Seconds; `None` for the client's own.

        Raises:
            InvalidArgumentError: it is no number of seconds above 0.
        """
        seconds = self.timeout if timeout is None else _arguments.seconds("timeout", timeout)
        return Deadline(self.clock() + seconds, seconds)


def _limit(requests_a_second: object) -> RateLimit | None:
    rate = _arguments.rate(requests_a_second)
    return None if rate is None else RateLimit(rate)


def _user_agent() -> str:
    # When a client is made, and not before, so that an import costs those little who make none; as below.
    import httpx

    return f"featherhq/{__version__} python/{sys.version.partition(' ')[0]} httpx/{httpx.__version__}"


def _key_source(given: str | Callable[[], str] | None) -> str | Callable[[], str]:
    source = os.environ.get("FEATHER_API_KEY") if given is None else given
    if source is None:
        raise ConfigurationError(
            "no API key: expected api_key= or the environment variable FEATHER_API_KEY",
            hint="Make a key in the dashboard under Settings → API Keys; it is shown once.",
        )
    return source


def _default_base_url() -> str:
    return os.environ.get("FEATHER_BASE_URL") or DEFAULT_BASE_URL


def _base_url(value: object) -> str:
    """An absolute URL without what a base cannot have; a path is kept, for those behind a gateway."""
    import httpx

    problem = "is not one"
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            httpx.URL(value)
            _ = parts.port  # read when it is asked for
        except (ValueError, httpx.InvalidURL) as error:
            problem = f"is none ({one_line(str(error))})"
        else:
            if parts.username is not None or parts.password is not None:
                # Not shown: it holds a password.
                raise ConfigurationError(
                    "base_url: expected a URL without a user name and password",
                    hint="Send credentials for a gateway by headers=.",
                )
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                problem = "is not absolute"
            elif parts.query or parts.fragment:
                problem = "has a query or a fragment"
            else:
                return value.rstrip("/")
    raise ConfigurationError(
        f"base_url: expected an absolute URL such as {DEFAULT_BASE_URL!r}, and {one_line(repr(value))} {problem}",
        hint="Set base_url= or FEATHER_BASE_URL, or leave both out for Feather's own.",
    )
