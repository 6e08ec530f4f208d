"""The API key, kept from being seen: masked while it is carried around, struck out of what a server says. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from html.entities import codepoint2name
from typing import Any, Final, NoReturn

from featherhq.errors import UncopiableError

_MASK: Final = "***"
# Keys that are remembered, so that an earlier one is struck out too.
_MOST: Final = 16


class Secret:
    """A key. Error reporters print the local variables of each frame, so none of ours holds the key itself.

    Args:
        value: The key.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        # In a closure, which no printer of objects looks into.
        self._value: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The key, for the one expression that puts it into a request."""
        return self._value()

    def __repr__(self) -> str:
        return _MASK

    def __reduce__(self) -> NoReturn:
        raise UncopiableError("an API key cannot be copied or pickled", hint="Pass it in where it is needed.")


class Redactor:
    """Strikes keys out of what a server has said, in whatever way they are escaped there."""

    def __init__(self) -> None:
        self._patterns: deque[re.Pattern[str]] = deque(maxlen=_MOST)

    def add(self, secret: Secret) -> None:
        """From now on strike this one out too."""
        starts = re.escape(secret.reveal()[0])
        whole = "".join(map(_ways_to_write, secret.reveal()))
        # Nearly every place of a text is passed over by its first character alone.
        self._patterns.append(re.compile(rf"(?=[{starts}\\%&]){whole}", re.IGNORECASE))

    def text(self, text: str) -> str:
        """The text without keys."""
        for pattern in self._patterns:
            text = pattern.sub(_MASK, text)
        return text

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers without keys, in names and values; the names in lower case."""
        return {self.text(name.lower()): self.text(value) for name, value in headers.items()}

    def data(self, data: Any) -> Any:
        """Decoded JSON without keys: a copy. No recursion, however deep it is."""
        outer: list[Any] = [data]
        todo: list[Any] = [outer]
        while todo:
            inside = todo.pop()
            for place, value in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
                if isinstance(value, str):
                    inside[place] = self.text(value)
                elif isinstance(value, dict):
                    inside[place] = {self.text(name): below for name, below in value.items()}
                    todo.append(inside[place])
                elif isinstance(value, list):
                    inside[place] = value.copy()
                    todo.append(inside[place])
        return outer[0]


def _ways_to_write(one: str) -> str:
    """A pattern for a character of a key, as it is or as JSON, URLs or HTML escape it."""
    code = ord(one)
    name = codepoint2name.get(code)
    # So many of each at the most: a text of nothing but backslashes must not take for ever.
    ways = [
        rf"\\{{0,4}}{re.escape(one)}",
        rf"\\{{1,4}}u00{code:02x}",
        rf"%(?:25){{0,3}}{code:02x}",
        rf"&#0{{0,4}}{code};",
        rf"&#x0{{0,4}}{code:x};",
    ]
    return f"(?:{'|'.join([*ways, f'&{name};'] if name else ways)})"
