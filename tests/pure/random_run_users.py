"""The users of a random run: they open conversations, listen, ask, send and give up."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fake_time import Process
from featherhq import FeatherError
from featherhq._core.effects import Flow, Sleep
from flow_scenarios import Chat
from random_run_setup import Attempt, Setup


class Users:
    """All users of one run: each conversation has one. Together they also send messages from the outside.

    Args:
        setup: The world of the run.

    Attributes:
        iterated: The conversations whose user takes each message as it comes.
        opened: When each conversation was open, in the world's time.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._rng, self._world, self._scenario = setup.rng, setup.world, setup.scenario
        self._users: dict[Chat, Process[None]] = {}
        self.iterated: set[Chat] = set()
        self.opened: dict[Chat, float] = {}

    def begin(self, chat: Chat) -> None:
        """Start the user of a conversation."""
        kind = self._rng.choice(["listen", "listen", "ask", "mixed"])
        if kind == "listen":
            self.iterated.add(chat)
        self._start(chat, kind, opens=True)

    def stop(self) -> None:
        """Cancel what all users do, and hand out the messages of each conversation from now on."""
        for chat, user in self._users.items():
            user.cancel()
            chat.listen()

    def send_something(self) -> None:
        """Send one or more messages, in conversations or without one. Some of the calls are cancelled."""
        if self._world.asleep:
            return
        for _ in range(self._rng.choice([1, 1, 1, 2, 4])):
            seconds = self._rng.choice([3.0, 15.0, 60.0])
            chat = self._rng.choice(self._setup.chats)
            text = self._text(chat, "send")
            opened = chat.flow._opened
            process: Process[Any] = (
                chat.send(text, seconds)
                if opened and self._rng.random() < 0.7
                else self._scenario.send(text, seconds, client=chat._settings)
            )
            self._setup.attempts.append(Attempt(text, process))
            if self._rng.random() < 0.1:
                self._world.after(self._rng.expovariate(1.0), process.cancel)

    def say_something(self) -> None:
        """Let the agent send a message that answers no question."""
        streamed = self._rng.choice([None, None, None, 0.3, 1.0])
        self._setup.server.say(self._scenario.thread_id, f"said {next(self._setup.numbers)}", streamed=streamed)

    def _start(self, chat: Chat, kind: str, *, opens: bool = False) -> None:
        user = self._users[chat] = chat._spawn(self._live(chat, kind, opens=opens), kind)
        if self._rng.random() < 0.5:
            self._cancel_later(chat, kind, user)

    def _cancel_later(self, chat: Chat, kind: str, user: Process[None]) -> None:
        """Cancel the user's task at a random time, and let another task go on."""

        def cancel() -> None:
            if self._world.now < self._setup.until and not user.done:
                user.cancel()
                self._start(chat, kind)

        self._world.after(self._rng.expovariate(1 / 300) + 3, cancel)

    def _live(self, chat: Chat, kind: str, *, opens: bool) -> Flow[None]:
        if opens:
            # After an error the conversation is open too: it does the rest of the opening later.
            with suppress(FeatherError):
                yield from chat.flow.open()
            # Messages from before this time may be handed out, or not.
            self.opened[chat] = self._world.now
        taken = 0
        while self._world.now < self._setup.until:
            there = len(self._setup.server.rows[chat.thread_id])
            if kind == "listen":
                yield from self._listen(chat, None)
            elif there > taken + 100:
                # A user that takes few messages still takes them before some hundreds wait: more would be dropped.
                taken = there
                yield from self._listen(chat, 2.0)
            elif self._rng.random() < (0.95 if kind == "ask" else 0.5):
                yield from self._ask(chat)
                yield from Sleep(self._rng.expovariate(1 / self._setup.every))
            else:
                yield from self._listen(chat, self._rng.choice([0.3, 2.0, 20.0, 100.0]))
                yield from Sleep(self._rng.choice([0.0, 1.0, 60.0]))

    def _listen(self, chat: Chat, patience: float | None) -> Flow[None]:
        try:
            yield from chat._listen(patience)
        except FeatherError:
            # For example, the server forbids the list, and there is no stream.
            yield from Sleep(1.0)

    def _ask(self, chat: Chat) -> Flow[None]:
        attempt = Attempt(self._text(chat, "ask"))
        self._setup.attempts.append(attempt)
        deadline = self._scenario.client.deadline(self._rng.choice([1.0, 10.0, 60.0]))
        try:
            yield from chat._hand_out(chat.flow.ask(attempt.text, deadline))
            attempt.confirmed = True
        except FeatherError as error:
            attempt.error = error
            attempt.confirmed = error.delivered is True

    def _text(self, chat: Chat, what: str) -> str:
        # Only one client sends equal texts: a client cannot tell its own message from an equal one of another client.
        equal = chat._settings is self._scenario.client and self._rng.random() < 0.2
        return "same" if equal else f"{what} {next(self._setup.numbers)}"
