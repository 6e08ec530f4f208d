"""What can go wrong on request: hand one of these to `Sandbox.inject`."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Status:
    """Answer with a status, and do no work.

    Attributes:
        code: The HTTP status.
        headers: More headers, such as `{"Retry-After": "1"}`.
        body: What the body says; the contract's form of an error by default.
        after: Whether the work is done all the same.
    """

    code: int
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = None
    after: bool = False


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
class Skip:
    """Leave out some events of a stream, and go on.

    Attributes:
        events: Which ones, counted from 1 since the stream was opened.
    """

    events: tuple[int, ...]


@frozen
class Replay:
    """Send the agent's last messages again right after opening a stream, oldest first; then go on as usual.

    Attributes:
        messages: How many of them; fewer where the thread has fewer.
    """

    messages: int = 1


@frozen
class HoldHead:
    """Hold back the head of a stream, as a proxy does. Messages from then on are kept, and come out after the head.

    Attributes:
        seconds: For how long; `None`: until the caller leaves.
    """

    seconds: float | None = None


@frozen
class Reorder:
    """List messages in a shuffled order; the same seed shuffles the same way."""

    seed: int = 0


@frozen
class Lag:
    """List messages as if the newest were not there yet.

    Attributes:
        messages: How many of them.
    """

    messages: int = 1


@frozen
class Hide:
    """List messages without those of a certain text, as if they became visible late.

    Attributes:
        text: The whole text of what is left out.
    """

    text: str


@frozen
class Mute:
    """Open a stream, and send nothing on it but heartbeats."""


@frozen
class Drip:
    """Send the answer a byte at a time, its head included, with so many seconds between two."""

    interval: float = 0.05


@frozen
class Garbage:
    """Answer with what is no HTTP."""


Fault = (
    Status
    | Html
    | Body
    | Stall
    | CutBefore
    | CutAfter
    | CutStream
    | Mute
    | Duplicate
    | Skip
    | Replay
    | HoldHead
    | Reorder
    | Lag
    | Hide
    | Drip
    | Garbage
)
