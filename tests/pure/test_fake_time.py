"""The fake world and the model of the server, on their own: with flows written by hand, they do what they say."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest
from fake_time import EPOCH, ThreadMailbox, World
from featherhq._core.effects import (
    READ_AHEAD,
    Cancel,
    Chunk,
    Closed,
    Ended,
    Flow,
    JobDone,
    Notice,
    Post,
    Receive,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
)
from featherhq._core.rate_limit import Priority, RateLimit, Slot, Urgency
from featherhq._core.responses import Response, TransportFailure
from model_server import (
    BASE_URL,
    INBOUND,
    MISHAPS,
    Call,
    Fault,
    Handed,
    ModelServer,
    Options,
    check_once,
    check_order,
    cut_body,
    drawn,
    lateness,
    lost_after,
    lost_before,
    mishaps,
    never_sent,
    proxy_cut,
    silence,
    slow,
    stale,
    status,
    unreadable,
)

STILL: dict[str, Any] = {"latency": (0.02, 0.02), "stream_way": (0.01, 0.01), "life": None}
Outcome = Response | TransportFailure


def world_and_server(**options: Any) -> tuple[World, ModelServer, str]:
    world = World()
    server = ModelServer(world, Options(**(STILL | options)))
    return world, server, server.thread()


def request(thread_id: str, rest: str, *, seconds: float = 20.0, key: str = "key", **more: Any) -> SendRequest:
    method = "POST" if "json" in more else "GET"
    url = f"{BASE_URL}/api/v1/threads/{thread_id}{rest}"
    made = {"method": method, "url": url, "headers": {"X-API-Key": key}, **more}
    return SendRequest(made, seconds, streaming=rest == "/stream")


def post(thread_id: str, text: str = "hello", **more: Any) -> Flow[Outcome]:
    return flow_of(request(thread_id, "/messages", json={"message": text}, **more))


def listed(thread_id: str, **params: str) -> Flow[Outcome]:
    return flow_of(request(thread_id, "/messages", params=params))


def flow_of(effect: SendRequest) -> Flow[Outcome]:
    outcome: Outcome = yield effect
    return outcome


def texts(outcome: Outcome | None) -> list[str]:
    assert isinstance(outcome, Response)
    return [message["messageBody"] for message in json.loads(outcome.content)["thread"]["messages"]]


def next_cursor(outcome: Outcome | None) -> str | None:
    assert isinstance(outcome, Response)
    found: str | None = json.loads(outcome.content)["thread"]["pagination"]["nextCursor"]
    return found


def got(world: World, flow: Flow[Any]) -> Any:
    return world.run_until(world.spawn(flow)).value()


def streaming(thread_id: str, seconds: float, seen: list[Notice], patience: float = 20.0) -> Flow[None]:
    """Open a stream, and note its events until there was none for so long."""
    yield Start("stream", flow_of(request(thread_id, "/stream", seconds=patience)))
    yield from hearing(seconds, seen)


def hearing(seconds: float, seen: list[Notice]) -> Flow[None]:
    while (event := (yield Receive(seconds))) is not None:
        seen.append(event)


def streamed(seen: list[Notice]) -> list[str]:
    """The texts that a stream brought."""
    found = []
    for block in b"".join(event.data for event in seen if isinstance(event, Chunk)).split(b"\n\n"):
        for line in block.splitlines():
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                found.append((data.get("message") or data.get("data") or data)["messageBody"])
    return found


# Time.


def test_time_goes_by_waits_alone() -> None:
    """A wait ends at exactly its moment, on a clock that need not begin at nought."""
    world = World(started_at=5.5)

    def flow() -> Flow[list[float]]:
        clocks = [world.clock()]
        for seconds in (0.1, 0.2, 0.0, 3600):
            yield Sleep(seconds)
            clocks.append(world.clock())
        return clocks

    assert got(world, flow()) == [5.5, 5.6, 5.6 + 0.2, 5.6 + 0.2, 5.6 + 0.2 + 3600]
    assert world.wall_clock() == EPOCH + world.now
    assert world.waits["Sleep"] == 4


def test_waits_may_end_late_but_never_early() -> None:
    """A busy machine has slack."""
    world = World(slack=0.01)
    process = world.run_until(world.spawn(sleeping(1.0)))
    assert 1.0 < process.took < 1.011


def sleeping(seconds: float) -> Flow[None]:
    yield Sleep(seconds)


def test_processes_run_side_by_side() -> None:
    """Each goes on when its own wait ends; the world stops where it is told to."""
    world = World()
    processes = [world.spawn(sleeping(seconds)) for seconds in (3, 1, 2)]
    world.run(2.5)
    assert [process.finished_at for process in processes] == [None, 1, 2]
    assert world.now == 2.5
    world.run_for(1)
    assert processes[0].took == 3
    assert world.now == 3.5


def test_an_error_ends_its_own_process() -> None:
    """It is kept for whoever asks."""
    world = World()

    def flow() -> Flow[None]:
        yield Sleep(1)
        raise ValueError("oh")

    process = world.run_until(world.spawn(flow()))
    assert str(process.error) == "oh"
    assert world.errors == [process.error]
    with pytest.raises(ValueError, match="oh"):
        process.value()


def test_spinning_is_found() -> None:
    """A flow that makes effects while no time goes by would never end; nor does one that waits next to nothing."""

    def spin(seconds: float) -> Flow[None]:
        while True:
            yield Sleep(seconds)

    for seconds in (0.0, 1e-12):
        world = World()
        world.spawn(spin(seconds))
        with pytest.raises(AssertionError, match="endless loop"):
            world.run(1)
    world = World()
    world.spawn(spin(0.001))
    world.run(60)


def test_waiting_for_nothing_is_found() -> None:
    """Where nothing more can happen, or not in time, the test is told what has."""
    world = World()

    def flow() -> Flow[None]:
        yield Sleep(10)

    with pytest.raises(AssertionError, match=r"caller has not ended after 5 s\n.*Sleep"):
        world.run_until(world.spawn(flow()), within=5)


def test_the_same_seed_gives_the_same_world() -> None:
    """To the last digit."""

    def story() -> str:
        world = World(seed=3)
        server = ModelServer(world, drawn(random.Random(5)), seed=4)  # noqa: S311 - no secret
        server.plan = mishaps(0.3)
        thread = server.thread()
        for number in range(20):
            world.at(number, lambda: world.spawn(post(thread)))
        world.run(100)
        return world.log_text()

    assert story() == story()


# Mailboxes and jobs.


def test_an_event_ends_a_wait() -> None:
    """Whether it was there before or comes meanwhile; without one, the wait ends with nothing."""
    world = World()
    mailbox = world.mailbox()
    seen: list[tuple[float, object]] = []

    def reader() -> Flow[None]:
        for seconds in (0, 1, 5, 0, 0):
            event = yield Receive(seconds)
            seen.append((world.now, event))

    def writer() -> Flow[None]:
        yield Sleep(3)
        yield Post(Closed())
        yield Post(Closed("client"))

    world.spawn(reader(), mailbox)
    world.spawn(writer(), mailbox)
    world.run(10)
    assert seen == [(0, None), (1, None), (3, Closed()), (3, Closed("client")), (3, None)]
    assert mailbox.received == 2
    assert world.effects["Receive"] == 5
    assert world.waits["Receive"] == 2


def test_a_cancelled_reader_takes_no_event_with_it() -> None:
    """Even where the event came just before."""
    world = World()
    mailbox = world.mailbox()
    first = world.spawn(hearing(10, []), mailbox)
    world.run(1)
    mailbox.post(Closed())
    first.cancel()
    seen: list[Notice] = []
    world.spawn(hearing(1, seen), mailbox)
    world.run(5)
    assert seen == [Closed()]
    assert first.cancelled
    assert first.finished_at == 1


def test_a_job_tells_how_it_ended() -> None:
    """By what it gave, or by its error."""
    world = World()
    seen: list[Notice] = []

    def fine() -> Flow[str]:
        yield Sleep(1)
        return "fine"

    def bad() -> Flow[None]:
        yield Sleep(2)
        raise ValueError("bad")

    def flow() -> Flow[None]:
        yield Start("a", fine())
        yield Start("b", bad())
        yield from hearing(5, seen)

    world.run_until(world.spawn(flow(), world.mailbox()))
    assert seen == [JobDone("a", "fine"), JobDone("b", world.errors[0])]


def test_a_job_that_is_cancelled_or_replaced_is_heard_of_no_more() -> None:
    """Not even what it had posted already; its flow is closed."""
    world = World()
    closed: list[str] = []
    seen: list[Notice] = []

    def job(name: str, seconds: float) -> Flow[str]:
        try:
            yield Sleep(seconds)
        except GeneratorExit:
            closed.append(name)
            raise
        return name

    def flow() -> Flow[None]:
        yield Start("x", job("first", 5))
        yield Start("x", job("second", 1))
        yield Start("y", job("third", 5))
        yield Start("z", job("fourth", 1))
        yield Sleep(2)
        yield Cancel("y")
        yield Cancel("z")
        yield Cancel("never was")
        yield from hearing(10, seen)

    mailbox = world.mailbox()
    world.run_until(world.spawn(flow(), mailbox))
    assert seen == [JobDone("x", "second")]
    # The first was replaced before it had begun.
    assert closed == ["third"]
    assert not mailbox.jobs


def test_a_conversation_of_one_call_ends_with_it() -> None:
    """Its jobs are ended, also where it is cancelled."""
    world, server, thread = world_and_server()
    for cancelled in (False, True):
        mailbox = world.mailbox()
        process = world.spawn(streaming(thread, 5, []), mailbox, ends_mailbox=True)
        world.run_for(1)
        assert len(server.open_streams(thread)) == 1
        assert mailbox.jobs == ["stream"]
        if cancelled:
            process.cancel()
        world.run_for(30)
        assert not server.open_streams(thread)
        assert server.streams[-1].ending == "left"


# Cancelling.


class Line:
    """A rate limit that never has a slot."""

    def __init__(self) -> None:
        self.left = 0

    def join(self, wake: Callable[[], None]) -> None: ...

    def ask(self, now: float, until: float) -> float | bool:
        return until - now > 0 and 1.0

    def leave(self) -> None:
        self.left += 1


def test_a_process_can_be_cancelled_in_any_wait() -> None:
    """Its flow is closed there and then; a slot is left; what was sent is done all the same, and nobody told."""
    world, server, thread = world_and_server()
    line: Any = Line()
    left = []

    def flow(effect: Any) -> Generator[Any, Any, None]:
        try:
            yield effect
        finally:
            left.append(world.now)

    effects = [Sleep(9), Receive(9), TakeSlot(line, 1e9), request(thread, "/messages", json={"message": "x"})]
    processes = [world.spawn(flow(effect), world.mailbox()) for effect in effects]
    world.run(0.005)
    for process in processes:
        process.cancel()
        process.cancel()
    assert left == [0.005] * 4
    assert line.left == 1
    world.run(20)
    assert server.received(thread) == ["x"]
    assert all(process.cancelled and process.result is None for process in processes)


def test_the_line_is_asked_as_often_as_it_says() -> None:
    """And no more, once its answer is no."""
    world = World()
    line: Any = Line()

    def flow() -> Flow[bool]:
        came: bool = yield TakeSlot(line, world.clock() + 3.5)
        return came

    process = world.run_until(world.spawn(flow()))
    assert process.value() is False
    assert process.took == 4
    assert world.effects["ask"] == 5
    assert line.left == 0


def test_the_line_of_the_real_rate_limit() -> None:
    """Thirty who want a slot at once get them ten a second, the urgent ones first; whoever leaves holds up nobody."""
    world = World()
    limit = RateLimit(10)
    order: list[tuple[float, str]] = []

    def flow(name: str, slot: Slot) -> Flow[None]:
        if (yield TakeSlot(slot, world.clock() + 60)):
            order.append((world.now, name))
            yield Sleep(0.05)
            slot.answered(world.clock())

    waiting = [
        world.spawn(flow(name, limit.slot(Urgency(priority))))
        for name, priority in [("owed", Priority.OWED)] * 20 + [("now", Priority.NOW)] * 10
    ]
    world.run(0.5)
    for process in waiting[10:15]:
        process.cancel()
    world.run(10)
    assert [name for _, name in order] == ["owed"] * 10 + ["now"] * 10 + ["owed"] * 5
    assert order[9][0] == 0
    assert 1.0 < order[10][0] < 1.1
    assert 2.0 < order[20][0] < 2.3


# Requests.


@pytest.mark.parametrize(
    ("fault", "outcome", "took", "arrived"),
    [
        (None, 200, 0.02, 1),
        (never_sent(), TransportFailure(False, False, "could not connect"), 0.01, 0),
        (stale(), TransportFailure(True, False, "the connection was closed", stale=True), 0.01, 0),
        (lost_before(), TransportFailure(True, False, "the connection was lost"), 0.02, 0),
        (lost_after(), TransportFailure(True, False, "the connection was lost"), 0.02, 1),
        (proxy_cut(), TransportFailure(True, False, "the connection was lost"), 0.22, 1),
        (silence(), TransportFailure(True, True, "no answer in time"), 20, 0),
        (silence(work=30), TransportFailure(True, True, "no answer in time"), 20, 1),
        (slow(3), 200, 3.02, 1),
        (slow(30), TransportFailure(True, True, "no answer in time"), 20, 1),
        (status(500), 500, 0.02, 0),
        (status(502, work=0.0), 502, 0.02, 1),
        (status(504, after=1, work=3), 504, 1.02, 1),
        (unreadable(), 200, 0.02, 1),
        (cut_body(), TransportFailure(True, False, "the answer was cut off", status_code=200), 0.02, 1),
    ],
)
def test_what_can_go_wrong_with_a_request(
    fault: Fault | None, outcome: int | TransportFailure, took: float, arrived: int
) -> None:
    """What the client gets, when, and whether the message is there in the end."""
    world, server, thread = world_and_server()
    if fault is not None:
        server.fault("sendMessage", fault)
    process = world.run_until(world.spawn(post(thread)))
    result = process.value()
    assert (result.status_code if isinstance(result, Response) else result) == outcome
    assert process.took == pytest.approx(took)
    world.run_for(60)
    assert len(server.received(thread)) == arrived
    assert got(world, post(thread)).status_code == 200


def test_a_fault_of_one_thread_leaves_others_alone() -> None:
    """And one of any operation takes the first that comes."""
    world, server, thread = world_and_server()
    other = server.thread()
    server.fault("sendMessage", status(500), thread_id=thread)
    assert got(world, post(other)).status_code == 200
    assert got(world, post(thread)).status_code == 500
    server.fault("*", status(503, retry_after="7"))
    assert got(world, listed(thread)).headers["retry-after"] == "7"


def test_errors_are_in_the_contracts_form() -> None:
    """But for a proxy's, which are HTML."""
    world, server, thread = world_and_server()
    server.fault("sendMessage", status(500), status(502))
    assert json.loads(got(world, post(thread)).content) == {
        "status": 500,
        "message": "Internal server error",
        "code": "INTERNAL_SERVER_ERROR",
        "success": False,
    }
    assert got(world, post(thread)).headers["content-type"] == "text/html"
    assert got(world, post(thread, text="")).status_code == 400
    assert got(world, post("nowhere")).status_code == 404
    server.options.closed = True
    assert got(world, post(thread)).status_code == 409
    server.keys = {"another"}
    assert got(world, post(thread)).status_code == 401


