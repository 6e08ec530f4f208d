"""The API key is seen by nobody: in no error and its local variables, no object that is printed, no line of a log."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import AsyncFeather, ConfigurationError, FeatherError, InvalidArgumentError, UsageError
from featherhq.sandbox import Sandbox
from featherhq_api.api.threads import get_thread
from raw_server import ANSWER, OK, STREAM, Peer, black_hole, json_answer
from sight import Watch, every_record, pretty, renderings

# Bytes: more than the buffers on the way of a connection hold.
LARGE = 16 << 20


class TimeLimitError(Exception):
    """As celery's: an `Exception` that is raised by a signal's handler."""


@pytest.fixture
def key() -> str:
    return f"k-{secrets.token_hex(16)}"


@pytest.fixture
def watch(key: str) -> Iterator[Watch]:
    """Whoever looks at something by it has seen no key at the test's end."""
    made = Watch(key)
    yield made
    assert not made.found


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    """Starts servers."""
    with ExitStack() as open_:

        def start(answer: Any) -> Peer:
            peer = Peer(answer)
            open_.callback(peer.close)
            return peer

        yield start


def ending(call: Callable[[], Any]) -> BaseException:
    """What a call ends in, as whoever catches it has it."""
    try:
        call()
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is
        return error
    pytest.fail("no error")


def look(watch: Watch, error: BaseException, *, code: bool = False) -> None:
    """Look at all that can be shown of an error, and see first that this is something."""
    shown = list(renderings(error, code=code))
    assert any("/wrapper/featherhq/" in one for one in shown)
    for one in shown:
        for spelled in (one, unquote(one), re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), one)):
            watch.look(type(error).__name__, spelled)


def holding(said: bytes, reached: threading.Event, *, asked: bool = True) -> Any:
    """An answer that begins like this and goes on when the caller is gone. `reached` is set once it has begun."""

    def answer(request: bytes, connection: socket.socket) -> None:
        assert not asked or request
        connection.sendall(said)
        reached.set()
        with suppress(OSError):
            connection.recv(1)

    return answer


def in_the_body(text: str) -> bytes:
    return json_answer({"message": text, "code": text, text: [text]}, "400 Bad Request")


def in_json_escapes(text: str) -> bytes:
    body = '{"message": "' + "".join(f"\\u{ord(one):04x}" for one in text) + '"}'
    return b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode())


def in_percent_escapes(text: str) -> bytes:
    return json_answer({"message": quote(text), "url": "".join(f"%{ord(one):02X}" for one in text)}, "409 Conflict")


def in_a_success(text: str) -> bytes:
    return json_answer([text, {text: f"key={text}"}])


