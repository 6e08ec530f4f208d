"""Bodies of responses: how they are unpacked, and the limits of their size and of their JSON."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from featherhq._core.bodies import LARGEST_BODY, SHOWN, Body, Unpacker, UnreadableBodyError, read_json

WORDS = b"the same again and again, " * 4000


def unpacked(coding: str, *chunks: bytes) -> bytes:
    """The content of a body that arrives in these chunks."""
    unpacker = Unpacker(coding)
    return b"".join(piece for chunk in chunks for piece in unpacker.feed(chunk))


def bare_deflate(data: bytes) -> bytes:
    """The data packed as in RFC 1951, without the frame of RFC 1950. Some servers send this."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", WORDS),
        ("identity", WORDS),
        (" Identity , ", WORDS),
        ("gzip", gzip.compress(WORDS)),
        ("GZIP", gzip.compress(WORDS)),
        ("identity, x-gzip", gzip.compress(WORDS)),
        ("gzip", gzip.compress(WORDS[:5000]) + gzip.compress(WORDS[5000:])),
        ("deflate", zlib.compress(WORDS)),
        ("deflate", zlib.compress(WORDS, 1)),
        ("deflate", bare_deflate(WORDS)),
    ],
)
def test_a_body_may_arrive_in_chunks_of_any_size(coding: str, packed: bytes) -> None:
    """A body is unpacked in each accepted coding, whether it arrives at once or in small chunks. Each unpacked piece
    has at most four kilobytes.
    """
    assert unpacked(coding, packed) == WORDS
    for size in (1, 2, 3, 999):
        assert unpacked(coding, *(packed[at : at + size] for at in range(0, len(packed), size))) == WORDS
    pieces = list(Unpacker(coding).feed(packed))
    assert max(map(len, pieces)) == 4096
    assert all(pieces)


def test_a_deflated_body_may_lack_its_frame() -> None:
    """A deflated body is unpacked with the frame of RFC 1950 and without it, whatever its first two bytes are."""
    for number in range(300):
        data = f"{number} ".encode() * (1 + number % 7)
        assert unpacked("deflate", bare_deflate(data)) == unpacked("deflate", zlib.compress(data)) == data


def test_bytes_after_a_packed_body_are_ignored() -> None:
    """Bytes after a packed body are ignored if they are not another gzip member. They cause no error."""
    for tail in (b"\0" * 512, b"padding", b"\x1f\x8bno member"):
        assert unpacked("gzip", gzip.compress(WORDS) + tail) == WORDS
        assert unpacked("gzip", gzip.compress(WORDS), tail, gzip.compress(b"late")) == WORDS
        assert unpacked("deflate", zlib.compress(WORDS) + tail) == WORDS
        assert unpacked("deflate", zlib.compress(WORDS), tail, tail) == WORDS


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate, gzip", "zstd", "x-deflate"])
def test_a_coding_that_was_not_requested_is_an_error(coding: str) -> None:
    """A body in a coding that was not requested is not read, and the error names the coding."""
    with pytest.raises(UnreadableBodyError, match=coding):
        Unpacker(coding)
    body = Body({"content-encoding": coding})
    assert body.flaw is not None
    assert coding in body.flaw
    assert not body.feed(b"x")
    assert body.content() == b""


def test_broken_bytes_in_a_body_are_an_error() -> None:
    """The content before the broken bytes is kept, and the rest is not read. Broken bytes in a second gzip member
    are an error too.
    """
    broken = bytearray(gzip.compress(WORDS))
    broken[-8] ^= 1
    body = Body({"content-encoding": "gzip"})
    assert not body.feed(bytes(broken))
    assert body.flaw is not None
    assert body.flaw.startswith("that cannot be unpacked (Error -3")
    content = body.content()
    assert content
    assert WORDS.startswith(content)
    with pytest.raises(UnreadableBodyError):
        unpacked("gzip", gzip.compress(b"first") + bytes(broken))
    with pytest.raises(UnreadableBodyError):
        unpacked("gzip", b"no member at all")
    with pytest.raises(UnreadableBodyError):
        unpacked("deflate", b"\xff\xff\xff\xff")


def test_a_body_may_have_sixteen_megabytes() -> None:
    """A body of sixteen megabytes is kept whole. If it has one byte more, only its beginning is kept, so that the
    error can show it.
    """
    body = Body({})
    assert body.feed(b"x" * (LARGEST_BODY - 1))
    assert body.feed(b"y")
    assert body.flaw is None
    assert not body.feed(b"z")
    assert body.flaw is not None
    assert f"{LARGEST_BODY:,}" in body.flaw
    assert body.content() == b"x" * SHOWN
    assert body.content() == b""


def test_a_body_may_be_unpacked_by_other_code() -> None:
    """If other code has unpacked a body, it is kept as it is, whatever its coding was. The limit of the size still
    holds.
    """
    body = Body({"content-encoding": "br"})
    body.unpacked(b"read by a hook")
    assert (body.flaw, body.content()) == (None, b"read by a hook")
    body.unpacked(b"x" * (LARGEST_BODY + 1))
    assert body.flaw is not None


def nested(levels: int) -> bytes:
    """JSON that is nested this deep. It also has strings with brackets in them."""
    return b'[{"[[[\\"{":' * (levels // 2) + b"[" * (levels % 2) + b"]" * (levels % 2) + b"}]" * (levels // 2)


def test_json_may_have_a_hundred_levels() -> None:
    """JSON with a hundred levels is read, and JSON with one more is an error. Brackets in strings do not count."""
    for levels in (1, 99, 100):
        if levels % 2 == 0:
            content = nested(levels - 2).replace(b":}", b":[[]]}") if levels > 2 else b"[[]]"
        else:
            content = b"[" * levels + b"]" * levels
        assert read_json(content) == json.loads(content)
    with pytest.raises(ValueError, match="100 levels"):
        read_json(b"[" * 101 + b"]" * 101)
    with pytest.raises(ValueError, match="100 levels"):
        read_json(b'{"a":' * 101 + b"1" + b"}" * 101)
    flat = b"[" + b",".join([b"[]"] * 300) + b"]"
    assert len(read_json(flat)) == 300
    quoted = json.dumps(["[" * 400, "{" * 400]).encode()
    assert read_json(quoted) == json.loads(quoted)


def test_json_may_have_fifty_thousand_values() -> None:
    """JSON with fifty thousand values is read, and JSON with more is an error. The values may be numbers or arrays.
    Commas in strings do not count.
    """
    assert len(read_json(b"[" + b",".join([b"1"] * 50_000) + b"]")) == 50_000
    assert len(read_json(b"[" + b",".join([b"[]"] * 49_999) + b"]")) == 49_999
    for too_many in (b"[" + b",".join([b"1"] * 50_002) + b"]", b"[" + b",".join([b"{}"] * 50_002) + b"]"):
        with pytest.raises(ValueError, match="50,000 values"):
            read_json(too_many)
    assert read_json(b'["' + b"," * 60_000 + b'"]') == ["," * 60_000]
