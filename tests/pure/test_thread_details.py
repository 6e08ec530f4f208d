"""What Feather has said about a thread, as plain values."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from featherhq import UsageError
from featherhq._threads import details as read
from featherhq_api.models import Thread as ThreadDetails

THREAD_ID = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"


def details(**fields: Any) -> ThreadDetails:
    """Details as generated code makes them of the server's JSON."""
    return ThreadDetails.from_dict({"id": THREAD_ID, **fields})


def test_strings_are_a_copy() -> None:
    """The metadata and the variables are dicts of their own: changing one does not change `details`."""
    said = details(metadata={"customer": "Ada"}, variables={"plan": "pro"})
    copy = read.strings(THREAD_ID, said, "metadata")
    assert copy == {"customer": "Ada"}
    copy["customer"] = "Bob"
    assert read.strings(THREAD_ID, said, "metadata") == {"customer": "Ada"}
    assert read.strings(THREAD_ID, said, "variables") == {"plan": "pro"}


@pytest.mark.parametrize(
    ("sent", "strings"),
    [
        ({}, {}),
        ({"metadata": None}, {}),
        ({"metadata": ["a"]}, {}),
        ({"metadata": {"a": 1, "b": "2", "c": None}}, {"b": "2"}),
    ],
)
def test_what_is_not_a_string_is_left_out(sent: dict[str, Any], strings: dict[str, str]) -> None:
    """A missing field, null, and values of other types give no strings, and no error."""
    assert read.strings(THREAD_ID, details(**sent), "metadata") == strings


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ({"createdAt": "2026-01-02T03:04:05Z"}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"createdAt": "2026-01-02T03:04:05"}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"createdAt": "yesterday"}, None),
        ({"createdAt": None}, None),
        ({}, None),
    ],
)
def test_the_time_has_a_time_zone(sent: dict[str, Any], moment: datetime | None) -> None:
    """A time without a zone is in UTC. What is not a time is `None`."""
    read_at = read.created_at(THREAD_ID, details(**sent))
    assert read_at == moment
    assert read_at is None or read_at.tzinfo is not None


@pytest.mark.parametrize(
    ("sent", "active"),
    [({"isActive": True}, True), ({"isActive": False}, False), ({"isActive": "perhaps"}, None), ({}, None)],
)
def test_activity_is_said_or_unknown(sent: dict[str, Any], active: bool | None) -> None:
    """A thread is active, not active, or nobody has said it."""
    assert read.is_active(THREAD_ID, details(**sent)) is active


def test_what_was_not_fetched_is_an_error() -> None:
    """Before anything was fetched, no value is made up. The error says what to call. `hasattr` is `False`."""
    for reader in (read.created_at, read.is_active, partial(read.strings, name="metadata")):
        with pytest.raises(UsageError, match="nothing was fetched about this thread") as caught:
            reader(THREAD_ID, None)
        assert isinstance(caught.value, AttributeError)
        assert "refresh()" in caught.value.__notes__[0]
