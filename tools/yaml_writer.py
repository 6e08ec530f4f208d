"""Write JSON data as YAML, in the style of the vendor's pages."""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from io import StringIO
from typing import Any, Final

from yaml.emitter import Emitter, ScalarAnalysis
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.resolver import Resolver
from yaml_reader import is_text

# Parsers accept keys of up to 1024 characters without a question mark before them.
_LONGEST_KEY: Final = 1000
_BREAKS: Final = re.compile("[\n\r\x85\u2028\u2029]")
_OTHER_BREAKS: Final = re.compile("[\r\x85\u2028\u2029]")
# Words with one space between them, which mean the same anywhere in YAML.
_WORDS: Final = re.compile(r"[A-Za-z/][\w./$()<>=+;!'\"*%@,-]*(?: [\w./$()<>=+;!'\"*%@,-]+)*", re.ASCII)


def dump(data: Any, width: int = 100, *, quoted: bool = False) -> str:
    """The text of JSON data in YAML: blocks, strings with line breaks below `|`, and quotes only where they are needed.

    Args:
        data: The data.
        width: After how many columns a long string continues on the next line, if it has spaces.
        quoted: Whether all strings are in quotes, each on one line.
    """
    events: list[Event] = [StreamStartEvent(), DocumentStartEvent(explicit=False)]
    _add(data, events, quoted=quoted)
    stream = StringIO()
    emitter = _Emitter(stream, indent=2, width=sys.maxsize if quoted else width, allow_unicode=True)
    for event in [*events, DocumentEndEvent(explicit=False), StreamEndEvent()]:
        emitter.emit(event)
    return stream.getvalue()


class _Emitter(Emitter):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Lists begin two columns to the right of their key, as in the vendor's pages."""
        super().increase_indent(flow, indentless=False)

    def check_simple_key(self) -> bool:
        """Long keys are written like short ones, because lines with a question mark cannot be edited one by one."""
        if isinstance(self.event, ScalarEvent) and len(json.dumps(self.event.value)) < _LONGEST_KEY:
            return True
        return super().check_simple_key()

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        """The result of the base class, which looks at each character and takes most of the time."""
        if _WORDS.fullmatch(scalar):
            return ScalarAnalysis(
                scalar,
                empty=False,
                multiline=False,
                allow_flow_plain=False,
                allow_block_plain=True,
                allow_single_quoted=True,
                allow_double_quoted=True,
                allow_block=True,
            )
        return super().analyze_scalar(scalar)


def _add(data: Any, events: list[Event], *, quoted: bool) -> None:
    """Add the events of a value."""
    if isinstance(data, dict):
        events.append(MappingStartEvent(None, None, implicit=True, flow_style=not data))
        for key, value in data.items():
            events.append(_text(key, quoted=quoted))
            _add(value, events, quoted=quoted)
        events.append(MappingEndEvent())
    elif isinstance(data, list):
        events.append(SequenceStartEvent(None, None, implicit=True, flow_style=not data))
        for item in data:
            _add(item, events, quoted=quoted)
        events.append(SequenceEndEvent())
    elif isinstance(data, str):
        events.append(_text(data, quoted=quoted))
    else:
        events.append(ScalarEvent(None, None, (True, True), _scalar(data)))


def _text(text: str, *, quoted: bool) -> ScalarEvent:
    style = None
    if quoted:
        style = '"'
    elif _BREAKS.search(text):
        # Last empty lines would look like empty lines between blocks.
        fits = text[0] not in " \n" and not text.endswith("\n\n") and not _OTHER_BREAKS.search(text)
        style = "|" if fits else '"'
    elif not _is_text(text):
        style = "'"
    return ScalarEvent(None, None, (True, True), text, style=style)


@lru_cache(maxsize=10_000)
def _is_text(text: str) -> bool:
    """Whether a string without quotes is a string in YAML 1.2, and also in YAML 1.1, which other tools read."""
    older = Resolver.yaml_implicit_resolvers.get(text[:1], ())
    return is_text(text) and text not in {"y", "Y", "n", "N"} and not any(known.match(text) for _, known in older)


def _scalar(data: Any) -> str:
    """A value that is no string. JSON writes it as YAML does, except 1e+16, which YAML 1.1 needs as 1.0e+16."""
    text = json.dumps(data)
    return text if "." in text or not isinstance(data, float) else text.replace("e", ".0e")
