"""What the sandbox is handed, held against what fits: a fault that cannot happen lets a test pass for nothing.

Each refusal says what was given and what fits: a `TypeError` for what is of a wrong type, else a `ValueError`. Pure.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from featherhq.errors import one_line

# RFC 9562 section 4.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# RFC 9110 sections 5.6.2 and 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"([!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")
_KEY: Final = re.compile(r"[!-~]+")


def refusal(kind: type[Exception], name: str, expected: str, value: object) -> Exception:
    """The error for a value that does not fit."""
    return kind(f"{name}: expected {expected}, not {shown(value)}")


def shown(value: object) -> str:
    """A value in an error's text."""
    return one_line(repr(value))


def whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """A whole number in a range."""
    expected = f"a whole number from {least} " + ("on" if most is None else f"to {most}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal(TypeError, name, expected, value)
    if value < least or (most is not None and value > most):
        raise refusal(ValueError, name, expected, value)


def number(name: str, value: object, expected: str, *, zero: bool = False) -> None:
    """A finite number above 0, or 0 too; `expected` says so in words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(TypeError, name, expected, value)
    if not 0 <= value < math.inf or not (value or zero):
        raise refusal(ValueError, name, expected, value)


def instance(name: str, value: object, kind: type, expected: str) -> None:
    """An object of a type; `expected` names it in words."""
    if not isinstance(value, kind):
        raise refusal(TypeError, name, expected, value)


def flag(name: str, value: object) -> None:
    """True or false."""
    instance(name, value, bool, "True or False")


def one_of(name: str, value: object, *known: str | None) -> None:
    """One of some values: strings, perhaps `None`."""
    expected = ", ".join(map(repr, known))
    if value is not None and not isinstance(value, str):
        raise refusal(TypeError, name, expected, value)
    if value not in known:
        raise refusal(ValueError, name, expected, value)


def text(name: str, value: object) -> None:
    """A string that is not empty."""
    instance(name, value, str, "a string")
    if not value:
        raise refusal(ValueError, name, "at least one character", value)


def numbers(name: str, value: Any) -> None:
    """A tuple of whole numbers from 1 on, at least one of them."""
    expected = "a tuple of whole numbers from 1 on, such as (1, 3)"
    instance(name, value, tuple, expected)
    if not value:
        raise refusal(ValueError, name, expected, value)
    for item in value:
        whole(name, item, 1)


def headers(name: str, value: Any) -> None:
    """Headers as HTTP can carry them."""
    instance(name, value, Mapping, "a mapping of strings to strings")
    for key, item in value.items():
        instance(f"{name}: a name", key, str, "a string")
        if not _HEADER_NAME.fullmatch(key):
            raise refusal(ValueError, f"{name}: a name", "a header's name (RFC 9110)", key)
        header_value(f"{name}[{key!r}]", item)


def header_value(name: str, value: Any) -> None:
    """What a header can hold."""
    instance(name, value, str, "a string")
    if not _HEADER_VALUE.fullmatch(value):
        raise refusal(ValueError, name, "what a header can hold (one line of Latin-1, no space around it)", value)


def agent(name: str, value: object) -> None:
    """What can be called, and then has answered."""
    if not callable(value):
        raise refusal(TypeError, name, "a callable that takes a text and a history", value)
    if inspect.iscoroutinefunction(value):
        raise refusal(TypeError, name, "a plain function (it may block, and may call asyncio.run)", value)


def api_key(name: str, value: Any) -> None:
    """A key that a header can carry. It is not shown."""
    expected = "a string of visible ASCII characters"
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected {expected}, and this one is of type {type(value).__name__}")
    if not _KEY.fullmatch(value):
        problem = "has white space or another character that no header can carry" if value else "is empty"
        raise ValueError(f"{name}: expected {expected}, and this one {problem}")


def thread(name: str, value: object) -> str:
    """The id of a thread, as threads are kept by it."""
    expected = "a thread's id, a UUID or a string of one"
    if isinstance(value, UUID):
        return str(value)
    instance(name, value, str, expected)
    if not _UUID.fullmatch(str(value)):
        raise refusal(ValueError, name, expected, value)
    return str(value).lower()
