"""Whatever a server answers: a call ends in time, in its value or an error of ours, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import json
import logging
import math
import pickle
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import trustme
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import FeatherError, ReplyTimeoutError
from hostile import (
    ANY,
    CASES,
    KEY,
    MEBI,
    OTHER_THREAD,
    STRAYS,
    Case,
    End,
    Hostile,
    Script,
    as_json,
    echoes,
    event,
    first_closed_when_used_again,
    good_event,
    listing,
    message,
    on_send,
    page,
    says,
)
from raw_server import STREAM

# Seconds that a call may take beyond its timeout, and that the event loop may stand still.
SLACK: Final = 0.3
MOST_MEMORY: Final = 64 * MEBI
# An error is a line for people: no id of a megabyte is in it.
LONGEST_LINE: Final = 4096
_LONGEST_TEST: Final = 8.0
# What blames the caller.
BLAMES: Final = ("InvalidArgumentError", "ConfigurationError", "UsageError")


class Memory:
    """The most memory that this process has come to hold. Where the system does not tell, none."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = self._read("VmRSS")

    @property
    def grown(self) -> int:
        return self._read("VmHWM") - self._before

    @staticmethod
    def _read(name: str) -> int:
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0


class Lines(logging.Handler):
    """What is logged, judged at once and not kept."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        told = record.getMessage()
        if not told.isprintable():
            self._faults.append(f"a log line is not printable: {told[:200]!r}")
        if KEY in told:
            self._faults.append("a log line has the key in it")
        if record.name.startswith("asyncio"):
            self._faults.append(f"asyncio complains: {told[:300]!r}")


class Watch:
    """Watches calls: how long they take, what they raise, and whether the event loop stands still meanwhile."""

    def __init__(self, kind: Kind, *, ticks: bool) -> None:
        self.faults: list[str] = []
        self._kind = kind
        self._tick = 0.0
        self._longest = 0.0
        self._ticking: Any = None
        if ticks and kind.asynchronous:
            kind.run(self._start())

    async def _start(self) -> None:
        self._tick = time.monotonic()
        self._ticking = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._ticked()

    def _ticked(self) -> None:
        now = time.monotonic()
        self._longest, self._tick = max(self._longest, now - self._tick), now

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What a block does may take so long, and a little."""
        began = self._tick = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            if took > seconds + SLACK:
                self.faults.append(f"it took {took:.2f} s of {seconds:.2f} s")
            if self._ticking is not None:
                self._ticked()

    def judge(self, error: BaseException) -> None:
        """See whether an error is one of ours, and in form."""
        if not isinstance(error, FeatherError):
            self.faults.append(f"not an error of ours: {error!r:.300}")
            return
        if type(error).__name__ in BLAMES:
            self.faults.append(f"it blames the caller: {error!r:.300}")
        for what, told in (("text", str(error)), *(("note", note) for note in error.__notes__)):
            if not told.isprintable():
                self.faults.append(f"its {what} is not printable: {told[:300]!r}")
            if len(told) > LONGEST_LINE:
                self.faults.append(f"its {what} is of {len(told)} characters: {told[:100]!r}…")
        wait = getattr(error, "retry_after", None)
        if wait is not None and not 0 <= wait < math.inf:
            self.faults.append(f"retry_after is {wait}")
        cause = error.__cause__
        if cause is not None and not isinstance(cause, OSError):
            self.judge(cause)

    def end(self) -> None:
        """Stop ticking."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._kind.run(asyncio.wait([self._ticking]))
            if self._longest > SLACK:
                self.faults.append(f"the event loop stood still for {self._longest:.2f} s")


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Import what the first calls import, so that it is not counted as a server's doing.

    And save the time that hundreds of clients take to read all the world's certificates, and hundreds of collections to
    pass through what was there before.
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


@contextmanager
def watched(kind: Kind, server: Hostile, *, ticks: bool = False, **options: Any) -> Iterator[tuple[Any, Watch]]:
    """A client of a server; when the block ends, the client is closed, and nothing may be left of what it did."""
    watch = Watch(kind, ticks=ticks)
    threads = set(threading.enumerate())
    lines, loggers = Lines(watch.faults), [logging.getLogger(name) for name in ("featherhq", "asyncio")]
    with ExitStack() as after:
        after.enter_context(server)
        for logger in loggers:
            logger.addHandler(lines)
            after.callback(logger.removeHandler, lines)
            after.callback(setattr, logger, "propagate", logger.propagate)
            after.callback(logger.setLevel, logger.level)
            # Whoever keeps records keeps the bodies of their errors.
            logger.propagate = False
        loggers[0].setLevel(logging.DEBUG)
        # A call that does not end has no server any more after a while, so that its test does.
        patience = threading.Timer(_LONGEST_TEST, server.close)
        patience.start()
        after.callback(patience.join)
        after.callback(patience.cancel)
        memory = Memory()
        client = kind.client(KEY, base_url=server.url, **options)
        try:
            yield client, watch
        finally:
            with watch.within(0.5):
                (client.aclose if kind.asynchronous else client.close)()
        watch.end()
        if memory.grown > MOST_MEMORY:
            watch.faults.append(f"memory grew by {memory.grown / MEBI:.0f} MiB")
        until = time.monotonic() + 2
        while not server.all_ended(0) and time.monotonic() < until:
            # An event loop closes what was closed in its next turns.
            kind.sleep(0.01)
        if not server.all_ended(0):
            watch.faults.append("a connection is open")
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("featherhq")]
        for thread in ours:
            if thread not in threads:
                thread.join(1)
                watch.faults += [f"a thread runs on: {thread.name}"] * thread.is_alive()
        if kind.asynchronous:
            watch.faults += kind.run(_tasks())
        if any(b"\r\ncookie:" in request.lower() for request in server.seen):
            watch.faults.append("a cookie was sent")
        gc.collect()
    assert not watch.faults, "\n".join(watch.faults)


async def _tasks() -> list[str]:
    # Those that were cancelled end in the next turn.
    await asyncio.sleep(0)
    return [f"a task runs on: {task!r}" for task in asyncio.all_tasks() if task is not asyncio.current_task()]


# What is called, each giving what tells whether it is right.


def get(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        return client.threads.get(THREAD_ID).details.id


def create(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        return client.threads.create(AGENT_ID).id


def use(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        thread = client.threads.create(AGENT_ID)
    if not repr(thread).isprintable():
        watch.faults.append("repr(thread) is not printable")
    with watch.within(case.timeout):
        thread.send("hello")
    with watch.within(case.timeout), pytest.raises(ReplyTimeoutError) as caught:
        thread.ask("hello")
    watch.judge(caught.value)
    return "used"


def send(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        sent = client.thread(THREAD_ID).send("hello")
    if not repr(sent).isprintable():
        watch.faults.append("repr(receipt) is not printable")
    return sent.message_id


def list_(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        listed = list(itertools.islice(client.thread(THREAD_ID).messages(), 1_000_000))
        return [said.text for said in listed] if len(listed) < 1000 else len(listed)


def ask(client: Any, watch: Watch, case: Case) -> object:
    with watch.within(case.timeout):
        return client.thread(THREAD_ID).ask("hello").text


@contextmanager
def conversation(client: Any, watch: Watch, case: Case) -> Iterator[Any]:
    with ExitStack() as after:
        chat = client.thread(THREAD_ID).conversation()
        with watch.within(case.timeout):
            after.enter_context(chat)
        yield chat
        with watch.within(0.2):
            after.close()


def replies(client: Any, watch: Watch, case: Case) -> object:
    texts: list[str] = []
    with conversation(client, watch, case) as chat:
        coming = iter(chat.replies(timeout=case.patience))
        while len(texts) < 10:
            with watch.within(case.patience):
                said = next(coming, None)
            if said is None:
                break
            texts.append(said.text)
    return texts


def chat_ask(client: Any, watch: Watch, case: Case) -> object:
    with conversation(client, watch, case) as chat, watch.within(case.timeout):
        return chat.ask("hello").text


CALLS: Final[dict[str, Callable[[Any, Watch, Case], object]]] = {
    "get": get,
    "create": create,
    "use": use,
    "send": send,
    "list": list_,
    "ask": ask,
    "replies": replies,
    "chat_ask": chat_ask,
}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_no_answer_does_harm(kind: Kind, case: Case) -> None:
    """A call ends in time, as it must, in bounded memory, and leaves no thread, task or connection behind.

    A message is not sent twice, no error blames the caller, and each is a line that can be printed.
    """
    server = Hostile(case.scripts)
    options = {"timeout": case.timeout, "max_retries": case.retries, "rate_limit": case.rate_limit}
    with watched(kind, server, ticks=case.ticks, **options) as (client, watch):
        came: object
        try:
            came = CALLS[case.call](client, watch, case)
        except Exception as error:  # noqa: BLE001 - judged here
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
                watch.faults.append(f"{server.count(operation)} times {operation}")


@pytest.mark.parametrize("number", range(1, 3))
def test_cookies_are_not_kept(kind: Kind, number: int) -> None:
    """Whatever cookies an answer sets, the next request has none."""
    cookies = b"".join(b"Set-Cookie: c%d=1; Path=/\r\n" % each for each in range(number * 20))
    answer = as_json({"thread": {"id": THREAD_ID}}).replace(b"\r\n", b"\r\n" + cookies, 1)
    server = Hostile({"get": says(answer)})
    with watched(kind, server, timeout=1) as (client, _):
        for _ in range(3):
            client.threads.get(THREAD_ID)
    assert server.count("get") == 3


# Answers that nobody asked for.


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("pause", [0, 0.02, 0.1])
def test_each_call_gets_its_own_answer(kind: Kind, stray: str, pause: float) -> None:
    """What a connection brings besides its answer is never taken for the answer to the next request."""
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
def test_a_receipt_is_of_its_own_message(kind: Kind, stray: str) -> None:
    """An answer that was there before a message left is not its receipt."""
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
        # The servers answer a thread to everything, which is no receipt.
        assert receipt is None
    assert server.count("send") <= 1


def test_a_message_on_a_connection_that_had_been_closed(kind: Kind) -> None:
    """The server is proven not to have it: it is looked for, sent once more, and accepted."""
    server = Hostile({}, first_closed_when_used_again)
    with watched(kind, server, timeout=6) as (client, watch), watch.within(4):
        client.threads.get(THREAD_ID)
        kind.sleep(0.05)
        assert client.thread(THREAD_ID).send("hello").message_id == "m-1"
    assert server.count("send") <= 2


# The key.


def spelled(text: str) -> Iterator[str]:
    """A text, and what it says where escapes of JSON and of URLs are read."""
    yield text
    yield unquote(text)
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text.replace("\\/", "/"))


ECHOES: Final = list(echoes())


@pytest.mark.parametrize(("call", "answer"), [echo[1:] for echo in ECHOES], ids=[echo[0] for echo in ECHOES])
def test_no_error_holds_the_key(kind: Kind, call: str, answer: Script) -> None:
    """Whatever form a server echoes the key in, an error has it in none of its parts, and pickles without it."""
    case = Case("", call, {call if call != "ask" else "send": answer}, (), timeout=0.6)
    with watched(kind, Hostile(case.scripts), timeout=0.6, max_retries=0) as (client, watch):
        try:
            CALLS[call](client, watch, case)
        except FeatherError as error:
            watch.judge(error)
            below: BaseException | None = error
            while below is not None:
                for name, told in _parts(below):
                    if any(KEY in form for form in spelled(told)):
                        watch.faults.append(f"the key is in {name}: {told[:300]}")
                below = below.__cause__ or below.__context__
            again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
            watch.faults += ["it does not pickle"] * (str(again) != str(error))
            del below, again
        else:
            watch.faults.append("no error")


def _parts(error: BaseException) -> Iterator[tuple[str, str]]:
    yield "str", str(error)
    yield "repr", repr(error)
    yield "notes", " ".join(getattr(error, "__notes__", []))
    yield "pickle", pickle.dumps(error).decode("latin-1")
    for name, value in vars(error).items():
        yield name, repr(value)
        yield name, json.dumps(value, default=str)
        if isinstance(value, dict):
            # A key within a field's name is written in lower case.
            yield name, " ".join(map(str, value))


@pytest.mark.parametrize("operation", ["list", "stream"])
def test_no_message_of_a_log_holds_the_key(kind: Kind, operation: str) -> None:
    """A conversation that meets the key in what it cannot read logs nothing of it."""
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


# Streams, over a while.


@pytest.mark.parametrize("brings", ["a_copy", "nothing", "half_an_event", "an_old_message"])
def test_a_stream_that_ends_again_and_again(kind: Kind, brings: str) -> None:
    """It is opened again ever more seldom, some ten times in three seconds at the most."""
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
def test_a_stream_that_nobody_reads(kind: Kind, block: str) -> None:
    """Where an open stream floods who does other things, memory is bounded, and other calls are as good as ever."""
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
def test_messages_come_at_once(kind: Kind, packed: bool) -> None:
    """Each message of a stream is handed out when it has come, also from a stream of several gzip members."""
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


def test_a_reply_of_another_thread_is_none(kind: Kind) -> None:
    """A reply of another thread does not answer a question, whether the stream or the history shows it."""

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
