"""Hostile cases: lists of messages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

from hostile import (
    MEBI,
    OTHER_THREAD,
    End,
    Request,
    Script,
    Step,
    as_json,
    in_turn,
    large,
    later,
    listing,
    message,
    page,
    says,
    whole,
)
from hostile_case import (
    ANY,
    BLOCK,
    CONNECTION,
    DECODE,
    DEEP,
    GOOD,
    HARMFUL,
    NO_RESPONSE,
    NOTHING,
    ODD_TIMES,
    UNKNOWN,
    Case,
)


def _always_new(make: Callable[[int], object]) -> Script:
    """A script that sends a new cursor with each page."""
    numbers = count()

    def script(_: Request) -> Iterator[Step]:
        number = next(numbers)
        yield as_json(page(make(number), f"c-{number}-{time.monotonic_ns()}"))

    return script


AT: Final = "2026-01-01T00:00:00Z"
ROWS: Final = [message(f"o-{number}", "old", direction="INBOUND", createdAt=AT) for number in range(3)]


def _loop(request: Request) -> Iterator[Step]:
    """A script whose three cursors form a loop."""
    found = re.search(r"cursor=c-(\d)", request.target)
    yield as_json(page(ROWS, f"c-{(int(found[1]) + 1) % 3 if found else 0}"))


HOSTILE_LISTS: Final[dict[str, tuple[Script, tuple[object, ...]]]] = {
    "the_same_messages_under_new_cursors": (_always_new(lambda _: ROWS), (["old"] * 3, *DECODE, *NO_RESPONSE)),
    "empty_pages_under_new_cursors": (_always_new(lambda _: []), ([], *DECODE, *NO_RESPONSE)),
    "the_cursor_just_asked_for": (says(as_json(page(ROWS, "c-0"))), (["old"] * 3, *DECODE)),
    "a_loop_of_three_cursors": (_loop, (["old"] * 3, *DECODE)),
    "a_page_of_15_mib": (
        large(
            b'{"thread": {"messages": [{"id": "m-9", "createdAt": "2026-01-01T00:00:00Z", "messageBody": "',
            BLOCK,
            240,
            b'"}], "pagination": {}}}',
        ),
        (ANY, *DECODE),
    ),
    "a_page_of_many_tiny_messages": (
        large(
            b'{"thread": {"messages": [',
            b'{"id":"1","messageBody":""},' * 2300,
            240,
            b'{"id":"2","messageBody":""}], "pagination": {}}}',
        ),
        (ANY, *DECODE),
    ),
    "messages_that_are_no_list": (says(as_json(page({"id": "m-1"}))), DECODE),
    "messages_that_are_null": (says(as_json(page(None))), DECODE),
    "messages_that_are_a_string": (says(as_json(page("messages"))), DECODE),
    "rows_that_are_no_messages": (says(as_json(page([1, None, [], "x", {}]))), DECODE),
    "rows_100000_deep": (
        says(whole(b'{"thread": {"messages": [{"id": "1", "messageBody": ' + b"[" * DEEP + b"]" * DEEP + b"}]}}")),
        DECODE,
    ),
}


def cursors() -> Iterator[Case]:
    """Lists with odd cursors."""
    for name, cursor in {
        "of_1_mb": "c" * MEBI,
        "with_controls": "\x1b\r\n\0\u202e",
        "that_is_a_surrogate": "\ud800",
        "of_4000_digits": 10**4000,
        "that_is_an_object": {},
        "that_is_true": True,
        "that_is_empty": "",
        "like_a_path": "../../x?y#z&limit=9",
    }.items():
        script = in_turn(says(as_json(page(ROWS[:1], cursor))), says(as_json(page(ROWS[1:]))))
        some = (["old"] * 3, ["old"], *DECODE, *CONNECTION)
        yield Case(f"list-a_cursor_{name}", "list", {"list": script}, some)
        lost = {"send": says(End.CLOSE), "list": script}
        yield Case(f"send-lost-a_cursor_{name}", "send", lost, UNKNOWN, retries=2)


def lists() -> Iterator[Case]:
    """Lists whose cursors form a loop, lists without an end, and lists of what are no messages."""
    hostile = dict(HOSTILE_LISTS)
    for name, pagination in {"a_list": [], "a_string": "c", "a_number": 10**400, "null": None}.items():
        data = {"thread": {"messages": [], "pagination": pagination}}
        hostile[f"pagination_that_is_{name}"] = (says(as_json(data)), ([], *DECODE))
    for name, (script, ends) in hostile.items():
        yield Case(f"list-{name}", "list", {"list": script}, ends, timeout=1.0)
        yield Case(f"send-lost-{name}", "send", {"send": says(End.CLOSE), "list": script}, UNKNOWN, retries=2)
        no_stream = {"stream": says(whole(b"", "404 No")), "list": script}
        if name in {"the_same_messages_under_new_cursors", "a_loop_of_three_cursors", "messages_that_are_no_list"}:
            yield Case(f"replies-{name}", "replies", no_stream, NOTHING, patience=1.3)


def _mixed() -> object:
    """A page that also has messages of another thread."""
    others = [message(f"x-{n}", "of another thread", threadId=OTHER_THREAD) for n in range(2)]
    return page([others[0], message("m-1", "one"), others[1], message("m-2", "two", 0.6)])


def _same_id(request: Request) -> Iterable[Step]:
    """A list of two messages with the same id. Their times are the same in each response."""
    assert request.server is not None
    # The client may list them several times.
    at = request.server.born
    return [as_json(page([message("m-1", "one", createdAt=at), message("m-1", "two", createdAt=later(at))]))]


def odd_rows() -> Iterator[Case]:
    """Lists of messages with unusual times, of other threads, and with the same id."""
    for name, at in ODD_TIMES.items():
        script = listing(lambda at=at: page([message("m-1", "good", createdAt=at)]))  # type: ignore[misc]
        yield Case(f"list-a_time_{name}", "list", {"list": script}, GOOD)
        own = listing(lambda at=at: page([message("m-1", "hello", direction="INBOUND", createdAt=at)]))  # type: ignore[misc]
        yield Case(f"send-lost-found-a_time_{name}", "send", {"send": says(End.CLOSE), "list": own}, (*UNKNOWN, "m-1"))

    yield Case("list-messages_of_another_thread", "list", {"list": listing(_mixed)}, (["one", "two"],))
    no_stream = {"stream": says(whole(b"", "404 No")), "list": listing(_mixed)}
    yield Case("replies-messages_of_another_thread", "replies", no_stream, (["one", "two"],), patience=1.6)
    foreign = listing(lambda: page([message("x-1", "hello", direction="INBOUND", threadId=OTHER_THREAD)]))
    yield Case(
        "send-lost-found_in_another_thread", "send", {"send": says(End.CLOSE), "list": foreign}, UNKNOWN, retries=2
    )
    mine = listing(lambda: page([message("m-5", "hello", 0.05, direction="INBOUND")]))
    yield Case("send-lost-found", "send", {"send": says(End.CLOSE), "list": mine}, (*UNKNOWN, "m-5"), retries=2)

    yield Case("list-one_id_for_two_messages", "list", {"list": _same_id}, (["one", "two"],))
    without_stream = {"stream": says(whole(b"", "404 No")), "list": _same_id}
    yield Case("replies-one_id_for_two_listed", "replies", without_stream, (["one", "two"],), patience=1.6)
    for name, script in {"messages_of_another_thread": listing(_mixed), "one_id_for_two_messages": _same_id}.items():
        lost = {"send": says(End.CLOSE), "list": script}
        yield Case(f"send-lost-{name}", "send", lost, UNKNOWN, retries=2)
    surrogates = listing(lambda: page([message("\ud800", "\udfff", seconds=0.1), message("m-2", HARMFUL)]))
    yield Case("list-odd_texts", "list", {"list": surrogates}, (["\udfff", HARMFUL], *DECODE))
    long = listing(lambda: page([message("x" * MEBI, "good")]))
    yield Case("list-an_id_of_1_mb", "list", {"list": long}, (*GOOD, *DECODE))
    for status in ("400 Bad", "404 No", "500 No"):
        refused = {"send": says(End.CLOSE), "list": says(whole(b"{}", status))}
        yield Case(f"send-lost-history_{status[:3]}", "send", refused, UNKNOWN, retries=2)
