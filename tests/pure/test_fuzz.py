"""Whatever bytes a server sends, what reads them gives a value or raises what its docstring names, and nothing else.

Each target takes bytes, and asserts; `fuzz_atheris.py` runs the same targets for as long as one likes.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import pickle
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import pytest
from conftest import AGENT_ID, THREAD_ID
from featherhq import FeatherError, ResponseDecodeError
from featherhq._core.bodies import LARGEST_BODY, SHOWN, Body, Unpacker, UnreadableBodyError, read_json
from featherhq._core.effects import Effect, Flow, SendRequest, Sleep
from featherhq._core.headers import read_date, read_retry_after
from featherhq._core.pagination import EndlessListError, History
from featherhq._core.responses import Response
from featherhq._core.retry import Deadline, Retry, Stop
from featherhq._core.secrets import Redactor, Secret
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent
from featherhq._settings import Settings
from featherhq._threads import flows
from featherhq._threads.conversation import ConversationFlow
from featherhq._threads.experience import Experience
from featherhq._threads.history import HistoryScan
from featherhq._threads.replies import agent_message
from featherhq._threads.send import Sent, send
from featherhq._threads.streams import Connect
from featherhq.errors import one_line, printable
from featherhq.models import Message, read_id, read_message, read_time
from hypothesis import example, given, settings, strategies as st

KEY: Final = "k3y/0f+Ada~=99"
BAD_ARGUMENTS: Final = {"InvalidArgumentError", "ConfigurationError", "UsageError"}

# What a target may be run with: the first bytes choose, the rest is what a server has sent.


def split(data: bytes) -> tuple[int, bytes]:
    """A choice, and the rest."""
    return (data[0], data[1:]) if data else (0, b"")


def cut(data: bytes, places: bytes) -> Iterator[bytes]:
    """Data in chunks, as long as these bytes say, over and over."""
    at = number = 0
    while at < len(data):
        length = 1 + places[number % len(places)] if places else len(data)
        yield data[at : at + length]
        at, number = at + length, number + 1


def check_error(error: FeatherError) -> None:
    """An error is a printable line without the key, blames no caller, and pickles."""
    assert type(error).__name__ not in BAD_ARGUMENTS, error
    for told in (str(error), *error.__notes__):
        assert told.isprintable()
        assert KEY not in told
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def decoded(chunks: Iterator[bytes]) -> tuple[list[StreamEvent], bool, int | None, int]:
    """All events; whether one was too large; and what else the stream said."""
    decoder, events = EventDecoder(), []
    try:
        for chunk in chunks:
            events += list(decoder.feed(chunk))
    except EventTooLargeError:
        return events, True, None, 0
    return events, False, decoder.retry, decoder.comments


def events_however_cut(data: bytes) -> None:
    """Where the bytes of a stream are cut makes no difference to its events."""
    number, rest = split(data)
    places, stream = rest[: number % 8], rest[number % 8 :]
    once, often = decoded(iter([stream])), decoded(cut(stream, places))
    assert once[:2] == often[:2]
    assert once[1] or once == often
    assert once[2] is None or 0 <= once[2] < 10**10
    for event in once[0]:
        check_message(agent_message(event))


def check_message(message: Message | None) -> None:
    """A message that was read has what all that follows relies on."""
    if message is None:
        return
    assert message.id
    assert message.id.isprintable()
    assert isinstance(message.text, str)
    if message.created_at is not None:
        assert message.created_at.tzinfo is not None
        assert math.isfinite(message.created_at.timestamp())


def read_values(data: bytes) -> None:
    """Ids, times and messages out of any JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = data.decode("utf-8", "surrogateescape")
    for each in (
        value,
        *(value if isinstance(value, list) else ()),
        *(value.values() if isinstance(value, dict) else ()),
    ):
        with suppress(UnicodeEncodeError):
            assert not (id_ := read_id(each)) or quote(id_, safe="")
        moment = read_time(each)
        assert moment is None or math.isfinite(moment.timestamp())
        check_message(read_message(each))
        check_message(
            read_message({"id": each, "messageBody": each, "createdAt": each, "direction": each, "status": each})
        )
    text = data.decode("utf-8", "replace")
    assert printable(text).isprintable()
    assert one_line(text).isprintable()


def json_as_pythons(data: bytes) -> None:
    """Our JSON is Python's, where it reads it at all."""
    try:
        ours = read_json(data)
    except ValueError:
        return
    assert repr(ours) == repr(json.loads(data))


