"""Finding the agent's messages in the events of a stream. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from featherhq._core.bodies import read_json
from featherhq.models import INBOUND, Message, read_message

if TYPE_CHECKING:
    from featherhq._core.sse import StreamEvent

_ENVELOPES: Final = ("message", "data")


def agent_message(event: StreamEvent) -> Message | None:
    """The agent's message that an event carries, or `None` for anything else.

    The vendor's page does not say what an event's data holds, so a message is read bare or in an envelope
    (`message`, `data`), whatever the event's type, and what is no message is passed over.
    """
    try:
        # "surrogatepass", as an event may hold what no other text may, and is read all the same.
        data: Any = read_json(event.data.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    candidates = [data]
    for _ in _ENVELOPES:  # one in the other, at the deepest
        inner = candidates[-1]
        if isinstance(inner, dict):
            candidates += [inner[name] for name in _ENVELOPES if isinstance(inner.get(name), dict)][:1]
    for candidate in candidates:
        message = read_message(candidate)
        if message is not None:
            # The stream carries nothing but the agent's messages, but for what says that it is not one.
            return message if message.direction != INBOUND else None
    return None
