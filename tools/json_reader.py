"""Read JSON. Lines are looked up only when a message needs one, because the documents have megabytes."""

from __future__ import annotations

import json
import math
import re
from functools import cached_property
from typing import Any, Final, NoReturn

from nodes import DEEPEST, Map, ReadError
from yaml_reader import read

# Outside of strings: what is no number of JSON, and numbers.
_NUMBERS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)')
_LONGEST_NUMBER: Final = 4300
_ESCAPE: Final = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|.)")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]..")
_ONLY_IN_STRINGS: Final = re.compile("[\t\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class _UnfitError(ValueError):
    """A value that JSON allows in its grammar, but that has no single meaning."""


class JsonMap(Map):
    """A JSON document. Only its root is of this class."""

    text = ""

    @cached_property
    def located(self) -> Any:
        """The document with its lines, or nothing if its text cannot be read as YAML."""
        try:
            return read(_as_yaml(self.text))
        except ReadError:
            return None


def is_json(text: str) -> bool:
    """Whether a text is an object in JSON."""
    try:
        return text.lstrip().startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def read_json(text: str) -> Any:
    """Read a JSON document. Objects become `Map`.

    Raises:
        ReadError: the text is not JSON, or it has a key twice, or UTF-8 cannot hold its content.
    """
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ReadError(f"{error.msg.removesuffix(' at')}. Correct it there", error.lineno) from error
    except _UnfitError as error:
        raise ReadError(str(error), _line(text)) from error
    except ValueError as error:
        raise ReadError("a number is too long. Write it in quotes", _line(text)) from error
    except RecursionError as error:
        raise _too_deep(text) from error
    if _depth(document) > DEEPEST:
        raise _too_deep(text)
    _check_halves(text)
    if isinstance(document, Map):
        document = JsonMap(document)
        document.text = text
    return document


def _object(pairs: list[tuple[str, Any]]) -> Map:
    made = Map(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _UnfitError(f"found a duplicate key {key!r}. Remove one of them")
            seen.add(key)
    return made


def _refuse(name: str) -> NoReturn:
    raise _UnfitError(f"found {name}, and JSON has no such number. Write it in quotes, or remove it")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _UnfitError(f"the number {text[:20]} is too large. Write it in quotes, or remove it")
    return number


def _line(text: str) -> int:
    """The line of a duplicate key or of an impossible number."""
    for found in _NUMBERS.finditer(text):
        number = found[1]
        if number and (len(number) > _LONGEST_NUMBER or not math.isfinite(float(number))):
            return text.count("\n", 0, found.start()) + 1
    return _line_of_error(text, "duplicate key")


def _line_of_error(text: str, problem: str) -> int:
    """The line of an error that YAML also has, or 1 if YAML cannot read the text up to there."""
    try:
        read(_as_yaml(text))
    except ReadError as error:
        return error.line if problem in error.problem else 1
    return 1


def _too_deep(text: str) -> ReadError:
    line = _line_of_error(text, "nested too deeply")
    return ReadError(f"it is nested too deeply, more than {DEEPEST} levels. Move inner parts to components", line)


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        inner = [node for node in level if isinstance(node, dict | list)]
        level = [value for node in inner for value in (node.values() if isinstance(node, dict) else node)]
        depth += bool(inner)
    return depth


def _check_halves(text: str) -> None:
    """Check that no string has half of a character: one escape of the two that it needs."""
    for escape in _ESCAPE.finditer(text):
        half = _HALF.match(text, escape.start())
        if half and escape[0] == "\\u":
            line = text.count("\n", 0, escape.start()) + 1
            raise ReadError(f"{half[0]} is half of a character, and UTF-8 cannot hold it. Remove it", line)


def _as_yaml(text: str) -> str:
    """A JSON text as YAML with the same lines and the same keys.

    JSON is YAML, with few exceptions. JSON writes characters beyond 16 bits as two escapes. It allows tabs between its
    tokens, and some characters in its strings that YAML does not allow.
    """
    return _ESCAPE.sub(_character, _ONLY_IN_STRINGS.sub(" ", text))


def _character(escape: re.Match[str]) -> str:
    return escape[0] if len(escape[0]) <= len("\\n") else str(json.loads(f'"{escape[0]}"'))
