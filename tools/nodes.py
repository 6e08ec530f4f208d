"""The parts of a document that was read: objects and lists that know their lines."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

DEEPEST: Final = 100
"""How deep objects and lists may be nested. The checks of a document need several calls for each level."""


class ReadError(Exception):
    """A text is no YAML, or no JSON.

    Args:
        problem: What is wrong, and what to do.
        line: Its line, counted from 1.
    """

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class Spot(NamedTuple):
    """Where a key and its value are in a text. Lines and columns are counted from 0.

    Attributes:
        line: The line of the key.
        column: The column of the key.
        end: The line after the last line of the value.
        own: Whether these lines can be read alone: they have no anchor, no alias and no merge key.
        alias: Whether the value is an alias, so that its lines are elsewhere.
    """

    line: int
    column: int
    end: int
    own: bool
    alias: bool


class Map(dict[str, Any]):
    """An object of a document.

    Attributes:
        line: Its first line, counted from 0.
        spots: Where its keys are. An object that was read from JSON has none.
        block: Whether it has its keys on lines of their own, so that its text can be edited line by line.
        source: All lines of the text.
    """

    def __init__(self, *items: Any) -> None:
        super().__init__(*items)
        self.line = 0
        self.spots: dict[str, Spot] = {}
        self.block = False
        self.source: list[str] = []

    def having(self, items: dict[str, Any]) -> Map:
        """An object with other items. Those that it has from here keep their place in the text."""
        made = Map(items)
        made.line, made.block, made.source = self.line, self.block, self.source
        made.spots = {key: spot for key, spot in self.spots.items() if key in items and items[key] is self[key]}
        return made


class Seq(list[Any]):
    """A list of a document.

    Attributes:
        line: Its first line, counted from 0.
        lines: The line of each item.
        block: Whether it was written with a dash before each item.
    """

    def __init__(self) -> None:
        super().__init__()
        self.line = 0
        self.lines: list[int] = []
        self.block = False
