"""A case of the hostile tests, its allowed results, and the data that several groups of cases use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from attrs import frozen
from conftest import THREAD_ID
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    DeliveryUnknownError,
    ReplyTimeoutError,
    ResponseDecodeError,
)
from hostile import (
    MEBI,
    PIECE,
    Script,
    deflated,
    head,
)

ANY: Final = object()
"""In `Case.ends`: each value is correct."""


@frozen
class Case:
    """One hostile response, one call, and the results that the call may have.

    Attributes:
        name: The case's id.
        call: The name of the call: `get`, `create`, `use`, `send`, `list`, `ask`, `replies`, `chat_ask`.
        scripts: The server's script of each operation.
        ends: The allowed values and the allowed classes of errors.
        timeout: The client's timeout, in seconds.
        retries: The client's `max_retries`.
        seconds: The allowed time of the whole case, if it is not the timeout of one call.
        rate_limit: The client's rate limit.
        ticks: Whether the test fails if the event loop is blocked.
        patience: The seconds without a message after which `replies` ends.
    """

    name: str
    call: str
    scripts: Mapping[str, Script]
    ends: tuple[object, ...]
    timeout: float = 0.6
    retries: int = 0
    seconds: float | None = None
    rate_limit: float | None = None
    ticks: bool = False
    patience: float = 0.5


NO_RESPONSE: Final = (APIConnectionError, APITimeoutError)
CONNECTION: Final = (APIConnectionError,)
DECODE: Final = (ResponseDecodeError,)
UNKNOWN: Final = (DeliveryUnknownError,)
GOT: Final = THREAD_ID
GOOD: Final = (["good"],)
NOTHING: Final[tuple[list[str], ...]] = ([],)
NO_REPLY: Final = (ReplyTimeoutError,)
DEEP: Final = 100_000
HARMFUL: Final = "\x1b[31mred\x9b2J\u202eabc\u2066\u2028next\r\nline\0\x7f\u200f"
ODD_TIMES: Final = {
    "no_time": "yesterday",
    "of_the_year_0": "0000-01-01T00:00:00Z",
    "of_the_year_1": "0001-01-01T00:00:00+14:00",
    "of_the_year_9999": "9999-12-31T23:59:59-14:00",
    "of_the_year_99999": "99999-01-01T00:00:00Z",
    "with_an_odd_offset": "2026-01-01T00:00:00+99:99",
    "with_an_offset_of_a_day": "2026-01-01T00:00:00+23:59:59.999999",
    "of_5000_digits": "9" * 5000,
    "a_number": 10**400,
    "an_object": {"a": 1},
}


BLOCK: Final = b"a" * PIECE
ZIP_FIRST, ZIP_MORE = deflated(b"a" * MEBI, 31)
ZIPPED: Final = head("200 OK", b"Content-Encoding: gzip", media="text/event-stream")
TEXT: Final = json.dumps({"thread": {"id": THREAD_ID}}).encode()
