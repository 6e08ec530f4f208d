"""Edges of the core that no other test without sockets comes by: sizes to the byte, codings, keys from a callable."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from fake_time import at_once
from featherhq import ConfigurationError, InvalidArgumentError, ResponseDecodeError
from featherhq._core.attempts import noting
from featherhq._core.bodies import LARGEST_BODY, SHOWN, Body, Unpacker, UnreadableBodyError, read_json
from featherhq._core.call_errors import no_key, no_slot, no_time
from featherhq._core.effects import (
    READ_AHEAD,
    AskKey,
    Chunk,
    Closed,
    Ended,
    Flow,
    JobDone,
    Notice,
    SendRequest,
    weight,
    without,
)
from featherhq._core.headers import read_date
from featherhq._core.key import Key
from featherhq._core.pagination import EndlessListError, History, Pages
from featherhq._core.rate_limit import Priority, RateLimit, Urgency
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import Deadline, Retry, Stop, backoff
from featherhq._core.secrets import Redactor, Secret
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent
from featherhq.models import LONGEST_ID, Message

STREAM = "text/event-stream"
WORDS = b"the same again and again, " * 4000


# Bodies.


def unpacked(coding: str, *chunks: bytes) -> bytes:
    """What these chunks unpack to."""
    unpacker = Unpacker(coding)
    return b"".join(piece for chunk in chunks for piece in unpacker.feed(chunk))


def bare_deflate(data: bytes) -> bytes:
    """As some servers do: what RFC 1951 packs, without the frame of RFC 1950."""
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
def test_a_body_is_unpacked_however_it_is_cut(coding: str, packed: bytes) -> None:
    """Whatever the coding: at once, by single bytes, or by some; in pieces of four kilobytes at the most."""
    assert unpacked(coding, packed) == WORDS
    for size in (1, 2, 3, 999):
        assert unpacked(coding, *(packed[at : at + size] for at in range(0, len(packed), size))) == WORDS
    pieces = list(Unpacker(coding).feed(packed))
    assert max(map(len, pieces)) == 4096
    assert all(pieces)


def test_a_deflated_body_without_its_frame() -> None:
    """It is told from one with a frame by its first two bytes, whatever they are."""
    for number in range(300):
        data = f"{number} ".encode() * (1 + number % 7)
        assert unpacked("deflate", bare_deflate(data)) == unpacked("deflate", zlib.compress(data)) == data


def test_what_follows_a_packed_body_is_left_out() -> None:
    """Padding behind the last member is no error and no content, and what follows a deflated body neither."""
    for tail in (b"\0" * 512, b"padding", b"\x1f\x8bno member"):
        assert unpacked("gzip", gzip.compress(WORDS) + tail) == WORDS
        assert unpacked("gzip", gzip.compress(WORDS), tail, gzip.compress(b"late")) == WORDS
        assert unpacked("deflate", zlib.compress(WORDS) + tail) == WORDS
        assert unpacked("deflate", zlib.compress(WORDS), tail, tail) == WORDS


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate, gzip", "zstd", "x-deflate"])
def test_a_coding_that_was_not_asked_for(coding: str) -> None:
    """The body is left as it is, and what is wrong with it says which coding it is in."""
    with pytest.raises(UnreadableBodyError, match=coding):
        Unpacker(coding)
    body = Body({"content-encoding": coding})
    assert body.flaw is not None
    assert coding in body.flaw
    assert not body.feed(b"x")
    assert body.content() == b""


def test_a_body_that_breaks() -> None:
    """What came before is kept, and no more is of use; a second member that breaks within is an error too."""
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


def test_the_largest_body() -> None:
    """Sixteen megabytes are taken whole; of a byte more, the beginning is kept for an error to show."""
    body = Body({})
    assert body.feed(b"x" * (LARGEST_BODY - 1))
    assert body.feed(b"y")
    assert body.flaw is None
    assert not body.feed(b"z")
    assert body.flaw is not None
    assert f"{LARGEST_BODY:,}" in body.flaw
    assert body.content() == b"x" * SHOWN
    assert body.content() == b""


def test_a_body_that_somebody_else_has_unpacked() -> None:
    """It is taken as it is, whatever its coding was; but it may be no larger than others."""
    body = Body({"content-encoding": "br"})
    body.unpacked(b"read by a hook")
    assert (body.flaw, body.content()) == (None, b"read by a hook")
    body.unpacked(b"x" * (LARGEST_BODY + 1))
    assert body.flaw is not None


def nested(levels: int) -> bytes:
    return b'[{"[[[\\"{":' * (levels // 2) + b"[" * (levels % 2) + b"]" * (levels % 2) + b"}]" * (levels // 2)


def test_json_of_so_many_levels() -> None:
    """A hundred are read, one more is not, and brackets within strings are none."""
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


def test_json_of_so_many_values() -> None:
    """Fifty thousand are read, however they are put together, and no more; commas within strings are none."""
    assert len(read_json(b"[" + b",".join([b"1"] * 50_000) + b"]")) == 50_000
    assert len(read_json(b"[" + b",".join([b"[]"] * 49_999) + b"]")) == 49_999
    for too_many in (b"[" + b",".join([b"1"] * 50_002) + b"]", b"[" + b",".join([b"{}"] * 50_002) + b"]"):
        with pytest.raises(ValueError, match="50,000 values"):
            read_json(too_many)
    assert read_json(b'["' + b"," * 60_000 + b'"]') == ["," * 60_000]


# Keys.


def test_keys_are_struck_out_wherever_they_stand() -> None:
    """In texts, headers and JSON: in names as in values, escaped or not, and what is no key is left as it is."""
    redactor = Redactor()
    redactor.add(Secret("k/1<"))
    assert redactor.text("a k/1< b K\\/1%3c c k%252f1&lt; d k&#47;1&#x3c; e \\u006b/1\\\\u003C") == (
        "a *** b *** c *** d *** e ***"
    )
    assert redactor.headers({"X-K/1<": "k/1<", "Via": "K"}) == {"x-***": "***", "via": "K"}
    data = {"a k/1<": ["k/1<", 7, None, {"b": "x k/1<", "k/1<": {"c": ["k/1<"]}}], "d": "k/1"}
    before = json.dumps(data)
    assert redactor.data(data) == {"a ***": ["***", 7, None, {"b": "x ***", "***": {"c": ["***"]}}], "d": "k/1"}
    assert json.dumps(data) == before
    assert redactor.data("k/1<") == "***"
    assert redactor.data(5) == 5


def test_the_last_sixteen_keys_are_struck_out() -> None:
    """A key that was given up may still be in what a server says; but not for ever."""
    redactor = Redactor()
    for number in range(17):
        redactor.add(Secret(f"key-{number:02}"))
    assert redactor.text("key-16 key-01 key-00") == "*** *** key-00"


class Waiting:
    """A runner's background, in which a callable is run when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[[], object], Future[object]]] = []

    def run(self, ask: Callable[[], object]) -> Future[object]:
        self.asked.append((ask, Future()))
        return self.asked[-1][1]

    def answer(self) -> None:
        ask, future = self.asked.pop(0)
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - as a runner does
            future.set_exception(error)


