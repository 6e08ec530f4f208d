"""A scenario for tests of flows: a world in fake time, a model of the server, and a client with a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest
from fake_time import Process, World
from featherhq import FeatherError
from featherhq._core.effects import Closed, Flow
from featherhq._logging import logger
from featherhq._settings import Settings
from featherhq._threads.conversation import ConversationFlow
from featherhq._threads.send import Sent, send
from featherhq.models import Message, SentMessage
from model_server import BASE_URL, Handed, ModelServer, Options, check_once, check_order, lateness

MINUTE = 60.0
HOUR = 3600.0
KEY = "sandbox-key"

Agent = Callable[[str], Iterable[tuple[float, str]]]
"""Returns the replies to a text: pairs of a delay in seconds and a text."""


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Log only errors, because an hour of fake time has many warnings."""
    logger.setLevel("ERROR")
    yield
    logger.setLevel("NOTSET")


class Chat:
    """A conversation, and the messages that it has handed out.

    Attributes:
        thread_id: The id of its thread.
        flow: The object under test: it makes the flows of the conversation.
        handed: The messages that it has handed out, in that order. Those that `ask` returned are among them.
        began: When the conversation was made, in the world's time.
    """

    def __init__(self, scenario: Scenario, settings: Settings, thread_id: str, after: object = None) -> None:
        self.thread_id = thread_id
        self.handed: list[Handed] = []
        self.began = scenario.world.now
        self._world, self._settings, self._server = scenario.world, settings, scenario.server
        self.mailbox = scenario.world.mailbox()
        self.flow = ConversationFlow(settings, thread_id, after)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages that were handed out."""
        return [message.text for message in self.handed]

    def open(self) -> None:
        """Open the conversation, and wait until it is open."""
        self._world.run_until(self.open_soon()).value()

    def open_soon(self) -> Process[None]:
        """Start to open the conversation."""
        return self._spawn(self.flow.open(), "open")

    def listen(self) -> Process[None]:
        """Hand out messages until the conversation is closed."""
        return self._spawn(self._listen(None), "listen")

    def open_and_listen(self) -> Process[None]:
        """Start to open the conversation, and then to hand out messages."""
        return self._spawn(self._open_and_listen(), "open and listen")

    def replies(self, patience: float) -> Process[None]:
        """Hand out messages until none has come for `patience` seconds."""
        return self._spawn(self._listen(patience), "replies")

    def send(self, text: str, seconds: float = 60.0) -> Process[SentMessage]:
        """Send a message."""
        return self._spawn(self.flow.send(text, self._settings.deadline(seconds)), f"send {text}")

    def ask(self, text: str, seconds: float = 60.0) -> Process[Message]:
        """Send a message, and hand out the reply."""
        return self._spawn(self._hand_out(self.flow.ask(text, self._settings.deadline(seconds))), f"ask {text}")

    def ask_once(self, text: str, seconds: float = 60.0) -> Process[Message]:
        """Like `ask`, but in a conversation for this one question. The caller does not open it."""
        flow = self._hand_out(self.flow.ask_once(text, self._settings.deadline(seconds)))
        return self._world.spawn(flow, self.mailbox, name=f"ask once {text}", ends_mailbox=True)

    def close_client(self) -> None:
        """Close the client, which closes the conversation too."""
        self.mailbox.post(Closed("client"))

    def close(self) -> None:
        """Close the conversation, as the end of its `with` block does."""
        self.mailbox.post(self.flow.close())
        self._world.run_for(0.001)
        self.mailbox.close()

    def late(self) -> float:
        """Return the longest delay in seconds from when the client could know a message until it was handed out."""
        return max(lateness(self._server, self.thread_id, self.handed, KEY).values(), default=0.0)

    def check(self, **owed: Any) -> None:
        """Check that each message since the beginning was handed out once and in order.

        A message from a stream waits at most two seconds for a scan that is running or has failed. A scan of small
        pages takes longer, so such a message may be handed out before the messages that the scan finds.
        """
        slack = 2.1 if self._server.options.largest_page >= 20 else 20.0
        check_once(self._server.expected(self.thread_id, self.began), self.handed, **owed)
        check_order(self._server, self.thread_id, self.handed, KEY, slack=slack)

    def _spawn(self, flow: Flow[Any], name: str) -> Process[Any]:
        return self._world.spawn(flow, self.mailbox, name=name)

    def _open_and_listen(self) -> Flow[None]:
        yield from self.flow.open()
        yield from self._listen(None)

    def _listen(self, patience: float | None) -> Flow[None]:
        while (message := (yield from self.flow.next(patience))) is not None:
            self._note(message)

    def _hand_out(self, flow: Flow[Message]) -> Flow[Message]:
        message = yield from flow
        self._note(message)
        return message

    def _note(self, message: Message) -> None:
        self.handed.append(Handed(message.id, message.text, self._world.now))


class Scenario:
    """A world with a server and a client.

    Args:
        seed: The seed of everything that is random.
        agent: The agent, as for `ModelServer`.
        old: How many messages of yesterday the first thread has.
        client: The settings of the first client, as for `settings`.
        server: The options of the server. If it is given, `options` are ignored.
        options: The options of the server, by name.

    Attributes:
        world: The world.
        server: The server.
        thread_id: The id of the first thread.
        client: The settings of the first client.
        chat: A conversation of this client in this thread. It is not open yet.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        agent: Agent | None = None,
        old: int = 0,
        client: dict[str, Any] | None = None,
        server: Options | None = None,
        **options: Any,
    ) -> None:
        self.world = World(seed)
        self.server = ModelServer(self.world, server or Options(**options), agent=agent, seed=seed)
        self.thread_id = self.server.thread()
        self.server.old(self.thread_id, old)
        self.client = self.settings(**(client or {}))
        self.chat = self.conversation()

    def settings(self, key: str = KEY, **options: Any) -> Settings:
        """Return the settings of another client."""
        given: dict[str, Any] = {
            "base_url": BASE_URL,
            "timeout": 60.0,
            "max_retries": 2,
            "rate_limit": 10.0,
            "headers": None,
        }
        settings = Settings.read(key, **(given | options))
        clocks: dict[str, Any] = {
            "clock": self.world.clock,
            "wall_clock": self.world.wall_clock,
            "random": self.world.random.random,
        }
        return attrs.evolve(settings, **clocks)

    def send(
        self, text: str, seconds: float = 60.0, *, client: Settings | None = None, thread_id: str | None = None
    ) -> Process[Sent]:
        """Send a message without a conversation, to the first thread if no other is given."""
        settings = client or self.client
        flow = send(settings, thread_id or self.thread_id, text, settings.deadline(seconds))
        return self.world.spawn(flow, name=f"send {text}")

    def conversation(
        self, client: Settings | None = None, thread_id: str | None = None, *, after: object = None
    ) -> Chat:
        """Make another conversation. `after` says where it goes on."""
        return Chat(self, client or self.client, thread_id or self.thread_id, after)

    def say(self, at: float, text: str, **how: Any) -> None:
        """Let the agent send a message in the first thread, `at` seconds from now."""
        self.world.after(at, partial(self.server.say, self.thread_id, text, **how))

    def run(self, seconds: float) -> None:
        """Run the world for some seconds, and check that only the library's own errors end a flow."""
        self.world.run_for(seconds)
        assert all(isinstance(error, FeatherError) for error in self.world.errors), self.world.errors

    def listening(self) -> Scenario:
        """Open the conversation and hand out its messages in the background. Return the scenario."""
        self.chat.open()
        self.chat.listen()
        return self

    def cost(self, since: float = 0.0, until: float = 1e12) -> int:
        """Return the number of requests that the client sent between two times."""
        return sum(self.server.cost(since, until).values())


def ask_and_wait(scenario: Scenario, chat: Chat, text: str, seconds: float = 60.0) -> Process[Message]:
    """Ask, run the world until the reply or an error comes, and return the ended process."""
    return scenario.world.run_until(chat.ask(text, seconds))
