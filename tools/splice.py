"""Change a YAML text line by line. Lines that need no change stay as they are, with their comments and their order."""

from __future__ import annotations

import re
from typing import Any, Final

from documents import ContractError, parse_yaml, same
from nodes import Map, Spot
from yaml_writer import dump

# An operation and a component are found by three keys (paths, path, method; components, section, name). Each is
# replaced as a whole: keys that the new one lacks are removed. Nothing above that level is ever removed.
_WHOLE: Final = 3
_WIDTH: Final = 100
_NARROWEST: Final = 40


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

    def origin(self, line: int) -> int:
        """The line of the old text that a line of the new text comes from, or where it is put. Both count from 1."""
        shift = 0
        for start, end, _, _, new in sorted(self._edits):
            if line <= start + shift:
                break
            if line <= start + shift + len(new):
                return start + 1
            shift += len(new) - (end - start)
        return line - shift

    def merge(self, old: Map, new: dict[str, Any]) -> None:
        """Note the edits that merge another document into the text.

        Args:
            old: The document that was read from the text.
            new: The other document. The result is the text of `merged(old, new)`. New lines that come from YAML keep
                the comments and quotes that they have there.
        """
        self._merge(old, new, ())

    def _merge(self, old: Map, new: dict[str, Any], place: tuple[str, ...]) -> None:
        """As `merge`, for an object at a place of the document."""
        spots = old.spots
        column = next((spot.column for spot in spots.values()), 0)
        ends = {key: _end(self._lines, spot) for key, spot in spots.items()}
        # A new key goes after the key that it follows in its source. If it follows none, it goes before the next one,
        # or to the end.
        here = next((self._start(spots[key], place) for key in new if key in old), None)
        if here is None:
            here = max(ends.values()) if ends else len(self._lines) - (not self._lines[-1])
        for key, value in new.items():
            there = (*place, key)
            if key not in old:
                self._edit(here, here, column, _render(new, key, value, column, comments=True))
                self._tell("+", there)
                continue
            known = old[key]
            if isinstance(known, Map) and known.block and not spots[key].alias and isinstance(value, dict) and value:
                self._merge(known, value, there)
            else:
                whole = merged(known, value, len(there))
                if not same(whole, known):
                    changed = new if whole is value else {key: whole}
                    lines = _render(changed, key, whole, column)
                    self._edit(spots[key].line, ends[key], column, lines)
                    self._tell("~", there)
            here = ends[key]
        for key, spot in spots.items() if len(place) >= _WHOLE else ():
            if key not in new:
                self._edit(spot.line, ends[key], column, [])
                self._tell("-", (*place, key))

    def _start(self, spot: Spot, place: tuple[str, ...]) -> int:
        """The line where new keys go that come before a key: above its comments, unless they are those of the file."""
        return spot.line - (len(_comments_above(self._lines, spot)) if place else 0)

    def _tell(self, sign: str, place: tuple[str, ...]) -> None:
        # New operations are reported elsewhere.
        if sign != "+" or len(place) > _WHOLE or place[0] == "components":
            self.report.append(f"  {sign} {' > '.join(place)}")

    def _edit(self, start: int, end: int, column: int, lines: list[str]) -> None:
        self._edits.append((start, end, -column, len(self._edits), lines))


def _end(lines: list[str], spot: Spot) -> int:
    """The line where a key ends: after its value, and after the comments that follow in a deeper column."""
    end = line = spot.end
    while line < len(lines) and re.fullmatch(r"\s*(#.*)?", lines[line]):
        text = lines[line].lstrip()
        if text and len(lines[line]) - len(text) <= spot.column:
            break
        line += 1
        end = line if text else end
    return end


def _comments_above(lines: list[str], spot: Spot) -> list[str]:
    """The comments directly above a key, in its column."""
    start = spot.line
    while start and lines[start - 1].startswith(" " * spot.column + "#"):
        start -= 1
    return lines[start : spot.line]


def _render(
    parent: dict[str, Any], key: str, value: Any, column: int, *, comments: bool = False, width: int = _WIDTH
) -> list[str]:
    """A key and its value as lines of YAML.

    Args:
        parent: The object that has the key. If it was read from YAML, its text is used, with its comments and quotes.
        key: The key.
        value: Its value.
        column: The column for the key.
        comments: Whether the comments above the key are part of its text.
        width: After how many columns long strings continue on the next line.
    """
    lines = _sliced(parent, key, value, comments=comments)
    if lines is None and isinstance(value, dict) and _has_text(value):
        lines = [dump({key: 0}).removesuffix(" 0\n")]
        for name, inner in value.items():
            lines += _render(value, name, inner, 2, comments=True, width=width - column)
    if lines is None:
        text = dump({key: value}, max(width - column, _NARROWEST))
        if not _says(text, key, value):
            text = dump({key: value}, quoted=True)
        lines = text.rstrip("\n").split("\n")
    margin = " " * column
    return [f"{margin}{line}" if line else "" for line in lines]


def _has_text(value: dict[str, Any]) -> bool:
    """Whether an object, or an object in it, was read from YAML with a key on each line."""
    if isinstance(value, Map):
        return value.block
    return any(isinstance(inner, Map) and inner.block for inner in value.values())


def _sliced(parent: dict[str, Any], key: str, value: Any, *, comments: bool) -> list[str] | None:
    """The lines of a key in its source, without its margin. None if they cannot be used elsewhere."""
    spot = parent.spots.get(key) if isinstance(parent, Map) and parent.block else None
    if not isinstance(parent, Map) or not spot or not spot.own or (value and not getattr(value, "block", True)):
        return None  # an inline list or object becomes a block
    lines = parent.source[spot.line : _end(parent.source, spot)]
    if comments:
        lines = [*_comments_above(parent.source, spot), *lines]
    cut = []
    for line in lines:
        margin = line[: spot.column]
        if margin.strip() and not line.lstrip().startswith("#"):
            return None
        cut.append(line.lstrip() if margin.strip() else line[spot.column :])
    return cut if _says("\n".join(cut) + "\n", key, value) else None


def _says(text: str, key: str, value: Any) -> bool:
    """Whether a text has the key and its value, and nothing else."""
    try:
        return same(parse_yaml(text, key), {key: value})
    except ContractError:
        return False
