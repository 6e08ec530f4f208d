"""Check arguments of callers against the contract, before any request is made. Pure.

Each check returns the value in the form that a request needs. If the value is invalid, the check raises an error that
says what was expected and what was given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeGuard
from uuid import UUID

from featherhq.errors import InvalidArgumentError, one_line

# The canonical form of RFC 9562 section 4. `uuid.UUID` also accepts other forms, but a server may not.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# A name is a token of RFC 9110 section 5.6.2. A value is visible ASCII, from section 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_KEY: Final = re.compile(r"[!-~]+")
_LARGEST_PAGE: Final = 100
# The characters of a key of a message.
_LONGEST_KEY: Final = 256
KEY_HEADER: Final = "X-API-Key"


def key_problem(value: object) -> str | None:
    """Why a value cannot be sent as a key in a header, or `None` if it can. The text continues "a value that …"."""
    if not isinstance(value, str):
        return f"is of type {type(value).__name__} and not a string"
    if not value:
        return "is empty"
    if not _KEY.fullmatch(value):
        return "contains white space, a line break or another character that a header cannot contain"
    return None


def identifier(name: str, value: object) -> str:
    """Check an id that is a UUID in the contract. Returns it as a string.

    Raises:
        InvalidArgumentError: the value is not a UUID.
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    raise refusal(name, "a UUID such as '6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11'", value)


def text(name: str, value: object) -> str:
    """Check a message: a string with at least one character (`minLength: 1` in the contract).

    Raises:
        InvalidArgumentError: the value is not a string, or is empty, or cannot be encoded in UTF-8.
    """
    if not isinstance(value, str):
        raise refusal(name, "a string", value)
    if not value:
        raise refusal(name, "at least one character", value)
    return _encodable(name, value)


def optional_text(name: str, value: object) -> str | None:
    """Check a string that may be `None`.

    Raises:
        InvalidArgumentError: the value is neither, or cannot be encoded in UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise refusal(name, "a string or None", value)
    return _encodable(name, value)


def string_map(name: str, value: object) -> dict[str, str] | None:
    """Check metadata or variables: a mapping of strings to strings, or `None`.

    Raises:
        InvalidArgumentError: the value is neither, or a string in it cannot be encoded in UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise refusal(name, "a mapping of strings to strings", value)
    for key, item in value.items():
        if not isinstance(key, str):
            raise refusal(f"{name}: a key", "a string", key)
        if not isinstance(item, str):
            raise refusal(f"{name}[{key!r}]", "a string", item)
        _encodable(name, key)
        _encodable(f"{name}[{key!r}]", item)
    return dict(value)


def message_key(value: object) -> str:
    """Check the key of a message: a printable string with 1 to 256 characters.

    Raises:
        InvalidArgumentError: the value is not such a string.
    """
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_KEY and value.isprintable():
        return value
    raise refusal("key", f"a printable string with 1 to {_LONGEST_KEY} characters", value)


def moment(name: str, value: object) -> datetime:
    """Check a time: a `datetime` with a time zone.

    Raises:
        InvalidArgumentError: the value is not such a time.
    """
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value
    raise refusal(name, "a datetime with a time zone", value)


def ledger(value: object) -> object:
    """Check a ledger of keys: an object with its three methods, or `None`.

    Raises:
        InvalidArgumentError: the value is neither.
    """
    methods = ("begin", "done", "claimed")
    if value is None or (
        not isinstance(value, type) and all(callable(getattr(value, method, None)) for method in methods)
    ):
        return value
    expected = "a ledger such as SQLiteLedger('feather.db') (an object with begin, done and claimed), or None"
    raise refusal("ledger", expected, value)


def choice(name: str, value: object, known: tuple[str, ...]) -> str | None:
    """Check a value of an enum of the contract that may be `None`.

    Args:
        name: The argument's name, for the error.
        value: The value.
        known: All values of the enum.

    Raises:
        InvalidArgumentError: the value is neither `None` nor in the enum.
    """
    if value is None:
        return None
    if isinstance(value, str) and value in known:
        return str(value)
    raise refusal(name, f"None or one of {', '.join(known)}", value)


