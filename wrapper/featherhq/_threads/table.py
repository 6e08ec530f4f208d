"""A conversation as a table of states: all transitions that there are. Pure: no I/O, no clock, no HTTP library.

A conversation returns each message of the agent once and in order, whatever its stream does. Three questions decide
what it does next. Each is a *region* with a state of its own:

- *stream*: is there an open stream? ``CLOSED`` (no, and one will be opened), ``OPENING``, ``OPEN``, ``RENEWING`` (open,
  and the next one is being opened before it ends), ``REFUSED`` (none is available for a while).
- *coverage*: has the conversation seen everything? ``COVERED``; ``GAP`` (there was no stream for a while, and the list
  must show what came meanwhile); ``DOUBTFUL`` (the list was read, but so early that it may have lagged); ``PARTIAL``
  (the list was read only from one of our own messages on, and the gap began before).
- *scan*: is the list being read? ``IDLE``, ``RUNNING``, ``FAILED`` (it will be tried again).

What is not in `STREAM`, `COVERAGE` and `SCAN` cannot happen: a trigger that a state does not expect is an error in our
code. *When* something is due follows from the states and a few times (`streams.py`, `scans.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final


class Stream(Enum):
    """Whether there is a stream."""

    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()
    RENEWING = auto()
    REFUSED = auto()


class Coverage(Enum):
    """Whether everything has been seen."""

    COVERED = auto()
    GAP = auto()
    DOUBTFUL = auto()
    PARTIAL = auto()


class Scan(Enum):
    """Whether the list is being read."""

    IDLE = auto()
    RUNNING = auto()
    FAILED = auto()


class Trigger(Enum):
    """What changes the states."""

    CONNECT = auto()
    """A stream is requested, or the next one before the last one has ended."""
    OPENED = auto()
    """The requested stream is open."""
    OPEN_FAILED = auto()
    """The requested stream could not be opened this time."""
    REFUSED = auto()
    """No stream is available for a while."""
    LOST = auto()
    """The open stream has ended, broken, or fallen silent."""
    INCOMPLETE = auto()
    """The open stream leaves out what the list shows, for the second time."""
    NO_STREAM = auto()
    """There is no stream, so new messages are not received."""
    SCAN = auto()
    """The list is requested."""
    SCANNED = auto()
    """The list was read as far as needed."""
    SCAN_FAILED = auto()
    """The list could not be read this time."""
    SAW_ALL = auto()
    """The scan has shown all messages."""
    SAW_EARLY = auto()
    """The scan came so soon that the list may have lagged."""
    SAW_PART = auto()
    """The scan began at one of our own messages, and the gap began before that."""
    SAW_WITHOUT_STREAM = auto()
    """The scan was made without an open stream, so later messages are not received."""


STREAM: Final[Mapping[Stream, Mapping[Trigger, Stream]]] = {
    Stream.CLOSED: {Trigger.CONNECT: Stream.OPENING},
    Stream.OPENING: {
        Trigger.OPENED: Stream.OPEN,
        Trigger.OPEN_FAILED: Stream.CLOSED,
        Trigger.REFUSED: Stream.REFUSED,
    },
    Stream.OPEN: {
        Trigger.CONNECT: Stream.RENEWING,
        Trigger.LOST: Stream.CLOSED,
        Trigger.INCOMPLETE: Stream.REFUSED,
    },
    Stream.RENEWING: {
        Trigger.OPENED: Stream.OPEN,
        Trigger.OPEN_FAILED: Stream.OPEN,
        Trigger.LOST: Stream.OPENING,
        Trigger.INCOMPLETE: Stream.REFUSED,
    },
    Stream.REFUSED: {Trigger.CONNECT: Stream.OPENING},
}
_MISSED: Final = dict.fromkeys(
    (Trigger.LOST, Trigger.INCOMPLETE, Trigger.NO_STREAM, Trigger.SAW_WITHOUT_STREAM), Coverage.GAP
)
_SEEN: Final = {
    Trigger.SAW_ALL: Coverage.COVERED,
    Trigger.SAW_EARLY: Coverage.DOUBTFUL,
    Trigger.SAW_PART: Coverage.PARTIAL,
}
COVERAGE: Final[Mapping[Coverage, Mapping[Trigger, Coverage]]] = {
    Coverage.COVERED: _MISSED | dict.fromkeys(_SEEN, Coverage.COVERED),
    Coverage.GAP: _MISSED | _SEEN,
    Coverage.DOUBTFUL: _MISSED | _SEEN,
    Coverage.PARTIAL: _MISSED | _SEEN,
}
SCAN: Final[Mapping[Scan, Mapping[Trigger, Scan]]] = {
    Scan.IDLE: {Trigger.SCAN: Scan.RUNNING},
    Scan.RUNNING: {Trigger.SCANNED: Scan.IDLE, Trigger.SCAN_FAILED: Scan.FAILED},
    Scan.FAILED: {Trigger.SCAN: Scan.RUNNING},
}
REGIONS: Final[Mapping[str, Mapping[Any, Mapping[Trigger, Any]]]] = {
    "stream": STREAM,
    "coverage": COVERAGE,
    "scan": SCAN,
}
_KNOWN: Final = {name: {trigger for row in table.values() for trigger in row} for name, table in REGIONS.items()}


class IllegalTransitionError(Exception):
    """A trigger came that the table does not have for the state: an error in our code."""


class Regions:
    """The states of one conversation.

    Attributes:
        stream: Whether there is a stream.
        coverage: Whether everything has been seen.
        scan: Whether the list is being read.
        gap_from: When the last gap began, in seconds of the monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self.stream = Stream.CLOSED
        self.coverage = Coverage.COVERED
        self.scan = Scan.IDLE
        self.gap_from = now

    def go(self, trigger: Trigger) -> None:
        """Make the transitions of a trigger, in each region that knows it."""
        for name, table in REGIONS.items():
            state = getattr(self, name)
            if trigger in table[state]:
                setattr(self, name, table[state][trigger])
            elif trigger in _KNOWN[name]:
                raise IllegalTransitionError(f"{name}: {trigger.name} in {state.name}")

    def miss(self, trigger: Trigger, now: float) -> None:
        """Make the transitions of a trigger after which messages may be missed."""
        if self.coverage is Coverage.COVERED:
            self.gap_from = now
        self.go(trigger)

    @property
    def is_open(self) -> bool:
        """Whether there is an open stream, so that new messages are received."""
        return self.stream in {Stream.OPEN, Stream.RENEWING}
