"""Change what a YAML text says, line by line: what is already said stays as it stands, comments and order too."""

from __future__ import annotations

import copy
import re
from io import StringIO
from typing import Any, Final

from documents import parse_yaml, plain, yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString

# Paths and components are known by their third key (paths, path, method; components, section, name), which is taken
# whole: what it had and no longer has goes. Above it nothing goes.
_WHOLE: Final = 3
_WIDTH: Final = 100


def merged(ours: Any, theirs: Any, depth: int = 0) -> Any:
    """What a document says once another one, or a part of it so many keys deep, is merged in."""
    if theirs is None and depth < _WHOLE:
        return ours
    if depth >= _WHOLE or not isinstance(ours, dict) or not isinstance(theirs, dict):
        return theirs
    return {**ours, **{key: merged(ours.get(key), value, depth + 1) for key, value in theirs.items()}}


class Splice:
    """The lines of a YAML text, and what has to change in them.

    Attributes:
        told: What changes, in the order of the text.
    """

    def __init__(self, text: str) -> None:
        self.told: list[str] = []
        self._lines = text.split("\n")
        # From this line to before that one what to put there. In between stands the order of what is put at one line:
        # what ends a block deeper inside goes first, then what came first.
        self._edits: list[tuple[int, int, int, int, list[str]]] = []

    def text(self) -> str:
        """The text with all changes."""
        lines = list(self._lines)
        # From the last on, so that the numbers before it stay right.
        for start, end, _, _, new in sorted(self._edits, reverse=True):
            lines[start:end] = new
        return "\n".join(lines) + ("\n" if lines[-1] else "")

    def merge(self, old: CommentedMap, new: dict[str, Any]) -> None:
        """Make the text, which says the one, say what `merged` gives for both."""
        self._merge(old, new, (), len(self._lines) - (not self._lines[-1]))

    def _merge(self, old: CommentedMap, new: dict[str, Any], place: tuple[str, ...], end: int) -> None:
        """The same for an object that ends before a line."""
        keys = list(old)
        starts = [old.lc.key(key)[0] for key in keys]
        column = old.lc.key(keys[0])[1] if keys else 0
        # Where each key ends: at the next, or where the object does.
        ends = {key: self._end(after, column) for key, after in zip(keys, [*starts, end][1:], strict=True)}
        # Something new goes behind what it follows in its source, or before what follows it, or to the end.
        here = next((old.lc.key(key)[0] for key in new if key in old), ends[keys[-1]] if keys else end)
        for key, value in new.items():
            there = (*place, key)
            if key not in old:
                self._put(here, here, column, key, value)
                self._tell("+", there)
                continue
            whole = merged(old[key], value, len(there))
            if plain(whole) != plain(old[key]):
                if _is_block(old[key]) and isinstance(value, dict) and value:
                    self._merge(old[key], value, there, ends[key])
                else:
                    self._put(old.lc.key(key)[0], ends[key], column, key, whole)
                    self._tell("~", there)
            here = ends[key]
        for key in keys if len(place) >= _WHOLE else ():
            if key not in new:
                self._edit(old.lc.key(key)[0], ends[key], column, [])
                self._tell("-", (*place, key))

    def _tell(self, sign: str, place: tuple[str, ...]) -> None:
        # That an operation is new is told elsewhere.
        if sign != "+" or len(place) > _WHOLE or place[0] == "components":
            self.told.append(f"  {sign} {' > '.join(place)}")

    def _put(self, start: int, end: int, column: int, key: str, value: Any) -> None:
        margin = " " * column
        lines = _render(key, value, _WIDTH - column)
        self._edit(start, end, column, [f"{margin}{line}" if line else "" for line in lines])

    def _edit(self, start: int, end: int, column: int, lines: list[str]) -> None:
        self._edits.append((start, end, -column, len(self._edits), lines))

    def _end(self, after: int, column: int) -> int:
        """Where something ends that has what comes next on a line: above the comments that belong to that."""
        while after and re.fullmatch(rf" {{0,{column}}}(#.*)?|\s*", self._lines[after - 1]):
            after -= 1
        return after


def _is_block(node: Any) -> bool:
    return isinstance(node, CommentedMap) and bool(node) and not node.fa.flow_style()


def _render(key: str, value: Any, width: int) -> list[str]:
    """A key and its value as lines of YAML, in the source's words where that gives what they say."""
    wanted = {key: plain(value)}
    writer = yaml()
    writer.width = width
    text = ""
    for content in ({key: _as_block(copy.deepcopy(value))}, wanted):
        stream = StringIO()
        writer.dump(content, stream)
        # Without the empty lines that stood behind it in its source, unless they belong to a text.
        for text in (stream.getvalue().rstrip("\n"), stream.getvalue()):
            if plain(parse_yaml(text, key)) == wanted:
                return text.split("\n")
    return text.split("\n")


def _as_block(node: Any) -> Any:
    """The same, in the style in which the contract is written, whatever the source's."""
    if isinstance(node, CommentedMap | CommentedSeq):
        node.fa.set_block_style()
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            node[key] = _as_block(value)
    if isinstance(node, str) and node.endswith("\n\n"):
        return str(node)  # in quotes, since empty lines at the end of a block cannot be told from those between blocks
    return LiteralScalarString(node) if type(node) is str and "\n" in node else node
