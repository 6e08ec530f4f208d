"""What a client is set up with: checked once, and shared by all that it makes."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from featherhq import _arguments
from featherhq._core.key import Key
from featherhq._core.limit import RateLimit
from featherhq._core.retry import Deadline
from featherhq._core.secrets import Secret
from featherhq._threads.experience import Experience
from featherhq._threads.ledger import SendLedger
from featherhq._version import __version__
from featherhq.errors import ConfigurationError, one_line

DEFAULT_BASE_URL: Final = "https://prod.featherhq.com"
_API_PATH: Final = "/api/v1"
_KEY_VARIABLE: Final = "FEATHER_API_KEY"
_URL_VARIABLE: Final = "FEATHER_BASE_URL"
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


def hidden(api_key: object) -> object:
    """What a caller has given as a key, as it is carried around: no local variable of ours shows it from here on."""
    return (
        api_key if api_key is None or callable(api_key) or isinstance(api_key, Secret) else Secret(cast("str", api_key))
    )


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
        api_key: object,
        *,
        base_url: str | None,
        timeout: float,
        max_retries: int,
        rate_limit: float | None,
        headers: Mapping[str, str] | None,
    ) -> Settings:
        """Settings from a client's arguments and the environment; the key as `hidden` gives it.

        Raises:
            ConfigurationError: no key, a bad key, or a bad URL.
            InvalidArgumentError: anything else that cannot be.
        """
        return cls(
            base_url=_base_url(base_url),
            key=Key(_key_source(hidden(api_key))),
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


def _key_source(given: Any) -> Callable[[], object] | Secret:
    """The key, or what gives it."""
    name = "api_key" if given is not None else _KEY_VARIABLE
    if given is None and _KEY_VARIABLE in os.environ:
        given = Secret(os.environ[_KEY_VARIABLE])
    if given is None:
        raise ConfigurationError(
            f"no API key: expected api_key= or the environment variable {_KEY_VARIABLE}",
            hint="Make a key in the dashboard under Settings → API Keys; it is shown once.",
        )
    problem = _arguments.key_problem(given.reveal()) if isinstance(given, Secret) else None
    if problem is None:
        return cast("Secret", given)
    raise ConfigurationError(
        f"{name}: expected a string of visible ASCII characters, and this one {problem}",
        hint="Copy the key anew from the dashboard (Settings → API Keys); a file may have added a line break.",
    )


def _base_url(value: object) -> str:
    """An absolute URL without what a base cannot have; a path is kept, for those behind a gateway."""
    import httpx

    name = "base_url"
    if value is None:
        name, value = _URL_VARIABLE, os.environ.get(_URL_VARIABLE, DEFAULT_BASE_URL)
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
                    f"{name}: expected a URL without a user name and password",
                    hint="Send credentials for a gateway by headers=.",
                )
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                problem = "is not absolute"
            elif parts.query or parts.fragment:
                problem = "has a query or a fragment"
            elif parts.path.rstrip("/").endswith(_API_PATH):
                problem = f"ends in {_API_PATH}, which every request adds"
            else:
                return value.rstrip("/")
    if value == "":
        # As much as nothing, to a shell; but what was meant is not the vendor's own server.
        problem = "is empty"
    raise ConfigurationError(
        f"{name}: expected an absolute URL such as {DEFAULT_BASE_URL!r}, and {one_line(repr(value))} {problem}",
        hint="Set base_url= or FEATHER_BASE_URL, or leave both out for Feather's own.",
    )