def in_broken_json(text: str) -> bytes:
    body = f'{{"message": "{text}'.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def in_a_broken_encoding(text: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def in_a_headers_value(text: str) -> bytes:
    fields = f"X-Request-Id: {text}\r\nRetry-After: {text}\r\nX-Echo: {text}\r\nContent-Length: 0\r\n\r\n"
    return f"HTTP/1.1 404 No\r\n{fields}".encode()


def in_a_headers_name(text: str) -> bytes:
    return f"HTTP/1.1 404 No\r\nX-{text}: yes\r\n{text}: yes\r\nContent-Length: 0\r\n\r\n".encode()


def in_the_reason(text: str) -> bytes:
    return f"HTTP/1.1 422 {text}\r\nContent-Length: 0\r\n\r\n".encode()


def in_a_redirect(text: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/{text}?key={text}\r\nContent-Length: 0\r\n\r\n".encode()


def in_no_http(text: str) -> bytes:
    return f"{text} is no key\r\n\r\n".encode()


def in_a_broken_header(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{text} {text}\x01\r\n\r\n".encode()


ECHOES = [
    in_the_body,
    in_json_escapes,
    in_percent_escapes,
    in_a_success,
    in_broken_json,
    in_a_broken_encoding,
    in_a_headers_value,
    in_a_headers_name,
    in_the_reason,
    in_a_redirect,
    in_no_http,
    in_a_broken_header,
]


def never(_: bytes, connection: socket.socket) -> None:
    """The head does not come."""
    with suppress(OSError):
        connection.recv(1)


def cut(_: bytes, __: socket.socket) -> None:
    """The connection ends before an answer."""


def cut_in_the_body(_: bytes, connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n" + ANSWER[:4])


def unauthorized(_: bytes, __: socket.socket) -> bytes:
    return json_answer({"message": "no"}, "401 Unauthorized")


def failed(_: bytes, __: socket.socket) -> bytes:
    return json_answer({"status": 500, "message": "no", "code": "NO", "success": False}, "500 No")


ENDS = [never, cut, cut_in_the_body, unauthorized, failed]


def ask(client: Any) -> None:
    with client.thread(THREAD_ID).conversation() as chat:
        chat.ask("hello")


CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.threads.get(THREAD_ID),
    "send": lambda client: client.thread(THREAD_ID).send("hello"),
    "ask": ask,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_an_ending(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, end: Callable[..., bytes | None], call: str
) -> None:
    """A status, a head that does not come and a lost connection end in errors of ours, without the key."""
    peer = serve(end)
    client = kind.client(key, base_url=peer.url, timeout=0.6, max_retries=0)
    error = ending(lambda: CALLS[call](client))
    assert isinstance(error, FeatherError)
    assert any(key.encode() in request for request in peer.seen)
    look(watch, error, code=call == "get")


@pytest.mark.parametrize("call", ["get", "send", "generated"])
@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_a_server_that_echoes_the_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes], call: str
) -> None:
    """Wherever it does so, and however it writes the key there, no error shows it."""
    peer = serve(echo(key))
    client = kind.client(key, base_url=peer.url, timeout=0.6, max_retries=0)
    if call == "generated":
        error = ending(lambda: kind.generated(get_thread, THREAD_ID, client=client.api))
    else:
        error = ending(lambda: CALLS[call](client))
    assert isinstance(error, FeatherError)
    look(watch, error)


@pytest.mark.parametrize("echo", [in_the_body, in_a_headers_value, in_a_redirect], ids=lambda echo: echo.__name__)
def test_an_earlier_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes]
) -> None:
    """After a rotation, the key from before is struck out too, and so is one that a later call brings."""
    later = f"{key[::-1]}-later"
    keys = iter([key, later])

    def answer(request: bytes, _: socket.socket) -> bytes:
        return echo(key) if later.encode() in request else unauthorized(request, _)

    client = kind.client(lambda: next(keys), base_url=serve(answer).url, timeout=2, max_retries=0)
    error = ending(lambda: client.threads.get(THREAD_ID))
    assert "***" in f"{error.__notes__} {vars(error)}"
    look(watch, error)
    look(Watch(later), error)


def raw(thing: Any) -> Any:
    """What a test's face of an asynchronous object hides; a synchronous one as it is."""
    return getattr(thing, "target", thing)


@contextmanager
def alarm(wait: Callable[[], Any], how: BaseException) -> Iterator[None]:
    """Raise an error from a signal's handler, once something has come to pass and the thread waits for what follows."""

    def handle(*_: object) -> None:
        raise how

    def strike() -> None:
        wait()
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, handle)
    striker = threading.Thread(target=strike)
    striker.start()
    try:
        yield
    finally:
        striker.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupted(kind: Kind, start: Callable[[], Any], wait: Callable[[], Any], how: BaseException) -> BaseException:
    """What a call ends in that is ended from outside: its task is cancelled, or a signal's handler raises `how`."""
    if not kind.asynchronous:
        with alarm(wait, how):
            return ending(start)

    async def program() -> None:
        async def work() -> None:
            await start()

        task = asyncio.create_task(work())
        await asyncio.to_thread(wait)
        # For what is on its way to be read.
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    return ending(lambda: kind.run(program()))


# What a signal's handler raises; a task is cancelled in one way.
from_outside = pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("sync", KeyboardInterrupt()),
        ("sync", TimeLimitError("out of time")),
        ("sync", TimeoutError("out of time")),
        ("async", asyncio.CancelledError()),
    ],
    indirect=["kind"],
    ids=lambda value: getattr(type(value), "__name__", "") if isinstance(value, BaseException) else value,
)


