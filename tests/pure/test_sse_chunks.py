"""The bytes of an event stream at their edges: line ends between chunks, names of fields, and broken characters."""

from __future__ import annotations

from itertools import pairwise

import pytest
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent


def texts(*chunks: bytes) -> list[str]:
    """The data of the events in these chunks of one stream."""
    decoder = EventDecoder()
    return [event.data for chunk in chunks for event in decoder.feed(chunk)]


def test_a_line_end_may_be_split_between_two_chunks() -> None:
    """CR and LF are one line end also if they come in two chunks. So an event with several lines stays one event,
    wherever the stream is divided.
    """
    stream = b"data: a\r\ndata: b\r\n\r\n"
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            chunks = [stream[start:end] for start, end in pairwise([0, first, second, len(stream)])]
            assert texts(*chunks) == ["a\nb"], chunks


def test_a_line_feed_counts_if_other_bytes_came_after_the_carriage_return() -> None:
    """Only a line feed directly after a carriage return belongs to it. A later line feed ends a line of its own."""
    assert texts(b"data: a\r", b"data: b", b"\n\n") == ["a\nb"]
    assert texts(b"data: a\r", b"", b"\ndata: b\n\n") == ["a\nb"]
    assert texts(b"data: a\rdata: b", b"\n\n") == ["a\nb"]


@pytest.mark.parametrize("before", [b" ", b"\t", b"\x0b", b"X"])
def test_only_line_ends_are_skipped_between_events(before: bytes) -> None:
    """Any other byte before a field belongs to its name. So the field is unknown and is ignored."""
    assert texts(before + b"data: a\n\ndata: b\n\n") == ["b"]
    assert texts(b"data: a\n\n\r\n" + before + b"data: b\n\ndata: c\n\n") == ["a", "c"]


def test_broken_characters_do_not_end_a_stream() -> None:
    """Bytes that are not UTF-8 are replaced, as the specification says. The events after them still come."""
    assert texts(b"data: \xff a\n\ndata: \xc3\n\ndata: b\n\n") == ["\ufffd a", "\ufffd", "b"]


def test_comments_do_not_make_room_in_an_event() -> None:
    """The size of an event counts all its data, also the data before a comment. So comments between the data do not
    let an event fill the memory.
    """
    decoder = EventDecoder()
    part = b"data: " + b"x" * 1018 + b"\n: beat\nodd: 1\n"
    for _ in range(LARGEST_EVENT // 1024 - 1):
        assert list(decoder.feed(part)) == []
    with pytest.raises(EventTooLargeError):
        list(decoder.feed(part * 2))


def test_a_new_decoder_has_seen_nothing() -> None:
    """A stream begins without a comment, a type and an id. Its first event may be as large as any other. A byte order
    mark is removed only if nothing comes before it.
    """
    decoder = EventDecoder()
    assert (decoder.comments, decoder.retry) == (0, None)
    assert list(decoder.feed(b"\xef\xbb\xbfdata: a\n\n")) == [StreamEvent("a", "message", "")]
    assert texts(b"\n\xef\xbb\xbfdata: a\n\n") == []
    assert len(texts(b"data:" + b"x" * (LARGEST_EVENT - 5) + b"\n\n")) == 1
