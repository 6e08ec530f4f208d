"""Read bodies of responses within limits: their content coding, their size, and the depth of their JSON. Pure.

The decoders of httpx unpack all of their input in one step: 1.6 KB of Brotli became 2 GiB. So the library reads bodies
in their coded form, and unpacks them here in small pieces.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from featherhq.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACCEPTED: Final = "gzip, deflate"
"""The header `Accept-Encoding` of requests. A stream is requested without a coding: compression may delay messages."""

LARGEST_BODY: Final = 16 * 1024 * 1024
"""The most bytes of a body after unpacking."""

SHOWN: Final = 256 * 1024
"""An error shows only this many bytes of a body, and removes keys from them."""

# The most bytes of one unpacked piece. The work on one piece must be short, because other tasks wait meanwhile.
_PIECE: Final = 4 * 1024
# The most levels of nested objects and arrays. The responses of Feather have five.
_DEEPEST: Final = 100
# The most objects, arrays and values in one document. Parsed, each of them takes many times the memory of its text.
_MOST_VALUES: Final = 50_000
# These find brackets and commas outside of strings. Their quantifiers are possessive, and a string without an end
# matches all the rest. So there is no backtracking, and a hostile text is read only once.
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_BRACKETS: Final = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+([\[\]{}])", re.DOTALL)
_VALUES: Final = re.compile(rb'(?:[^",\[\]{}]++|' + _STRING + rb")*+([,\[\]{}])", re.DOTALL)
_GZIP: Final = zlib.MAX_WBITS | 16
_RAW: Final = -zlib.MAX_WBITS
_FRAME: Final = 2


class UnreadableBodyError(Exception):
    """A body cannot be unpacked."""


def read_json(content: bytes) -> Any:
    """The parsed JSON of a body.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has too many values.
    """
    # These counts include characters inside strings, so they are never too low. Only if they are too high, the slower
    # check is needed.
    openings, commas = content.count(b"[") + content.count(b"{"), content.count(b",")
    if openings > _DEEPEST or commas > _MOST_VALUES:
        # The check must come before the parser, because the parser recurses as deep as the document is nested. If there
        # are few commas, only the brackets are checked.
        _check(content, _BRACKETS if commas <= _MOST_VALUES else _VALUES)
    try:
        return json.loads(content)
    except RecursionError:
        # The caller's own stack may already be deep.
        raise ValueError("nested too deeply") from None


def _check(content: bytes, places: re.Pattern[bytes]) -> None:
    """Raise a `ValueError` if a document is nested too deeply or has too many values."""
    depth = values = 0
    for found in places.finditer(content):
        one = found[1]
        values += one in b",[{"
        depth += one in b"[{"
        depth -= one in b"]}"
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} levels deep")
        if values > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES:,} values")


class Unpacker:
    """Removes the content coding of one body.

    Args:
        coding: The header `Content-Encoding` (RFC 9110 section 8.4), or an empty string if there is none.

    Raises:
        UnreadableBodyError: the coding was not requested.
    """

    def __init__(self, coding: str) -> None:
        codings = [name for part in coding.split(",") if (name := part.strip().lower()) not in {"", "identity"}]
        if codings not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
            raise UnreadableBodyError(f"in a coding that was not requested ({one_line(coding)})")
        self._is_packed = bool(codings)
        self._is_gzip = codings not in ([], ["deflate"])
        self._inflater = zlib.decompressobj(_GZIP) if self._is_gzip else None
        self._head = b""
        # Whether one member is complete, whether the current member has given bytes, and whether the rest is ignored.
        self._complete = self._given = self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unpack the next bytes of the body. Returns the result in pieces.

        Raises:
            UnreadableBodyError: the bytes are broken.
        """
        if not self._is_packed:
            yield from (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
            return
        if self._inflater is None:
            # For "deflate", the first two bytes decide between RFC 1950 and RFC 1951.
            self._head += data
            if len(self._head) < _FRAME:
                return
            data, self._inflater = self._head, zlib.decompressobj(zlib.MAX_WBITS if _is_framed(self._head) else _RAW)
        more = False
        while (data or more) and not self._over:
            piece = self._inflate(self._inflater, data)
            self._given = self._given or bool(piece)
            if piece:
                yield piece
            if self._inflater.eof:
                # A gzip body may have several members (RFC 1952 section 2.2).
                self._over = not self._is_gzip
                data, more = self._inflater.unused_data, False
                self._inflater, self._complete, self._given = zlib.decompressobj(_GZIP), True, False
            else:
                # zlib may have taken in all bytes, and still hold output: a full piece means that there may be more.
                data, more = self._inflater.unconsumed_tail, len(piece) == _PIECE

    def _inflate(self, inflater: Any, data: bytes) -> bytes:
        try:
            piece: bytes = inflater.decompress(data, _PIECE)
        except zlib.error as error:
            problem = str(error)
        else:
            return piece
        if self._complete and not self._given:
            # These bytes follow the last member and are not a member. They are ignored.
            self._over = True
            return b""
        raise UnreadableBodyError(f"that cannot be unpacked ({problem})")


def _is_framed(head: bytes) -> bool:
    """Whether a "deflate" body begins with the header of RFC 1950. Some servers send bare RFC 1951 data instead."""
    return head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:_FRAME], "big") % 31 == 0


class Body:
    """The body of one response, which is read in parts.

    Args:
        headers: The headers of the response.

    Attributes:
        flaw: Why the body cannot be used, or `None` if it can. The text continues "a body …".
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.flaw: str | None = None
        self._buffer = bytearray()
        try:
            self._unpacker: Unpacker | None = Unpacker(headers.get("content-encoding", ""))
        except UnreadableBodyError as error:
            self._unpacker, self.flaw = None, str(error)

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes from the connection. Returns whether to read on."""
        if self._unpacker is None:
            return False
        try:
            return all(self._keep(piece) for piece in self._unpacker.feed(data))
        except UnreadableBodyError as error:
            self.flaw = str(error)
            return False

    def unpacked(self, content: bytes) -> None:
        """Take in a whole body that other code has read and unpacked, such as a hook of an `http_client=`."""
        self.flaw = None
        self._keep(content)

    def _keep(self, piece: bytes) -> bool:
        self._buffer += piece
        if len(self._buffer) > LARGEST_BODY:
            self.flaw = f"of more than {LARGEST_BODY:,} bytes"
            del self._buffer[SHOWN:]
        return self.flaw is None

    def content(self) -> bytes:
        """The whole body, or its beginning if it is too large. A second call returns nothing."""
        # The body may be large, so its memory is released.
        content, self._buffer = bytes(self._buffer), bytearray()
        return content
