"""The settings of a client: checked once, and shared by all that it makes."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from featherhq import _limits, _validation
from featherhq._core.events import Listener
from featherhq._core.key import Key
from featherhq._core.rate_limit import RateLimit
from featherhq._core.retry import Deadline
from featherhq._core.secrets import Secret
from featherhq._logging import log
from featherhq._telemetry import Listening
from featherhq._threads.experience import Experience
from featherhq._threads.ledger import SendLedger
from featherhq._threads.owed import Owed
from featherhq._version import __version__
from featherhq.errors import ConfigurationError, one_line
from featherhq.ledgers import Ledger

DEFAULT_BASE_URL: Final = "https://prod.featherhq.com"
_API_PATH: Final = "/api/v1"
_KEY_VARIABLE: Final = "FEATHER_API_KEY"
_URL_VARIABLE: Final = "FEATHER_BASE_URL"
DEFAULT_TIMEOUT: Final = 60.0
"""Seconds that one call may take."""
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_RATE_LIMIT: Final = _limits.DEFAULT_RATE
DEFAULT_PAGE_SIZE: Final = 100
DEFAULT_QUIET: Final = 2.0
"""Seconds without a message after which an agent's turn is over."""
# Nobody guesses or repeats a token of this many random bytes.
_TOKEN_BYTES: Final = 16

KeySource = str | Callable[[], str]
"""What `Feather(api_key=…)` takes."""

AsyncKeySource = str | Callable[[], str | Awaitable[str]]
"""What `AsyncFeather(api_key=…)` takes."""


class Unchanged:
    """The type of `UNCHANGED`, the default for options that `with_options` leaves as they are."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()


def hidden(api_key: object) -> object:
    """The caller's key in the form that we carry around: from here on, no local variable of ours shows it."""
    return (
        api_key if api_key is None or callable(api_key) or isinstance(api_key, Secret) else Secret(cast("str", api_key))
    )


@frozen
class Settings:
    """What every call of a client needs to know.

    Attributes:
        base_url: The URL that all requests go to.
        key: The API key.
        timeout: Seconds that one call may take in all.
        max_retries: Attempts after the first.
        limit: The rate limit, or `None` for no limit.
        headers: Headers that are added to every request.
        user_agent: The `User-Agent` header.
        ledger: What is known about the messages that were sent.
        experience: What is known about the server.
        owed: Which threads wait for a reply.
        clock: Gives the time in seconds of the monotonic clock.
        wall_clock: Gives the time in seconds since 1970.
        random: Gives a number from 0 to 1.
        sends_key: Whether the key is sent. A few generated functions need other credentials.
        listen: Hears of each event (`_core/events.py`).
        key_ledger: The ledger of keys, or `None` if the caller has none.
        token: Gives a new token that no other process gives.
    """

    base_url: str
    key: Key = field(repr=False)
    timeout: float
    max_retries: int
    limit: RateLimit | None
    headers: Mapping[str, str] = field(repr=False)
    user_agent: str
    ledger: SendLedger = field(factory=SendLedger, repr=False)
    experience: Experience = field(factory=Experience, repr=False)
    owed: Owed = field(factory=Owed, repr=False)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    random: Callable[[], float] = random.random
    sends_key: bool = True
    listen: Listener = log
    key_ledger: Ledger | None = field(default=None, repr=False)
    token: Callable[[], str] = lambda: os.urandom(_TOKEN_BYTES).hex()

    @classmethod
    def read(
        cls,
        api_key: object,
        *,
        base_url: str | None,
        timeout: float,
        max_retries: int,
        rate_limit: object,
        headers: Mapping[str, str] | None,
        ledger: object = None,
    ) -> Settings:
        """Settings from the arguments of a client and from the environment. The key is what `hidden` returns.

        Raises:
            ConfigurationError: there is no key, or the key or the URL is invalid.
            InvalidArgumentError: another argument is invalid.
        """
        url = _base_url(base_url)
        return cls(
            base_url=url,
            key=Key(_key_source(hidden(api_key))),
            timeout=_validation.seconds("timeout", timeout),
            max_retries=_validation.retries(max_retries),
            limit=_limits.queue(rate_limit),
            headers=_validation.headers(headers),
            user_agent=_user_agent(),
            key_ledger=cast("Ledger | None", _validation.ledger(ledger)),
            listen=Listening(url),
        )

    def changed(self, **options: Any) -> Settings:
        """These settings with some changes, for `with_options`. What is `UNCHANGED` stays.

        Raises:
            InvalidArgumentError: an option is invalid.
        """
        given = {name: value for name, value in options.items() if value is not UNCHANGED}
        changes: dict[str, Any] = {}
        if "timeout" in given:
            changes["timeout"] = _validation.seconds("timeout", given["timeout"])
        if "max_retries" in given:
            changes["max_retries"] = _validation.retries(given["max_retries"])
        if "rate_limit" in given:
            changes["limit"] = _limits.queue(given["rate_limit"])
        if "headers" in given:
            changes["headers"] = {**self.headers, **_validation.headers(given["headers"])}
        return evolve(self, **changes)

    def deadline(self, timeout: float | None) -> Deadline:
        """The deadline of a call that begins now.

        Args:
            timeout: Seconds; `None` for the client's own.

        Raises:
            InvalidArgumentError: it is not a number of seconds above 0.
        """
        seconds = self.timeout if timeout is None else _validation.seconds("timeout", timeout)
        return Deadline(self.clock() + seconds, seconds)