def an_events_message(data: bytes) -> None:
    """The agent's message of an event."""
    check_message(agent_message(StreamEvent(data.decode("utf-8", "surrogateescape"))))


def answer(data: bytes) -> Response:
    """An answer with this status and body."""
    number, content = split(data)
    status = (200, 201, 204, 400, 401, 404, 409, 429, 500, 503, 302, 599, 999, 100)[number % 14]
    redactor = Redactor()
    redactor.add(Secret(KEY))
    return Response(
        status, {"content-type": "application/json"}, content, method="GET", url="http://x/", redactor=redactor
    )


def an_answer(data: bytes) -> None:
    """An answer is read, or is a `ResponseDecodeError`."""
    response = answer(data)
    body = response.body
    assert KEY not in repr(body)
    for read in (response.data, response.json):
        try:
            read()
        except ResponseDecodeError as error:
            check_error(error)


def drive(flow: Flow[Any], responses: list[Response]) -> object:
    """Run a flow that is given these answers; `None` where it wants more."""
    waiting, result = iter(responses), None
    while True:
        try:
            effect: Effect[Any] = flow.send(result)
        except StopIteration as end:
            return end.value
        except FeatherError as error:
            check_error(error)
            return error
        result = None
        if isinstance(effect, SendRequest):
            result = next(waiting, None)
            if result is None:
                flow.close()
                return None
        elif not isinstance(effect, Sleep):
            flow.close()
            return effect


def new_settings() -> Settings:
    made = Settings.read(
        Secret(KEY), base_url="http://feather.test", timeout=60, max_retries=0, rate_limit=None, headers=None
    )
    logging.getLogger("featherhq").setLevel("CRITICAL")
    return made


def a_page(data: bytes) -> None:
    """A page of a list, and all that lists of messages are put to."""
    made = new_settings()
    response = answer(b"\0" + data)
    came = drive(flows.list_messages(made, flows.Listing(THREAD_ID), None, made.deadline(None)), [response])
    assert isinstance(came, flows.Page | ResponseDecodeError)
    if not isinstance(came, flows.Page):
        return
    for message in came.messages:
        check_message(message)
    history, scan = History(), HistoryScan(Experience(), floor=0.0)
    with suppress(EndlessListError):
        first = history.add(came.messages, came.next_cursor)
        again = [] if came.next_cursor is None else history.add(came.messages, None)
        assert len(first) + len(again) <= len(came.messages)
        scan.add(came.messages, came.next_cursor)
    assert len(scan.listed) <= len(came.messages)
    scan.next_anchor([message.id for message in scan.listed])


def whole_histories(data: bytes) -> None:
    """A list of pages, the last of them again and again."""
    made = new_settings()
    pages = [answer(b"\0" + part) for part in data.split(b"\0")]
    history = History()
    came = drive(flows.next_messages(made, flows.Listing(THREAD_ID), history), [*pages, *pages[-1:] * 120])
    assert came is None or isinstance(came, list | ResponseDecodeError)


def a_thread(data: bytes) -> None:
    """A thread that was made, and one that was asked for."""
    made = new_settings()
    came = drive(flows.create_thread(made, AGENT_ID, None, None), [answer(b"\0" + data)])
    assert isinstance(came, tuple | ResponseDecodeError)
    if isinstance(came, tuple):
        assert came[0].isprintable()
        assert came[0].strip(".")
        assert quote(came[0], safe="")
    assert drive(flows.get_thread(made, THREAD_ID), [answer(b"\0" + data)]) is not None


def a_receipt(data: bytes) -> None:
    """The receipt of a message; or else the message is looked for."""
    made = new_settings()
    came = drive(send(made, THREAD_ID, "hello", made.deadline(None)), [answer(b"\0" + data)])
    assert came is None or isinstance(came, Sent)
    if isinstance(came, Sent):
        assert repr(came.receipt).isprintable()


def a_lost_message(data: bytes) -> None:
    """A message whose answer was lost, looked for in a history of these pages."""
    made = new_settings()
    lost = answer(b"\x08")
    pages = [answer(b"\0" + part) for part in data.split(b"\0")]
    came = drive(send(made, THREAD_ID, "hello", made.deadline(None)), [lost, *pages])
    assert came is None or isinstance(came, Sent | FeatherError)


