"""Headers of a response that say when: `Date` and `Retry-After`. Pure."""

from __future__ import annotations

import email.utils
import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_retry_after(headers: Mapping[str, str], wall_time: float) -> float | None:
    """Seconds that the server asks to wait (RFC 9110 section 10.2.3), or `None`.

    Args:
        headers: The headers of the response.
        wall_time: The time now, in seconds since 1970. It is used for a date if the response has no `Date`.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    until = read_date(headers.get("retry-after"))
    if until is None:
        return None
    # Both times come from the server's clock if it tells its time, because ours may be wrong.
    now = read_date(headers.get("date"))
    return max(0.0, until - (wall_time if now is None else now))


@lru_cache(maxsize=16)
def read_date(value: str | None) -> float | None:
    """An HTTP date (RFC 9110 section 5.6.7) in seconds since 1970, or `None` if it is not one."""
    try:
        return email.utils.parsedate_to_datetime(value or "").timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        # The standard library raises the last two itself, for text that is not a date.
        return None
