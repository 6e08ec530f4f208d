"""The model server: event streams."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from fake_time_helpers import collecting, flow_of, request, run_flow, streamed, streaming, world_and_server
from featherhq._core.effects import (
    READ_AHEAD,
    Cancel,
    Chunk,
    Ended,
    Flow,
    JobDone,
    Notice,
    SendRequest,
    Sleep,
    Start,
)
from featherhq._core.responses import Response, TransportFailure
from model_server import INBOUND


def test_a_stream_brings_the_agents_messages() -> None:
    """It brings heartbeats, messages and its end, each on time. The notice that the job has ended comes first."""
    world, server, thread = world_and_server(heartbeat=2.0)
    seen: list[Notice] = []
    world.at(1, lambda: server.say(thread, "one"))
    world.at(1, lambda: server.say(thread, "mine", direction=INBOUND))
    world.at(5, lambda: server.cut(ending="ended"))
    world.run_until(world.spawn(streaming(thread, 9, seen), world.mailbox()))
    assert [type(notice) for notice in seen] == [JobDone, Chunk, Chunk, Chunk, Chunk, Ended]
    assert [round(notice.at - 1000, 2) for notice in seen if isinstance(notice, Chunk | Ended)] == [
        0.03,
        1.01,
        2.03,
        4.03,
        5.01,
    ]
    assert streamed(seen) == ["one"]
    row = server.expected(thread)[0]
    assert row.pushed_at == pytest.approx(1.01)
    assert row.brought("key") == row.pushed_at
    assert server.known_from(row) == row.pushed_at


def test_a_stream_outlives_the_flow_that_opened_it() -> None:
    """It belongs to the conversation: the next reader of the mailbox gets its messages."""
    world, server, thread = world_and_server()
    mailbox = world.mailbox()
    seen: list[Notice] = []
    world.run_until(world.spawn(streaming(thread, 1, []), mailbox))
    server.say(thread, "one")
    world.run_until(world.spawn(collecting(1, seen), mailbox))
    assert streamed(seen) == ["one"]


def test_a_job_that_does_not_return_its_stream_closes_it() -> None:
    """The server notices that the stream is closed. It also notices when a job is cancelled after it returned one."""
    world, server, thread = world_and_server()

    def refuse(effect: SendRequest) -> Flow[str]:
        yield effect
        yield Sleep(1)
        return "no"

    def flow() -> Flow[None]:
        yield Start("stream", refuse(request(thread, "/stream")))
        yield Sleep(5)
        yield Start("stream", flow_of(request(thread, "/stream")))
        yield Sleep(5)
        yield Cancel("stream")

    world.run_until(world.spawn(flow(), world.mailbox()))
    assert [(round(stream.ended_at, 2), stream.ending) for stream in server.streams] == [(1.02, "left"), (10, "left")]


@pytest.mark.parametrize(
    ("options", "brought"),
    [
        ({}, ["a", "b", "c"]),
        ({"envelope": "data", "fields": True, "split": 1.0}, ["a", "b", "c"]),
        ({"mute": True}, []),
        ({"drop": 1.0}, []),
        ({"duplicate": 1.0}, ["a", "a", "b", "b", "c", "c"]),
        ({"replay": 2}, ["old 1", "old 3", "a", "b", "c"]),
        ({"head": (0.35, 0.35)}, ["a", "b", "c"]),
        ({"head": (0.35, 0.35), "head_keeps": False}, ["b", "c"]),
        ({"head": None}, []),
        ({"life": (0.9, 0.9)}, ["a", "b"]),
        ({"life": (0.9, 0.9), "silent_death": 1.0}, ["a", "b"]),
        ({"stream_status": 404}, []),
        ({"stream_html": True}, []),
    ],
)
def test_each_option_of_streams(options: dict[str, Any], brought: list[str]) -> None:
    """Each option changes which of three messages, at 0.3, 0.6 and 1 s, the stream brings. The server records it."""
    world, server, thread = world_and_server(**options)
    server.old(thread, 4)
    for at, text in ((0.3, "a"), (0.6, "b"), (1.0, "c")):
        world.at(at, partial(server.say, thread, text))
    seen: list[Notice] = []
    world.spawn(streaming(thread, 16, seen, patience=3), world.mailbox())
    world.run(20)
    assert streamed(seen) == brought
    assert [row.text for row in server.expected(thread) if row.pushed_at is not None] == list(
        dict.fromkeys(text for text in brought if not text.startswith("old"))
    )
    done = seen[0]
    assert isinstance(done, JobDone)
    if options.get("head", ()) is None:
        assert done.outcome == TransportFailure(True, True, "no response in time")
    elif "stream_status" in options or "stream_html" in options:
        assert not done.outcome.is_stream
    else:
        assert done.outcome.is_stream
    assert any(isinstance(notice, Ended) for notice in seen) == (options == {"life": (0.9, 0.9)})


def test_a_stream_may_leave_out_or_delay_single_messages() -> None:
    """The stream leaves out one message and brings another one late, so that a third one overtakes it."""
    world, server, thread = world_and_server()
    seen: list[Notice] = []

    def speak() -> None:
        server.say(thread, "one", streamed=False)
        server.say(thread, "two", streamed=0.2)
        server.say(thread, "three", streamed=True)

    world.at(1, speak)
    world.run_until(world.spawn(streaming(thread, 9, seen), world.mailbox()))
    assert streamed(seen) == ["three", "two"]


def test_streams_may_be_refused_for_some_time() -> None:
    """After that time the server accepts streams again, as after a deployment."""
    world, server, thread = world_and_server()
    server.refuse_streams(503, seconds=5, retry_after="3600")
    response = run_flow(world, flow_of(request(thread, "/stream")))
    assert (response.status_code, response.headers["retry-after"]) == (503, "3600")
    world.run(6)
    assert run_flow(world, flow_of(request(thread, "/stream"))).is_stream


def test_a_second_stream_of_a_thread_may_be_refused_or_end_the_first() -> None:
    """After the client has closed the first stream, it can open another one."""
    for kind, endings in (("refuse", []), ("replace", ["it ended"])):
        world, _, thread = world_and_server(one_stream=kind)
        seen: list[Notice] = []
        first = world.spawn(streaming(thread, 9, seen), world.mailbox(), ends_mailbox=True)
        world.run(1)
        second = world.run_until(world.spawn(flow_of(request(thread, "/stream")))).value()
        assert isinstance(second, Response)
        assert second.status_code == (409 if kind == "refuse" else 200)
        world.run(5)
        assert [notice.reason for notice in seen if isinstance(notice, Ended)] == endings
        first.cancel()
        assert run_flow(world, flow_of(request(thread, "/stream"))).status_code == 200


def test_all_streams_may_end_at_once() -> None:
    """An event that is on its way is lost, unless the streams end properly. The client does not notice dead streams."""
    for ending, brought, reasons in (
        ("lost", [], ["the connection was lost"]),
        ("ended", ["one"], ["it ended"]),
        ("died", [], []),
    ):
        world, server, thread = world_and_server()
        seen: list[Notice] = []
        world.at(1, lambda: server.say(thread, "one"))  # noqa: B023 - it runs in the same iteration
        world.at(1.005, lambda: server.cut(ending=ending))  # type: ignore[arg-type]  # noqa: B023
        world.run_until(world.spawn(streaming(thread, 16, seen), world.mailbox()))
        assert streamed(seen) == brought
        assert [notice.reason for notice in seen if isinstance(notice, Ended)] == reasons
        row = server.expected(thread)[0]
        # The stream brought the message, or the list had it when the stream was lost.
        assert server.known_from(row) == pytest.approx(1.01 if brought else 1.005)


def test_a_stream_is_read_ahead_up_to_a_limit() -> None:
    """The rest is read when the reader takes notices out. The end of the stream comes last."""
    world, server, thread = world_and_server(counting=None)
    mailbox = world.mailbox()
    world.run_until(world.spawn(streaming(thread, 1, []), mailbox))
    # Each message counts for more than 256 bytes, so they do not all fit.
    count = READ_AHEAD // 256
    for number in range(count):
        server.say(thread, str(number))
    world.run_for(1)
    server.cut()
    assert not mailbox.has_room("stream")
    seen: list[Notice] = []
    world.run_until(world.spawn(collecting(1, seen), mailbox))
    assert streamed(seen) == [str(number) for number in range(count)]
    assert isinstance(seen[-1], Ended)
