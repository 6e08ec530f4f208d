"""The state of a conversation, without flows, together with its events, its streams and the pages of its list."""

from __future__ import annotations

import json

from conversation_talk import Talk
from fake_time import EPOCH
from featherhq._core.effects import Accepted
from featherhq._threads.experience import Experience
from featherhq._threads.own import Own
from featherhq._threads.scans import AskPage
from featherhq._threads.state import ConversationState
from featherhq._threads.streams import Drop
from featherhq.models import Direction, Message
from flow_caller import NOW, THREAD
from message_stamps import stamped


class PageTalk(Talk):
    """The state of a conversation. The test opens its streams and returns the pages of its list.

    Args:
        experience: As for `Talk`.
        known_lives: As for `Talk`.
        chance: As for `Talk`.

    Attributes:
        events: The events so far.
    """

    def __init__(self, experience: Experience | None = None, *, known_lives: int = 0, chance: float = 0.0) -> None:
        super().__init__(experience, known_lives=known_lives)
        self.events: list[object] = []
        self.state = ConversationState(
            THREAD, self.experience, lambda: chance, self.server_time, {}, NOW, EPOCH, self.events.append
        )

    def open(self, within: float = 0.0) -> str:
        """Open the stream that is due after so many seconds. Returns its job."""
        job = self.connect(within)
        self.state.streams.opened(job, self.now)
        return job

    def open_after_gap(self) -> str:
        """Begin without a stream, and open one at once. Returns its job."""
        self.state.begin_without_stream(self.now)
        return self.open()

    def open_after_a_message(self, before: float, after: float = 0.1) -> None:
        """Begin without a stream, send a message after so many seconds, and let the first stream open after it."""
        self.state.begin_without_stream(self.now)
        job = self.connect()
        self.now += before
        self.send("1")
        self.now += after
        self.state.streams.opened(job, self.now)

    def end(self, job: str) -> None:
        """Let a stream end."""
        self.state.streams.ended(job, "cut", self.now)

    def send(self, id_: str) -> Own:
        """Let the server accept a message of ours."""
        return self.state.accepted(Accepted(id_, self.now, self.server_time(self.now)), self.now)

    def hear(self, job: str, *messages: tuple[str, float], thread_id: str = THREAD) -> list[Message]:
        """Let a stream bring messages of the agent. Each is an id, and how many seconds ago it was made."""
        rows = [
            {"id": id_, "threadId": thread_id, "messageBody": "x", "createdAt": self.made(id_, ago).created_at}
            for id_, ago in messages
        ]
        return self.bring(job, "".join(f"data: {json.dumps(row, default=str)}\n\n" for row in rows).encode())

    def bring(self, job: str, data: bytes) -> list[Message]:
        """Let a stream bring bytes."""
        return self.state.streams.heard(job, data, self.now)

    def made(self, id_: str, ago: float = 0.0, direction: Direction = "OUTBOUND") -> Message:
        """A message that was made so many seconds ago."""
        return stamped(id_, self.now - NOW - ago, direction=direction)

    def scan(self, within: float = 0.0) -> AskPage:
        """The request for a page. It must come after so many seconds, and not before."""
        if within:
            assert not self.pages(within - 0.01)
        (page,) = self.pages(0.02 if within else 0.0)
        return page

    def pages(self, seconds: float = 0.0) -> list[AskPage]:
        """The requests for pages after so many seconds."""
        return [command for command in self.commands(seconds) if isinstance(command, AskPage)]

    def dropped(self, seconds: float = 0.0) -> list[str]:
        """The jobs that are dropped after so many seconds."""
        return [command.job for command in self.commands(seconds) if isinstance(command, Drop)]

    def read(self, *messages: Message) -> list[Message]:
        """Let the requested page come, as the only one. Returns the new messages."""
        return self.state.scans.page(messages, None, self.now)