def asks(flow: Flow[Any]) -> AskKey:
    """What a flow asks for first."""
    effect = next(flow)
    assert isinstance(effect, AskKey)
    return effect


def given(flow: Flow[Any], answer: Future[Any] | None) -> Any:
    """What a flow gives in the end, once this came of what it asked for."""
    with pytest.raises(StopIteration) as end:
        flow.send(answer)
    return end.value.value


def at_its_end(flow: Flow[Any]) -> Any:
    """What a flow gives that asks for nothing."""
    with pytest.raises(StopIteration) as end:
        next(flow)
    return end.value.value


def test_a_callable_is_asked_once_for_many() -> None:
    """Calls that want a key at the same time wait for one answer; later ones have it without asking."""
    numbers, background = count(1), Waiting()
    key = Key(lambda: f"key-{next(numbers)}")
    flows = [key.get(5.0) for _ in range(3)]
    answers = [asks(flow).ask(background.run) for flow in flows]
    assert len(background.asked) == 1
    background.answer()
    secrets = [given(flow, answer) for flow, answer in zip(flows, answers, strict=True)]
    assert {secret.reveal() for secret in secrets} == {"key-1"}
    assert at_its_end(key.get(5.0)) is secrets[0]
    assert key.redactor.text("key-1") == "***"


