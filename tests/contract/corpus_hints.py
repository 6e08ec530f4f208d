"""The annotations of generated code, resolved."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any


class Hints:
    """Resolves annotations, each of them once.

    Args:
        names: The names that annotations of generated code use.

    Attributes:
        unset: The value for what is left out.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = dict(names)
        self._known: dict[Any, dict[str, Any]] = {}
        self.unset = names["UNSET"]

    def of(self, thing: Any) -> dict[str, Any]:
        """The annotations of a class or a function."""
        if thing not in self._known:
            self._known[thing] = typing.get_type_hints(thing, None, self._names)
        return self._known[thing]