def an_error(data: bytes) -> None:
    """A status that is no success, with any headers and body: the error, and whether to go on."""
    number, rest = split(data)
    response = answer(rest)
    fields = rest.decode("latin-1").split("\n")
    names = ("Retry-After", "Date", "X-Request-Id", "Location", "retry-after-ms", "X-Odd", "CF-Ray")
    response.headers = dict(zip(names, fields, strict=False))
    response.status_code = 100 + number * 4
    retry = Retry("GET", "http://x/", 0, Deadline(10.0, 10.0), lambda: 0.5)
    decision = retry.next(response, 0.0, 0.0, 1e9)
    if isinstance(decision, Stop):
        check_error(decision.error)
        assert len(str(decision.error)) < 2000
        for value in getattr(decision.error, "headers", {}).values():
            assert KEY not in value


def waits(data: bytes) -> None:
    """How long a server asks to wait, and dates."""
    first, _, second = data.decode("latin-1").partition("\n")
    for headers in ({"retry-after": first, "date": second}, {"retry-after-ms": first, "retry-after": second}):
        wait = read_retry_after(headers, 1e9)
        assert wait is None or (math.isfinite(wait) and wait >= 0)
    for text in (first, second, None):
        at = read_date(text)
        assert at is None or math.isfinite(at)


def a_packed_body(data: bytes) -> None:
    """A body of any coding, however cut: the same content, unless it is broken, in pieces of a bounded size."""
    number, rest = split(data)
    coding = ("gzip", "deflate", "x-gzip", "", "br", "gzip, gzip", "GZIP ", "identity")[number % 8]
    found = []
    for chunks in ([rest], list(cut(rest, rest[-3:]))):
        body = Body({"content-encoding": coding})
        for chunk in chunks:
            if not body.feed(chunk):
                break
        content = body.content()
        assert len(content) <= LARGEST_BODY + SHOWN
        found.append((content, body.flaw is None))
        out = b""
        with suppress(UnreadableBodyError):
            unpacker = Unpacker(coding)
            for chunk in chunks:
                for piece in unpacker.feed(chunk):
                    assert len(piece) <= max(64 * 1024, len(chunk))
                    out += piece[: LARGEST_BODY - len(out)]
    # Of a broken one, what came before the break depends on where it is cut.
    assert found[0] == found[1] or not (found[0][1] or found[1][1])


def a_key_struck_out(data: bytes) -> None:
    """A key is found wherever it stands, and a text without one is left as it is."""
    number, rest = split(data)
    text = rest.decode("utf-8", "replace")
    redactor = Redactor()
    redactor.add(Secret(KEY))
    at = number % (len(text) + 1)
    for spelled in (KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1], KEY.replace("/", r"\/"), KEY.upper()):
        shown = redactor.text(text[:at] + spelled + text[at:])
        assert KEY not in shown
        assert spelled not in shown
    assert redactor.text("no key") == "no key"
    assert KEY not in repr(redactor.data([{text + KEY: [KEY, {"x": text + KEY}]}]))


def a_conversation(data: bytes) -> None:
    """A stream's bytes, taken in by a conversation: messages, or nothing."""
    number, rest = split(data)
    made = new_settings()
    state, now = ConversationFlow(made, THREAD_ID)._state, made.clock()
    job = next(command.job for command in state.commands(now, made.wall_clock()) if isinstance(command, Connect))
    state.streams.opened(job, now)
    for chunk in cut(rest, bytes([number])):
        now += 1
        for message in state.streams.heard(job, chunk, now):
            check_message(message)
        while (taken := state.take(now + 10)) is not None:
            check_message(taken)
        if not state.is_open:
            # It said what no stream may.
            return
        state.commands(now, made.wall_clock())


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        events_however_cut,
        read_values,
        json_as_pythons,
        an_events_message,
        an_answer,
        a_page,
        whole_histories,
        a_thread,
        a_receipt,
        a_lost_message,
        an_error,
        waits,
        a_packed_body,
        a_key_struck_out,
        a_conversation,
    )
}

# What servers send, more often than chance would.

