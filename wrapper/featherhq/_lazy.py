"""Modules that are imported when they are first used, so that the import of this package is fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Replaces a module in annotations. It imports the module when `typing.get_type_hints` reads an attribute of it.

    Args:
        name: The module's full name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
