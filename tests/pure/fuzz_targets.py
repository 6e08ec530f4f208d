"""The targets of the fuzz tests. Each one reads any bytes as if a server had sent them.

A target checks that the code returns a correct value, or raises only the errors that its docstring names.
`test_fuzz.py` runs each target with many inputs. `fuzz_atheris.py` runs one target as long as you like.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from featherhq import FeatherError, ResponseDecodeError
from featherhq._core.bodies import LARGEST_BODY, SHOWN, Body, Unpacker, UnreadableBodyError, read_json
from featherhq._core.headers import read_date, read_retry_after
from featherhq._core.pagination import EndlessListError, History
from featherhq._core.retry import Deadline, Retry, Stop
from featherhq._core.secrets import Redactor, Secret
from featherhq._core.sse import EventDecoder, EventTooLargeError, StreamEvent
from featherhq._threads import flows
from featherhq._threads.conversation import ConversationFlow
from featherhq._threads.experience import Experience
from featherhq._threads.history import HistoryScan
from featherhq._threads.lists import MessageList, ThreadList
from featherhq._threads.replies import agent_message
from featherhq._threads.send import Sent, send
from featherhq._threads.streams import Connect
from featherhq.errors import one_line, printable
from featherhq.models import read_id, read_message, read_time
from fuzz_helpers import AGENT_ID, KEY, THREAD_ID, check_error, check_message, cut, drive, new_settings, response, split

# Streams.


def decoded(chunks: Iterator[bytes]) -> tuple[list[StreamEvent], bool, int | None, int]:
    """The events in these chunks, whether one was too large, the `retry` value, and the number of comments."""
    decoder, events = EventDecoder(), []
    try:
        for chunk in chunks:
            events += list(decoder.feed(chunk))
    except EventTooLargeError:
        return events, True, None, 0
    return events, False, decoder.retry, decoder.comments


def read_stream_events(data: bytes) -> None:
    """A stream has the same events however it is divided into chunks."""
    number, rest = split(data)
    lengths, stream = rest[: number % 8], rest[number % 8 :]
    whole, divided = decoded(iter([stream])), decoded(cut(stream, lengths))
    assert whole[:2] == divided[:2]
    assert whole[1] or whole == divided
    assert whole[2] is None or 0 <= whole[2] < 10**10
    for event in whole[0]:
        check_message(agent_message(event))


def read_event_message(data: bytes) -> None:
    """An event has a correct message of the agent, or none."""
    check_message(agent_message(StreamEvent(data.decode("utf-8", "surrogateescape"))))


def read_conversation_stream(data: bytes) -> None:
    """A conversation reads only correct messages from the bytes of its stream."""
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
            # The stream sent bytes that no stream may send.
            return
        state.commands(now, made.wall_clock())


# Values, JSON and bodies.


def read_values(data: bytes) -> None:
    """Any JSON value is read as a correct id, time or message, or as `None`."""
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


def read_json_text(data: bytes) -> None:
    """If our JSON reader accepts a text, it gives the same value as Python's."""
    try:
        ours = read_json(data)
    except ValueError:
        return
    assert repr(ours) == repr(json.loads(data))


def read_waits_and_dates(data: bytes) -> None:
    """`Retry-After` and `Date` are read as finite numbers, or as `None`."""
    first, _, second = data.decode("latin-1").partition("\n")
    for headers in ({"retry-after": first, "date": second}, {"retry-after-ms": first, "retry-after": second}):
        wait = read_retry_after(headers, 1e9)
        assert wait is None or (math.isfinite(wait) and wait >= 0)
    for text in (first, second, None):
        at = read_date(text)
        assert at is None or math.isfinite(at)


def unpack_body(data: bytes) -> None:
    """A body has the same content however it is divided, if it is not broken, and its pieces are never too large."""
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
    # The content of a broken body ends at the break, or at the end of the chunk before it.
    assert found[0] == found[1] or not (found[0][1] or found[1][1])


def remove_key(data: bytes) -> None:
    """A key is removed wherever it is in a text, and a text without a key is not changed."""
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


# Responses.


def read_response(data: bytes) -> None:
    """A response has readable data, or reading it raises `ResponseDecodeError`."""
    made = response(data)
    body = made.body
    assert KEY not in repr(body)
    for read in (made.data, made.json):
        try:
            read()
        except ResponseDecodeError as error:
            check_error(error)