def page_size(value: object) -> int:
    """Check the number of messages in a page: 1 to 100. The vendor allows no more than 100.

    Raises:
        InvalidArgumentError: the value is not a whole number, or is out of this range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_PAGE:
        raise refusal("page_size", f"a whole number from 1 to {_LARGEST_PAGE}", value)
    return value


def flag(name: str, value: object) -> bool | None:
    """Check an argument that is `True`, `False` or `None`.

    Raises:
        InvalidArgumentError: the value is something else.
    """
    if value is None or isinstance(value, bool):
        return value
    raise refusal(name, "True, False or None", value)


def seconds(name: str, value: object) -> float:
    """Check a number of seconds. It must be finite and greater than 0, so that no call waits without an end.

    Raises:
        InvalidArgumentError: the value is not such a number.
    """
    if not _is_number(value) or value <= 0:
        raise refusal(name, "a finite number of seconds above 0", value)
    return float(value)


def retries(value: object) -> int:
    """Check a number of retries: 0 or more.

    Raises:
        InvalidArgumentError: the value is not a whole number, or is negative.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refusal("max_retries", "a whole number, 0 or more", value)
    return value


def rate_limit(value: object) -> float:
    """Check a rate limit that is a plain number: requests per second, greater than 0.

    Raises:
        InvalidArgumentError: the value is not such a number.
    """
    if not _is_number(value) or value <= 0:
        expected = (
            "a finite number of requests per second above 0, a RateLimit, a SharedRateLimit, or None for no limit"
        )
        raise refusal("rate_limit", expected, value)
    return float(value)


def rate(value: object) -> float:
    """Check the rate of a `RateLimit` or a `SharedRateLimit`.

    Raises:
        InvalidArgumentError: the value is not a finite number greater than 0.
    """
    if not _is_number(value) or value <= 0:
        raise refusal("rate", "a finite number of requests per second above 0", value)
    return float(value)


def burst(value: object) -> int | None:
    """Check a burst: how many requests may be sent at once, or `None` for the default.

    Raises:
        InvalidArgumentError: the value is neither `None` nor a whole number above 0.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise refusal("burst", "a whole number above 0, or None for the default", value)
    return value


def limit_name(value: object) -> str:
    """Check the name of a shared limit. It becomes a part of the names of keys in Redis, in braces.

    Raises:
        InvalidArgumentError: the value is not a string, or is empty, or contains braces.
    """
    if not isinstance(value, str) or not value or "{" in value or "}" in value:
        raise refusal("name", "a string of at least one character, without braces", value)
    _encodable("name", value)
    return value


def headers(value: object) -> dict[str, str]:
    """Check headers to send with every request: a mapping of names to values.

    Raises:
        InvalidArgumentError: a name or a value is invalid (RFC 9110 sections 5.5 and 5.6.2), or a name is the key's.
    """
    given = string_map("headers", value) or {}
    for name, item in given.items():
        if not _HEADER_NAME.fullmatch(name):
            raise refusal("headers: a name", "a header name (RFC 9110)", name)
        if name.lower() == KEY_HEADER.lower():
            raise InvalidArgumentError(f"headers: {KEY_HEADER} is set by this client", hint="Pass the key as api_key=.")
        if item and not _HEADER_VALUE.fullmatch(item):
            # The error does not show the value, because a header may contain a secret.
            raise InvalidArgumentError(
                f"headers[{name!r}]: expected visible ASCII characters, but this value has others",
                hint="Nothing was sent. Encode the value first, for example with urllib.parse.quote.",
            )
    return given


def _is_number(value: object) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refusal(name, "text that UTF-8 can encode (this contains half of a surrogate pair)", value) from None
    return value


def refusal(name: str, expected: str, value: object) -> InvalidArgumentError:
    """The error for an argument that is not what was expected."""
    came = one_line(repr(value))
    return InvalidArgumentError(f"{name}: expected {expected}, got {came}", hint="Nothing was sent.")