texts = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl"]), max_size=5)
times = st.sampled_from(
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Z", "2026-W01", "+99:99", "20260101"]
) | st.datetimes().map(str)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**4299, -(10**400), 2**64])
    | st.floats()
    | texts
    | times
    | st.sampled_from([THREAD_ID, "INBOUND", "OUTBOUND", "m-1", "..", "x" * 1025, KEY])
)
names = (
    st.sampled_from(
        [
            "id",
            "threadId",
            "messageBody",
            "direction",
            "createdAt",
            "status",
            "message",
            "data",
            "thread",
            "messages",
            "pagination",
            "nextCursor",
            "messageId",
            "code",
            "windowExpiresIn",
            "agent",
            "metadata",
        ]
    )
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=6), max_leaves=12
)
messages = st.fixed_dictionaries(
    {"id": scalars | st.sampled_from(["m-1", "m-2"]), "messageBody": texts | scalars},
    optional={
        "direction": st.sampled_from(["INBOUND", "OUTBOUND"]) | scalars,
        "createdAt": times | scalars,
        "threadId": scalars,
    },
)
pages = st.fixed_dictionaries(
    {
        "thread": st.fixed_dictionaries(
            {"messages": st.lists(messages, max_size=6) | values},
            optional={"pagination": st.fixed_dictionaries({"nextCursor": scalars}) | values, "id": scalars},
        )
    }
)
documents = (pages | messages | values | st.fixed_dictionaries({"messageId": scalars, "windowExpiresIn": scalars})).map(
    lambda value: json.dumps(value).encode()
)
deep = st.builds(
    lambda opening, times: opening * times, st.sampled_from([b"[", b'{"message":', b'{"thread":']), st.integers(1, 5000)
)
json_like = documents | deep | st.binary(max_size=60) | documents.map(lambda document: document[:-2])
lines = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\r\n",
        b"data: ",
        b"data",
        b"id: ",
        b"retry: ",
        b":",
        b"event: x",
        b"\0",
        b"\xef\xbb\xbf",
        b"9" * 5000,
        b"x" * 400_000,
    ]
)
streams = st.lists(lines | documents | st.binary(max_size=8), max_size=30).map(b"".join)
dates = st.sampled_from(
    [
        b"Tue, 01 Jan 99999 00:00:00 GMT",
        b"Fri, 31 Dec 9999 23:59:59 -2359",
        b"9" * 5000,
        b"inf",
        b"nan",
        b"-1",
        b"1e999",
        b"1_0",
    ]
)
packed = st.one_of(
    documents.map(gzip.compress),
    documents.map(zlib.compress),
    st.lists(documents, max_size=3).map(lambda parts: b"".join(map(gzip.compress, parts))),
    st.just(gzip.compress(b"a" * 3_000_000)),
)
broken = st.builds(
    lambda data, end, more: data[: end % (len(data) + 1)] + more, packed, st.integers(0, 4000), st.binary(max_size=9)
)

RAW_DEFLATE: Final = zlib.compress(b"{}", wbits=-15) + b"\0\0\0"

GIVEN: Final[dict[str, st.SearchStrategy[bytes]]] = {
    "events_however_cut": streams,
    "a_conversation": streams,
    "waits": st.lists(dates | st.binary(max_size=30), min_size=2, max_size=2).map(b"\n".join),
    "an_error": json_like | st.lists(dates | st.binary(max_size=30), max_size=7).map(b"\n".join),
    "a_packed_body": packed | broken | json_like,
    "whole_histories": st.lists(json_like, max_size=4).map(b"\0".join),
    "a_lost_message": st.lists(json_like, max_size=4).map(b"\0".join),
}
CHOOSES: Final = {"events_however_cut", "a_conversation", "an_error", "a_packed_body", "an_answer", "a_key_struck_out"}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_bytes_come(name: str) -> None:
    """Each reader of a server's bytes gives a value, or raises what its docstring names."""
    level = logging.getLogger("featherhq").level

    @settings(max_examples=80, deadline=None, derandomize=True, database=None)
    @given(st.binary(min_size=1, max_size=1), GIVEN.get(name, json_like))
    @example(b"\0", b"")
    @example(b"\x01", b"[" * 100_000)
    @example(
        b"\x07", json.dumps({"thread": {"id": "\ud800", "messages": [{"id": 10**4299, "messageBody": ""}]}}).encode()
    )
    @example(b"\x01", RAW_DEFLATE)
    @example(b"\x00", gzip.compress(b"{}") + b"behind it\0\0\0")
    @example(b"\x03", b"data: " + b"x" * (LARGEST_EVENT + 1) + b"\n\n")
    def run(choice: bytes, data: bytes) -> None:
        TARGETS[name](choice + data if name in CHOOSES else data)

    try:
        run()
    finally:
        logging.getLogger("featherhq").setLevel(level)
