"""Limits of an event stream: comments, delays, ids, the size of an event, and byte order marks."""

from __future__ import annotations

import pytest
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent
from featherhq.models import LONGEST_ID


def test_comments_are_counted_as_heartbeats() -> None:
    """The decoder counts comments, because servers send them as heartbeats. Unknown fields do not count."""
    decoder = EventDecoder()
    list(decoder.feed(b":\n\n: beat\n\ncolour: red\n\n:x\ndata: a\n\n"))
    assert decoder.comments == 3


def test_long_delays_are_cut_and_long_ids_are_ignored() -> None:
    """The decoder reads at most nine digits of a delay. It ignores an id that is longer than the limit."""
    decoder = EventDecoder()
    list(decoder.feed(b"retry: 1234567890123\n\n"))
    assert decoder.retry == 123456789
    longest, longer = "a" * LONGEST_ID, "b" * (LONGEST_ID + 1)
    (event,) = decoder.feed(f"id: {longest}\nid: {longer}\ndata: x\n\n".encode())
    assert event == StreamEvent("x", "message", longest)


def test_an_event_may_have_exactly_the_largest_size() -> None:
    """An event may be as large as the limit, but not one byte larger. Line ends, comments and unknown fields do not
    count. The count begins again with each event.
    """
    decoder = EventDecoder()
    full = b"data:" + b"x" * (LARGEST_EVENT - 5 - 20)
    for _ in range(2):
        (event,) = decoder.feed(full + b"\n" + b": a comment\nodd: 1\n" * 9 + b"data:" + b"y" * 15 + b"\n\n")
        assert len(event.data) == LARGEST_EVENT - 9
    with pytest.raises(EventTooLargeError):
        list(decoder.feed(full + b"\ndata:" + b"y" * 16))


def test_a_byte_order_mark_is_removed_only_at_the_start() -> None:
    """A byte order mark is removed at the start of a stream. Anywhere else it is part of a field's name, so the
    field is unknown.
    """
    mark = b"\xef\xbb\xbf"
    assert [event.data for event in EventDecoder().feed(mark + b"data: a\n\n")] == ["a"]
    assert [event.data for event in EventDecoder().feed(b"\n" + mark + b"data: a\n\ndata: b\n\n")] == ["b"]
    assert [event.data for event in EventDecoder().feed(b"data: a\n\n" + mark + b"data: b\n\n")] == ["a"]
    assert [event.data for event in EventDecoder().feed(mark + mark + b"data: a\n\n")] == []
