"""The sandbox's threads and pages of messages, without a server."""

from __future__ import annotations

from itertools import count as numbers
from uuid import uuid4

import pytest
from featherhq.sandbox._state import ClosedThreadError, State, UnknownThreadError
from hypothesis import given, strategies as st


@given(st.integers(0, 30), st.integers(1, 40), st.booleans(), st.sampled_from([None, "INBOUND", "OUTBOUND"]))
def test_pages_contain_each_message_once(total: int, limit: int, newest_first: bool, direction: str | None) -> None:
    """For any limit, order and filter."""
    ids, clock = numbers(), numbers()
    state = State(lambda: float(next(clock)), lambda: str(next(ids)), newest_first)
    thread_id = state.create("a", {}, {})["id"]
    for number in range(total):
        (state.say if number % 3 else state.accept)(thread_id, str(number))
    cursor, seen = None, []
    while True:
        page = state.page(thread_id, str(limit), cursor, direction, None)
        seen += [message["messageBody"] for message in page["messages"]]
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            break
    wanted = [n for n in range(total) if direction in (None, "OUTBOUND" if n % 3 else "INBOUND")]
    assert seen == [str(n) for n in (reversed(wanted) if newest_first else wanted)]


def test_invalid_limits_and_cursors() -> None:
    """The contract allows any string, so each one gives a page."""
    state = State(lambda: 0.0, lambda: str(uuid4()))
    thread_id = state.create("a", {}, {})["id"]
    state.say(thread_id, "x")
    for limit, size in ((None, 50), ("", 50), ("x", 50), ("0", 1), ("1000", 100), ("-3", 50)):
        page = state.page(thread_id, limit, None, None, None)
        assert page["pagination"]["limit"] == size
    assert state.page(thread_id, None, "nothing", None, None)["messages"] == []
    assert state.get(thread_id).last_said(0) == []
    with pytest.raises(UnknownThreadError):
        state.get("nothing")
    state.close(thread_id, None)
    with pytest.raises(ClosedThreadError):
        state.accept(thread_id, "x")