def test_nobody_serves_another_url() -> None:
    """There is no connection to it."""
    world, _, _ = world_and_server()
    effect = SendRequest({"method": "GET", "url": "https://nowhere.test/"}, 5)
    assert got(world, flow_of(effect)) == TransportFailure(False, False, "could not connect")


def test_threads_are_made_and_told_of() -> None:
    """By the two operations that conversations do without."""
    world, server, _ = world_and_server()
    answer = got(world, flow_of(request("web", "", json={"agentId": "x"})))
    thread_id = json.loads(answer.content)["thread"]["id"]
    assert thread_id in server.rows
    assert json.loads(got(world, flow_of(request(thread_id, ""))).content)["thread"]["id"] == thread_id
    assert server.cost() == {"createThread": 1, "getThread": 1}


@pytest.mark.parametrize(("counting", "accepted"), [("bucket", 15), ("sliding", 10), ("fixed", 20)])
def test_the_limit_counts_in_one_of_three_ways(counting: str, accepted: int) -> None:
    """Twenty requests within half a second, over the turn of a second."""
    world, server, thread = world_and_server(counting=counting)
    processes: list[Any] = []
    for number in range(20):
        at = 0.74 + (0 if number < 10 else 0.5)
        world.at(at, lambda: processes.append(world.spawn(post(thread))))
    world.run(5)
    codes = [process.result.status_code for process in processes]
    assert codes.count(200) == accepted
    assert server.refused["key"] == codes.count(429) == 20 - accepted
    assert all(
        process.result.headers["retry-after"] == "1" for process in processes if process.result.status_code == 429
    )


