"""The sandbox of `workers.py`: its agent answers slowly, in several messages, and sometimes late."""

from __future__ import annotations

import random
import time
from http import HTTPStatus
from typing import Final

from featherhq import Message
from featherhq.sandbox import Sandbox

LATEST: Final = 8.0
"""What the agent has to say later, it says at most so many seconds after the message that it answers."""


class Agents:
    """A sandbox, and what its agent still has to say.

    Args:
        rate: Requests per second that the sandbox accepts.
        dice: Decides how the agent answers.
    """

    def __init__(self, rate: float, dice: random.Random) -> None:
        self.sandbox = Sandbox(self._answer, rate_limit=rate)
        self._dice = dice
        self._seen = 0
        self._late: list[tuple[float, str]] = []

    def _answer(self, text: str, _history: list[Message]) -> list[str]:
        time.sleep(self._dice.uniform(0, 0.7))
        return [f"{text}: answer {number}" for number in range(self._dice.randint(1, 3))]

    def talk(self) -> None:
        """Say what is due. In a third of the threads, there are one or two more messages some seconds later."""
        now = time.monotonic()
        new = self.sandbox.requests[self._seen :]
        self._seen += len(new)
        for request in new:
            accepted = request.operation == "sendMessage" and request.status == HTTPStatus.OK
            if accepted and self._dice.random() < 1 / 3:
                due = now + self._dice.uniform(2, LATEST)
                self._late += [(due, _thread_of(request.path))] * self._dice.randint(1, 2)
        for late in [one for one in self._late if one[0] <= now]:
            self._late.remove(late)
            self.sandbox.say(late[1], "I have found out more.")

    def messages(self) -> list[Message]:
        """All messages of all threads to which a message was sent."""
        threads = {_thread_of(one.path) for one in self.sandbox.requests if one.operation == "sendMessage"}
        return [message for thread in threads for message in self.sandbox.messages(thread)]


def _thread_of(path: str) -> str:
    return path.split("/")[-2]
