"""Cut processes at random while the agent talks, and resume each time from the last bookmark.

A *life* is one process: a client of its own, with a conversation that goes on from the bookmark that the last life
stored. After each message, the life stores the message and the bookmark together.
"""

from __future__ import annotations

import random
from typing import Any

from featherhq._core.effects import Flow
from flow_scenarios import KEY, Chat, Scenario
from model_server import Handed, Options


class Lives:
    """Many lives that read one thread, one after the other.

    Args:
        seed: The seed of all that is random.
        lives: How many lives.
        longest: The longest life, in seconds.
        pause: The longest time between two messages of the agent, in seconds.
        old: How many older messages the thread has.
        from_message: Whether the first life goes on after an old message, and not at a bookmark.
        options: The options of the server.

    Attributes:
        scenario: The world.
        handed: What all lives have stored, in this order.
        bookmark: The bookmark that was stored last.
        longest_bookmark: The length of the longest bookmark.
        cuts: How many lives were cut.
    """

    def __init__(
        self,
        seed: int,
        *,
        lives: int = 30,
        longest: float = 12.0,
        pause: float = 2.0,
        old: int = 0,
        from_message: bool = False,
        options: Options | None = None,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self.scenario = Scenario(seed=seed, old=old, server=options or Options())
        self.handed: list[Handed] = []
        self.bookmark: str | None = None
        self.longest_bookmark = self.cuts = 0
        self._lives, self._longest, self._pause = lives, longest, pause
        self._from_message = from_message
        self._talks = True
        self._number = 0

    def run(self) -> None:
        """Run all lives, and then one that reads to the end."""
        world = self.scenario.world
        self.bookmark = self._first_place()
        world.after(0.1, self._talk)
        for number in range(self._lives):
            length = self._rng.choice([0.3, 1.0, 3.0, self._longest]) * self._rng.random()
            chat = self._life()
            if self._rng.random() < 0.5:
                world.after(self._rng.random() * length, self.scenario.server.cut)
            world.run_for(length)
            self._end(chat)
            self.cuts += 1
            world.run_for(self._rng.choice([0.0, 0.5, 8.0]) * self._rng.random())
            if number == self._lives - 2:
                self._talks = False
        chat = self._life()
        world.run_for(400.0)
        self._end(chat)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.handed]

    @property
    def said(self) -> list[str]:
        """The texts that must have been stored, in the server's order."""
        return [row.text for row in self.scenario.server.expected(self.scenario.thread_id, 0.0) if row.text[0] == "m"]

    def _first_place(self) -> str:
        """Where the first life goes on: after an old message, or at a bookmark from before the agent talks."""
        old = self.scenario.server.rows[self.scenario.thread_id]
        if old and self._from_message:
            return old[-1].id
        first = self.scenario.chat
        first.open()
        bookmark = first.flow.bookmark()
        first.close()
        return bookmark

    def _life(self) -> Chat:
        scenario = self.scenario
        chat = scenario.conversation(scenario.settings(), after=self.bookmark)
        self._spawned = scenario.world.spawn(self._read(chat), chat.mailbox, name="life")
        return chat

    def _read(self, chat: Chat) -> Flow[None]:
        yield from chat.flow.open()
        while (message := (yield from chat.flow.next(None))) is not None:
            self.handed.append(Handed(message.id, message.text, self.scenario.world.now))
            self.bookmark = chat.flow.bookmark()
            self.longest_bookmark = max(self.longest_bookmark, len(self.bookmark))

    def _end(self, chat: Chat) -> None:
        """Cut a life: nothing of it goes on."""
        self._spawned.cancel()
        chat.mailbox.close()
        self.scenario.world.run_for(0.0)

    def _talk(self, **how: Any) -> None:
        if not self._talks:
            return
        self._number += 1
        self.scenario.server.say(self.scenario.thread_id, f"m{self._number}", **how)
        if self._rng.random() < 0.2:
            self.scenario.server.say(self.scenario.thread_id, f"u{self._number}", direction="INBOUND")
        self.scenario.world.after(self._rng.random() * self._pause, self._talk)


__all__ = ["KEY", "Lives"]
