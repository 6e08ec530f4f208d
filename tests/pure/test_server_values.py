"""Single values that come from a server: ids, times, headers, statuses and JSON."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from featherhq._core.bodies import read_json
from featherhq._core.headers import read_retry_after
from featherhq.errors import phrase
from featherhq.models import read_id, read_message, read_time


def test_ids_and_times_are_read_in_all_their_forms() -> None:
    """An id may be a number, a time may have any offset or none, and any other value is read as `None`."""
    assert [read_id(value) for value in ("a", 7, "", None, True, 1.5)] == ["a", "7", None, None, None, None]
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_time("2026-01-02T03:04:05Z") == moment
    assert read_time("2026-01-02T04:04:05.000+01:00") == moment
    assert read_time("2026-01-02T03:04:05") == moment
    assert read_time("yesterday") is None
    assert read_time(5) is None
    assert read_message(["no"]) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT", "date": "Thu, 01 Jan 1970 00:01:30 GMT"}, 10),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    """`Retry-After` may be seconds or a date (RFC 9110 section 10.2.3), and a date counts from the server's own time.

    If the server does not send its time, the date counts from ours.
    """
    assert read_retry_after(headers, wall_time=10) == seconds


def test_each_status_has_a_phrase() -> None:
    """A status has a phrase even if the standard library does not know it."""
    assert phrase(404) == "Not Found"
    assert phrase(522) == "Unknown status"


def test_json_is_read_even_if_the_stack_is_nearly_full() -> None:
    """If the stack is nearly full, JSON is read or counts as invalid JSON, and no `RecursionError` is raised."""
    content = b"[" * 90 + b"]" * 90
    assert read_json(content)

    def deep(levels: int) -> str:
        if levels:
            return deep(levels - 1)
        try:
            read_json(content)
        except ValueError as error:
            return str(error)
        return "read"

    left = sys.getrecursionlimit() - len(inspect.stack())
    results = set()
    # How much of the stack the parser needs depends on Python. With too little, not even `read_json` can be called.
    for spare in range(1, 80):
        with suppress(RecursionError):
            results.add(deep(left - spare))
    assert "nested too deeply" in results
    assert results <= {"nested too deeply", "read"}
