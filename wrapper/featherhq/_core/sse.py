"""Decode Server-Sent Events from bytes. Pure.

It follows the WHATWG HTML standard, section 9.2.6, "Interpreting an event stream". It finds lines in bytes, not in
text, for two reasons. Lines end only at CR, LF or CRLF (`str.splitlines` also splits at U+2028). And a character may be
split between two chunks, so only a whole line can be decoded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from featherhq.models import LONGEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_EVENT: Final = 1024 * 1024
"""The most bytes of one event. A larger event is an error, so that a stream cannot fill the memory."""

# Digits of a `retry` field in milliseconds that are read. Nobody waits for longer than that.
_LONGEST_RETRY: Final = 9

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@frozen
class StreamEvent:
    """One event of a stream.

    Attributes:
        data: Its data lines, joined by line feeds.
        event: Its type, or `"message"` if the stream names no type.
        id: The last id that the stream has sent, or an empty string if it has sent none.
    """

    data: str
    event: str = "message"
    id: str = ""


class EventTooLargeError(Exception):
    """An event is larger than `LARGEST_EVENT`. The stream cannot be read any further."""


class EventDecoder:
    """Decodes one stream from its chunks.

    Attributes:
        retry: Milliseconds to wait before a reconnection, or `None` if the stream has not asked for a wait.
        comments: How many comments have come. Servers send comments as heartbeats.
    """

    def __init__(self) -> None:
        self.retry: int | None = None
        self.comments = 0
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._data: list[str] = []
        self._size = 0
        self._type = ""
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        """The events that this chunk completes. If the stream ends within an event, that event is dropped.

        Raises:
            EventTooLargeError: an event is larger than `LARGEST_EVENT`.
        """
        for line in self._lines(chunk):
            event = self._take(line)
            if event is not None:
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if self._after_cr and chunk:
            # A CRLF was split between two chunks. Its LF must not end a second line.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not (self._line or self._data or self._type):
            # Empty lines between two events mean nothing. They are skipped together, because there may be many.
            rest = chunk.lstrip(b"\r\n")
            self._at_start = self._at_start and rest == chunk
            chunk = rest
        start = 0
        for end in _LINE_END.finditer(chunk):
            self._keep(chunk[start : end.start()])
            line, start = bytes(self._line), end.end()
            self._line.clear()
            if self._at_start:
                line = line.removeprefix(_BOM)
                self._at_start = False
            self._after_cr = end.group() == b"\r" and start == len(chunk)
            yield line
        self._keep(chunk[start:])

    def _keep(self, part: bytes) -> None:
        self._line += part
        self._size += len(part)
        if self._size > LARGEST_EVENT:
            raise EventTooLargeError(f"an event of more than {LARGEST_EVENT} bytes")

    def _take(self, line: bytes) -> StreamEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value and len(value) <= LONGEST_ID:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value[:_LONGEST_RETRY])
        else:
            # Comments do not count as part of an event. Otherwise the heartbeats of a day would become too large.
            self._size -= len(line)
            self.comments += not name
        return None

    def _dispatch(self) -> StreamEvent | None:
        data, kind = self._data, self._type
        self._data, self._type, self._size = [], "", 0
        return StreamEvent("\n".join(data), kind or "message", self._id) if data else None
