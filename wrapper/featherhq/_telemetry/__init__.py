"""Listens to the events of a client: for the logger, and for OpenTelemetry if the program uses it.

OpenTelemetry is not imported here. A program that uses it has imported it, and only then there is anybody to tell. So
it costs nothing in all other programs, and a client that was made before that is heard as well.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Final

from featherhq._logging import log, logger

if TYPE_CHECKING:
    from featherhq._core.events import Event
    from featherhq._telemetry.spans import Telemetry

VARIABLE: Final = "FEATHER_TELEMETRY"
_SWITCH: Final = {"": True, "on": True, "off": False}
# What every program imports that uses OpenTelemetry, whether it is instrumented by hand or by an agent.
_API: Final = "opentelemetry.trace"


class Listening:
    """The listener of one client (see `_core/events.py`).

    Args:
        base_url: The URL that all its requests go to.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._tells = _switched_on()
        self._telemetry: Telemetry | None = None
        self._warned = False

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        log(event)
        if self._tells and _API in sys.modules:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        try:
            if self._telemetry is None:
                from featherhq._telemetry.spans import Telemetry

                self._telemetry = Telemetry(self._base_url)
            self._telemetry.hear(event)
        except Exception as error:  # noqa: BLE001 - a processor or an exporter of the program has failed
            from featherhq._http.failures import raise_if_from_signal

            raise_if_from_signal(error)
            if not self._warned:
                self._warned = True
                # Not its text: nobody knows what is in it.
                logger.warning("telemetry failed (%s); calls go on without it", type(error).__name__)


def _switched_on() -> bool:
    value = os.environ.get(VARIABLE, "")
    if (on := _SWITCH.get(value.lower())) is None:
        warnings.warn(f"{VARIABLE}: expected on or off, got {value!r}", UserWarning, stacklevel=2)
    return on is not False
