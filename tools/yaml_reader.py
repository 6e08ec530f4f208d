"""Read YAML 1.2 as JSON data that knows its lines. The parser is libyaml, because the documents have megabytes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

import yaml
from nodes import DEEPEST, Map, ReadError, Seq, Spot
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
)

_MOST_NODES: Final = 2_000_000
_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER: Final = re.compile(
    r"(?P<int>[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_UNREADABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# libyaml begins a new line at these characters, as YAML 1.1 does. In YAML 1.2 they are part of the text.
_NO_BREAKS: Final = re.compile("[\x85\u2028\u2029]")


class _Open:
    """An object or a list whose end is not read yet."""

    __slots__ = ("anchor", "block", "key", "key_at", "merge", "merges", "node", "nodes", "odd")

    def __init__(self, node: Map | Seq, anchor: str | None, nodes: int, *, block: bool) -> None:
        self.node = node
        self.anchor = anchor
        self.nodes = nodes  # how many nodes came before it
        self.block = block
        self.key: str | None = None  # the key whose value comes next
        self.key_at = (0, 0)
        self.odd = 0  # how many anchors and aliases came before the key
        self.merge = False  # whether the key is `<<`
        self.merges: list[tuple[Spot, list[Map]]] = []


class _Anchor(NamedTuple):
    value: Any
    text: str | None  # of a scalar, which may be a key elsewhere
    nodes: int


def read(text: str) -> Any:
    """Read a YAML document: objects as `Map`, lists as `Seq`, and scalars as the core schema of YAML 1.2 says.

    All keys become strings, as they are written.

    Raises:
        ReadError: the text is not YAML, or JSON cannot hold its content.
    """
    unreadable = _UNREADABLE.search(text)
    if unreadable:
        line = text.count("\n", 0, unreadable.start()) + 1
        escape = f"\\u{ord(unreadable[0]):04x}"
        raise ReadError(f'there is the control character {escape} in it. Remove it, or write "{escape}"', line)
    table: dict[int, str] = {}
    if _NO_BREAKS.search(text):
        spare = (chr(code) for code in range(0xE000, 0xF900) if chr(code) not in text)
        table = {ord(character): next(spare) for character in "\x85\u2028\u2029"}
    try:
        return _Reader(text, {ord(value): chr(key) for key, value in table.items()}).read(text.translate(table))
    except yaml.MarkedYAMLError as error:
        mark, start = error.problem_mark or error.context_mark, error.context_mark
        since = f", {error.context} that begins on line {start.line + 1}" if error.context and start else ""
        # At the end of a text, the parser names the line after it.
        line = min(mark.line, text.rstrip("\n").count("\n")) + 1 if mark else 1
        raise ReadError(f"{error.problem or error.context}{since}. Correct it there", line) from error


def is_text(text: str) -> bool:
    """Whether a scalar without quotes is a string."""
    return text not in _WORDS and not _NUMBER.fullmatch(text)


class _Reader:
    """Builds the data from the parser's events, without recursion.

    Args:
        text: The text.
        hidden: The characters that stand for others in what the parser reads.
    """

    def __init__(self, text: str, hidden: dict[int, str]) -> None:
        self._lines = text.split("\n")
        self._hidden = hidden
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchor | None] = {}  # none while a node is open
        self._root: Any = None
        self._documents = 0
        self._nodes = 0  # aliases count as what they stand for
        self._odd = 0
        self._end = 0  # the line after the last value

    def read(self, text: str) -> Any:
        """Read the text in which characters are hidden."""
        for event in _events(text):
            if isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, CollectionStartEvent):
                self._start(event)
            elif isinstance(event, CollectionEndEvent):
                self._close(event.end_mark)
            elif isinstance(event, AliasEvent):
                self._alias(event)
            elif isinstance(event, DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._fail("a second document begins. Keep one of them", event)
        return self._root

    def _scalar(self, event: Any) -> None:
        text = event.value.translate(self._hidden) if self._hidden else event.value
        value = text
        if event.implicit[0]:
            value = self._plain(text, event)
        elif event.tag and event.tag not in ("!", f"{_TAG}str"):
            value = self._tagged(text, event)
        before = self._odd
        if event.anchor:
            self._odd += 1
            self._anchors[event.anchor] = _Anchor(value, text, 1)
        self._nodes += 1
        end = event.end_mark.line + 1
        if event.style in ("|", ">"):
            # The parser counts the empty lines after a block string, which may not be part of it.
            end -= not event.end_mark.column
            while not text.endswith("\n\n") and text != "\n" and not self._lines[end - 1].strip():
                end -= 1
        self._end = end
        self._add(value, text, event, before)

    def _plain(self, text: str, event: Any) -> Any:
        """The value of a scalar without quotes."""
        if text[:1] not in "-+.0123456789":
            return _WORDS.get(text, text)
        number = _NUMBER.fullmatch(text)
        if not number:
            return _WORDS.get(text, text)
        try:
            value = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if number["int"] else _float(text)
        except ValueError:
            self._fail(f"the number {text[:20]} is too long. Write it in quotes", event)
        if isinstance(value, float) and not math.isfinite(value):
            self._fail(f"the number {text[:20]} is not finite, and JSON has no such numbers. Write it in quotes", event)
        return value

    def _tagged(self, text: str, event: Any) -> Any:
        """The value of a scalar with a tag."""
        value = self._plain(text, event)
        kind = {bool: "bool", int: "int", float: "float", type(None): "null"}.get(type(value))
        if event.tag == f"{_TAG}float" and kind == "int":
            return float(value)
        if event.tag != f"{_TAG}{kind}":
            self._fail(f"{text[:20]!r} has the tag {event.tag}, which does not fit. Remove the tag", event)
        return value

    def _start(self, event: Any) -> None:
        kind = "map" if isinstance(event, MappingStartEvent) else "seq"
        if event.tag not in (None, "!", f"{_TAG}{kind}"):
            self._fail(f"the tag {event.tag} is not known here. Remove the tag", event)
        top = self._open[-1] if self._open else None
        if top and isinstance(top.node, Map) and top.key is None:
            self._fail("a key is an object or a list. Make it a string", event)
        if len(self._open) >= DEEPEST:
            self._fail(f"it is nested too deeply, more than {DEEPEST} levels. Move inner parts to components", event)
        self._nodes += 1
        node = Map() if kind == "map" else Seq()
        node.line, node.block = event.start_mark.line, not event.flow_style
        if isinstance(node, Map):
            node.source = self._lines
        if event.anchor:
            self._odd += 1
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, event.anchor, self._nodes - 1, block=not event.flow_style))

    def _close(self, mark: Any) -> None:
        closed = self._open.pop()
        node = closed.node
        if isinstance(node, Map):
            for spot, maps in closed.merges:
                node.block = False
                for key, value in (item for merged in maps for item in merged.items()):
                    node.spots.setdefault(key, spot)
                    node.setdefault(key, value)
        if closed.anchor:
            self._anchors[closed.anchor] = _Anchor(node, None, self._nodes - closed.nodes)
        if not closed.block:
            self._end = mark.line + 1
        self._add(node, None, None)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._fail(f"there is no anchor &{event.anchor} above this alias. Write its value here", event)
        anchor = self._anchors[event.anchor]
        if anchor is None:
            self._fail(f"the value of the anchor &{event.anchor} holds itself. Write it without the alias", event)
        self._nodes += anchor.nodes
        if self._nodes > _MOST_NODES:
            self._fail(f"its aliases make it larger than {_MOST_NODES:,} values. Use $ref instead of aliases", event)
        before = self._odd
        self._odd += 1
        self._end = event.end_mark.line + 1
        self._add(anchor.value, anchor.text, event, before)

    def _add(self, value: Any, text: str | None, event: Any, before: int = 0) -> None:
        """Add a value to the innermost open node. Without an event, it is a node that was just closed."""
        if not self._open:
            self._root = value
            return
        top = self._open[-1]
        if isinstance(top.node, Seq):
            top.node.append(value)
            top.node.lines.append(event.start_mark.line if event else value.line)
        elif top.key is None:
            self._key(top, text, event, before)
        else:
            spot = Spot(*top.key_at, self._end, self._odd == top.odd, isinstance(event, AliasEvent))
            if top.merge:
                maps = value if isinstance(value, list) else [value]
                if not all(isinstance(one, Map) for one in maps):
                    self._fail_at("a merge key << needs an object, or a list of objects. Write it in quotes", spot.line)
                top.merges.append((spot, maps))
            else:
                top.node[top.key] = value
                top.node.spots[top.key] = spot
            top.key = None

    def _key(self, top: _Open, text: str | None, event: Any, before: int) -> None:
        node: Any = top.node
        if text is None:
            self._fail("a key is an object or a list. Make it a string", event)
        line, column = event.start_mark.line, event.start_mark.column
        top.merge = isinstance(event, ScalarEvent) and text == "<<" and event.implicit[0]
        if text in node or (top.merge and top.merges):
            first = top.merges[0][0] if top.merge else node.spots[text]
            self._fail(f"found a duplicate key {text!r}, as on line {first.line + 1}. Remove one of them", event)
        if column and not self._lines[line][:column].isspace():
            node.block = False
        top.key, top.key_at, top.odd = text, (line, column), before
        self._odd += top.merge

    def _fail(self, problem: str, event: Any) -> NoReturn:
        self._fail_at(problem, event.start_mark.line)

    def _fail_at(self, problem: str, line: int) -> NoReturn:
        raise ReadError(problem, line + 1)


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=yaml.CSafeLoader))


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
