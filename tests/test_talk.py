"""The core of a conversation, without sockets: whatever happens in whatever order, each message once and in order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from featherhq._log import logger
from featherhq._lookup import Lookup
from featherhq._models import Message, read_message
from featherhq._talk import Connect, Listen, Look, Rest, Talk
from hypothesis import HealthCheck, given, note, settings, strategies as st

NOW = 1_700_000_000.0
LONG = 100


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """A million warnings help nobody."""
    logger.setLevel("ERROR")
    yield
    logger.setLevel("NOTSET")


class Server:
    """A thread on a server, with one stream at a time; what it does is drawn by Hypothesis.

    Args:
        old: Messages that stood in the thread before.
        page: Messages in a page of its history.
        newest_first: Which way its history runs.
        tick: Seconds between two messages; 0 for a clock that stands still.
    """

    def __init__(self, old: int, page: int, tick: float, *, newest_first: bool) -> None:
        self.page_size, self.newest_first, self.tick = page, newest_first, tick
        self.messages: list[dict[str, Any]] = []
        self.made_at: dict[str, float] = {}
        self.now = -100.0
        self.time = NOW - 100 - old * tick
        for _ in range(old):
            self.add("OUTBOUND")
        self.time = max(self.time, NOW)
        self.old, self.now = len(self.messages), 0.0
        self.wire: bytes | None = None

    def add(self, direction: str) -> str:
        self.time += self.tick
        message = {
            "id": str(len(self.messages)),
            "messageBody": f"text {len(self.messages)}",
            "direction": direction,
            "createdAt": datetime.fromtimestamp(self.time, UTC).isoformat(),
        }
        self.messages.append(message)
        self.made_at[str(message["id"])] = self.now
        return str(message["id"])

    def say(self, *, times: int = 1, envelope: str | None = None) -> None:
        self.add("OUTBOUND")
        if self.wire is not None:
            data = self.messages[-1] if envelope is None else {envelope: self.messages[-1]}
            self.wire += f"data: {json.dumps(data)}\r\n\r\n".encode() * times

    def page(self, cursor: str | None, lag: float = 0.0) -> tuple[list[Message], str | None]:
        since = self.now - lag
        listed = [message for message in self.messages if not lag or self.made_at.get(message["id"], -100.0) < since]
        listed = listed[::-1] if self.newest_first else listed
        ids = [message["id"] for message in listed]
        # A cursor that is not listed yet has nothing after it.
        start = 0 if cursor is None else ids.index(cursor) + 1 if cursor in ids else len(ids)
        shown = listed[start : start + self.page_size]
        more = start + self.page_size < len(listed)
        messages = [message for message in map(read_message, shown) if message is not None]
        return messages, messages[-1].id if more else None

    def expected(self) -> list[str]:
        return [message["id"] for message in self.messages[self.old :] if message["direction"] == "OUTBOUND"]


class Run:
    """A core and a server, and a clock that goes on as the core waits."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.now = 0.0
        self.requests: list[Any] = []
        self.given: list[str] = []
        # Old messages lie beyond the floor, if the clock tells.
        self.talk = Talk(lambda: 0.0, lambda: NOW - 2, {}, 0.0)

    def take(self) -> None:
        while (message := self.talk.take()) is not None:
            self.given.append(message.id)

    def step(
        self,
        *,
        accept: bool = True,
        history: bool = True,
        lag: float = 0.0,
        chunk: int = 1 << 20,
        patience: float = math.inf,
    ) -> None:
        """Do what the core says."""
        server, talk = self.server, self.talk
        action = talk.next(self.now)
        if isinstance(action, Connect):
            self.requests.append(action)
            if accept:
                server.wire = b": open\n\n"
                talk.opened(self.now)
            else:
                talk.ended("refused", self.now)
        elif isinstance(action, Look):
            self.requests.append(action)
            if history:
                server.now = self.now
                talk.page(*server.page(action.cursor, lag), self.now)
            else:
                talk.unreadable(self.now)
        elif isinstance(action, Listen):
            if server.wire is None:
                talk.ended("gone", self.now)
            elif server.wire:
                part, server.wire = server.wire[:chunk], server.wire[chunk:]
                talk.heard(part, self.now)
            else:
                self.now += min(action.seconds, patience)
                talk.silent(self.now)
        else:
            assert isinstance(action, Rest)
            assert action.seconds < math.inf
            self.now += min(action.seconds, patience) or 0.001
        self.take()

    def cut(self, size: int) -> None:
        """Cut the stream, after so many bytes of what is on the wire."""
        if self.server.wire and size and isinstance(self.talk.next(self.now), Listen):
            self.talk.heard(self.server.wire[:size], self.now)
        self.server.wire = None

    def settle(self) -> None:
        """Let a healthy server and the core come to rest: long enough for the history to be looked at once more."""
        until = self.now + 400
        while self.now < until:
            self.step()
        self.take()


