"""Server-Sent Events: bytes in, events out. Pure.

After the WHATWG HTML standard, section 9.2.6, "Interpreting an event stream". Works on bytes: lines end at
CR, LF or CRLF and nowhere else (`str.splitlines` would split at U+2028 too), and a character that is cut
in two by a chunk's end is whole again when its line is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from featherhq.models import LONGEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_EVENT: Final = 1024 * 1024
"""Bytes of one event; more than that is an error rather than memory gone."""

# More digits than that name no time that anybody waits.
_LONGEST_RETRY: Final = 9

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@frozen
class StreamEvent:
    """One event of a stream.

    Attributes:
        data: Its data; the lines joined by line feeds.
        event: Its type; `"message"` where the stream names none.
        id: The last id that the stream has named; empty where it has named none.
    """

    data: str
    event: str = "message"
    id: str = ""


class EventTooLargeError(Exception):
    """An event outgrew `LARGEST_EVENT`. The stream is of no more use."""


class EventDecoder:
    """Decodes one stream, fed with chunks as they come.

    Attributes:
        retry: Milliseconds to wait before a reconnection, where the stream has asked for it.
        comments: How many comments have come, which servers send as heartbeats.
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
        """The events that this chunk completes. An event that the stream's end leaves unfinished never comes.

        Raises:
            EventTooLargeError: an event outgrew `LARGEST_EVENT`.
        """
        for line in self._lines(chunk):
            event = self._take(line)
            if event is not None:
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if self._after_cr and chunk:
            # The LF of a CRLF that was cut in two ends no second line.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not (self._line or self._data or self._type):
            # Between two events, empty lines mean nothing, however many there are.
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
            # A stream that heartbeats all day must not grow into an event that is too large.
            self._size -= len(line)
            self.comments += not name
        return None

    def _dispatch(self) -> StreamEvent | None:
        data, kind = self._data, self._type
        self._data, self._type, self._size = [], "", 0
        return StreamEvent("\n".join(data), kind or "message", self._id) if data else None