def test_a_refused_key_is_renewed_once_for_all_it_was_refused_to() -> None:
    """Whoever comes with it later is given the new one; the old one is still struck out."""
    numbers, background = count(1), Waiting()
    key = Key(lambda: f"key-{next(numbers)}")
    flow = key.get(5.0)
    first = given(flow, asks(flow).ask(at_once))
    flows = [key.get(5.0, first) for _ in range(2)]
    asked = [asks(flow) for flow in flows]
    assert asked[0].seconds == 5.0
    answer = asked[0].ask(background.run)
    background.answer()
    second = given(flows[0], answer)
    assert second.reveal() == "key-2"
    # The other one asks when it is there already.
    assert given(flows[1], asked[1].ask(background.run)) is second
    assert not background.asked
    assert at_its_end(key.get(5.0, first)) is second
    assert key.redactor.text("key-1 key-2") == "*** ***"


def test_a_key_that_is_the_same_again_is_none() -> None:
    """Who was refused with it need not try it once more; a string is never asked for another."""
    key = Key(lambda: "always")
    flow = key.get(5.0)
    first = given(flow, asks(flow).ask(at_once))
    again = key.get(5.0, first)
    assert given(again, asks(again).ask(at_once)) is None
    fixed = Secret("fixed")
    assert at_its_end(Key(fixed).get(5.0)) is fixed
    assert at_its_end(Key(fixed).get(5.0, fixed)) is None


def test_a_key_that_does_not_come_in_time() -> None:
    """There is none then; when the callable has answered after all, the next call has it."""
    background = Waiting()
    key = Key(lambda: "late")
    flow = key.get(0.5)
    asks(flow).ask(background.run)
    assert given(flow, None) is None
    background.answer()
    assert at_its_end(key.get(0.5)).reveal() == "late"


@pytest.mark.parametrize(
    ("gives", "told", "hint"),
    [
        (lambda: 5, "returned a value that is of type int", "visible ASCII"),
        (lambda: "", "returned a value that is empty", "visible ASCII"),
        (lambda: 1 / 0, "raised ZeroDivisionError", "cause above"),
    ],
)
def test_what_is_no_key(gives: Callable[[], object], told: str, hint: str) -> None:
    """It is an error where the key is wanted, with the callable's name and its own error; the next call asks anew."""
    key = Key(gives)
    for _ in range(2):
        flow = key.get(5.0)
        answer = asks(flow).ask(at_once)
        with pytest.raises(ConfigurationError, match=told) as error:
            flow.send(answer)
        assert "<lambda>" in str(error.value)
        assert any(hint in note for note in error.value.__notes__)
        assert isinstance(error.value.__cause__, ZeroDivisionError) == ("raised" in told)


def test_a_forked_child_asks_for_its_own_key() -> None:
    """Whoever was asked in the parent does not answer in the child."""
    background = Waiting()
    key = Key(lambda: "of-the-child")
    asks(key.get(5.0)).ask(background.run)
    key.forked()
    flow = key.get(5.0)
    assert given(flow, asks(flow).ask(at_once)).reveal() == "of-the-child"


# Effects.


def test_what_may_stay_open() -> None:
    """A stream that was asked for, announced as one, and packed in a way that can be undone piece by piece."""
    asked = SendRequest({}, 5.0, streaming=True)
    assert asked.stays_open(200, {"content-type": STREAM})
    assert asked.stays_open(200, {"content-type": " Text/Event-Stream ; charset=utf-8"})
    assert asked.stays_open(200, {"content-type": STREAM, "content-encoding": "gzip"})
    assert not asked.stays_open(200, {"content-type": STREAM, "content-encoding": "br"})
    assert not asked.stays_open(200, {"content-type": "application/json"})
    assert not asked.stays_open(200, {})
    assert not asked.stays_open(204, {"content-type": STREAM})
    assert not SendRequest({}, 5.0).stays_open(200, {"content-type": STREAM})