EVENTS: dict[str, Callable[[Run, int], Any]] = {
    "say": lambda run, _: run.server.say(),
    "say it twice": lambda run, _: run.server.say(times=2),
    "say in an envelope": lambda run, _: run.server.say(envelope="data"),
    "send": lambda run, _: run.talk.sent(run.server.add("INBOUND"), run.now),
    "cut": lambda run, _: run.cut(0),
    "cut inside": lambda run, size: run.cut(size),
    "step": lambda run, _: run.step(),
    "refuse": lambda run, _: run.step(accept=False),
    "no history": lambda run, _: run.step(history=False, patience=0.2),
    "a list that lags": lambda run, _: run.step(lag=1.9, patience=0.2),
    "a few bytes": lambda run, size: run.step(chunk=size),
    "wait": lambda run, size: run.step(patience=size / 10),
}


@given(
    events=st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(1, 200)), max_size=40),
    thread=st.tuples(st.integers(0, 9), st.sampled_from([1, 2, 5, LONG]), st.booleans(), st.sampled_from([0.001, 0.0])),
)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_message_once_and_in_order(events: list[tuple[str, int]], thread: tuple[int, int, bool, float]) -> None:
    """Events, cuts at any byte, duplicates, refusals, silences, failing histories, pages of any size, either order."""
    old, page, newest_first, tick = thread
    server = Server(old, page, tick, newest_first=newest_first)
    run = Run(server)
    run.step()
    note(f"{thread} {events}")
    for event, size in events:
        server.now = run.now
        EVENTS[event](run, size)
        run.take()
    run.settle()
    # Where all of the server's times are the same, neither age nor order can always be told.
    given = run.given if tick or not old else [id_ for id_ in run.given if int(id_) >= old]
    assert len(given) == len(set(given))
    lags = any(event == "a list that lags" for event, _ in events)
    if tick or not lags:
        assert sorted(given, key=int) == server.expected()
    if tick and not lags and (newest_first or page == LONG):
        # Else a turn waits neither for what a list does not show yet, nor for a list to be read through.
        assert given == server.expected()


def opened(server: Server | None = None) -> Run:
    run = Run(server or Server(0, 100, 0.001, newest_first=False))
    run.step()
    return run


def spent(run: Run, seconds: int, *, wire: bytes = b"") -> int:
    """The requests of so many seconds, with something on the wire every second."""
    before, began = len(run.requests), run.now
    for second in range(1, seconds + 1):
        if run.server.wire is not None:
            run.server.wire += wire
        while run.now < began + second:
            run.step(patience=max(0.01, began + second - run.now))
    return len(run.requests) - before


@pytest.mark.parametrize("wire", [b"", b": heartbeat\n\n"], ids=["silent", "heartbeats"])
def test_a_minute_of_silence_costs_six_requests_at_most(wire: bytes) -> None:
    """After a message, over a stream with heartbeats or without; an hour costs a request a minute at most."""
    run = opened()
    run.talk.sent(run.server.add("INBOUND"), run.now)
    assert spent(run, 60, wire=wire) <= 6
    assert spent(run, 3600, wire=wire) <= 60


def test_a_minute_of_polling_costs_six_requests_at_most() -> None:
    """Where there is no stream; also in a thread of several pages, once it is known which way they run."""
    for newest_first in (False, True):
        run = Run(Server(500, 100, 0.1, newest_first=newest_first))
        run.talk.refused("no stream", 0.0)
        run.talk.sent(run.server.add("INBOUND"), run.now)
        assert spent(run, 60) <= 6
        run.server.say()
        run.settle()
        assert run.given == run.server.expected()


def test_a_healthy_turn_costs_nothing_but_its_message() -> None:
    """No look and no new stream while replies come."""
    run = opened()
    for _ in range(100):
        run.talk.sent(run.server.add("INBOUND"), run.now)
        run.step(patience=2.0)
        run.server.say()
        run.step()
    assert len(run.requests) == 1
    assert run.given == run.server.expected()


