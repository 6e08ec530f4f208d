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
    raise _refusal(name, "a UUID such as '6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11'", value)


def text(name: str, value: object) -> str:
    """Check a message: a string with at least one character (`minLength: 1` in the contract).

    Raises:
        InvalidArgumentError: the value is not a string, or is empty, or cannot be encoded in UTF-8.
    """
    if not isinstance(value, str):
        raise _refusal(name, "a string", value)
    if not value:
        raise _refusal(name, "at least one character", value)
    return _encodable(name, value)


def optional_text(name: str, value: object) -> str | None:
    """Check a string that may be `None`.

    Raises:
        InvalidArgumentError: the value is neither, or cannot be encoded in UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise _refusal(name, "a string or None", value)
    return _encodable(name, value)


def string_map(name: str, value: object) -> dict[str, str] | None:
    """Check metadata or variables: a mapping of strings to strings, or `None`.

    Raises:
        InvalidArgumentError: the value is neither, or a string in it cannot be encoded in UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _refusal(name, "a mapping of strings to strings", value)
    for key, item in value.items():
        if not isinstance(key, str):
            raise _refusal(f"{name}: a key", "a string", key)
        if not isinstance(item, str):
            raise _refusal(f"{name}[{key!r}]", "a string", item)
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
    raise _refusal("key", f"a printable string with 1 to {_LONGEST_KEY} characters", value)


def moment(name: str, value: object) -> datetime:
    """Check a time: a `datetime` with a time zone.

    Raises:
        InvalidArgumentError: the value is not such a time.
    """
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value
    raise _refusal(name, "a datetime with a time zone", value)


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
    raise _refusal("ledger", expected, value)


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
    raise _refusal(name, f"None or one of {', '.join(known)}", value)


def page_size(value: object) -> int:
    """Check the number of messages in a page: 1 to 100. The vendor allows no more than 100.

    Raises:
        InvalidArgumentError: the value is not a whole number, or is out of this range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_PAGE:
        raise _refusal("page_size", f"a whole number from 1 to {_LARGEST_PAGE}", value)
    return value


def seconds(name: str, value: object) -> float:
    """Check a number of seconds. It must be finite and greater than 0, so that no call waits without an end.

    Raises:
        InvalidArgumentError: the value is not such a number.
    """
    if not _is_number(value) or value <= 0:
        raise _refusal(name, "a finite number of seconds above 0", value)
    return float(value)


def retries(value: object) -> int:
    """Check a number of retries: 0 or more.

    Raises:
        InvalidArgumentError: the value is not a whole number, or is negative.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refusal("max_retries", "a whole number, 0 or more", value)
    return value


def rate(value: object) -> float | None:
    """Check a rate limit: requests per second, greater than 0, or `None` for no limit.

    Raises:
        InvalidArgumentError: the value is neither `None` nor such a number.
    """
    if value is None:
        return None
    if not _is_number(value) or value <= 0:
        raise _refusal("rate_limit", "a finite number of requests per second above 0, or None for no limit", value)
    return float(value)


def headers(value: object) -> dict[str, str]:
    """Check headers to send with every request: a mapping of names to values.

    Raises:
        InvalidArgumentError: a name or a value is invalid (RFC 9110 sections 5.5 and 5.6.2), or a name is the key's.
    """
    given = string_map("headers", value) or {}
    for name, item in given.items():
        if not _HEADER_NAME.fullmatch(name):
            raise _refusal("headers: a name", "a header name (RFC 9110)", name)
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
        raise _refusal(name, "text that UTF-8 can encode (this contains half of a surrogate pair)", value) from None
    return value


def _refusal(name: str, expected: str, value: object) -> InvalidArgumentError:
    came = one_line(repr(value))
    return InvalidArgumentError(f"{name}: expected {expected}, got {came}", hint="Nothing was sent.")