def _user_agent() -> str:
    return f"featherhq/{__version__} python/{sys.version.partition(' ')[0]}"


def _key_source(given: Any) -> Callable[[], object] | Secret:
    """The key, or the callable that returns it."""
    name = "api_key" if given is not None else _KEY_VARIABLE
    if given is None and _KEY_VARIABLE in os.environ:
        given = Secret(os.environ[_KEY_VARIABLE])
    if given is None:
        raise ConfigurationError(
            f"no API key: expected api_key= or the environment variable {_KEY_VARIABLE}",
            hint="Make a key in the dashboard under Settings → API Keys; it is shown once.",
        )
    problem = _validation.key_problem(given.reveal()) if isinstance(given, Secret) else None
    if problem is None:
        return cast("Secret", given)
    raise ConfigurationError(
        f"{name}: expected a string of visible ASCII characters, but this one {problem}",
        hint="Copy the key again from the dashboard (Settings → API Keys). A file may have added a line break.",
    )


def _base_url(value: object) -> str:
    """An absolute URL without the parts that a base URL cannot have. A path is kept, for those behind a gateway."""
    # Imported here, because it imports an HTTP library.
    from featherhq._http.requests import invalid_url

    name = "base_url"
    if value is None:
        name, value = _URL_VARIABLE, os.environ.get(_URL_VARIABLE, DEFAULT_BASE_URL)
    if value == "":
        # A shell treats an empty variable like none. But here that would mean the vendor's own server.
        problem: str | None = "is empty"
    elif not isinstance(value, str):
        problem = "is not a string"
    elif (reason := invalid_url(value)) is not None:
        problem = f"is invalid ({reason})"
    else:
        problem = _url_problem(name, value)
    if problem is None:
        return str(value).rstrip("/")
    raise ConfigurationError(
        f"{name}: expected an absolute URL such as {DEFAULT_BASE_URL!r}, but {one_line(repr(value))} {problem}",
        hint="Set base_url= or FEATHER_BASE_URL, or leave both out for Feather's own.",
    )


def _url_problem(name: str, value: str) -> str | None:
    """Why a URL cannot be a base URL; `None` if it can."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # it is checked when it is read
    except ValueError as error:
        return f"is invalid ({one_line(str(error))})"
    if parts.username is not None or parts.password is not None:
        # Not shown, because it holds a password.
        raise ConfigurationError(
            f"{name}: expected a URL without a user name and password",
            hint="Send credentials for a gateway in headers=.",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is not absolute"
    if parts.query or parts.fragment:
        return "has a query or a fragment"
    if parts.path.rstrip("/").endswith(_API_PATH):
        return f"ends in {_API_PATH}, which every request adds"
    return None
