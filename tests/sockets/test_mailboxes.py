"""What the runners do with mailboxes. Tests of flows cannot see this. Most tests run with both kinds of runner."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from conftest import Kind
from featherhq import ConfigurationError
from featherhq._core.effects import (
    READ_AHEAD,
    Accepted,
    Cancel,
    Chunk,
    Closed,
    Effect,
    Flow,
    JobDone,
    Post,
    Receive,
    Sleep,
    Start,
    TakeSlot,
)
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Urgency
from featherhq._http.failures import raise_if_from_signal
from featherhq._http.loops import has_input
from featherhq._http.task_mailbox import _run
from featherhq._http.task_runner import TaskRunner
from featherhq._http.thread_runner import ThreadRunner

# A chunk, and the number of chunks that fill a mailbox. A chunk counts for more than its bytes.
_CHUNK = b"x" * 3840
_FULL = READ_AHEAD // 4096


@pytest.fixture
def runner(kind: Kind) -> Iterator[Any]:
    """The runner of the kind."""
    made: Any = (
        TaskRunner(None, "http://127.0.0.1:1", "it")
        if kind.asynchronous
        else ThreadRunner(None, "http://127.0.0.1:1", "it")
    )
    yield made
    if kind.asynchronous:
        kind.run(made.aclose())
    else:
        made.close()


def run(kind: Kind, runner: Any, flow: Flow[Any], mailbox: Any) -> Any:
    """Run a flow to its end, and return its result."""
    if not kind.asynchronous:
        return runner.run(flow, mailbox)

    async def program() -> Any:
        return await runner.run(flow, mailbox)

    return kind.run(program())


def close(kind: Kind, mailbox: Any) -> None:
    """Close a mailbox."""
    closed = Closed()
    if kind.asynchronous:
        kind.run(mailbox.aclose(closed))
    else:
        mailbox.close(closed)


def done() -> Flow[str]:
    """A flow that returns a result."""
    yield from Sleep(0)
    return "done"


def failing() -> Flow[str]:
    """A flow that raises an error."""
    yield from Sleep(0)
    raise RuntimeError("an error of the job")


def test_a_job_posts_its_outcome(kind: Kind, runner: Any) -> None:
    """The outcome is what the flow of the job returned or raised. Posted notices come in order."""

    def flow() -> Flow[list[Any]]:
        yield from Post(Accepted("1", 0.0, None))
        first = yield from Receive(1)
        yield from Start("good", done())
        good = yield from Receive(5)
        yield from Start("bad", failing())
        bad = yield from Receive(5)
        return [first, good, bad, (yield from Receive(0))]

    first, good, bad, nothing = run(kind, runner, flow(), runner.mailbox("t"))
    assert first == Accepted("1", 0.0, None)
    assert good == JobDone("good", "done")
    assert isinstance(bad.outcome, RuntimeError)
    assert nothing is None


def test_a_closed_mailbox_starts_no_job(kind: Kind, runner: Any) -> None:
    """It first gives the notices that came before. Then it tells each receiver that it is closed."""
    mailbox = runner.mailbox("t")

    def post() -> Flow[None]:
        yield from Post(Accepted("1", 0.0, None))

    run(kind, runner, post(), mailbox)
    close(kind, mailbox)
    ran = []

    def job() -> Flow[None]:
        ran.append(1)
        yield from Sleep(0)

    def flow() -> Flow[list[Any]]:
        yield from Start("late", job())
        return [(yield from Receive(1)), (yield from Receive(1)), (yield from Receive(0))]

    assert run(kind, runner, flow(), mailbox) == [Accepted("1", 0.0, None), Closed(), Closed()]
    assert not ran


def test_an_error_of_an_effect_is_raised_in_the_flow(kind: Kind, runner: Any) -> None:
    """The flow may catch the error of an effect, and then goes on."""

    class Broken(Effect[None]):
        pass

    def flow() -> Flow[str]:
        try:
            yield from Broken()
        except AssertionError:
            yield from Sleep(0)
            return "caught"
        return "not raised"

    assert run(kind, runner, flow(), runner.mailbox("t")) == "caught"


def test_a_job_that_is_started_again(kind: Kind, runner: Any) -> None:
    """The first job is cancelled, and its notices do not come any more. Nothing waits for its end."""

    def slow() -> Flow[str]:
        yield from Sleep(60)
        return "slow"

    def flow() -> Flow[list[Any]]:
        yield from Start("job", slow())
        yield from Start("job", done())
        return [(yield from Receive(5)), (yield from Receive(0.05))]

    assert run(kind, runner, flow(), runner.mailbox("t")) == [JobDone("job", "done"), None]


def test_a_job_that_does_not_run_may_be_cancelled(kind: Kind, runner: Any) -> None:
    """The job may have ended before. Then nothing happens."""

    def flow() -> Flow[Any]:
        yield from Cancel("job")
        return (yield from Receive(0.01))

    assert run(kind, runner, flow(), runner.mailbox("t")) is None


def test_a_task_cannot_be_cancelled_while_it_starts_a_job() -> None:
    """A start does not wait. So a cancelled task has started a job completely, or not at all."""

    async def program() -> None:
        async with TaskRunner(None, "http://127.0.0.1:1", "it").mailbox("t") as mailbox:
            for _ in range(2):
                with pytest.raises(StopIteration):
                    mailbox.start("job", done()).send(None)

    asyncio.run(program())


def test_chunks_wait_for_room() -> None:
    """No more chunks are held than may be read ahead. If a job ends, its waiting chunk is dropped."""

    class Job:
        ended = False

    async def program() -> list[int]:
        runner = TaskRunner(None, "http://127.0.0.1:1", "it")
        job: Any = Job()
        mailbox = runner.mailbox("t")

        async def post() -> None:
            for number in range(_FULL + 2):
                await mailbox.post(Chunk("stream", _CHUNK, float(number)), job)

        task = asyncio.create_task(post())
        while len(mailbox._notices) < _FULL:  # noqa: ASYNC110 - nothing there sets an event
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(mailbox._notices) == _FULL
        await mailbox.receive(1)
        while len(mailbox._notices) < _FULL:  # noqa: ASYNC110 - nothing there sets an event
            await asyncio.sleep(0)
        job.ended = True
        for _ in range(2):
            await mailbox.receive(1)
        await task
        return [len(mailbox._notices)]

    assert asyncio.run(program()) == [_FULL - 2]


def test_an_ended_stream_is_not_read() -> None:
    """Bytes that have already come are not read either. A few of them may unpack to very many, and block the event
    loop.
    """

    class Ended:
        ended = False
        response: httpx.Response

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            job.ended = True
            yield b"x" * 100_000
            raise AssertionError("the stream was read after its end")

    job: Any = Ended()

    async def program() -> int:
        job.response = httpx.Response(200, stream=Body())
        runner = TaskRunner(None, "http://127.0.0.1:1", "it")
        mailbox = runner.mailbox("t")
        await _run(job, runner, mailbox, "stream", done())
        return len(mailbox._notices)

    # The one notice says that the flow of the job has ended.
    assert asyncio.run(program()) == 1


def test_a_cancelled_job_makes_room_for_other_jobs() -> None:
    """The chunks of the cancelled job are dropped. A waiting chunk of another job gets room, although nobody has
    received a notice.
    """

    async def program() -> Any:
        async with TaskRunner(None, "http://127.0.0.1:1", "it").mailbox("t") as mailbox:
            await mailbox.start("full", done())
            for _ in range(_FULL):
                await mailbox.post(Chunk("full", _CHUNK, 0.0))
            waiting = asyncio.create_task(mailbox.post(Chunk("other", b"", 0.0)))
            await asyncio.sleep(0)
            await mailbox.cancel("full")
            await asyncio.wait_for(waiting, 5)
            return await mailbox.receive(5)

    assert asyncio.run(program()) == Chunk("other", b"", 0.0)


def test_a_slot_that_another_thread_frees() -> None:
    """Threads and event loops may share a rate limit. A waiting task wakes up in its own event loop."""

    async def program() -> bool:
        limit, runner = RateLimit(1), TaskRunner(None, "http://127.0.0.1:1", "it")
        first, second = (limit.slot(Urgency(Priority.NOW)) for _ in range(2))
        first.join(lambda: None)

        def flow() -> Flow[bool]:
            return (yield from TakeSlot(second, 1e12))

        waiting = asyncio.create_task(runner.run(flow()))
        while not limit._queues[Priority.NOW]:  # noqa: ASYNC110 - nothing there sets an event
            await asyncio.sleep(0)
        while len(limit._queues[Priority.NOW]) < 2:  # noqa: ASYNC110 - nothing there sets an event
            await asyncio.sleep(0)
        # The first caller leaves the queue without a slot.
        await asyncio.to_thread(first.leave)
        async with asyncio.timeout(5):
            return await waiting

    assert asyncio.run(program())


def test_a_key_callable_that_fails(connect: Any) -> None:
    """The error of the job that opens the stream is raised where the block of the conversation is entered."""
    keys = iter(["wrong"])

    def key() -> str:
        return next(keys)

    thread = connect(api_key=key).thread("0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e")
    with pytest.raises(ConfigurationError, match=r"the callable .*key raised StopIteration"), thread.conversation():
        pass


def test_an_unknown_connection_may_have_input() -> None:
    """If nobody can say whether something has come over a connection, the event loop gets time to notice it."""
    assert has_input(None)


def test_without_signals_there_is_no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the program has never imported `signal`, no error comes from a signal handler."""
    monkeypatch.delitem(sys.modules, "signal")
    raise_if_from_signal(ValueError("from elsewhere"))
