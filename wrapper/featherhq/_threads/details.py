"""What Feather has said about a thread, as plain values. Pure.

Feather may omit any field, set it to null, or send something of another type. So each value is checked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featherhq.errors import NotFetchedError
from featherhq.models import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from featherhq_api.models import Thread as ThreadDetails


def strings(thread_id: str, details: ThreadDetails | None, name: str) -> dict[str, str]:
    """A copy of the metadata or the variables of a thread, without values that are not strings.

    Args:
        thread_id: The id of the thread.
        details: What Feather has said about it, or `None` if that was not fetched.
        name: `"metadata"` or `"variables"`.

    Raises:
        NotFetchedError: it was not fetched.
    """
    given = _field(thread_id, details, name)
    # Missing and null fields have none of these.
    values: dict[str, object] = getattr(given, "additional_properties", {})
    return {key: value for key, value in values.items() if isinstance(value, str)}


def created_at(thread_id: str, details: ThreadDetails | None) -> datetime | None:
    """When Feather made a thread, with a time zone. `None` if Feather did not send a valid time.

    Raises:
        NotFetchedError: it was not fetched.
    """
    return read_time(_field(thread_id, details, "created_at"))


def is_active(thread_id: str, details: ThreadDetails | None) -> bool | None:
    """Whether a thread is active. `None` if Feather did not say it.

    Raises:
        NotFetchedError: it was not fetched.
    """
    value = _field(thread_id, details, "is_active")
    return value if isinstance(value, bool) else None


def _field(thread_id: str, details: ThreadDetails | None, name: str) -> Any:
    if details is None:
        raise NotFetchedError(
            f"thread {thread_id}: `{name}` is unknown, because nothing was fetched about this thread",
            hint="Call thread.refresh() first, or get the thread with feather.threads.get(thread_id).",
        )
    return getattr(details, name)