def test_what_is_left_of_a_mailbox_without_a_job() -> None:
    """What is not that job's, in its order, and how much of it a stream may still bring."""
    events: list[Notice] = [
        Chunk("a", b"12345", 0.0),
        Closed(),
        Chunk("b", b"123", 0.0),
        Ended("b", "over", 0.0),
        JobDone("a", None),
    ]
    kept, size = without(events, "b")
    assert list(kept) == [events[0], events[1], events[4]]
    assert size == weight(events[0]) == 5 + 256
    assert without(events, "c") == (without(events, "")[0], 5 + 3 + 512)
    assert [weight(event) for event in events[1:2] + events[3:]] == [0, 0, 0]
    assert weight(Chunk("a", b"x" * READ_AHEAD, 0.0)) > READ_AHEAD


def answered(content: bytes, flaw: str | None = None) -> Response:
    return Response(200, {}, content, method="GET", url="http://x/y", attempts=3, flaw=flaw)


def test_an_answer_that_is_read_as_what_it_is() -> None:
    """As generated code does."""
    whole = answered(b'{"a": 1}').json()
    assert isinstance(whole, dict)
    assert dict(whole) == {"a": 1}
    assert list(whole.items()) == [("a", 1)]
    listed = answered(b"[1, 2]").json()
    assert isinstance(listed, list)
    assert list(listed) == [1, 2]


def test_an_answer_that_is_read_as_what_it_is_not() -> None:
    """It is an error that tells what was asked for and what came."""
    whole: Any = answered(b'{"a": 1}').json()
    with pytest.raises(ResponseDecodeError, match="JSON object where") as error:
        list(whole)
    assert error.value.body == {"a": 1}
    assert (error.value.method, error.value.url, error.value.attempts) == ("GET", "http://x/y", 3)
    listed: Any = answered(b"[1]").json()
    with pytest.raises(ResponseDecodeError, match="array where") as error:
        dict(listed)
    assert error.value.body == [1]
    assert error.value.status_code == 200
    with pytest.raises(ResponseDecodeError, match="neither an object nor an array"):
        answered(b"7").json()


@pytest.mark.parametrize(
    ("content", "flaw", "told"),
    [
        (b"", None, "but with no body"),
        (b"{", None, r"a body that is not JSON \("),
        (b"{}", "of more than much", "a body of more than much"),
    ],
)
def test_an_answer_that_cannot_be_read(content: bytes, flaw: str | None, told: str) -> None:
    """The error says why, and shows no document of the parser's."""
    with pytest.raises(ResponseDecodeError, match=told) as error:
        answered(content, flaw).data()
    assert error.value.__context__ is None
    assert any("do not repeat the request" in note for note in error.value.__notes__)


# Events of a stream.


def test_comments_are_counted() -> None:
    """As the heartbeats that they are; fields that nobody knows are none."""
    decoder = EventDecoder()
    list(decoder.feed(b":\n\n: beat\n\ncolour: red\n\n:x\ndata: a\n\n"))
    assert decoder.comments == 3


def test_the_longest_delay_and_the_longest_id() -> None:
    """More digits of a delay than nine name no time that anybody waits; an id that is too long is none."""
    decoder = EventDecoder()
    list(decoder.feed(b"retry: 1234567890123\n\n"))
    assert decoder.retry == 123456789
    longest, longer = "a" * LONGEST_ID, "b" * (LONGEST_ID + 1)
    (event,) = decoder.feed(f"id: {longest}\nid: {longer}\ndata: x\n\n".encode())
    assert event == StreamEvent("x", "message", longest)


def test_the_largest_event_to_the_byte() -> None:
    """Its lines count without their ends; comments and what is no field count nothing; each event begins anew."""
    decoder = EventDecoder()
    full = b"data:" + b"x" * (LARGEST_EVENT - 5 - 20)
    for _ in range(2):
        (event,) = decoder.feed(full + b"\n" + b": a comment\nodd: 1\n" * 9 + b"data:" + b"y" * 15 + b"\n\n")
        assert len(event.data) == LARGEST_EVENT - 9
    with pytest.raises(EventTooLargeError):
        list(decoder.feed(full + b"\ndata:" + b"y" * 16))


def test_a_byte_order_mark_is_one_at_the_start_alone() -> None:
    """Anywhere else it is of the text, and makes a field an odd one."""
    mark = b"\xef\xbb\xbf"
    assert [event.data for event in EventDecoder().feed(mark + b"data: a\n\n")] == ["a"]
    assert [event.data for event in EventDecoder().feed(b"\n" + mark + b"data: a\n\ndata: b\n\n")] == ["b"]
    assert [event.data for event in EventDecoder().feed(b"data: a\n\n" + mark + b"data: b\n\n")] == ["a"]
    assert [event.data for event in EventDecoder().feed(mark + mark + b"data: a\n\n")] == []


