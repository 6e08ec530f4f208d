"""The core, without sockets: what is repeated and when, events out of bytes, history in order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from featherhq._errors import FeatherError, phrase
from featherhq._models import Message, read_id, read_message, read_time
from featherhq._replies import History, agent_message, oldest_first
from featherhq._retry import Again, Deadline, Fate, GiveUp, Retry, fate_of, read_retry_after
from featherhq._sse import LARGEST_EVENT, Event, EventDecoder, EventTooLargeError
from featherhq._steps import Answer, Failure
from hypothesis import given, strategies as st


def decode(*chunks: bytes) -> list[Event]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The WHATWG specification's own examples (section 9.2.6).
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [Event("first event", id="1"), Event("second event"), Event(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),
        (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
        # And what else it says.
        (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
        (b"data: a\r\rdata: b\r\n\r\n", [Event("a"), Event("b")]),
        (b"event: add\ndata: a\n\ndata: b\n\n", [Event("a", "add"), Event("b")]),
        (b"id: 1\ndata: a\n\n: heartbeat\n\ndata: b\n\n", [Event("a", id="1"), Event("b", id="1")]),
        (b"id: 1\n\nid: a\0b\ndata: c\n\n", [Event("c", id="1")]),
        (b"colour: red\ndata: a\n\n", [Event("a")]),
        ("data: a\u2028b\u0085c\n\n".encode(), [Event("a\u2028b\u0085c")]),
        (b"data: unfinished\n", []),
        (b"data: unfinished", []),
    ],
)
def test_events_after_the_specification(stream: bytes, events: list[Event]) -> None:
    """The same events whether the bytes come at once or one at a time."""
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events


@given(
    st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"\r", b"\n", b"x", b"\xc3\xa9", b"\0"])), st.data()
)
def test_where_the_bytes_are_cut_makes_no_difference(parts: list[bytes], data: st.DataObject) -> None:
    """Also within a character, and between CR and LF."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert decode(*chunks) == decode(stream)


def test_the_streams_wish_for_a_delay() -> None:
    """`retry` is kept if it is digits alone."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"retry: 1500\n\nretry: 1s\n\nretry: \xc2\xb2\n\n")) == []
    assert decoder.retry == 1500


def test_an_event_too_large_is_an_error() -> None:
    """In one line or in many; but a stream may heartbeat for ever, and send many events that are small."""
    for piece in (b"x", b"data: x\n"):
        with pytest.raises(EventTooLargeError):
            decode(*[piece * 1024] * (LARGEST_EVENT // 1024 + 1))
    decoder = EventDecoder()
    for _ in range(LARGEST_EVENT // 1024 + 5):
        list(decoder.feed(b": " + b"x" * 1022 + b"\n"))
        assert len(list(decoder.feed(b"data: a\n\n"))) == 1


def test_messages_in_events() -> None:
    """Bare or in envelopes; what is not the agent's is passed over."""
    bare = {"id": "1", "messageBody": "hi", "direction": "OUTBOUND"}
    for data in (bare, {"message": bare}, {"data": bare}, {"data": {"message": bare}}, {"message": "x", "data": bare}):
        message = agent_message(Event(json.dumps(data)))
        assert message is not None
        assert (message.id, message.raw) == ("1", bare)
    for other in ({**bare, "direction": "INBOUND"}, {"id": "1"}, {"data": {"data": {"data": bare}}}, [bare], None):
        assert agent_message(Event(json.dumps(other))) is None
    assert agent_message(Event("not json")) is None


def test_ids_and_times() -> None:
    """What the server sends is read kindly, and what is neither is None."""
    assert [read_id(value) for value in ("a", 7, "", None, True, 1.5)] == ["a", "7", None, None, None, None]
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_time("2026-01-02T03:04:05Z") == moment
    assert read_time("2026-01-02T04:04:05.000+01:00") == moment
    assert read_time("2026-01-02T03:04:05") == moment
    assert read_time("yesterday") is None
    assert read_time(5) is None
    assert read_message(["no"]) is None


def message(number: int, second: int | None = None, direction: str = "OUTBOUND") -> Message:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Message(str(number), "x", direction, None if second is None else start + timedelta(seconds=second))