def test_a_stream_that_died_without_a_word() -> None:
    """What it did not bring is found by the first look; then it is opened anew, and given up when it fails again."""
    run = opened()
    run.server.say()
    run.step()
    run.server.wire = b""
    run.server.messages.append({**run.server.messages[-1], "id": "x"})
    run.settle()
    assert run.given == ["0", "x"]
    assert [type(request) for request in run.requests[:4]] == [Connect, Look, Connect, Look]


def test_a_stream_that_brings_nothing_is_given_up() -> None:
    """Silent twice on what the history shows: from then on there are looks and no streams, and nothing is lost."""
    run = opened()
    for _ in range(6):
        run.server.add("OUTBOUND")
        until = run.now + 60
        while run.now < until:
            run.step()
    assert run.given == run.server.expected()
    asked = len(run.requests)
    run.settle()
    assert Connect() not in run.requests[asked:]
    assert sum(request == Connect() for request in run.requests) <= 3


def test_the_stream_may_ask_to_wait() -> None:
    """Its `retry` field is kept to, up to half a minute."""
    run = opened()
    run.talk.heard(b"retry: 5000\n\n", run.now)
    run.talk.ended("it ended", run.now)
    assert run.talk.next(run.now) == Rest(5.0)
    run.talk.opened(run.now)
    run.talk.heard(b"retry: 99999999\n\n", run.now)
    run.talk.ended("it ended", run.now, wait=3.0)
    run.talk.page([], None, run.now)
    action = run.talk.next(run.now)
    assert isinstance(action, Rest)
    assert action.seconds == 30


def test_neither_stream_nor_history() -> None:
    """Both are tried again, each after a while that grows, and what was said meanwhile is given in the end."""
    run = opened()
    run.server.wire = None
    run.step()
    run.server.say()
    for _ in range(40):
        run.step(accept=False, history=False)
    looks = sum(isinstance(request, Look) for request in run.requests)
    assert looks > 3
    assert run.now > 4 * looks
    run.settle()
    assert run.given == run.server.expected()


def test_a_page_that_nobody_asked_for_changes_nothing() -> None:
    """A look that was given up, because its call was, is no longer waited for."""
    run = opened()
    assert run.talk.page(*run.server.page(None), run.now) == []


def messages(*numbers: int, same: bool = False) -> list[Message]:
    return [
        Message(str(number), "", "OUTBOUND", datetime.fromtimestamp(NOW + (0 if same else number), UTC))
        for number in numbers
    ]


def test_a_look_ends_as_soon_as_it_can() -> None:
    """At what is known, or at what is too old, from the newest on; by a jump to what is known, from the oldest on."""
    look = Lookup(settled="3")
    assert not look.add(messages(9, 8, 7), "7")
    assert look.add(messages(6, 3, 2), "2")
    assert [message.id for message in look.new()] == ["6", "7", "8", "9"]

    look = Lookup(floor=NOW + 5)
    assert look.add(messages(9, 8, 4), "4")
    assert [message.id for message in look.new()] == ["8", "9"]

    look = Lookup(mark="7", floor=NOW + 5)
    assert not look.add(messages(1, 2, 3), "3")
    assert look.cursor == "7"
    assert not look.whole
    assert look.add(messages(8, 9), None)
    assert [message.id for message in look.new()] == ["8", "9"]


def test_a_look_for_what_never_comes_ends() -> None:
    """A hundred messages that are too old are enough, and a cursor that comes again is the end."""
    look = Lookup(settled="gone", floor=NOW)
    assert not look.add(messages(*range(-1, -100, -1)), "a")
    assert look.add(messages(*range(-100, -199, -1)), "b")
    look = Lookup(settled="gone")
    assert not look.add(messages(1), "1")
    assert look.add(messages(1), "1")


def test_a_list_of_one_time_is_ordered_by_what_is_known() -> None:
    """By when messages became known; or else as what is known is older than what is not."""
    for ranks, order in (({"1": 1, "2": 2}, 1), ({"1": 2, "2": 1}, -1)):
        look = Lookup(ranks=ranks)
        look.add(messages(1, 2, 3, same=True), None)
        assert [int(message.id) for message in look.listed()] == [1, 2, 3][::order]
    look = Lookup(ranks={"3": 0})
    look.add(messages(1, 2, 3, same=True), None)
    assert [message.id for message in look.listed()] == ["3", "2", "1"]


def test_a_shuffled_page_tells_no_order() -> None:
    """It is read on to the end, and put in order by its times."""
    look = Lookup(settled="1")
    assert not look.add(messages(5, 1, 9, 2, 7), "7")
    assert look.add(messages(3, 8), None)
    assert [message.id for message in look.new()] == ["2", "3", "5", "7", "8", "9"]