# Attempts, retries and deadlines.


def test_notes_are_added_to_what_ends_a_call_from_outside() -> None:
    """To what is no error of the library's own, and only where there is something to tell."""

    def ended(by: BaseException, note: str | None) -> list[str]:
        with pytest.raises(type(by)), noting(lambda: note):
            raise by
        return getattr(by, "__notes__", [])

    assert ended(KeyboardInterrupt(), "it has left") == ["it has left"]
    assert ended(ValueError(), "it has left") == ["it has left"]
    assert ended(ValueError(), None) == []
    assert ended(GeneratorExit(), "it has left") == []
    assert ended(InvalidArgumentError("x"), "it has left") == []


def retry(method: str = "POST", **options: Any) -> Retry:
    return Retry(method, "http://x", **{"max_retries": 2, "deadline": Deadline(100), "random": lambda: 0.0, **options})


def test_what_may_have_left_is_noted_of_what_must_not_be_repeated() -> None:
    """And not before it may have left."""
    sent = TransportFailure(sent=True, timed_out=False, reason="lost")
    unsent = TransportFailure(sent=False, timed_out=False, reason="refused")
    for method, results, noted in (
        ("POST", [unsent], False),
        ("POST", [sent], True),
        ("POST", [sent, unsent], True),
        ("GET", [sent], False),
    ):
        made = retry(method)
        for result in results:
            made.next(result, 0, 0, 0)
        note = made.note()
        assert (note is not None) is noted
        assert note is None or note.startswith("POST http://x: ")


def test_what_an_error_of_a_status_tells() -> None:
    """All that the server said, in one line and apart, and how often it was tried."""
    headers = {"cf-ray": "ray", "request-id": "7\n8", "retry-after": "70"}
    body = b'{"code": "SLOW", "message": "too\\nmany"}'
    stopped = retry(attempts=1).next(Response(429, headers, body), 90.0, 95.0, 0)
    assert isinstance(stopped, Stop)
    error: Any = stopped.error
    assert str(error).startswith("POST http://x: 429 SLOW: too")
    assert "2 attempts" in str(error)
    assert str(error).count("request id 7") == 1
    assert (error.status_code, error.code, error.retry_after) == (429, "SLOW", 70.0)
    assert error.body == {"code": "SLOW", "message": "too\nmany"}
    assert (error.method, error.url, error.attempts) == ("POST", "http://x", 2)
    assert error.headers["cf-ray"] == "ray"
    assert error.request_id.startswith("7")
    assert error.message.startswith("too")


def test_what_an_error_of_an_odd_body_tells() -> None:
    """Where it names no code and no message, the status stands for itself."""
    for body in (b"", b"[]", b'{"code": 5, "message": ["x"]}', b'{"code": "", "message": ""}'):
        stopped = retry().next(Response(404, {}, body), 0, 0, 0)
        assert isinstance(stopped, Stop)
        error: Any = stopped.error
        assert str(error) == "POST http://x: 404: Not Found (1 attempt)"
        assert (error.code, error.request_id, error.message) == (None, None, "Not Found")
    odd: Any = retry().next(Response(418, {}), 0, 0, 0)
    assert odd.error.status_code == 418


@pytest.mark.parametrize(
    ("method", "sent", "hint"),
    [
        ("GET", False, "Nothing reached"),
        ("GET", True, "It is safe to repeat"),
        ("POST", True, "Check before you repeat"),
    ],
)
def test_what_an_error_without_an_answer_tells(method: str, sent: bool, hint: str) -> None:
    """Whether it may have reached the server, whether it is safe to repeat, and what the system said."""
    cause = OSError("no route")
    for timed_out in (False, True):
        failure = TransportFailure(sent=sent, timed_out=timed_out, reason="no\nroute", cause=cause)
        stopped = retry(method, deadline=Deadline(60, 60.0), max_retries=0).next(failure, 0, 0, 0)
        assert isinstance(stopped, Stop)
        assert stopped.error.__cause__ is cause
        assert any(hint in note for note in stopped.error.__notes__)
        assert isinstance(stopped.error, TimeoutError) is timed_out
        assert ("timeout 60 s" in str(stopped.error)) is timed_out
        assert (stopped.error.method, stopped.error.url, stopped.error.attempts) == (method, "http://x", 1)


