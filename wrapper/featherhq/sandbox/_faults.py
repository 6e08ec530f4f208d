"""The faults. Pass one of them to `Sandbox.inject`.

The attribute `fits` of a fault says on which operations it has an effect. A fault without an effect is an error, either
when it is created or when it is injected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, get_args

from attrs import NOTHING, Attribute, field, fields, frozen
from attrs.validators import optional

from featherhq.sandbox import _checks
from featherhq.sandbox._checks import bad_value, shown

# A final response has a status of at least 200 (RFC 9110, section 15). A status has three digits.
CODES: Final = (200, 999)


@frozen
class Fits:
    """The operations on which a fault has an effect.

    Attributes:
        only: The only such operation; `None` for all operations, even new ones.
        but: The operation that is excluded; `None` for none.
    """

    only: str | None = None
    but: str | None = None

    def __contains__(self, operation: str) -> bool:
        return self.only in (None, operation) and operation != self.but

    def __str__(self) -> str:
        if self.only is not None:
            return f"{self.only} only"
        return "every operation" if self.but is None else f"every operation except {self.but}"


_STREAM: Final = "streamMessages"
_LIST: Final = "listMessages"


def _checked(
    check: Callable[..., object], *limits: object, **options: object
) -> Callable[[Any, Attribute[Any], Any], None]:
    """A validator for attrs. Its error names the fault and the argument."""

    def validate(fault: object, attribute: Attribute[Any], value: object) -> None:
        check(f"{type(fault).__name__}.{attribute.name}", value, *limits, **options)

    return validate


_flag: Final = _checked(_checks.flag)
_code: Final = _checked(_checks.whole, *CODES)
_seconds: Final = optional(_checked(_checks.number, "seconds above 0, or None for no end"))


@frozen
class Status:
    """Respond with a status, and do not process the request.

    Attributes:
        code: The HTTP status, from 200 to 999.
        headers: Additional headers, such as `{"Retry-After": "1"}`.
        body: The body; `None` for an error in the contract's form.
        after: Whether to process the request before the response, so that a message is accepted.
    """

    fits: ClassVar[Fits] = Fits()

    code: int = field(validator=_code)
    headers: Mapping[str, str] = field(factory=dict, validator=_checked(_checks.headers))
    body: bytes | None = field(default=None, validator=optional(_checked(_checks.instance, bytes, "bytes")))
    after: bool = field(default=False, validator=_flag)


@frozen
class Html:
    """Respond with an HTML page, as a proxy does when its server fails. The request is not processed.

    Attributes:
        code: The HTTP status, from 200 to 999.
    """

    fits: ClassVar[Fits] = Fits()

    code: int = field(default=502, validator=_code)


@frozen
class Body:
    """Respond with any bytes, such as incomplete JSON or no bytes at all. The request is not processed.

    Attributes:
        content: The body.
        code: The HTTP status, from 200 to 999.
        content_type: The header `Content-Type`.
    """

    fits: ClassVar[Fits] = Fits()

    content: bytes = field(validator=_checked(_checks.instance, bytes, "bytes"))
    code: int = field(default=200, validator=_code)
    content_type: str = field(default="application/json", validator=_checked(_checks.header_value))


@frozen
class Stall:
    """Send nothing for some time.

    Attributes:
        seconds: How long, in seconds above 0. Then the request continues as usual, even if the client has disconnected.
            `None`: the request never continues.
        after: Whether to process the request before the wait. Otherwise it is processed afterwards.
    """

    fits: ClassVar[Fits] = Fits()

    seconds: float | None = field(default=None, validator=_seconds)
    after: bool = field(default=False, validator=_flag)


@frozen
class CutBefore:
    """Close the connection before the request is processed. A message is not accepted."""

    fits: ClassVar[Fits] = Fits()


@frozen
class CutAfter:
    """Process the request, and close the connection without a response. A message is accepted."""

    fits: ClassVar[Fits] = Fits()


@frozen
class CutStream:
    """Close a stream's connection after a number of events or bytes, whichever comes first. One of them is required.

    Attributes:
        after_events: The number of events; `None` for no limit.
        after_bytes: The number of bytes, counted after the stream's first comment; `None` for no limit. The stream may
            end in the middle of an event.
        clean: Whether to end the response correctly instead, as a server does that has no more events.

    Raises:
        ValueError: Neither `after_events` nor `after_bytes` was given.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    after_events: int | None = field(default=None, validator=optional(_checked(_checks.whole, 0)))
    after_bytes: int | None = field(default=None, validator=optional(_checked(_checks.whole, 0)))
    clean: bool = field(default=False, validator=_flag)

    def __attrs_post_init__(self) -> None:
        if self.after_events is None and self.after_bytes is None:
            raise ValueError("CutStream: after_events or after_bytes is required; write CutStream(after_events=1)")


