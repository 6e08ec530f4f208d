"""Keep the API key secret: mask it in our own variables, and remove it from text that a server sends. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NoReturn

from featherhq.errors import UncopiableError

_MASK: Final = "***"
# This many keys are remembered, so that earlier keys are removed too.
_MOST: Final = 16


class Secret:
    """A key that does not show itself.

    Error reporters print the local variables of each frame of a traceback. So the library keeps the key in this object,
    and never in a plain variable.

    Args:
        value: The key.
    """

    __slots__ = ("_values",)

    def __init__(self, value: str) -> None:
        # The key is behind a built-in method: tools that print objects do not look there, and its call has no frame.
        self._values: Callable[[int], str] = (value,).__getitem__

    def reveal(self) -> str:
        """The key itself. Use it only in the expression that puts the key into a request."""
        return self._values(0)

    def __repr__(self) -> str:
        return _MASK

    def __reduce__(self) -> NoReturn:
        raise UncopiableError("an API key cannot be copied or pickled", hint="Pass it in where it is needed.")


class Redactor:
    """Removes keys from what a server has sent, also if they are escaped there."""

    def __init__(self) -> None:
        # Compiled when they are first needed, because that takes a while, and most programs see no error.
        self._patterns: deque[Callable[[], re.Pattern[str]]] = deque(maxlen=_MOST)

    def add(self, secret: Secret) -> None:
        """Remove this key too from now on."""
        self._patterns.append(cache(lambda: _pattern(secret)))

    def text(self, text: str) -> str:
        """The text without keys."""
        for pattern in self._patterns:
            text = pattern().sub(_MASK, text)
        return text

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers without keys in their names and values. The names become lower case."""
        return {self.text(name.lower()): self.text(value) for name, value in headers.items()}

    def data(self, data: Any) -> Any:
        """A copy of decoded JSON without keys. It uses no recursion, so deep JSON cannot fill the stack."""
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


def _pattern(secret: Secret) -> re.Pattern[str]:
    starts = re.escape(secret.reveal()[0])
    whole = "".join(map(_ways_to_write, secret.reveal()))
    # The lookahead makes it fast: it rejects most places of a text by one character.
    return re.compile(rf"(?=[{starts}\\%&]){whole}", re.IGNORECASE)


def _ways_to_write(one: str) -> str:
    """A pattern for one character of a key: plain, or escaped as in JSON, in URLs or in HTML."""
    from html.entities import codepoint2name

    code = ord(one)
    name = codepoint2name.get(code)
    # The repetitions are limited, so that a hostile text (for example, only backslashes) does not take long.
    ways = [
        rf"\\{{0,4}}{re.escape(one)}",
        rf"\\{{1,4}}u00{code:02x}",
        rf"%(?:25){{0,3}}{code:02x}",
        rf"&#0{{0,4}}{code};",
        rf"&#x0{{0,4}}{code:x};",
    ]
    return f"(?:{'|'.join([*ways, f'&{name};'] if name else ways)})"
