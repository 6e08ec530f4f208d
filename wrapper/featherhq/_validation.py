"""What callers hand in, held against the contract before any request is made. Pure.

Each check says what was expected and what came, and gives back the value in the form that a request takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, TypeGuard
from uuid import UUID

from featherhq.errors import InvalidArgumentError, one_line

# The canonical form of RFC 9562 section 4, and no other that `uuid.UUID` would read.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# RFC 9110 section 5.6.2, and the visible ASCII of section 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_KEY: Final = re.compile(r"[!-~]+")
_LARGEST_PAGE: Final = 100
KEY_HEADER: Final = "X-API-Key"


def key_problem(value: object) -> str | None:
    """Why a value is no key that a header can carry, in words that follow "a key that"; `None` where it is one."""
    if not isinstance(value, str):
        return f"is of type {type(value).__name__} and not a string"
    if not value:
        return "is empty"
    if not _KEY.fullmatch(value):
        return "contains white space, a line break or another character that a header cannot contain"
    return None


def identifier(name: str, value: object) -> str:
    """An id that the contract types as a UUID, as a string.

    Raises:
        InvalidArgumentError: it is not one.
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    raise _refusal(name, "a UUID such as '6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11'", value)


def text(name: str, value: object) -> str:
    """A message: a string with at least one character (the contract's `minLength: 1`).

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, str):
        raise _refusal(name, "a string", value)
    if not value:
        raise _refusal(name, "at least one character", value)
    return _encodable(name, value)


def optional_text(name: str, value: object) -> str | None:
    """A string, or `None`.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise _refusal(name, "a string or None", value)
    return _encodable(name, value)


def string_map(name: str, value: object) -> dict[str, str] | None:
    """Metadata or variables: a mapping of strings to strings, or `None`.

    Raises:
        InvalidArgumentError: it is neither.
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


def choice(name: str, value: object, known: tuple[str, ...]) -> str | None:
    """One of the contract's values, or `None`.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, str) and value in known:
        return str(value)
    raise _refusal(name, f"None or one of {', '.join(known)}", value)


def page_size(value: object) -> int:
    """Messages in a page: 1 to 100, the vendor's most.

    Raises:
        InvalidArgumentError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_PAGE:
        raise _refusal("page_size", f"a whole number from 1 to {_LARGEST_PAGE}", value)
    return value


def seconds(name: str, value: object) -> float:
    """A number of seconds above 0.

    Raises:
        InvalidArgumentError: it is not. There is no endless timeout: no call may hang.
    """
    if not _is_number(value) or value <= 0:
        raise _refusal(name, "a finite number of seconds above 0", value)
    return float(value)


def retries(value: object) -> int:
    """A number of retries.

    Raises:
        InvalidArgumentError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refusal("max_retries", "a whole number, 0 or more", value)
    return value


def rate(value: object) -> float | None:
    """Requests a second, or `None` for no limit.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if value is None:
        return None
    if not _is_number(value) or value <= 0:
        raise _refusal("rate_limit", "a finite number of requests per second above 0, or None for no limit", value)
    return float(value)


def headers(value: object) -> dict[str, str]:
    """Headers to send with every request.

    Raises:
        InvalidArgumentError: they are none, or one is the key's.
    """
    given = string_map("headers", value) or {}
    for name, item in given.items():
        if not _HEADER_NAME.fullmatch(name):
            raise _refusal("headers: a name", "a header name (RFC 9110)", name)
        if name.lower() == KEY_HEADER.lower():
            raise InvalidArgumentError(f"headers: {KEY_HEADER} is set by this client", hint="Pass the key as api_key=.")
        if item and not _HEADER_VALUE.fullmatch(item):
            # Not shown: headers may hold secrets.
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