def read_error(data: bytes) -> None:
    """A status that is not a success, with any headers and body, gives a short error without the key."""
    number, rest = split(data)
    made = response(rest)
    fields = rest.decode("latin-1").split("\n")
    names = ("Retry-After", "Date", "X-Request-Id", "Location", "retry-after-ms", "X-Odd", "CF-Ray")
    made.headers = dict(zip(names, fields, strict=False))
    made.status_code = 100 + number * 4
    retry = Retry("GET", "http://x/", 0, Deadline(10.0, 10.0), lambda: 0.5)
    decision = retry.next(made, 0.0, 0.0, 1e9)
    if isinstance(decision, Stop):
        check_error(decision.error)
        assert len(str(decision.error)) < 2000
        for value in getattr(decision.error, "headers", {}).values():
            assert KEY not in value


def read_page(data: bytes) -> None:
    """A page of a list has only correct messages, and a history and a scan can read it."""
    made = new_settings()
    result = drive(
        flows.list_messages(made, flows.Listing(THREAD_ID), None, made.deadline(None)), [response(b"\0" + data)]
    )
    assert isinstance(result, flows.Page | ResponseDecodeError)
    if not isinstance(result, flows.Page):
        return
    for message in result.messages:
        check_message(message)
    history, scan = History(), HistoryScan(Experience(), floor=0.0)
    with suppress(EndlessListError):
        first = history.add(result.messages, result.next_cursor)
        again = [] if result.next_cursor is None else history.add(result.messages, None)
        assert len(first) + len(again) <= len(result.messages)
        scan.add(result.messages, result.next_cursor)
    assert len(scan.listed) <= len(result.messages)
    scan.next_anchor([message.id for message in scan.listed])


def read_history(data: bytes) -> None:
    """A history of these pages ends with messages or an error, even if the last page comes again and again."""
    made = new_settings()
    pages = [response(b"\0" + part) for part in data.split(b"\0")]
    result = drive(MessageList(made, THREAD_ID).next(), [*pages, *pages[-1:] * 120])
    assert result is None or isinstance(result, list | ResponseDecodeError)


def read_threads(data: bytes) -> None:
    """A list of these pages ends with threads that have ids, or with an error."""
    pages = [response(b"\0" + part) for part in data.split(b"\0")]
    result = drive(ThreadList(new_settings(), None, None, 100, None).next(), [*pages, *pages[-1:] * 120])
    assert result is None or isinstance(result, list | ResponseDecodeError)
    if isinstance(result, list):
        assert all(thread_id.strip(".") and thread_id.isprintable() for thread_id, _ in result)


def read_thread(data: bytes) -> None:
    """A created thread has an id that can be part of a URL, or creating it raises `ResponseDecodeError`."""
    made = new_settings()
    result = drive(flows.create_thread(made, AGENT_ID, None, None), [response(b"\0" + data)])
    assert isinstance(result, tuple | ResponseDecodeError)
    if isinstance(result, tuple):
        assert result[0].isprintable()
        assert result[0].strip(".")
        assert quote(result[0], safe="")
    assert drive(flows.get_thread(made, THREAD_ID), [response(b"\0" + data)]) is not None


def read_receipt(data: bytes) -> None:
    """A sent message has a printable receipt, or the client looks for the message in the thread."""
    made = new_settings()
    result = drive(send(made, THREAD_ID, "hello", made.deadline(None)), [response(b"\0" + data)])
    assert result is None or isinstance(result, Sent)
    if isinstance(result, Sent):
        assert repr(result.receipt).isprintable()


def find_lost_message(data: bytes) -> None:
    """The search for a lost message in a history of these pages ends with a receipt or an error."""
    made = new_settings()
    lost = response(b"\x08")
    pages = [response(b"\0" + part) for part in data.split(b"\0")]
    result = drive(send(made, THREAD_ID, "hello", made.deadline(None)), [lost, *pages])
    assert result is None or isinstance(result, Sent | FeatherError)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        read_stream_events,
        read_values,
        read_json_text,
        read_event_message,
        read_response,
        read_page,
        read_history,
        read_thread,
        read_threads,
        read_receipt,
        find_lost_message,
        read_error,
        read_waits_and_dates,
        unpack_body,
        remove_key,
        read_conversation_stream,
    )
}