@given(st.lists(st.integers(0, 5), max_size=12).map(sorted), st.booleans(), st.integers(1, 5))
def test_history_is_in_order_whichever_way_it_comes(seconds: list[int], newest_first: bool, size: int) -> None:
    """In pages of any size, some with the same time: each message once, oldest first."""
    made = [message(number, second) for number, second in enumerate(seconds)]
    listed = made[::-1] if newest_first else made
    pages = [listed[i : i + size] for i in range(0, len(listed), size)] or [[]]
    history, given_out = History(), []
    for number, page in enumerate(pages, 1):
        given_out += history.add(page, str(number) if number < len(pages) else None)
    assert history.next_cursor is None
    assert sorted(given_out, key=lambda one: int(one.id)) == made
    times = [one.created_at for one in given_out]
    assert times == sorted(times)  # type: ignore[type-var]
    if len(set(seconds)) == len(seconds) or not newest_first:
        assert given_out == made


def test_messages_without_times_keep_the_servers_order() -> None:
    """Nothing tells otherwise; where others tell that the list runs backwards, they are turned with it."""
    assert oldest_first([message(1), message(2)]) == [message(1), message(2)]
    mixed = [message(3, 3), message(2), message(1, 1)]
    assert oldest_first(mixed) == mixed[::-1]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT", "date": "Thu, 01 Jan 1970 00:01:30 GMT"}, 10),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    """RFC 9110 section 10.2.3, with the server's own clock where it shows it."""
    assert read_retry_after(headers, wall_time=10) == seconds


NEVER_SENT, LOST, LATE = Failure(False, False, "refused"), Failure(True, False, "lost"), Failure(True, True, "late")


def policy(method: str = "GET", **options: Any) -> Retry:
    return Retry(method, "http://x", **{"max_retries": 2, "deadline": Deadline(100), "random": lambda: 0.0, **options})


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_what_is_repeated(method: str) -> None:
    """The table of the design, cell by cell."""
    repeatable = method != "POST"
    answers = {status: Answer(status, {}) for status in (400, 401, 403, 404, 409, 418, 422, 429, 501, 505, 599)}
    unknown = (408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530)
    cases: list[tuple[Answer | Failure, bool]] = [(NEVER_SENT, True), (LOST, repeatable), (LATE, repeatable)]
    cases += [(Answer(status, {}), repeatable) for status in unknown]
    cases += [(answer, status == 429) for status, answer in answers.items()]
    cases += [(Answer(503, {"retry-after": "1"}), True)]
    for outcome, repeated in cases:
        decision = policy(method).next(outcome, 0, 0)
        assert isinstance(decision, Again if repeated else GiveUp), outcome
    assert policy(method).next(Answer(204, {}), 0, 0) is None
    assert fate_of(Answer(503, {}), None) is Fate.UNKNOWN


@given(st.integers(0, 12), st.floats(0, 1))
def test_delays_double_up_to_eight_seconds(before: int, random: float) -> None:
    """0.5 · 2ⁿ seconds, at most 8, times 0.75 to 1."""
    decision = policy(max_retries=99, attempts=before, random=lambda: random).next(LOST, 0, 0)
    assert isinstance(decision, Again)
    full = min(0.5 * 2**before, 8)
    assert 0.75 * full <= decision.delay <= full


@given(st.floats(0, 200), st.floats(0, 200))
def test_no_delay_beyond_the_deadline(now: float, wanted: float) -> None:
    """Whatever the server asks for."""
    decision = policy().next(Answer(429, {"retry-after": str(wanted)}), now, 0)
    if isinstance(decision, Again):
        assert wanted <= decision.delay
        assert now + decision.delay < 100
    else:
        assert isinstance(decision, GiveUp)
        assert isinstance(decision.error, FeatherError)


def test_an_attempt_has_twenty_seconds_and_no_more_than_is_left() -> None:
    """So that a long deadline leaves time for others."""
    deadline = Deadline(60)
    assert [deadline.attempt(now) for now in (0, 45, 70)] == [20, 15, 0]
    assert deadline.share(30, 0.5) == Deadline(45)


def test_phrases() -> None:
    """Also for statuses that the standard library does not know."""
    assert phrase(404) == "Not Found"
    assert phrase(522) == "Unknown status"