# What Python's own `socket.create_connection` leaves open where a signal strikes.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@from_outside
@pytest.mark.parametrize("where", ["connecting", "writing", "waiting", "in_the_head", "in_the_body"])
def test_a_call_that_is_ended_from_outside(
    kind: Kind, how: BaseException, serve: Callable[..., Peer], key: str, watch: Watch, where: str
) -> None:
    """Wherever a signal or a cancellation strikes, no frame on its way shows the key."""
    reached = threading.Event()
    said = {"in_the_head": OK[:30], "in_the_body": OK + b"\r\n" + ANSWER[:4]}.get(where, b"")
    with ExitStack() as open_:
        url = serve(holding(said, reached)).url
        headers = {}
        if where == "connecting":
            url = f"http://127.0.0.1:{open_.enter_context(black_hole())}"
            reached.set()
        elif where == "writing":
            # The very head that holds the key does not go out at once.
            url, headers = open_.enter_context(silent(reached)), {"X-Large": "x" * LARGE}
        client = kind.client(key, base_url=url, timeout=10, headers=headers)
        # Certificates are read here and not when the signal comes.
        raw(client)._runner._connections.get(streams=False)
        thread = raw(client.thread(THREAD_ID))
        error = interrupted(kind, lambda: thread.send("hello"), lambda: reached.wait(5), how)
        assert isinstance(error, type(how))
        look(watch, error)


