"""Write data as YAML in the form of the vendor's pages. The writer is our own, so it judges the tools' reader."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Final

# Text that no reader of YAML takes for anything but a string.
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./{}-]*(?: [A-Za-z0-9_./{}-]+)*")
_NO_STRINGS: Final = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"])
_WIDTH: Final = 80
_LONG: Final = 60
# Characters that YAML allows only as escapes, or that one reader takes for line breaks and another does not.
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


def dump(data: dict[str, Any]) -> str:
    """The YAML of an object."""
    return "".join(f"{line}\n" for line in _lines(data))


def _lines(node: Any) -> Iterator[str]:
    """The lines of an object or a list that is not empty."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _entry(f"{_quoted(str(key))}:", value)
        return
    for value in node:
        if isinstance(value, dict | list) and value:
            first, *rest = _lines(value)
            yield f"- {first}"
            yield from (line and f"  {line}" for line in rest)
        else:
            yield from _entry("-", value)


def _entry(lead: str, value: Any) -> Iterator[str]:
    """The lines of a key or a dash with its value."""
    if isinstance(value, dict | list) and value:
        yield lead
        yield from (line and f"  {line}" for line in _lines(value))
    elif isinstance(value, str) and _is_block(value):
        yield f"{lead} |-"
        yield from (line and f"  {line}" for line in value.split("\n"))
    elif isinstance(value, str) and len(value) > _LONG and _PLAIN.fullmatch(value):
        yield f"{lead} >-"
        yield from (f"  {line}" for line in textwrap.wrap(value, _WIDTH, break_long_words=False))
    else:
        yield f"{lead} {_scalar(value)}"


def _is_block(text: str) -> bool:
    """Whether a text of several lines keeps every character in a block."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and all(line == line.strip() for line in lines)
        and all(line.isprintable() for line in lines)
        and bool(lines[0])
        and bool(lines[-1])
    )


def _scalar(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NO_STRINGS:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
