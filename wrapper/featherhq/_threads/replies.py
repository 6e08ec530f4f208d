"""Find the agent's messages in the events of a stream. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from featherhq._core.bodies import read_json
from featherhq.models import INBOUND, Message, read_message

if TYPE_CHECKING:
    from featherhq._core.sse import StreamEvent

_ENVELOPES: Final = ("message", "data")


def agent_message(event: StreamEvent) -> Message | None:
    """The agent's message in an event, or `None` if the event has none.

    The vendor's page does not describe the data of an event. So a message is accepted with or without an envelope (an
    object with the key `message` or `data`), and the type of the event is ignored.
    """
    try:
        # With "surrogatepass", an event with half of a surrogate pair can be read too.
        data: Any = read_json(event.data.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    candidates = [data]
    for _ in _ENVELOPES:  # an envelope may contain another one
        inner = candidates[-1]
        if isinstance(inner, dict):
            candidates += [inner[name] for name in _ENVELOPES if isinstance(inner.get(name), dict)][:1]
    for candidate in candidates:
        message = read_message(candidate)
        if message is not None:
            # The stream carries the agent's messages, so a message without a direction is assumed to be the agent's.
            return message if message.direction != INBOUND else None
    return None
