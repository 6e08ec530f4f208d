"""Checks of the sandbox's arguments. With an invalid fault, a test could pass without testing anything.

Each check raises a `TypeError` for a wrong type, and a `ValueError` for a wrong value. The error names the argument,
the value and what is expected.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from featherhq.errors import one_line

# RFC 9562, section 4.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# RFC 9110, sections 5.6.2 and 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"([!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")
_KEY: Final = re.compile(r"[!-~]+")


def bad_value(kind: type[Exception], name: str, expected: str, value: object) -> Exception:
    """The error for a wrong value."""
    return kind(f"{name}: expected {expected}, not {shown(value)}")


def shown(value: object) -> str:
    """A value, as an error's text shows it."""
    return one_line(repr(value))


def whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Check a whole number. `most` is `None` if there is no upper limit."""
    expected = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_value(TypeError, name, expected, value)
    if value < least or (most is not None and value > most):
        raise bad_value(ValueError, name, expected, value)


def number(name: str, value: object, expected: str, *, zero: bool = False) -> None:
    """Check a finite number above 0, or of at least 0 with `zero`. `expected` is the same in words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_value(TypeError, name, expected, value)
    if not 0 <= value < math.inf or not (value or zero):
        raise bad_value(ValueError, name, expected, value)


def instance(name: str, value: object, kind: type, expected: str) -> None:
    """Check that a value has a type. `expected` is the type in words."""
    if not isinstance(value, kind):
        raise bad_value(TypeError, name, expected, value)


def flag(name: str, value: object) -> None:
    """Check that a value is true or false."""
    instance(name, value, bool, "True or False")


def one_of(name: str, value: object, *known: str | None) -> None:
    """Check that a value is one of some strings, or `None` if that is one of them."""
    expected = ", ".join(map(repr, known))
    if value is not None and not isinstance(value, str):
        raise bad_value(TypeError, name, expected, value)
    if value not in known:
        raise bad_value(ValueError, name, expected, value)


def text(name: str, value: object) -> None:
    """Check that a value is a string and not empty."""
    instance(name, value, str, "a string")
    if not value:
        raise bad_value(ValueError, name, "at least one character", value)


def numbers(name: str, value: Any) -> None:
    """Check a tuple of one or more whole numbers of at least 1."""
    expected = "a tuple of whole numbers of at least 1, such as (1, 3)"
    instance(name, value, tuple, expected)
    if not value:
        raise bad_value(ValueError, name, expected, value)
    for item in value:
        whole(name, item, 1)


def headers(name: str, value: Any) -> None:
    """Check that HTTP allows these headers (RFC 9110, section 5)."""
    instance(name, value, Mapping, "a mapping of strings to strings")
    for key, item in value.items():
        instance(f"{name}: a name", key, str, "a string")
        if not _HEADER_NAME.fullmatch(key):
            raise bad_value(ValueError, f"{name}: a name", "a header's name (RFC 9110)", key)
        header_value(f"{name}[{key!r}]", item)


def header_value(name: str, value: Any) -> None:
    """Check the value of a header (RFC 9110, section 5.5)."""
    instance(name, value, str, "a string")
    if not _HEADER_VALUE.fullmatch(value):
        raise bad_value(ValueError, name, "a header's value (one line of Latin-1, no space at its ends)", value)


def agent(name: str, value: object) -> None:
    """Check an agent: a callable, but not an `async` function."""
    function(name, value, "a text and a history")


def function(name: str, value: object, takes: str) -> None:
    """Check a callable that is not an `async` function. `takes` says what it is called with."""
    if not callable(value):
        raise bad_value(TypeError, name, f"a callable that takes {takes}", value)
    if inspect.iscoroutinefunction(value):
        raise bad_value(TypeError, name, "a function without async (it may block, and may call asyncio.run)", value)


def api_key(name: str, value: Any) -> None:
    """Check that a header can contain an API key. The error does not show the key."""
    expected = "a string of visible ASCII characters"
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected {expected}, but its type is {type(value).__name__}")
    if not _KEY.fullmatch(value):
        problem = "contains white space or another character that a header cannot contain" if value else "is empty"
        raise ValueError(f"{name}: expected {expected}, but it {problem}")


def thread(name: str, value: object) -> str:
    """Check a thread's id, and return it as a string in lower case."""
    expected = "a thread's id (a UUID, or its string)"
    if isinstance(value, UUID):
        return str(value)
    instance(name, value, str, expected)
    if not _UUID.fullmatch(str(value)):
        raise bad_value(ValueError, name, expected, value)
    return str(value).lower()


def path(name: str, value: Any) -> Path:
    """Check the path of a file, and return it as an absolute path."""
    expected = "the path of a file"
    if not isinstance(value, str | PathLike):
        raise bad_value(TypeError, name, expected, value)
    if not str(value):
        raise bad_value(ValueError, name, expected, value)
    return Path(value).absolute()