def test_another_copy_needs_time_to_be_looked_for() -> None:
    """Its delay has to end before the last start, and what was looked has to fit in once more."""
    for reserving, now, delay in ((True, 26.2, 0.75), (True, 26.3, None), (False, 28.9, 0.75), (False, 29.0, None)):
        made = retry(deadline=Deadline(30, 30.0), attempts=4, limited=2, reserving=reserving)
        assert made.once_more(now, 0.25) == delay


def test_what_an_end_without_a_request_tells() -> None:
    """Why nothing was sent, how long the call had, and what was tried before."""
    made = retry(deadline=Deadline(60, 60.0), attempts=2)
    for error, told in (
        (no_time(made), "no time is left"),
        (no_key(made, "mine"), "the callable mine returned no key"),
        (no_slot(made, 10.0, 10.0), "no free slot"),
    ):
        assert str(error).startswith("POST http://x: ")
        assert told in str(error)
        assert "(2 attempts, timeout 60 s)" in str(error)
        assert (error.method, error.url, error.attempts, error.delivered) == ("POST", "http://x", 2, False)


def test_a_delay_has_to_end_before_the_deadline() -> None:
    """One that ends at the very moment leaves no time for an attempt."""
    limited = Response(429, {"retry-after": "10"})
    assert not isinstance(retry().next(limited, 89.0, 89.9, 0), Stop)
    assert isinstance(retry().next(limited, 89.0, 90.0, 0), Stop)
    assert backoff(0, lambda: 1.0) == 0.375
    assert backoff(3, lambda: 0.0) == 4.0
    assert backoff(99, lambda: 0.0, 30.0) == 30.0


def test_dates_that_are_none() -> None:
    """Whatever the library says to them."""
    assert read_date("Thu, 01 Jan 1970 00:01:40 GMT") == 100
    for odd in (None, "", "soon", "Thu, 99 Jan 1970 00:01:40 GMT", "Thu, 01 Jan 99999999 00:00:00 GMT", ","):
        assert read_date(odd) is None


# Lists in pages.


def test_a_list_that_brings_nothing_for_a_hundred_pages() -> None:
    """The hundredth in a row is an error, unless it is the last; a page that brings something counts anew."""
    pages = Pages()
    for number in range(99):
        assert pages.follow(str(number), brought_something=False)
    assert pages.follow("something", brought_something=True)
    for number in range(99):
        assert pages.follow(f"again {number}", brought_something=False)
    with pytest.raises(EndlessListError, match="100 pages"):
        pages.follow("one more", brought_something=False)
    assert not pages.follow(None, brought_something=False)
    assert not pages.follow("0", brought_something=True)
    assert pages.cursor == "again 98"


def test_the_last_rows_of_a_list_that_runs_from_the_oldest_on() -> None:
    """They stay as they are listed where one of them has no time, though by themselves they seem to run backwards."""

    def row(id_: str, second: float | None) -> Message:
        made = None if second is None else datetime.fromtimestamp(1e9 + second, UTC)
        return Message(id_, "x", "OUTBOUND", made)

    history = History()
    history.add([row(f"old {number}", number * 10) for number in range(20)], "a")
    history.add([row("1", 400.0)], "b")
    assert [one.id for one in history.add([row("2", None), row("3", 399.0)], None)] == ["1", "2", "3"]


# The rate limit.


def test_a_forked_child_has_an_empty_line() -> None:
    """Those who wait, wait in the parent; what was taken still counts."""
    limit, urgency = RateLimit(1.0), Urgency(Priority.NOW)
    woken: list[str] = []
    first, second, third = (limit.slot(urgency) for _ in range(3))
    first.join(lambda: woken.append("first"))
    assert first.ask(0.0, 100.0) is True
    second.join(lambda: woken.append("second"))
    assert second.ask(0.0, 100.0) is not True
    limit.forked()
    third.join(lambda: woken.append("third"))
    wait = third.ask(0.5, 100.0)
    assert wait is not True
    assert third.ask(0.5 + wait, 100.0) is not True
    assert third.ask(3.1, 100.0) is True