@contextmanager
def silent(reached: threading.Event) -> Iterator[str]:
    """A server that reads a few bytes and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            open_.append(connection)
            connection.recv(10)
            reached.set()

        open_: list[socket.socket] = []
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        accepting.join()
        open_[0].close()


@from_outside
@pytest.mark.parametrize("where", ["ask", "replies", "opening"])
def test_a_conversation_that_is_ended_from_outside(
    kind: Kind, how: BaseException, serve: Callable[..., Peer], key: str, watch: Watch, where: str
) -> None:
    """While it is opened, and while a reply or a message is waited for."""
    reached = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if request.startswith(b"POST"):
            reached.set()
            return json_answer({"messageId": "m-1"})
        if b"/stream" not in request.partition(b"\r\n")[0]:
            return json_answer({"thread": {"messages": []}})
        holding(b"" if where == "opening" else STREAM, reached)(request, connection)
        return None

    thread = kind.client(key, base_url=serve(answer).url, timeout=10).thread(THREAD_ID)
    if where == "opening":
        chat = raw(thread.conversation())
        start = chat.__aenter__ if kind.asynchronous else chat.__enter__
        error = interrupted(kind, start, lambda: reached.wait(5), how)
    else:
        with thread.conversation() as chat:
            if where == "ask":
                reached.clear()
                error = interrupted(kind, lambda: raw(chat).ask("hello"), lambda: reached.wait(5), how)
            else:
                step = anext if kind.asynchronous else next
                error = interrupted(kind, lambda: step(raw(chat).replies()), lambda: reached.wait(5), how)
    assert isinstance(error, type(how))
    look(watch, error)


@pytest.mark.parametrize("event", ["request", "response"])
def test_a_hook_that_fails(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, event: str) -> None:
    """What a hook of an `http_client=` raises comes out as it is, and no frame that it has passed shows the key."""

    def fail(_: object) -> None:
        raise KeyError("a hook")

    async def fail_later(_: object) -> None:
        raise KeyError("a hook")

    hooks: Any = {event: [fail_later if kind.asynchronous else fail]}
    http: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(event_hooks=hooks)
    client = kind.client(key, base_url=serve(in_the_body(key)).url, http_client=http, timeout=2)
    error = ending(lambda: client.threads.get(THREAD_ID))
    assert isinstance(error, KeyError)
    look(watch, error)
    if kind.asynchronous:
        kind.run(http.aclose())
    else:
        http.close()


@pytest.mark.parametrize("end", [*ENDS, "echo"], ids=lambda end: getattr(end, "__name__", end))
def test_an_http_client_of_the_callers(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, end: Any
) -> None:
    """The errors over an `http_client=` show the key no more than others."""
    http: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)()
    peer = serve(in_the_reason(key) if end == "echo" else end)
    client = kind.client(key, base_url=peer.url, http_client=http, timeout=0.6, max_retries=0)
    error = ending(lambda: client.thread(THREAD_ID).send("hello"))
    assert isinstance(error, FeatherError)
    look(watch, error)
    if kind.asynchronous:
        kind.run(http.aclose())
    else:
        http.close()


def is_answered(value: Callable[[str], Any]) -> Any:
    return lambda key: lambda: value(key)


def raises(key: str) -> Callable[[], str]:
    def ask() -> str:
        raise LookupError(len(key))

    return ask


SOURCES: dict[str, Callable[[str], Any]] = {
    "raises": raises,
    "none": is_answered(lambda _: None),
    "bytes": is_answered(str.encode),
    "empty": is_answered(lambda _: ""),
    "a_line_break": is_answered(lambda key: f"{key}\n"),
    "a_list": is_answered(lambda key: [key]),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_callable_without_a_key(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, source: str) -> None:
    """What it gives is refused, and not shown, as it may hold the key nevertheless."""
    client = kind.client(SOURCES[source](key), base_url=serve(cut).url, timeout=2)
    error = ending(lambda: client.threads.get(THREAD_ID))
    assert isinstance(error, ConfigurationError)
    look(watch, error)


def test_a_callable_that_blocks(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The call ends at its deadline, before there is a key, and what comes later shows it no more."""
    release = threading.Event()

    def wait() -> str:
        release.wait(5)
        return key

    client = kind.client(wait, base_url=serve(in_the_body(key)).url, timeout=0.2, max_retries=0)
    look(watch, ending(lambda: client.threads.get(THREAD_ID)))
    release.set()
    look(watch, ending(lambda: client.with_options(timeout=3).threads.get(THREAD_ID)))


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("api_key", {"api_key": "{}\n"}),
        ("api_key", {"api_key": "{} é"}),
        ("FEATHER_API_KEY", {"api_key": None}),
        ("http_client", {"http_client": "none"}),
        ("base_url", {"base_url": "nowhere"}),
        ("timeout", {"timeout": -1}),
        ("headers", {"headers": {"X-API-Key": "another"}}),
    ],
)
def test_settings_that_cannot_be(
    kind: Kind, key: str, watch: Watch, monkeypatch: pytest.MonkeyPatch, problem: str, options: dict[str, Any]
) -> None:
    """The error names the setting, and shows no key, be it a good one or the bad one itself."""
    monkeypatch.setenv("FEATHER_API_KEY", f"{key}\n")

    given = {"api_key": "{}", **options}
    api_key = given.pop("api_key")
    error = ending(lambda: kind.client(api_key and api_key.format(key), **given))
    assert isinstance(error, ConfigurationError | InvalidArgumentError)
    assert str(error).startswith(problem)
    look(watch, error)


