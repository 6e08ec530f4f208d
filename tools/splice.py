"""Change a YAML text line by line. Lines that need no change stay as they are, with their comments and their order."""

from __future__ import annotations

import copy
import re
from io import StringIO
from typing import Any, Final

from documents import parse_yaml, plain, yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString

# An operation and a component are found by three keys (paths, path, method; components, section, name). Each is
# replaced as a whole: keys that the new one lacks are removed. Nothing above that level is ever removed.
_WHOLE: Final = 3
_WIDTH: Final = 100


def merged(ours: Any, theirs: Any, depth: int = 0) -> Any:
    """The data of a document after the merge of another one.

    Args:
        ours: The document, or a part of it.
        theirs: The other document, or the same part of it.
        depth: How many keys lead to this part.
    """
    if theirs is None and depth < _WHOLE:
        return ours
    if depth >= _WHOLE or not isinstance(ours, dict) or not isinstance(theirs, dict):
        return theirs
    return {**ours, **{key: merged(ours.get(key), value, depth + 1) for key, value in theirs.items()}}


class Splice:
    """The lines of a YAML text, and the edits to make in them.

    Args:
        text: The text.

    Attributes:
        report: A line for each change, in the order of the text.
    """

    def __init__(self, text: str) -> None:
        self.report: list[str] = []
        self._lines = text.split("\n")
        # Each edit: its first line, the line after its last line, two numbers that order the edits of one line, and the
        # new lines. At one line, new lines of a deeper block come first, then those of earlier edits.
        self._edits: list[tuple[int, int, int, int, list[str]]] = []

    def text(self) -> str:
        """The text with all changes."""
        lines = list(self._lines)
        # The last edits are made first, so that the line numbers of the others stay right.
        for start, end, _, _, new in sorted(self._edits, reverse=True):
            lines[start:end] = new
        return "\n".join(lines) + ("\n" if lines[-1] else "")

    def merge(self, old: CommentedMap, new: dict[str, Any]) -> None:
        """Note the edits that merge another document into the text.

        Args:
            old: The document that was read from the text.
            new: The other document. The result is the text of `merged(old, new)`.
        """
        self._merge(old, new, (), len(self._lines) - (not self._lines[-1]))

    def _merge(self, old: CommentedMap, new: dict[str, Any], place: tuple[str, ...], end: int) -> None:
        """As `merge`, for an object at a place of the document. `end` is the line after its last line."""
        keys = list(old)
        starts = [old.lc.key(key)[0] for key in keys]
        column = old.lc.key(keys[0])[1] if keys else 0
        # Each key ends where the next one begins, or where the object ends.
        ends = {key: self._end(after, column) for key, after in zip(keys, [*starts, end][1:], strict=True)}
        # A new key goes after the key that it follows in its source. If it follows none, it goes before the next one,
        # or to the end.
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
        # New operations are reported elsewhere.
        if sign != "+" or len(place) > _WHOLE or place[0] == "components":
            self.report.append(f"  {sign} {' > '.join(place)}")

    def _put(self, start: int, end: int, column: int, key: str, value: Any) -> None:
        margin = " " * column
        lines = _render(key, value, _WIDTH - column)
        self._edit(start, end, column, [f"{margin}{line}" if line else "" for line in lines])

    def _edit(self, start: int, end: int, column: int, lines: list[str]) -> None:
        self._edits.append((start, end, -column, len(self._edits), lines))

    def _end(self, after: int, column: int) -> int:
        """The line where a key ends. `after` is the line of the next key, whose comments stand above it."""
        while after and re.fullmatch(rf" {{0,{column}}}(#.*)?|\s*", self._lines[after - 1]):
            after -= 1
        return after


def _is_block(node: Any) -> bool:
    return isinstance(node, CommentedMap) and bool(node) and not node.fa.flow_style()


def _render(key: str, value: Any, width: int) -> list[str]:
    """A key and its value as lines of YAML, with the source's comments and quotes if the result has the right value."""
    wanted = {key: plain(value)}
    writer = yaml()
    writer.width = width
    text = ""
    for content in ({key: _as_block(copy.deepcopy(value))}, wanted):
        stream = StringIO()
        writer.dump(content, stream)
        # Empty lines that followed it in its source are removed, unless they are part of a string.
        for text in (stream.getvalue().rstrip("\n"), stream.getvalue()):
            if plain(parse_yaml(text, key)) == wanted:
                return text.split("\n")
    return text.split("\n")


def _as_block(node: Any) -> Any:
    """A value in the style of the contract: blocks instead of inline lists and objects, and block strings."""
    if isinstance(node, CommentedMap | CommentedSeq):
        node.fa.set_block_style()
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            node[key] = _as_block(value)
    if isinstance(node, str) and node.endswith("\n\n"):
        return str(node)  # in quotes: in a block, its last empty lines would look like empty lines between blocks
    return LiteralScalarString(node) if type(node) is str and "\n" in node else node
