"""What can go wrong on request: hand one of these to `Sandbox.inject`.

Each says in `fits` to which operations it does something. One that would do nothing is refused: where it is made, or
where it is injected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, get_args

from attrs import NOTHING, Attribute, field, fields, frozen
from attrs.validators import optional

from featherhq.sandbox import _checks
from featherhq.sandbox._checks import refusal, shown

# The statuses that end an exchange, as far as HTTP's three digits go.
_CODES: Final = (200, 999)


@frozen
class Fits:
    """To which operations a fault does something.

    Attributes:
        only: To this one alone; `None`: to all, also to those that the contract will have tomorrow.
        but: Not to this one.
    """

    only: str | None = None
    but: str | None = None

    def __contains__(self, operation: str) -> bool:
        return self.only in (None, operation) and operation != self.but

    def __str__(self) -> str:
        if self.only is not None:
            return f"{self.only} alone"
        return "every operation" if self.but is None else f"every operation but {self.but}"


_STREAM: Final = "streamMessages"
_LIST: Final = "listMessages"


def _checked(
    check: Callable[..., object], *limits: object, **options: object
) -> Callable[[Any, Attribute[Any], Any], None]:
    """A validator for attrs that names the fault and the argument."""

    def validate(fault: object, attribute: Attribute[Any], value: object) -> None:
        check(f"{type(fault).__name__}.{attribute.name}", value, *limits, **options)

    return validate


_flag: Final = _checked(_checks.flag)
_code: Final = _checked(_checks.whole, *_CODES)
_seconds: Final = optional(_checked(_checks.number, "seconds above 0, or None for good"))


@frozen
class Status:
    """Answer with a status, and do no work.

    Attributes:
        code: The HTTP status.
        headers: More headers, such as `{"Retry-After": "1"}`.
        body: What the body says; the contract's form of an error by default.
        after: Whether the work is done all the same.
    """

    fits: ClassVar[Fits] = Fits()

    code: int = field(validator=_code)
    headers: Mapping[str, str] = field(factory=dict, validator=_checked(_checks.headers))
    body: bytes | None = field(default=None, validator=optional(_checked(_checks.instance, bytes, "bytes")))
    after: bool = field(default=False, validator=_flag)


@frozen
class Html:
    """Answer with a page of HTML, as a proxy in trouble does."""

    fits: ClassVar[Fits] = Fits()

    code: int = field(default=502, validator=_code)


@frozen
class Body:
    """Answer with these bytes: JSON that is cut short, a list in place of an object, nothing at all."""

    fits: ClassVar[Fits] = Fits()

    content: bytes = field(validator=_checked(_checks.instance, bytes, "bytes"))
    code: int = field(default=200, validator=_code)
    content_type: str = field(default="application/json", validator=_checked(_checks.header_value))


@frozen
class Stall:
    """Say nothing.

    Attributes:
        seconds: Then go on as usual, whether or not the caller is still there; `None`: for good.
        after: Whether the work is done before.
    """

    fits: ClassVar[Fits] = Fits()

    seconds: float | None = field(default=None, validator=_seconds)
    after: bool = field(default=False, validator=_flag)


@frozen
class CutBefore:
    """Cut the connection before the work is done: the message is not accepted."""

    fits: ClassVar[Fits] = Fits()


@frozen
class CutAfter:
    """Do the work and cut the connection before any answer: the message is accepted, and nobody says so."""

    fits: ClassVar[Fits] = Fits()


@frozen
class CutStream:
    """Cut a stream, after whichever comes first. At least one of them has to be given.

    Attributes:
        after_events: After so many events.
        after_bytes: After so many bytes of events, also in the middle of one.
        clean: End it in good order instead.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    after_events: int | None = field(default=None, validator=optional(_checked(_checks.whole, 0)))
    after_bytes: int | None = field(default=None, validator=optional(_checked(_checks.whole, 0)))
    clean: bool = field(default=False, validator=_flag)

    def __attrs_post_init__(self) -> None:
        if self.after_events is None and self.after_bytes is None:
            raise ValueError(
                "CutStream: expected after_events or after_bytes, got neither; write CutStream(after_events=1)"
            )


@frozen
class Duplicate:
    """Send each event of a stream twice."""

    fits: ClassVar[Fits] = Fits(only=_STREAM)


@frozen
class Skip:
    """Leave out some events of a stream, and go on.

    Attributes:
        events: Which ones, counted from 1 since the stream was opened.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    events: tuple[int, ...] = field(validator=_checked(_checks.numbers))


@frozen
class Replay:
    """Send the agent's last messages again right after opening a stream, oldest first; then go on as usual.

    Attributes:
        messages: How many of them; fewer where the thread has fewer.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    messages: int = field(default=1, validator=_checked(_checks.whole, 1))


@frozen
class HoldHead:
    """Hold back the head of a stream, as a proxy does. Messages from then on are kept, and come out after the head.

    Attributes:
        seconds: For how long; `None`: until the caller leaves.
    """

    fits: ClassVar[Fits] = Fits(only=_STREAM)

    seconds: float | None = field(default=None, validator=_seconds)


@frozen
class Reorder:
    """List messages in a shuffled order; the same seed shuffles the same way."""

    fits: ClassVar[Fits] = Fits(only=_LIST)

    seed: int = field(default=0, validator=_checked(_checks.instance, int, "a whole number"))


@frozen
class Lag:
    """List messages as if the newest were not there yet.

    Attributes:
        messages: How many of them.
    """

    fits: ClassVar[Fits] = Fits(only=_LIST)

    messages: int = field(default=1, validator=_checked(_checks.whole, 1))


@frozen
class Hide:
    """List messages without those of a certain text, as if they became visible late.

    Attributes:
        text: The whole text of what is left out.
    """

    fits: ClassVar[Fits] = Fits(only=_LIST)

    text: str = field(validator=_checked(_checks.text))


@frozen
class Mute:
    """Open a stream, and send nothing on it but heartbeats."""

    fits: ClassVar[Fits] = Fits(only=_STREAM)


@frozen
class Drip:
    """Send the answer a byte at a time, its head included, with so many seconds between two."""

    fits: ClassVar[Fits] = Fits(but=_STREAM)

    interval: float = field(default=0.05, validator=_checked(_checks.number, "seconds, 0 or more", zero=True))


@frozen
class Garbage:
    """Answer with what is no HTTP."""

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
    """Refuse what is no fault, and a fault that does nothing to an operation; `None` stands for any operation.

    Raises:
        TypeError: it is no fault.
        ValueError: it does nothing there.
    """
    kinds: tuple[type[Fault], ...] = get_args(Fault)
    if isinstance(fault, type) and fault in kinds:
        needed = any(argument.default is NOTHING for argument in fields(fault))
        example = f"{fault.__name__}({'…' if needed else ''})"
        raise TypeError(f"{fault.__name__}: expected a fault, got the class; write {example}")
    if isinstance(fault, int) and _CODES[0] <= fault <= _CODES[1]:
        raise TypeError(f"{fault}: expected a fault; write Status({fault})")
    if not isinstance(fault, kinds):
        raise refusal(TypeError, "fault", f"one of {_names(kinds)}", fault)
    if operation is not None and operation not in fault.fits:
        others = _names(tuple(kind for kind in kinds if operation in kind.fits))
        raise ValueError(f"{shown(fault)} fits {fault.fits}, not {operation}; for {operation} there are {others}")


def _names(kinds: tuple[type, ...]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
