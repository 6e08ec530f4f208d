"""The logger `featherhq`: a line an attempt at DEBUG, retries and fallbacks at WARNING; no bodies, no key.

`FEATHER_LOG=debug` (or `info`, `warning`) prints it to standard error without a line of code.
"""

from __future__ import annotations

import logging
import os
from typing import Final

logger: Final = logging.getLogger("featherhq")


def from_environment() -> None:
    """Do what FEATHER_LOG says; without it, stay silent until the program sets up logging itself."""
    level = os.environ.get("FEATHER_LOG", "").upper()
    if level not in {"DEBUG", "INFO", "WARNING"}:
        logger.addHandler(logging.NullHandler())
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