def test_keys_may_share_a_limit() -> None:
    """Or have one each."""
    for by_key, accepted in ((True, 20), (False, 10)):
        world, server, thread = world_and_server(by_key=by_key)
        processes = [world.spawn(post(thread, key=key)) for key in "ab" for _ in range(10)]
        world.run(1)
        assert sum(process.value().status_code == 200 for process in processes) == accepted
        assert server.cost(client="a") == {"sendMessage": 10}


# Lists.


@pytest.mark.parametrize("newest_first", [False, True])
def test_lists_have_pages(newest_first: bool) -> None:
    """Cursors lead through them, also while messages come."""
    world, server, thread = world_and_server(newest_first=newest_first, largest_page=2)
    server.old(thread, 5)
    page = got(world, listed(thread))
    found = texts(page)
    server.say(thread, "young")
    while (cursor := next_cursor(page)) is not None:
        page = got(world, listed(thread, cursor=cursor))
        found += texts(page)
    old = [f"old {number}" for number in range(5)]
    assert found == (old[::-1] if newest_first else [*old, "young"])
    assert texts(got(world, listed(thread, limit="1"))) == ["young" if newest_first else "old 0"]
    assert texts(got(world, listed(thread, direction="OUTBOUND")))[-1] == "old 3"


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
def test_cursors_may_be_none_but_those_handed_out(bad_cursor: int | str) -> None:
    """What is guessed, or deleted, is refused or has nothing after it."""
    world, server, thread = world_and_server(any_cursor=False, bad_cursor=bad_cursor, largest_page=2)
    rows = server.old(thread, 5)

    def outcome(cursor: str) -> object:
        answer = got(world, listed(thread, cursor=cursor))
        return texts(answer) if answer.status_code == 200 else answer.status_code

    refused: object = [] if bad_cursor == "empty" else bad_cursor
    assert outcome(rows[1].id) == refused
    assert next_cursor(got(world, listed(thread))) == rows[1].id
    assert outcome(rows[1].id) == ["old 2", "old 3"]
    assert outcome(rows[2].id) == refused
    server.options.any_cursor = True
    assert outcome(rows[2].id) == ["old 3", "old 4"]
    assert outcome("nothing") == refused
    server.delete(rows[2])
    assert outcome(rows[2].id) == refused
    assert outcome(rows[1].id) == ["old 3", "old 4"]


