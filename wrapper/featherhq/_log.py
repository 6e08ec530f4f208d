"""The logger `featherhq`: a line an attempt at DEBUG, retries and fallbacks at WARNING; no bodies, no key.

`FEATHER_LOG=debug` (or `info`, `warning`) prints it to standard error without a line of code. A line that the program's
own logging takes is left to it.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import Final

logger: Final = logging.getLogger("featherhq")

_LEVELS: Final = ("DEBUG", "INFO", "WARNING")


class Printer(logging.StreamHandler):  # type: ignore[type-arg]  # it cannot be subscripted in Python 3.11
    """Prints what no other handler takes, so that nothing is printed twice."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, unless another handler has it. Asked each time: logging may be set up at any moment."""
        current: logging.Logger | None = logging.getLogger(record.name)
        while current is not None:
            if any(self._is_other(handler) and record.levelno >= handler.level for handler in current.handlers):
                return
            current = current.parent if current.propagate else None
        super().emit(record)

    def _is_other(self, handler: logging.Handler) -> bool:
        return handler is not self and not isinstance(handler, logging.NullHandler)


def from_environment() -> None:
    """Do what FEATHER_LOG says; without it, stay silent until the program sets up logging itself."""
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