def test_a_closed_client(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The error of a call after the end shows no key, whether there was a call before or not."""
    for calls in range(2):
        client = kind.client(key, base_url=serve(json_answer({"thread": {"id": THREAD_ID}})).url)
        for _ in range(calls):
            client.threads.get(THREAD_ID)
        (client.aclose if kind.asynchronous else client.close)()
        error = ending(lambda client=client: client.threads.get(THREAD_ID))  # type: ignore[misc]
        assert isinstance(error, UsageError)
        look(watch, error)


def test_another_event_loop(serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The errors of an `AsyncFeather` in another event loop than its own, and without one, show no key."""
    peer = serve(json_answer({"thread": {"id": THREAD_ID}}))
    client = AsyncFeather(key, base_url=peer.url)
    no_loop: Any = client.threads.get(THREAD_ID)
    look(watch, ending(lambda: no_loop.send(None)))
    with asyncio.Runner() as runner:
        runner.run(client.threads.get(THREAD_ID))
        error = ending(lambda: asyncio.run(client.threads.get(THREAD_ID)))
        assert isinstance(error, UsageError)
        look(watch, error)
        runner.run(client.aclose())


@pytest.fixture
def sandbox(key: str) -> Iterator[Sandbox]:
    with Sandbox(agent=lambda text, _: f"echo: {text}", api_key=key, rate_limit=None) as running:
        yield running


@contextmanager
def objects(kind: Kind, sandbox: Sandbox) -> Iterator[list[Any]]:
    """All that a program comes to hold, in the midst of a conversation."""
    client = kind.client(sandbox.api_key, base_url=sandbox.url, timeout=5)
    thread = client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        sent, reply = chat.send("hello"), chat.ask("again")
        held = [client, client.with_options(timeout=3), client.threads, client.api, thread, thread.details, chat]
        yield [raw(thing) for thing in [*held, chat.replies(), sent, reply, *thread.messages()]]


def test_objects_that_are_printed(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """`repr`, `vars` and rich show no key of any object, nor of what of ours can be reached from it."""
    with objects(kind, sandbox) as todo:
        seen: dict[int, Any] = {}
        while todo:
            thing = todo.pop()
            if id(thing) in seen:
                continue
            seen[id(thing)] = thing
            held = _held(thing)
            for told in (repr(thing), repr(held), pretty(thing), pretty(held)):
                watch.look(type(thing).__name__, told)
            todo += [below for below in held if type(below).__module__.startswith("featherhq")]
        # Down to the key itself.
        assert {"Settings", "Key", "Secret", "SendLedger"} <= {type(thing).__name__ for thing in seen.values()}


def _held(thing: object) -> list[object]:
    """The attributes of an object, and what is in them where they are collections."""
    names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    values = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in sorted(names))]
    inside = [list(value.values()) if isinstance(value, dict) else value for value in values]
    return [*values, *(one for below in inside if isinstance(below, list | tuple | set) for one in below)]


def test_objects_that_are_copied(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """What holds the key is neither pickled nor copied, the error shows no key; nor does a pickle of what does not."""
    with objects(kind, sandbox) as held:
        holders = held[:3] + held[4:5] + held[6:7]
        for thing in holders:
            for copied in (pickle.dumps, copy.deepcopy, copy.copy):
                error = ending(lambda copied=copied, thing=thing: copied(thing))  # type: ignore[misc]
                assert isinstance(error, TypeError)
                look(watch, error)
        for thing in held:
            with suppress(Exception):
                watch.look(type(thing).__name__, pickle.dumps(thing).decode("latin-1"))
            with suppress(Exception):
                watch.look(type(thing).__name__, pretty(copy.deepcopy(thing)))


@pytest.mark.parametrize("debug", [False, True])
def test_logs(kind: Kind, sandbox: Sandbox, watch: Watch, capfd: pytest.CaptureFixture[str], debug: bool) -> None:
    """Through a call, an `ask` and a conversation, no line of any logger shows the key, at any level, whoever makes it;
    also where asyncio tells of each step that it does.
    """
    names = set()

    def see(where: str, told: str) -> None:
        names.add(where.rpartition(" ")[2].partition(".")[0])
        watch.look(where, told)

    async def tell_all() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        loop.slow_callback_duration = 0 if debug else 10

    with every_record(see):
        kind.run(tell_all())
        client = kind.client(sandbox.api_key, base_url=sandbox.url, timeout=5)
        thread = client.threads.create(AGENT_ID)
        thread.ask("hello")
        with thread.conversation() as chat:
            assert chat.ask("again").text == "echo: again"
        assert isinstance(ending(lambda: client.threads.get(THREAD_ID)), FeatherError)
        assert kind.generated(get_thread, thread.id, client=client.api)
    watch.look("what is printed", "".join(capfd.readouterr()))
    assert {"featherhq", "asyncio"} <= names
    assert kind.asynchronous or {"httpx", "httpcore"} <= names


def test_what_a_sandbox_records(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """Its list of requests shows no key, nor do its errors."""
    with objects(kind, sandbox):
        recorded = sandbox.requests
        assert len(recorded) > 3
        for seen in recorded:
            watch.look("a recorded request", pretty([seen, _held(seen)]))
    look(watch, ending(lambda: sandbox.wait_for_requests(99, timeout=0.01)))


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_logs_of_a_server_that_echoes_the_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes]
) -> None:
    """Not even that brings the key into a log, but for what httpcore itself says of an answer's head at DEBUG."""

    def see(where: str, told: str) -> None:
        if "receive_response_headers." not in told:
            watch.look(where, told)

    client = kind.client(key, base_url=serve(echo(key)).url, timeout=0.6, max_retries=0)
    with every_record(see):
        ending(lambda: client.threads.get(THREAD_ID))
        ending(lambda: client.thread(THREAD_ID).send("hello"))