def test_an_older_row_may_appear_after_a_younger_one() -> None:
    """Each message is listed after a delay of its own, or all are; and a list may be an old one."""
    world, server, thread = world_and_server(counting=None)
    server.say(thread, "one", listed_after=0.3)
    server.say(thread, "two", listed_after=0.1)
    seen = [texts(got(world, listed(thread))) for _ in range(20)]
    assert [found for number, found in enumerate(seen) if found not in seen[:number]] == [[], ["two"], ["one", "two"]]
    server.options.lag = (1.0, 1.0)
    server.say(thread, "three")
    assert texts(got(world, listed(thread))) == ["one", "two"]
    world.run_for(1)
    server.options.stale_list, server.options.stale_by = 1.0, 0.5
    assert texts(got(world, listed(thread))) == ["one", "two"]
    world.run_for(1)
    assert texts(got(world, listed(thread))) == ["one", "two", "three"]


def test_rows_may_stand_in_slightly_wrong_order() -> None:
    """The same each time."""
    world, server, thread = world_and_server(misplaced=0.3)
    server.old(thread, 20)
    found = texts(got(world, listed(thread)))
    places = [abs(place - int(text.split()[1])) for place, text in enumerate(found)]
    assert 0 < max(places) <= 2
    assert texts(got(world, listed(thread))) == found


