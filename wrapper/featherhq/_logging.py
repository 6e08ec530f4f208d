"""The logger `featherhq`, as a listener: attempts at DEBUG, retries and fallbacks at WARNING. No bodies, no key.

`FEATHER_LOG=debug` (or `info`, `warning`) prints the lines to standard error without a line of code. If the program
sets up logging itself, its own handlers print them.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

from featherhq._core import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.events import Event

logger: Final = logging.getLogger("featherhq")

_LEVELS: Final = ("DEBUG", "INFO", "WARNING")

# For each event its level and its line. The other events are not logged.
_LINES: Final[dict[type[Any], tuple[int, Callable[[Any], str]]]] = {
    events.AttemptEnded: (
        logging.DEBUG,
        lambda it: f"{it.method} {it.path}: {it.result} in {it.seconds * 1000:.0f} ms",
    ),
    events.RetryPlanned: (
        logging.WARNING,
        lambda it: f"{it.method} {it.path}: {it.result}; retrying in {it.delay:.2f} s",
    ),
    events.KeyRefused: (
        logging.WARNING,
        lambda it: f"{it.method} {it.path}: the key was refused; trying once with a new one",
    ),
    events.SearchStarted: (logging.WARNING, lambda it: f"{it.problem}; checking whether the message has arrived"),
    events.SearchFailed: (
        logging.WARNING,
        lambda it: (
            f"{it.problem}; "
            + ("it is still unknown whether the message has arrived" if it.lasting else "checking again")
        ),
    ),
    events.LedgerFailed: (
        logging.WARNING,
        lambda it: f"the ledger could not note what came of a message: {it.problem}",
    ),
    events.MessageSentAgain: (
        logging.WARNING,
        lambda it: f"{it.method} {it.url}: the message has not arrived; sending it again",
    ),
    events.EarlierUnanswered: (
        logging.WARNING,
        lambda it: (
            f"thread {it.thread_id}: {it.number} earlier message(s) are unanswered; the next reply may belong to "
            "one of them"
        ),
    ),
    events.StreamLost: (
        logging.WARNING,
        lambda it: f"stream lost: {it.reason}; reconnecting in {it.delay:.2f} s",
    ),
    events.StreamGivenUp: (
        logging.WARNING,
        lambda it: f"no usable stream: {it.reason}; polling for the next {it.seconds:.0f} s",
    ),
    events.ScanFailed: (logging.WARNING, lambda it: f"list of messages: {it.problem}; trying again later"),
    events.CursorRefused: (
        logging.DEBUG,
        lambda _: (
            "list of messages: the server does not accept the id of a message as a cursor now; reading from an end"
        ),
    ),
    events.OthersLeftOut: (
        logging.WARNING,
        lambda it: f"{it.source}: left out {it.number} message(s) of other threads",
    ),
    events.MessagesDropped: (
        logging.WARNING,
        lambda it: (
            f"more than {it.limit} messages of a conversation were not taken; the oldest were dropped, "
            "thread.messages() still has them"
        ),
    ),
    events.SharedLimitLost: (
        logging.WARNING,
        lambda it: (
            f"shared rate limit {it.name}: {it.problem}; this process sends at most {it.rate:.3g} requests per second "
            "until Redis answers"
        ),
    ),
    events.SharedLimitBack: (logging.INFO, lambda it: f"shared rate limit {it.name}: Redis answers again"),
}


def log(event: Event) -> None:
    """Log an event. A listener (see `_core/events.py`)."""
    if (found := _LINES.get(type(event))) is None:
        return
    level, line = found
    if logger.isEnabledFor(level):
        logger.log(level, "%s", line(event))


class Printer(logging.StreamHandler):  # type: ignore[type-arg]  # it cannot be subscripted in Python 3.11
    """Prints a line only if no other handler takes it, so that nothing is printed twice."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, unless another handler takes it. Checked each time, because logging may be set up late."""
        current: logging.Logger | None = logging.getLogger(record.name)
        while current is not None:
            if any(self._is_other(handler) and record.levelno >= handler.level for handler in current.handlers):
                return
            current = current.parent if current.propagate else None
        # Programs may replace it later: a chat on a terminal does.
        self.stream = sys.stderr
        super().emit(record)

    def _is_other(self, handler: logging.Handler) -> bool:
        return handler is not self and not isinstance(handler, logging.NullHandler)


def from_environment() -> None:
    """Do what FEATHER_LOG says. Without it, stay silent until the program sets up logging itself."""
    value = os.environ.get("FEATHER_LOG", "")
    level = value.upper()
    if level not in _LEVELS:
        if value:
            warnings.warn(f"FEATHER_LOG: expected debug, info or warning, got {value!r}", UserWarning, stacklevel=2)
        logger.addHandler(logging.NullHandler())
        return
    handler = Printer()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
