"""Modules that are imported when something of them is asked for, so that importing this package costs little."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for a module where annotations name it: `typing.get_type_hints` finds what they mean.

    Args:
        name: The module's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