def test_stamps_are_of_clocks_that_may_differ() -> None:
    """Of the server's, of others, cut to seconds, all the same, or none; the `Date` of one more."""
    world, server, thread = world_and_server(inbound_skew=1.0, outbound_skew=-2.0, date_skew=0.5)
    world.run(3.25)
    stamps = []
    for kind in ("millisecond", "second", "same", "none"):
        server.options.stamps = kind
        stamps.append([server.say(thread, "x", direction=direction).stamp for direction in ("INBOUND", "OUTBOUND")])
    assert stamps == [
        ["2023-11-14T22:13:24.250Z", "2023-11-14T22:13:21.250Z"],
        ["2023-11-14T22:13:24.000Z", "2023-11-14T22:13:21.000Z"],
        ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.000Z"],
        [None, None],
    ]
    assert got(world, listed(thread)).headers["date"] == "Tue, 14 Nov 2023 22:13:23 GMT"


def test_texts_may_be_stored_otherwise() -> None:
    """With an entity for an ampersand."""
    world, _, thread = world_and_server(escape=True)
    got(world, post(thread, "you & me"))
    assert texts(got(world, listed(thread))) == ["you &amp; me"]


# Streams.


def test_a_stream_brings_what_the_agent_says() -> None:
    """Comments, messages, and its end, each when it comes; the job's own end before all of them."""
    world, server, thread = world_and_server(heartbeat=2.0)
    seen: list[Notice] = []
    world.at(1, lambda: server.say(thread, "one"))
    world.at(1, lambda: server.say(thread, "mine", direction=INBOUND))
    world.at(5, lambda: server.cut(ending="ended"))
    world.run_until(world.spawn(streaming(thread, 9, seen), world.mailbox()))
    assert [type(event) for event in seen] == [JobDone, Chunk, Chunk, Chunk, Chunk, Ended]
    assert [round(event.at - 1000, 2) for event in seen if isinstance(event, Chunk | Ended)] == [
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
    """It belongs to the conversation: whoever reads the mailbox next hears it."""
    world, server, thread = world_and_server()
    mailbox = world.mailbox()
    seen: list[Notice] = []
    world.run_until(world.spawn(streaming(thread, 1, []), mailbox))
    server.say(thread, "one")
    world.run_until(world.spawn(hearing(1, seen), mailbox))
    assert streamed(seen) == ["one"]


def test_a_job_that_hands_on_no_stream_closes_it() -> None:
    """The server hears of it; so it does where the job is cancelled later."""
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
def test_what_a_stream_can_be_like(options: dict[str, Any], brought: list[str]) -> None:
    """What comes of three messages, at 0.3, 0.6 and 1 s; whatever does not come was not pushed."""
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
        assert done.outcome == TransportFailure(True, True, "no answer in time")
    elif "stream_status" in options or "stream_html" in options:
        assert not done.outcome.is_stream
    else:
        assert done.outcome.is_stream
    assert any(isinstance(event, Ended) for event in seen) == (options == {"life": (0.9, 0.9)})


def test_single_messages_may_go_astray() -> None:
    """One is left out, one is late and so out of order."""
    world, server, thread = world_and_server()
    seen: list[Notice] = []

    def speak() -> None:
        server.say(thread, "one", streamed=False)
        server.say(thread, "two", streamed=0.2)
        server.say(thread, "three", streamed=True)

    world.at(1, speak)
    world.run_until(world.spawn(streaming(thread, 9, seen), world.mailbox()))
    assert streamed(seen) == ["three", "two"]


def test_streams_may_be_refused_for_a_while() -> None:
    """By a deploy."""
    world, server, thread = world_and_server()
    server.refuse_streams(503, seconds=5, retry_after="3600")
    answer = got(world, flow_of(request(thread, "/stream")))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3600")
    world.run(6)
    assert got(world, flow_of(request(thread, "/stream"))).is_stream


def test_a_second_stream_may_be_refused_or_end_the_first() -> None:
    """Of the same thread; once the first is closed, there may be another."""
    for kind, endings in (("refuse", []), ("replace", ["it ended"])):
        world, _, thread = world_and_server(one_stream=kind)
        seen: list[Notice] = []
        first = world.spawn(streaming(thread, 9, seen), world.mailbox(), ends_mailbox=True)
        world.run(1)
        second = world.run_until(world.spawn(flow_of(request(thread, "/stream")))).value()
        assert isinstance(second, Response)
        assert second.status_code == (409 if kind == "refuse" else 200)
        world.run(5)
        assert [event.reason for event in seen if isinstance(event, Ended)] == endings
        first.cancel()
        assert got(world, flow_of(request(thread, "/stream"))).status_code == 200


def test_all_streams_may_be_cut_at_once() -> None:
    """What is on the wire is lost, unless they end in good order; those that die are not heard of."""
    for ending, brought, reasons in (
        ("lost", [], ["the connection was lost"]),
        ("ended", ["one"], ["it ended"]),
        ("died", [], []),
    ):
        world, server, thread = world_and_server()
        seen: list[Notice] = []
        world.at(1, lambda: server.say(thread, "one"))  # noqa: B023 - it runs before the next
        world.at(1.005, lambda: server.cut(ending=ending))  # type: ignore[arg-type]  # noqa: B023
        world.run_until(world.spawn(streaming(thread, 16, seen), world.mailbox()))
        assert streamed(seen) == brought
        assert [event.reason for event in seen if isinstance(event, Ended)] == reasons
        row = server.expected(thread)[0]
        # Either the stream brought it, or the list had it as soon as the stream was gone.
        assert server.known_from(row) == pytest.approx(1.01 if brought else 1.005)


def test_a_stream_is_read_ahead_only_so_far() -> None:
    """The rest comes as it is taken, and the end last of all."""
    world, server, thread = world_and_server(counting=None)
    mailbox = world.mailbox()
    world.run_until(world.spawn(streaming(thread, 1, []), mailbox))
    # Each takes more than its bytes.
    count = READ_AHEAD // 256
    for number in range(count):
        server.say(thread, str(number))
    world.run_for(1)
    server.cut()
    assert not mailbox.has_room("stream")
    seen: list[Notice] = []
    world.run_until(world.spawn(hearing(1, seen), mailbox))
    assert streamed(seen) == [str(number) for number in range(count)]
    assert isinstance(seen[-1], Ended)


# The sleeping machine.


def test_a_machine_that_sleeps_hears_nothing_of_it() -> None:
    """Its clock stands still, the world's goes on; what came meanwhile is lost, and what comes after it too."""
    world, server, thread = world_and_server(heartbeat=10.0)
    seen: list[Notice] = []
    process = world.spawn(streaming(thread, 30, seen), world.mailbox(), ends_mailbox=True)
    for at, text in ((5, "before"), (100, "meanwhile"), (4000, "after")):
        world.at(at, partial(server.say, thread, text))
    world.at(6, lambda: world.fall_asleep(3600))
    world.run(3605.9)
    assert world.asleep
    assert world.clock() == 1006
    assert world.wall_clock() == EPOCH + 3605.9
    world.run(3607)
    assert not world.asleep
    assert world.clock() == pytest.approx(1007)
    world.run_until(process)
    # The last event was "before", at 5 s: 30 s of its own clock later, it has waited long enough.
    assert process.finished_at == pytest.approx(3635.01)
    assert streamed(seen) == ["before"]
    assert not any(isinstance(event, Ended) for event in seen)
    assert server.known_from(server.expected(thread)[1]) == 100
    # And the server has given up.
    assert server.streams[0].ending == "died"


def test_a_request_under_way_is_lost_in_sleep() -> None:
    """It ends when its own time is up, by the machine's clock; what was sent is done."""
    world, server, thread = world_and_server()
    server.fault("sendMessage", slow(2))
    process = world.spawn(post(thread, seconds=5))
    world.at(1, lambda: world.fall_asleep(100))
    world.run_until(process)
    assert process.value() == TransportFailure(True, True, "no answer in time")
    assert process.finished_at == 105
    assert server.received(thread) == ["hello"]
    late = world.spawn(sleeping(1))
    world.at(110, lambda: world.fall_asleep(5))
    world.run_until(late)
    assert late.finished_at == 106


# The agent, and what clients owe.


def test_the_agent_answers() -> None:
    """Several times, later, or not at all."""
    world = World()
    server = ModelServer(
        world, Options(**STILL), agent=lambda text: [(1, f"{text}?"), (2, "well")] if text != "-" else []
    )
    thread = server.thread()
    for text in ("hi", "-"):
        got(world, post(thread, text))
    world.run(10)
    assert [(row.text, round(row.made_at, 2)) for row in server.rows[thread]] == [
        ("hi", 0.01),
        ("-", 0.03),
        ("hi?", 1.01),
        ("well", 2.01),
    ]


def test_what_is_owed() -> None:
    """Each once, in order, soon, for few requests; and each failure is told."""
    world, server, thread = world_and_server()
    server.old(thread, 4)
    world.run_until(world.spawn(streaming(thread, 1, []), world.mailbox()))
    one = server.say(thread, "one")
    world.run_for(0.5)
    two = server.say(thread, "two")
    world.run_for(2)
    gone = server.say(thread, "gone")
    server.delete(gone)
    rows = server.expected(thread)
    assert rows == [one, two]
    both = [Handed(row.id, row.text, world.now) for row in rows]
    check_once(rows, both)
    check_once(rows, [*both, Handed(gone.id, "gone", 9)], or_not=[gone])
    check_order(server, thread, both, "key")
    for handed, told in ((both[:1], "never .*two"), (both * 2, "twice.*one"), ([*both, Handed("x", "?", 1)], "nobody")):
        with pytest.raises(AssertionError, match=told):
            check_once(rows, handed)
    with pytest.raises(AssertionError, match=r"'two' was handed out at .* before 'one'"):
        check_order(server, thread, both[::-1], "key")
    # To one who heard of neither, nothing told the order.
    check_order(server, thread, both[::-1], "another key")
    assert lateness(server, thread, both) == pytest.approx({"one": 2.49, "two": 1.99})
    assert server.cost() == {"streamMessages": 1}
    assert not server.cost(since=1)
    two.stamp = one.stamp
    check_order(server, thread, both[::-1], "key")


def test_plans_and_options_can_be_drawn() -> None:
    """Whatever is drawn is a server that answers."""
    for seed in range(30):
        rng = random.Random(seed)  # noqa: S311 - no secret
        world = World(seed)
        server = ModelServer(world, drawn(rng), agent=lambda text: [(rng.random(), text)], seed=seed)  # noqa: B023
        server.plan = mishaps(0.5, "sendMessage")
        thread = server.thread()
        world.spawn(streaming(thread, 60, []), world.mailbox())
        processes = []
        for number in range(30):
            world.run(number)
            processes.append(world.spawn(post(thread, str(number))))
        world.run(100)
        assert all(process.done for process in processes)
        assert len(server.received(thread)) == len(set(server.received(thread)))
        assert server.cost() == {"streamMessages": 1, "sendMessage": 30}
    call = Call("listMessages", "", "", 0.0, {})
    assert mishaps(1.0, "sendMessage")(call, rng) is None
    assert mishaps(1.0)(call, rng) in MISHAPS


def test_an_hour_of_silence_takes_no_time() -> None:
    """A quiet conversation, with heartbeats and a stream a minute: a few hundred waits."""
    world, _, thread = world_and_server(life=(60, 60))

    def flow() -> Flow[None]:
        while world.now < 3600:
            yield Start("stream", flow_of(request(thread, "/stream")))
            while not isinstance((yield Receive(100)), Ended):
                pass

    world.run_until(world.spawn(flow(), world.mailbox()))
    assert world.effects["SendRequest"] == 60
    assert sum(world.waits.values()) < 500


def test_a_mailbox_that_is_closed_starts_nothing() -> None:
    """It would be a leak."""
    world = World()
    mailbox = ThreadMailbox(world, "over")
    mailbox.close()

    def flow() -> Flow[None]:
        yield Start("late", sleeping(1))

    world.spawn(flow(), mailbox)
    with pytest.raises(AssertionError, match="over is closed"):
        world.run(1)
