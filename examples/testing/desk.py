"""A support desk: it puts the questions of customers to an agent, and always has something to say."""

from __future__ import annotations

import os
from typing import Final

from featherhq import AsyncFeather, Feather, FeatherError

AGENT_ID: Final = os.environ.get("AGENT_ID", "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
LATER: Final = "We have your question. The answer will come by e-mail."
AGAIN: Final = "We could not take your question. Please ask again."
UNSURE: Final = "We are not sure that we have your question. A colleague will look."


def answer(customer: str, question: str, *, timeout: float = 30) -> str:
    """Ask the agent. FEATHER_API_KEY and FEATHER_BASE_URL say where."""
    with Feather(timeout=timeout) as feather:
        try:
            thread = feather.threads.create(AGENT_ID, metadata={"customer": customer})
            return thread.ask(question).text
        except FeatherError as error:
            return excuse(error)


async def answer_async(customer: str, question: str, *, timeout: float = 30) -> str:
    """Do the same in an event loop."""
    async with AsyncFeather(timeout=timeout) as feather:
        try:
            thread = await feather.threads.create(AGENT_ID, metadata={"customer": customer})
            return (await thread.ask(question)).text
        except FeatherError as error:
            return excuse(error)


def excuse(error: FeatherError) -> str:
    """Tell the customer what became of the question."""
    if error.delivered is None:
        return UNSURE
    return LATER if error.delivered else AGAIN
