"""The bytes of an event stream: the events in them, and the agent's messages in the events."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent
from featherhq._threads.replies import agent_message
from hypothesis import given, strategies as st


def decode(*chunks: bytes) -> list[StreamEvent]:
    """The events in these chunks of one stream."""
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The examples of the WHATWG specification (section 9.2.6).
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [StreamEvent("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [StreamEvent("first event", id="1"), StreamEvent("second event"), StreamEvent(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [StreamEvent(""), StreamEvent("\n")]),
        (b"data:test\n\ndata: test\n\n", [StreamEvent("test"), StreamEvent("test")]),
        # Other rules of the specification.
        (b"\xef\xbb\xbfdata: a\n\n", [StreamEvent("a")]),
        (b"data: a\r\rdata: b\r\n\r\n", [StreamEvent("a"), StreamEvent("b")]),
        (b"event: add\ndata: a\n\ndata: b\n\n", [StreamEvent("a", "add"), StreamEvent("b")]),
        (b"id: 1\ndata: a\n\n: heartbeat\n\ndata: b\n\n", [StreamEvent("a", id="1"), StreamEvent("b", id="1")]),
        (b"id: 1\n\nid: a\0b\ndata: c\n\n", [StreamEvent("c", id="1")]),
        (b"colour: red\ndata: a\n\n", [StreamEvent("a")]),
        ("data: a\u2028b\u0085c\n\n".encode(), [StreamEvent("a\u2028b\u0085c")]),
        (b"data: unfinished\n", []),
        (b"data: unfinished", []),
    ],
)
def test_events_follow_the_specification(stream: bytes, events: list[StreamEvent]) -> None:
    """A stream has the events of the specification, whether its bytes come all at once or one at a time."""
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events


@given(
    st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"\r", b"\n", b"x", b"\xc3\xa9", b"\0"])), st.data()
)
def test_events_do_not_depend_on_the_chunks(parts: list[bytes], data: st.DataObject) -> None:
    """A stream has the same events however it is divided, also within a character or between CR and LF."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert decode(*chunks) == decode(stream)


def test_a_stream_may_set_the_delay_of_a_reconnection() -> None:
    """The decoder keeps a `retry` value if it consists of digits only."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"retry: 1500\n\nretry: 1s\n\nretry: \xc2\xb2\n\n")) == []
    assert decoder.retry == 1500


def test_an_event_that_is_too_large_is_an_error() -> None:
    """An event may not be larger than the limit, in one line or in many.

    A stream may have any number of small events and heartbeats.
    """
    for piece in (b"x", b"data: x\n"):
        with pytest.raises(EventTooLargeError):
            decode(*[piece * 1024] * (LARGEST_EVENT // 1024 + 1))
    decoder = EventDecoder()
    for _ in range(LARGEST_EVENT // 1024 + 5):
        list(decoder.feed(b": " + b"x" * 1022 + b"\n"))
        assert len(list(decoder.feed(b"data: a\n\n"))) == 1


def test_the_messages_of_the_agent_are_found_in_events() -> None:
    """An event may hold a message of the agent directly or in an envelope, and all other events are ignored."""
    bare = {"id": "1", "messageBody": "hi", "direction": "OUTBOUND"}
    for data in (bare, {"message": bare}, {"data": bare}, {"data": {"message": bare}}, {"message": "x", "data": bare}):
        message = agent_message(StreamEvent(json.dumps(data)))
        assert message is not None
        assert (message.id, message.raw) == ("1", bare)
    for other in ({**bare, "direction": "INBOUND"}, {"id": "1"}, {"data": {"data": {"data": bare}}}, [bare], None):
        assert agent_message(StreamEvent(json.dumps(other))) is None
    assert agent_message(StreamEvent("not json")) is None
