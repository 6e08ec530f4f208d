"""The sandbox's own agent: no model, just enough of a conversation for a demo and a first test."""

from __future__ import annotations

import re

from featherhq.models import INBOUND, Message


def default_agent(text: str, history: list[Message]) -> str | list[str]:
    """A reply to a message; the same one for the same conversation."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    asked_before = " ".join(message.text.lower() for message in history if message.direction == INBOUND)
    if words & {"bye", "thanks", "thank"}:
        return "You are welcome. Have a good day!"
    if words & {"when", "arrive", "delivery", "delivered"}:
        order = "Order 1042" if "order" in asked_before or "order" in words else "It"
        return [f"{order} will arrive on Thursday, between 9 and 12.", "Is there anything else?"]
    if "order" in words:
        return "Order 1042 left our warehouse this morning."
    if words & {"hi", "hello", "hey"} and not history:
        return "Hello! What can I do for you?"
    return f"You said: {text}"