@frozen
class Duplicate:
    """Send each event of a stream twice."""

    fits: ClassVar[Fits] = Fits(only=_STREAM)


@frozen
class Skip:
    """Do not send some events of a stream.

    Attributes:
        events: The numbers of these events. The first event of a stream has the number 1.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    events: tuple[int, ...] = field(validator=_checked(_checks.numbers))


@frozen
class Replay:
    """Send the agent's last messages again at the start of a stream, oldest first. Then continue as usual.

    Attributes:
        messages: How many messages. If the thread has fewer, all of them are sent.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    messages: int = field(default=1, validator=_checked(_checks.whole, 1))


@frozen
class HoldHead:
    """Delay the head of a stream's response, as a proxy may do. Messages from this time are sent after the head.

    Attributes:
        seconds: How long, in seconds above 0. `None`: the head is never sent.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    seconds: float | None = field(default=None, validator=_seconds)


@frozen
class Reorder:
    """List messages in a random order.

    Attributes:
        seed: The seed of the random order. Equal seeds give equal orders.
    """

    fits: ClassVar[Fits] = Fits(only=_LIST)

    seed: int = field(default=0, validator=_checked(_checks.instance, int, "a whole number"))


@frozen
class Lag:
    """List messages without the newest ones, as if they were not visible yet.

    Attributes:
        messages: How many of the newest messages to leave out.
    """

    fits: ClassVar[Fits] = Fits(only=_LIST)

    messages: int = field(default=1, validator=_checked(_checks.whole, 1))


@frozen
class Hide:
    """List messages without those that have a certain text, as if they were not visible yet.

    Attributes:
        text: The complete text of the messages to leave out.
    """

    fits: ClassVar[Fits] = Fits(only=_LIST)

    text: str = field(validator=_checked(_checks.text))


@frozen
class Mute:
    """Send only heartbeats on a stream, and no events."""

    fits: ClassVar[Fits] = Fits(only=_STREAM)


@frozen
class Drip:
    """Send the response, including its head, one byte at a time.

    Attributes:
        interval: Seconds between two bytes, 0 or more.
    """

    fits: ClassVar[Fits] = Fits(but=_STREAM)

    interval: float = field(default=0.05, validator=_checked(_checks.number, "seconds, 0 or more", zero=True))


@frozen
class Garbage:
    """Respond with bytes that are not HTTP. The request is not processed."""

    fits: ClassVar[Fits] = Fits()


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


def check(fault: object, operation: str | None) -> None:
    """Check that a value is a fault, and that it has an effect on an operation.

    Args:
        fault: The value.
        operation: The `operationId`; `None` for any operation.

    Raises:
        TypeError: The value is not a fault.
        ValueError: The fault has no effect on the operation.
    """
    kinds: tuple[type[Fault], ...] = get_args(Fault)
    if isinstance(fault, type) and fault in kinds:
        needed = any(argument.default is NOTHING for argument in fields(fault))
        example = f"{fault.__name__}({'…' if needed else ''})"
        raise TypeError(f"{fault.__name__}: expected a fault, got the class; write {example}")
    if isinstance(fault, int) and CODES[0] <= fault <= CODES[1]:
        raise TypeError(f"{fault}: expected a fault; write Status({fault})")
    if not isinstance(fault, kinds):
        raise bad_value(TypeError, "fault", f"one of {_names(kinds)}", fault)
    if operation is not None and operation not in fault.fits:
        others = _names(tuple(kind for kind in kinds if operation in kind.fits))
        raise ValueError(f"{shown(fault)} works with {fault.fits}, not with {operation}; use one of {others}")


def _names(kinds: tuple[type, ...]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
