"""What servers send, read within bounds: content codings, sizes, and JSON that no sane server would send. Pure.

httpx's decoders unpack whatever they are given in one go: 1.6 KB of Brotli made 2 GiB. So bodies are read as they come
over the wire and unpacked here, a piece at a time.
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
"""Content codings that are asked for. A stream is asked for as it is, as compression may hold messages back."""

LARGEST_BODY: Final = 16 * 1024 * 1024
"""Bytes of an answer, unpacked."""

SHOWN: Final = 256 * 1024
"""Bytes of a body that an error shows, and strikes keys out of, where there are more."""

# Bytes that are handed on at a time: what is done with one of them must not keep others waiting for long.
_PIECE: Final = 4 * 1024
# Levels of objects and arrays in one another; Feather's have five.
_DEEPEST: Final = 100
# Objects, arrays and values in one document: each takes many times the memory that it has in the text.
_MOST_VALUES: Final = 50_000
# What is between the strings of a document. Possessive, and a string that does not end takes all the rest, so that a
# hostile text is passed through once.
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_BRACKETS: Final = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+([\[\]{}])", re.DOTALL)
_VALUES: Final = re.compile(rb'(?:[^",\[\]{}]++|' + _STRING + rb")*+([,\[\]{}])", re.DOTALL)
_GZIP: Final = zlib.MAX_WBITS | 16
_RAW: Final = -zlib.MAX_WBITS
_FRAME: Final = 2


class UnreadableBodyError(Exception):
    """A body that cannot be unpacked."""


def read_json(content: bytes) -> Any:
    """The JSON in a body.

    Raises:
        ValueError: it is no JSON, or nested too deeply, or of too many values.
    """
    openings, commas = content.count(b"[") + content.count(b"{"), content.count(b",")
    if openings > _DEEPEST or commas > _MOST_VALUES:
        # Before a parser sees it, as that one goes as deep as the document does.
        _check(content, _BRACKETS if commas <= _MOST_VALUES else _VALUES)
    try:
        return json.loads(content)
    except RecursionError:
        # Raised where a caller is deep in calls himself.
        raise ValueError("nested too deeply") from None


def _check(content: bytes, places: re.Pattern[bytes]) -> None:
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
    """Undoes the content coding of one body.

    Args:
        coding: The header `Content-Encoding` (RFC 9110 section 8.4); empty where there is none.

    Raises:
        UnreadableBodyError: the coding was not asked for.
    """

    def __init__(self, coding: str) -> None:
        codings = [name for part in coding.split(",") if (name := part.strip().lower()) not in {"", "identity"}]
        if codings not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
            raise UnreadableBodyError(f"in a coding that was not requested ({one_line(coding)})")
        self._is_packed = bool(codings)
        self._is_gzip = codings not in ([], ["deflate"])
        self._inflater = zlib.decompressobj(_GZIP) if self._is_gzip else None
        self._head = b""
        # Whether a member is complete, whether the next has given something, and whether nothing more is of use.
        self._complete = self._given = self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in pieces.

        Raises:
            UnreadableBodyError: they are broken.
        """
        if not self._is_packed:
            yield from (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
            return
        if self._inflater is None:
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
                # Though all was taken in, there may be more to come out.
                data, more = self._inflater.unconsumed_tail, len(piece) == _PIECE

    def _inflate(self, inflater: Any, data: bytes) -> bytes:
        try:
            piece: bytes = inflater.decompress(data, _PIECE)
        except zlib.error as error:
            problem = str(error)
        else:
            return piece
        if self._complete and not self._given:
            # What follows the last member is none, and left out.
            self._over = True
            return b""
        raise UnreadableBodyError(f"that cannot be unpacked ({problem})")


def _is_framed(head: bytes) -> bool:
    """Whether these are the first two bytes of RFC 1950. Some send what RFC 1951 packs, without that frame."""
    return head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:_FRAME], "big") % 31 == 0


class Body:
    """The body of one answer, as it comes.

    Args:
        headers: The answer's headers.

    Attributes:
        flaw: Why it cannot be taken for what the server meant, in words that follow "a body"; `None` where it can.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.flaw: str | None = None
        self._buffer = bytearray()
        try:
            self._unpacker: Unpacker | None = Unpacker(headers.get("content-encoding", ""))
        except UnreadableBodyError as error:
            self._unpacker, self.flaw = None, str(error)

    def feed(self, data: bytes) -> bool:
        """Take in what has come; whether more is of use."""
        if self._unpacker is None:
            return False
        try:
            return all(self._keep(piece) for piece in self._unpacker.feed(data))
        except UnreadableBodyError as error:
            self.flaw = str(error)
            return False

    def unpacked(self, content: bytes) -> None:
        """Take in a body that somebody else has read and unpacked, such as a hook of an `http_client=`."""
        self.flaw = None
        self._keep(content)

    def _keep(self, piece: bytes) -> bool:
        self._buffer += piece
        if len(self._buffer) > LARGEST_BODY:
            self.flaw = f"of more than {LARGEST_BODY:,} bytes"
            del self._buffer[SHOWN:]
        return self.flaw is None

    def content(self) -> bytes:
        """All of it, once, or its beginning where it is too large."""
        # There may be much of it: it is not kept twice.
        content, self._buffer = bytes(self._buffer), bytearray()
        return content
