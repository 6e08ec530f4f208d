"""The faults that a test can inject into single requests to the model server."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Literal

from attrs import frozen
from model_server_records import Call


@frozen(kw_only=True)
class Fault:
    """What goes wrong with one request. Times are in seconds from the arrival of the request at the server.

    Attributes:
        kind: What the client gets. `response` means the usual response, but late.
        work: When the server does its work. `None` means never.
        after: When the client gets the response or the failure. For `response` it is not earlier than the work.
        status: For `status`: the status code.
        retry_after: For `status`: the `Retry-After` header.
        html: For `status`: whether the body is a proxy's HTML page. Otherwise it is an error in the contract's form.
    """

    kind: Literal["response", "never sent", "stale", "lost", "silence", "status", "unreadable", "cut body"]
    work: float | None = None
    after: float = 0.0
    status: int = 500
    retry_after: str | None = None
    html: bool = False


def never_sent() -> Fault:
    """The client cannot connect, so the request is not sent."""
    return Fault(kind="never sent")


def stale(after: float = 0.0) -> Fault:
    """The connection was used before, and is closed without a byte of a response. The server does not do the work."""
    return Fault(kind="stale", after=after)


def lost_before() -> Fault:
    """The connection is lost before the server does the work."""
    return Fault(kind="lost")


def lost_after() -> Fault:
    """The connection is lost after the server has done the work."""
    return Fault(kind="lost", work=0.0)


def proxy_cut(after: float = 0.2, work: float | None = 3.0) -> Fault:
    """A proxy cuts the connection. The server does the work in spite of that."""
    return Fault(kind="lost", after=after, work=work)


def silence(work: float | None = None) -> Fault:
    """The client gets nothing until its timeout. The server does the work later, or never."""
    return Fault(kind="silence", work=work)


def slow(seconds: float) -> Fault:
    """The server does the work late, so the response is late too."""
    return Fault(kind="response", work=seconds, after=seconds)


def late_answer(seconds: float) -> Fault:
    """The server does the work at once, but the response is late."""
    return Fault(kind="response", work=0.0, after=seconds)


def status(code: int, *, retry_after: str | None = None, after: float = 0.0, work: float | None = None) -> Fault:
    """The response is an error with this status. 502 and 504 come as a proxy's page, others in the contract's form."""
    return Fault(kind="status", status=code, retry_after=retry_after, after=after, work=work, html=code in {502, 504})


def unreadable() -> Fault:
    """The server does the work, but the body of its 200 is not valid JSON."""
    return Fault(kind="unreadable", work=0.0)


def cut_body() -> Fault:
    """The server does the work, but the body of its 200 is incomplete."""
    return Fault(kind="cut body", work=0.0)


MISHAPS: Final = (
    never_sent(),
    stale(),
    lost_before(),
    lost_after(),
    proxy_cut(),
    slow(2.0),
    status(500),
    status(502),
    status(502, work=0.0),
    status(503),
    status(503, retry_after="1"),
    status(504, after=1.0, work=3.0),
    status(429, retry_after="1"),
    unreadable(),
    cut_body(),
)
"""Faults of all kinds. A client recovers from each of them."""


def mishaps(rate: float, *operations: str) -> Callable[[Call, random.Random], Fault | None]:
    """Make a plan for `ModelServer.plan`: it draws faults for the requests of these operations, or of all operations.

    Args:
        rate: The share of the requests that get a fault, from 0 to 1.
        operations: The `operationId`s. Without any, all operations are meant.
    """

    def plan(call: Call, rng: random.Random) -> Fault | None:
        if operations and call.operation not in operations:
            return None
        return rng.choice(MISHAPS) if rng.random() < rate else None

    return plan
