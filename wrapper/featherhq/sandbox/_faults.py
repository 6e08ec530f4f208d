"""What can go wrong on request: hand one of these to `Sandbox.inject`."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Status:
    """Answer with a status instead of doing the work.

    Attributes:
        code: The HTTP status.
        headers: More headers, such as `{"Retry-After": "1"}`.
        body: What the body says; the contract's form of an error by default.
    """

    code: int
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = None


@frozen
class Html:
    """Answer with a page of HTML, as a proxy in trouble does."""

    code: int = 502


@frozen
class Body:
    """Answer with these bytes: JSON that is cut short, a list in place of an object, nothing at all."""

    content: bytes
    code: int = 200
    content_type: str = "application/json"


@frozen
class Stall:
    """Say nothing.

    Attributes:
        seconds: Then go on as usual, whether or not the caller is still there; `None`: for good.
        after: Whether the work is done before.
    """

    seconds: float | None = None
    after: bool = False


@frozen
class CutBefore:
    """Cut the connection before the work is done: the message is not accepted."""


@frozen
class CutAfter:
    """Do the work and cut the connection before any answer: the message is accepted, and nobody says so."""


@frozen
class CutStream:
    """Cut a stream.

    Attributes:
        after_events: After so many events.
        after_bytes: After so many bytes of events, also in the middle of one.
        clean: End it in good order instead.
    """

    after_events: int | None = None
    after_bytes: int | None = None
    clean: bool = False


@frozen
class Duplicate:
    """Send each event of a stream twice."""


@frozen
class Reorder:
    """List messages in a shuffled order; the same seed shuffles the same way."""

    seed: int = 0


@frozen
class Drip:
    """Send the answer a byte at a time, its head included, with so many seconds between two."""

    interval: float = 0.05


@frozen
class Garbage:
    """Answer with what is no HTTP."""


Fault = Status | Html | Body | Stall | CutBefore | CutAfter | CutStream | Duplicate | Reorder | Drip | Garbage