def test_without_logs(kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a program turns logging off, nothing is told, and all else is the same."""
    import logging  # noqa: PLC0415 - for this alone

    told: list[str] = []
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    client = kind.client(base_url=serve(json_answer({"thread": {"id": THREAD_ID}})).url)
    with every_record(lambda _, line: told.append(line)):
        assert client.threads.get(THREAD_ID).id == THREAD_ID
    assert told == []


# That the tests' own watch sees.


def raised(key: str, how: str) -> BaseException:
    """An error out of a function that has a key among its local variables."""
    lines = {
        "local": "held = key\n    raise FeatherError('no')",
        "deep": "held = [{'a': SimpleNamespace(b=key)}]\n    raise FeatherError('no')",
        "cause": "held = key\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
        "        raise FeatherError('no') from error",
        "field": "error = FeatherError('no')\n    error.found = key\n    key = None\n    raise error",
        "note": "error = FeatherError('no', hint=key)\n    key = None\n    raise error",
        "none": "key = None\n    raise FeatherError('no')",
    }[how]
    names: dict[str, Any] = {}
    source = f"from types import SimpleNamespace\nfrom featherhq import FeatherError\ndef work(key):\n    {lines}\n"
    exec(compile(source, "/wrapper/featherhq/work.py", "exec"), names)  # noqa: S102 - our own
    return ending(lambda: names["work"](key))


@pytest.mark.parametrize("how", ["local", "deep", "cause", "field", "note", "none"])
def test_the_watch_sees(key: str, how: str) -> None:
    """A key is found in a frame of ours, below it, in a cause, and in what an error holds; not where there is none."""
    seen = Watch(key)
    error = raised(key, how)
    assert isinstance(error, FeatherError)
    seen.note(error)
    seen.judge()
    assert bool(seen.found) is (how != "none")
    assert key not in str(seen.found)
    for code in (False, True):
        assert any(key in one for one in renderings(raised(key, how), code=code)) is (how != "none")


WATCHED = """
import logging, sys
import pytest
from conftest import KEY
from featherhq import Feather, FeatherError


def lib(statement, **names):
    exec(compile(statement, "/wrapper/featherhq/work.py", "exec"), {"FeatherError": FeatherError, **names})


def test_an_error():
    with pytest.raises(FeatherError):
        lib("def work(key):\\n    raise FeatherError('no')\\nwork(held)", held=KEY)


def test_a_log():
    logging.getLogger("any.of.them").debug("the key is %s", KEY)


def test_output():
    print(KEY)


def test_an_error_output():
    sys.stderr.write(KEY)


def test_a_test_may_hold_it():
    held = KEY
    with pytest.raises(FeatherError):
        Feather(held, base_url="nowhere")


def test_levels_are_as_ever(caplog):
    logging.getLogger("any").debug("not for all to see")
    logging.getLogger("any").warning("this is")
    assert [record.getMessage() for record in caplog.records] == ["this is"]
"""


def test_a_test_that_shows_the_key_fails(tmp_path: Path) -> None:
    """Every test here is watched: it fails where an error's frames, a log or what is printed shows the key."""
    here = Path(__file__).parent.parent
    for name in ("conftest.py", "sight.py"):
        shutil.copy(here / name, tmp_path)
    (tmp_path / "test_it.py").write_text(WATCHED)
    line = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = sorted(re.findall(r"^ERROR test_it.py::(\w+)", ran.stdout, re.MULTILINE))
    assert errors == ["test_a_log", "test_an_error", "test_an_error_output", "test_output"], ran.stdout
    assert "6 passed, 4 errors" in ran.stdout
