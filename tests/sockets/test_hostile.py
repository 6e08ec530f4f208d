"""Hostile servers: each call ends in time, with a value or a FeatherError, and nothing remains of it."""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import pickle
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

import pytest
import trustme
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import FeatherError, ReplyTimeoutError
from hostile import (
    KEY,
    OTHER_THREAD,
    End,
    Hostile,
    Script,
    as_json,
    event,
    good_event,
    listing,
    message,
    on_send,
    page,
    says,
)
from hostile_calls import CALLS, replies
from hostile_case import ANY, Case
from hostile_cases import CASES
from hostile_connections import STRAYS, first_closed_when_used_again
from hostile_keys import echoes, echoes_in_fields
from hostile_watch import SLACK, watched
from raw_server import STREAM


@pytest.fixture(scope="module", autouse=True)
def warm_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the first calls of each kind, so that their imports do not count as growth of memory.

    The fixture also saves time. Hundreds of clients read one certificate instead of all, and the garbage collector
    skips the objects that existed before.
    """
    authority = tmp_path_factory.mktemp("tls") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority))
        for asynchronous in (False, True):
            with Hostile({"stream": on_send(lambda: [good_event()])}) as server:
                kind = Kind(asynchronous=asynchronous)
                client = kind.client(KEY, base_url=server.url, timeout=2)
                list(client.threads.create(AGENT_ID).messages())
                with client.thread(THREAD_ID).conversation() as chat:
                    chat.ask("hello")
                kind.close()
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_no_response_does_harm(kind: Kind, case: Case) -> None:
    """A call ends in time, with an allowed result and in bounded memory. No thread, task or connection remains.

    A message is not sent twice. No error blames the caller, and each error is a printable line.
    """
    server = Hostile(case.scripts)
    options = {"timeout": case.timeout, "max_retries": case.retries, "rate_limit": case.rate_limit}
    with watched(kind, server, ticks=case.ticks, **options) as (client, watch):
        came: object
        try:
            came = CALLS[case.call](client, watch, case)
        except Exception as error:  # noqa: BLE001 - the test judges it
            watch.judge(error)
            came = type(error)
            told = f"{error!r:.300}"
            del error
        else:
            told = f"{came!r:.300}"
        if came not in case.ends and (ANY not in case.ends or isinstance(came, type)):
            watch.faults.append(f"it ended in {told}")
        most = 2 if case.call == "use" else 1
        for operation in ("send", "create"):
            if server.count(operation) > most and not case.name.startswith("send-429"):
                watch.faults.append(f"it sent {server.count(operation)} requests of {operation}")


@pytest.mark.parametrize("number", range(1, 3))
def test_cookies_are_not_kept(kind: Kind, number: int) -> None:
    """If a response sets cookies, the next request sends none."""
    cookies = b"".join(b"Set-Cookie: c%d=1; Path=/\r\n" % each for each in range(number * 20))
    response = as_json({"thread": {"id": THREAD_ID}}).replace(b"\r\n", b"\r\n" + cookies, 1)
    server = Hostile({"get": says(response)})
    with watched(kind, server, timeout=1) as (client, _):
        for _ in range(3):
            client.threads.get(THREAD_ID)
    assert server.count("get") == 3


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("pause", [0, 0.02, 0.1])
def test_each_call_gets_its_own_response(kind: Kind, stray: str, pause: float) -> None:
    """If a connection brings more bytes than one response, the client never uses them as the response to the next
    request.
    """
    server = Hostile({}, STRAYS[stray])
    wrong = []
    with watched(kind, server, timeout=1, max_retries=1) as (client, watch):
        for number in range(4):
            thread_id = THREAD_ID[:-1] + str(number)
            try:
                with watch.within(1):
                    came = client.threads.get(thread_id).details.id
            except FeatherError as error:
                watch.judge(error)
            else:
                wrong += [came] * (came != thread_id)
            kind.sleep(pause)
    assert wrong == []


@pytest.mark.parametrize("stray", ["right_behind", "50_ms_later", "before_the_request"])
def test_a_receipt_belongs_to_its_own_message(kind: Kind, stray: str) -> None:
    """A response that came before the message was sent is not the receipt of the message."""
    server = Hostile({}, STRAYS[stray])
    with watched(kind, server, timeout=1) as (client, watch):
        with suppress(FeatherError):
            client.threads.get(THREAD_ID)
        kind.sleep(0.1)
        with watch.within(1):
            try:
                receipt = client.thread(THREAD_ID).send("hello").message_id
            except FeatherError as error:
                watch.judge(error)
                receipt = None
        # These servers respond to each request with a thread, which is not a receipt.
        assert receipt is None
    assert server.count("send") <= 1


def test_a_message_on_a_closed_connection_is_sent_again(kind: Kind) -> None:
    """If the server closed the connection before the message came, the server does not have it. The client reads the
    thread, and sends the message again.
    """
    server = Hostile({}, first_closed_when_used_again)
    with watched(kind, server, timeout=6) as (client, watch), watch.within(4):
        client.threads.get(THREAD_ID)
        kind.sleep(0.05)
        assert client.thread(THREAD_ID).send("hello").message_id == "m-1"
    assert server.count("send") <= 2


def readings(text: str) -> Iterator[str]:
    """The text, and the text after escapes of URLs and of JSON are read."""
    yield text
    yield unquote(text)
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text.replace("\\/", "/"))


ECHOES: Final = [*echoes(), *echoes_in_fields()]


@pytest.mark.parametrize(("call", "response"), [echo[1:] for echo in ECHOES], ids=[echo[0] for echo in ECHOES])
def test_no_error_contains_the_key(kind: Kind, call: str, response: Script) -> None:
    """If a response shows the key in any form, no part of the error contains the key. The pickled error does not
    contain it either.
    """
    case = Case("", call, {call if call != "ask" else "send": response}, (), timeout=0.6)
    with watched(kind, Hostile(case.scripts), timeout=0.6, max_retries=0) as (client, watch):
        try:
            CALLS[call](client, watch, case)
        except FeatherError as error:
            watch.judge(error)
            below: BaseException | None = error
            while below is not None:
                for name, told in _error_parts(below):
                    if any(KEY in form for form in readings(told)):
                        watch.faults.append(f"the error's {name} contains the key: {told[:300]}")
                below = below.__cause__ or below.__context__
            again = pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own
            watch.faults += ["the error changed when it was pickled"] * (str(again) != str(error))
            del below, again
        else:
            watch.faults.append("the call raised no error")


def _error_parts(error: BaseException) -> Iterator[tuple[str, str]]:
    """The names and the texts of the parts of an error."""
    yield "str", str(error)
    yield "repr", repr(error)
    yield "notes", " ".join(getattr(error, "__notes__", []))
    yield "pickle", pickle.dumps(error).decode("latin-1")
    for name, value in vars(error).items():
        yield name, repr(value)
        yield name, json.dumps(value, default=str)
        if isinstance(value, dict):
            # A header field's name is in lower case, and the key in it too.
            yield name, " ".join(map(str, value))


@pytest.mark.parametrize("operation", ["list", "stream"])
def test_no_log_line_contains_the_key(kind: Kind, operation: str) -> None:
    """If a conversation cannot read a response with the key, it does not log the key."""
    body = b'{"message": "no key %s"}' % KEY.encode()
    scripts: dict[str, Script] = {
        "stream": says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
        operation: says(
            b"HTTP/1.1 418 No\r\nX-Request-Id: %s\r\nContent-Length: %d\r\n\r\n%s" % (KEY.encode(), len(body), body)
        ),
    }
    case = Case("", "replies", scripts, (), patience=1.5)
    with watched(kind, Hostile(scripts), timeout=1) as (client, watch):
        assert replies(client, watch, case) == []


@pytest.mark.parametrize("brings", ["a_copy", "nothing", "half_an_event", "an_old_message"])
def test_a_stream_that_ends_many_times(kind: Kind, brings: str) -> None:
    """If the stream ends many times, the client opens it less and less often: at most eleven times in three seconds."""
    copy = event(message("m-1", "good"))
    old = event(message("m-0", "old", seconds=-3600))
    steps = {"a_copy": [copy], "nothing": [], "half_an_event": [b"data: {"], "an_old_message": [old]}[brings]
    server = Hostile({"stream": says(STREAM, *steps, End.CLOSE)})
    with watched(kind, server, timeout=1) as (client, watch), client.thread(THREAD_ID).conversation() as chat:
        until, texts = time.monotonic() + 3, []
        while (left := until - time.monotonic()) > 0.05:
            with watch.within(left):
                texts += [said.text for said in itertools.islice(chat.replies(timeout=left), 1)]
    assert texts == ["good"] * (brings == "a_copy")
    assert 2 <= server.count("stream") <= 11


@pytest.mark.parametrize("block", ["messages", "junk", "heartbeats"])
def test_an_open_stream_without_a_reader(kind: Kind, block: str) -> None:
    """If a stream sends without an end and the caller makes other calls, memory is bounded and the
    other calls succeed.
    """
    number = itertools.count()

    def flood() -> Iterator[bytes]:
        yield STREAM
        while True:
            at = next(number)
            yield {
                "messages": b"".join(event(message(f"m-{at}-{row}", "x" * 100)) for row in range(50)),
                "junk": b"data: " + b"x" * 60_000 + b"\n\n",
                "heartbeats": b":\n" * 30_000,
            }[block]

    server = Hostile({"stream": lambda _: flood()})
    with watched(kind, server, ticks=True, timeout=1) as (client, watch), client.thread(THREAD_ID).conversation():
        until = time.monotonic() + 1
        while time.monotonic() < until:
            with watch.within(1):
                assert client.threads.get(THREAD_ID).details.id == THREAD_ID
            with watch.within(0.02):
                kind.sleep(0.02)


@pytest.mark.parametrize("packed", [False, True])
def test_each_message_of_a_stream_comes_at_once(kind: Kind, packed: bool) -> None:
    """The caller gets each message of a stream when it arrives. This is also true for a stream of
    several gzip members.
    """
    began: list[float] = []
    fields = b"Content-Encoding: gzip\r\nConnection" if packed else b"Connection"

    def stream() -> Iterator[bytes | float | End]:
        yield STREAM.replace(b"Connection", fields, 1)
        for at in range(4):
            yield 0.15
            began.append(time.monotonic())
            data = event(message(f"m-{at}", str(at)))
            yield gzip.compress(data) if packed else data
        yield End.HOLD

    with (
        watched(kind, Hostile({"stream": lambda _: stream()}), timeout=1) as (client, watch),
        client.thread(THREAD_ID).conversation() as chat,
    ):
        texts, late = [], []
        for said in itertools.islice(chat.replies(timeout=0.5), 4):
            late.append(time.monotonic() - began[int(said.text)])
            texts.append(said.text)
    assert texts == ["0", "1", "2", "3"]
    assert max(late) < SLACK
    assert not watch.faults


def test_a_message_of_another_thread_is_no_reply(kind: Kind) -> None:
    """`ask()` does not return a message of another thread, from the stream or from the history."""

    def stray() -> dict[str, object]:
        return message("m-8", "of another thread", threadId=OTHER_THREAD)

    server = Hostile({"stream": on_send(lambda: [event(stray())]), "list": listing(lambda: page([stray()]))})
    with (
        watched(kind, server, timeout=1) as (client, watch),
        watch.within(1),
        pytest.raises(ReplyTimeoutError) as caught,
    ):
        client.thread(THREAD_ID).ask("hello")
    assert caught.value.delivered is True
