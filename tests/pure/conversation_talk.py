"""The state of a conversation, without flows: the test sets the clock and reads the commands."""

from __future__ import annotations

from fake_time import EPOCH
from featherhq._logging import log
from featherhq._threads.experience import Experience
from featherhq._threads.state import Command, ConversationState
from featherhq._threads.streams import Connect
from flow_caller import NOW, THREAD


class Talk:
    """The state of a conversation, and a clock.

    Args:
        experience: What is known about the server. It may be shared by several conversations.
        known_lives: How many streams have lived for 100 seconds before.
        chance: What is drawn whenever something is random, from 0 to 1.

    Attributes:
        state: The state.
        experience: What is known about the server.
        now: The time now, in seconds of the monotonic clock.
    """

    def __init__(self, experience: Experience | None = None, *, known_lives: int = 0, chance: float = 0.0) -> None:
        self.now, self.experience = NOW, experience or Experience()
        for number in range(known_lives):
            self.experience.lived(100.0, NOW - 100 + number)
        self.state = ConversationState(THREAD, self.experience, lambda: chance, self.server_time, {}, NOW, EPOCH, log)

    @staticmethod
    def server_time(now: float) -> float:
        """The server's time at a moment of the monotonic clock, in seconds since 1970."""
        return EPOCH - NOW + now

    def commands(self, seconds: float = 0.0) -> list[Command]:
        """Let so many seconds pass. Returns what must be done then. Somebody has listened all the time."""
        self.now += seconds
        self.state.streams.listened(self.now)
        return self.state.commands(self.now, EPOCH - NOW + self.now)

    def connect(self, within: float = 0.0) -> str:
        """The job that opens the next stream. It must begin after so many seconds, and not before."""
        if within:
            assert not any(isinstance(command, Connect) for command in self.commands(within - 0.01))
        (job,) = (command.job for command in self.commands(0.02 if within else 0.0) if isinstance(command, Connect))
        return job

    def is_connecting(self) -> bool:
        """Whether a stream must be opened now."""
        return any(isinstance(command, Connect) for command in self.commands())
