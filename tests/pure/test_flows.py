"""Flows in fake time, against a model of the server: what a conversation promises, whatever the server is like."""

from __future__ import annotations

import random
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
from model_server import (
    BASE_URL,
    Handed,
    ModelServer,
    Options,
    check_once,
    check_order,
    drawn,
    lateness,
    mishaps,
    status,
)

MINUTE = 60.0
HOUR = 3600.0
KEY = "sandbox-key"

Agent = Callable[[str], Iterable[tuple[float, str]]]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """An hour has many warnings."""
    logger.setLevel("ERROR")
    yield
    logger.setLevel("NOTSET")


class Chat:
    """A conversation, and what it has handed out.

    Attributes:
        thread_id: Its thread.
        flow: What makes its flows.
        handed: What was handed out, in that order, by `ask` too.
    """

    def __init__(self, scenario: Scenario, settings: Settings, thread_id: str) -> None:
        self.thread_id = thread_id
        self.handed: list[Handed] = []
        self.began = scenario.world.now
        self._world, self._settings, self._server = scenario.world, settings, scenario.server
        self._mailbox = scenario.world.mailbox()
        self.flow = ConversationFlow(settings, thread_id)

    @property
    def texts(self) -> list[str]:
        """The texts of what was handed out."""
        return [message.text for message in self.handed]

    def open(self) -> None:
        """Open it, and wait for that."""
        self._world.run_until(self.open_soon()).value()

    def open_soon(self) -> Process[None]:
        """Open it."""
        return self._spawn(self.flow.open(), "open")

    def listen(self) -> Process[None]:
        """Hand out what comes, until it is closed."""
        return self._spawn(self._listen(None), "listen")

    def open_and_listen(self) -> Process[None]:
        """Open it, and hand out what comes, without waiting for either."""
        return self._spawn(self._open_and_listen(), "open and listen")

    def replies(self, patience: float) -> Process[None]:
        """Hand out what comes, until there was nothing for so long."""
        return self._spawn(self._listen(patience), "replies")

    def send(self, text: str, seconds: float = 60.0) -> Process[SentMessage]:
        """Send a message."""
        return self._spawn(self.flow.send(text, self._settings.deadline(seconds)), f"send {text}")

    def ask(self, text: str, seconds: float = 60.0) -> Process[Message]:
        """Send a message, and wait for the reply."""
        return self._spawn(self._hand_out(self.flow.ask(text, self._settings.deadline(seconds))), f"ask {text}")

    def ask_once(self, text: str, seconds: float = 60.0) -> Process[Message]:
        """As `ask`, in a conversation for this one turn, which is not to be opened."""
        flow = self._hand_out(self.flow.ask_once(text, self._settings.deadline(seconds)))
        return self._world.spawn(flow, self._mailbox, name=f"ask once {text}", ends_mailbox=True)

    def close_client(self) -> None:
        """Close its client, and it with it."""
        self._mailbox.post(Closed("client"))

    def close(self) -> None:
        """Close it, as the end of its block does."""
        self._mailbox.post(self.flow.close())
        self._world.run_for(0.001)
        self._mailbox.close()

    def late(self) -> float:
        """Seconds that the latest of the messages was handed out after it could be known."""
        return max(lateness(self._server, self.thread_id, self.handed, KEY).values(), default=0.0)

    def check(self, **owed: Any) -> None:
        """Each message since it began was handed out once and in order.

        What a stream brings waits two seconds, and no longer, for a list that is being read, or cannot be; so where
        pages are small, it may come before what they show.
        """
        slack = 2.1 if self._server.options.largest_page >= 20 else 20.0
        check_once(self._server.expected(self.thread_id, self.began), self.handed, **owed)
        check_order(self._server, self.thread_id, self.handed, KEY, slack=slack)

    def _spawn(self, flow: Flow[Any], name: str) -> Process[Any]:
        return self._world.spawn(flow, self._mailbox, name=name)

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
    """A world, a server and a client in it.

    Args:
        seed: Of all that is random.
        agent: As for `ModelServer`.
        old: Messages of yesterday in the first thread.
        client: Settings of the first client, as for `settings`.
        server: The server's options, in the place of those that follow.
        options: The server's options.

    Attributes:
        world: The world.
        server: The server.
        thread_id: The first thread.
        client: The first client.
        chat: A conversation of the client in the thread; not opened.
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
        """Another client's settings."""
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
        """Send a message to the first thread, or to another, without a conversation."""
        settings = client or self.client
        flow = send(settings, thread_id or self.thread_id, text, settings.deadline(seconds))
        return self.world.spawn(flow, name=f"send {text}")

    def conversation(self, client: Settings | None = None, thread_id: str | None = None) -> Chat:
        """Another conversation."""
        return Chat(self, client or self.client, thread_id or self.thread_id)

    def say(self, at: float, text: str, **how: Any) -> None:
        """Have the agent say something in the first thread, so many seconds from now."""
        self.world.after(at, partial(self.server.say, self.thread_id, text, **how))

    def run(self, seconds: float) -> None:
        """Go on for so long; nothing but the library's own errors may end a flow."""
        self.world.run_for(seconds)
        assert all(isinstance(error, FeatherError) for error in self.world.errors), self.world.errors

    def listening(self) -> Scenario:
        """It, with the conversation open and listened to."""
        self.chat.open()
        self.chat.listen()
        return self

    def cost(self, since: float = 0.0, until: float = 1e12) -> int:
        """The requests that left within a time."""
        return sum(self.server.cost(since, until).values())


# Nothing lost, nothing twice, and in order.


def test_what_a_stream_leaves_out_comes_with_the_next_look() -> None:
    """Which is made when the stream ends, at the latest."""
    scenario = Scenario().listening()
    scenario.say(1, "one")
    scenario.say(2, "two", streamed=False)
    scenario.say(3, "three")
    scenario.run(100)
    assert sorted(scenario.chat.texts) == ["one", "three", "two"]
    scenario.chat.check()
    assert scenario.chat.late() < 3


def test_pushes_out_of_order_with_a_cut_between() -> None:
    """What was overtaken and then cut off is found, and what was brought is not given twice."""
    scenario = Scenario().listening()
    scenario.say(1, "one", streamed=0.4)
    scenario.say(1.1, "two")
    scenario.world.after(1.3, scenario.server.cut)
    scenario.run(100)
    assert sorted(scenario.chat.texts) == ["one", "two"]
    scenario.chat.check()
    assert scenario.chat.late() < 3


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_older_row_that_a_list_shows_later(newest_first: bool) -> None:
    """Where there is no stream: by 150 ms, at each moment between two looks."""
    for shift in range(0, 3000, 130):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=5).listening()
        asked = scenario.chat.send("hello")
        scenario.world.run_until(asked)
        scenario.say(shift / 1000, "older", listed_after=0.2)
        scenario.say(shift / 1000 + 0.05, "younger", listed_after=0.0)
        scenario.run(120)
        assert sorted(scenario.chat.texts) == ["older", "younger"], shift
        scenario.chat.check()


def test_a_look_in_the_line_keeps_no_reply_waiting() -> None:
    """The stream is heard while a look waits for its slot, and is not given up for it."""
    scenario = Scenario(life=None, heartbeat=None, client={"rate_limit": 1.0}).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    for _ in range(50):
        # They line up with what somebody waits for, before any look.
        scenario.conversation(thread_id=scenario.server.thread()).open_soon()
    scenario.say(20, "reply")
    scenario.run(100)
    assert scenario.chat.texts == ["reply"]
    assert scenario.chat.late() < 0.1
    assert scenario.server.cost(thread_id=scenario.thread_id)["streamMessages"] == 1


def test_an_hours_retry_after_silences_nothing() -> None:
    """A reconnection is told to come again in an hour; until then the list is looked at."""
    scenario = Scenario(life=(10, 10)).listening()
    scenario.run(5)
    scenario.server.refuse_streams(503, retry_after="3600")
    scenario.say(20, "one")
    scenario.say(200, "two")
    scenario.run(400)
    assert scenario.chat.texts == ["one", "two"]
    assert scenario.chat.late() < 31


@pytest.mark.parametrize("asleep", [30.0, HOUR, 12 * HOUR])
def test_a_machine_asleep_loses_nothing(asleep: float) -> None:
    """What was said while it slept comes soon after."""
    scenario = Scenario(life=None).listening()
    scenario.run(20)
    scenario.world.fall_asleep(asleep)
    scenario.say(asleep / 2, "meanwhile")
    scenario.say(asleep + 5, "after")
    scenario.run(asleep + 200)
    assert scenario.chat.texts == ["meanwhile", "after"]
    woke = 20 + asleep
    assert all(message.at < woke + 100 for message in scenario.chat.handed)


def test_a_deleted_mark() -> None:
    """The last message that was known is gone; what follows is found all the same, and nothing old is given."""
    for newest_first in (False, True):
        scenario = Scenario(old=7, largest_page=3, stream_status=404, newest_first=newest_first).listening()
        scenario.say(5, "one")
        scenario.run(60)
        assert scenario.chat.texts == ["one"]
        scenario.server.delete(scenario.server.expected(scenario.thread_id)[-1])
        scenario.say(5, "two")
        scenario.run(120)
        assert scenario.chat.texts == ["one", "two"]


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_guessed_cursors_may_be_refused(bad_cursor: int | str, newest_first: bool) -> None:
    """Or have nothing after them: then lists are read from their beginning."""
    options: dict[str, Any] = {"any_cursor": False, "bad_cursor": bad_cursor, "newest_first": newest_first}
    scenario = Scenario(old=250, stream_status=404, **options).listening()
    for number in range(5):
        scenario.say(30 * number, str(number))
    scenario.run(300)
    assert scenario.chat.texts == ["0", "1", "2", "3", "4"]
    assert scenario.chat.late() < 40


# What is a reply, and what is not.


@pytest.mark.parametrize("streams", [200, 404])
def test_a_reply_may_be_stamped_before_its_question(streams: int) -> None:
    """By two seconds: the clocks of users' and agents' messages differ."""
    skews: dict[str, Any] = {"inbound_skew": 1.0, "outbound_skew": -1.0}
    scenario = Scenario(agent=lambda text: [(0.3, f"re: {text}")], old=4, stream_status=streams, **skews)
    scenario.chat.open()
    for text in ("one", "two"):
        assert scenario.world.run_until(scenario.chat.ask(text)).value().text == f"re: {text}"
    once = scenario.conversation().ask_once("three")
    assert scenario.world.run_until(once).value().text == "re: three"


@pytest.mark.parametrize("once", [False, True])
def test_what_a_stream_replays_is_no_reply(once: bool) -> None:
    """Yesterday's messages, sent again when the stream is opened."""
    scenario = Scenario(agent=lambda _: [(2.0, "reply")], old=6, replay=3)
    if once:
        asked = scenario.chat.ask_once("hello")
    else:
        scenario.chat.open()
        asked = scenario.chat.ask("hello")
    assert scenario.world.run_until(asked).value().text == "reply"


def test_old_messages_of_one_time_are_not_new() -> None:
    """Where all bear the same time, or none, what stood there before is not handed out."""
    for stamps in ("same", "none"):
        scenario = Scenario(old=20, stamps=stamps, life=(20, 20)).listening()
        scenario.say(50, "new")
        scenario.run(200)
        assert scenario.chat.texts == ["new"]


# What it costs, and when it comes.


def test_an_idle_conversation_costs_two_requests_a_life() -> None:
    """At the most, over an hour; and hardly any waits."""
    scenario = Scenario(old=10).listening()
    scenario.run(HOUR)
    lives = len(scenario.server.streams)
    assert lives > 40
    assert scenario.cost() <= 2 * lives + 2
    assert sum(scenario.world.waits.values()) < 10 * HOUR / 15


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}], ids=["mute", "polling"])
def test_a_reply_comes_without_a_stream(options: dict[str, Any]) -> None:
    """Within six seconds of when it was said."""
    for delay in (0.1, 1.0, 3.0):
        scenario = Scenario(agent=lambda text: [(float(text), "reply")], **options)
        scenario.chat.open()
        asked = scenario.world.run_until(scenario.chat.ask(str(delay)))
        assert asked.value().text == "reply"
        assert asked.took < delay + 6


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
def test_a_minute_of_silence_costs_six_requests(options: dict[str, Any]) -> None:
    """At the most, after a message that nobody answers."""
    scenario = Scenario(life=None, **options).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    scenario.run(MINUTE)
    assert scenario.cost(sent, sent + MINUTE) <= 6


def test_a_404_on_a_reconnection_is_not_the_end_of_streams() -> None:
    """A deploy answers so for a while. Later there is a stream again, and messages come at once."""
    scenario = Scenario(life=(20, 20)).listening()
    scenario.say(1, "one")
    scenario.run(10)
    scenario.server.refuse_streams(404, seconds=60)
    scenario.run(10 * MINUTE)
    since = scenario.world.now
    for number in range(20):
        scenario.say(13.0 * number, str(number))
    scenario.run(300)
    assert len(scenario.chat.handed) == 21
    assert scenario.chat.late() < 31
    late = [message.at - since - 13.0 * int(message.text) for message in scenario.chat.handed[1:]]
    assert sorted(late)[10] < 0.1


def test_a_cancelled_call_takes_nothing_with_it() -> None:
    """Whenever a caller gives up, the conversation goes on: the next call gets what came, once."""
    for tenths in range(0, 60, 3):
        scenario = Scenario(life=(3, 3), counting=None)
        scenario.chat.open()
        for number in range(5):
            scenario.say(number + 0.5, str(number))
        listener = scenario.chat.listen()
        scenario.world.after(tenths / 10, listener.cancel)
        scenario.run(tenths / 10 + 0.01)
        scenario.chat.listen()
        scenario.run(100)
        assert scenario.chat.texts == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
def test_a_deploy_cuts_all_streams_at_once(counting: str) -> None:
    """A hundred conversations of one key, one of which waits for a reply: that one is served first, nobody is refused,
    and nobody loses what was said meanwhile.
    """
    scenario = Scenario(counting=counting, life=None)
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(100)]
    for chat in chats:
        chat.open_soon()
    scenario.run(30)
    for chat in chats[:-1]:
        chat.listen()
    asked = chats[-1].ask("hello")
    scenario.run(1)
    assert scenario.server.received(chats[-1].thread_id) == ["hello"]
    assert scenario.server.cut() == 100
    for chat in chats:
        scenario.world.after(0.5, partial(scenario.server.say, chat.thread_id, "meanwhile"))
    assert scenario.world.run_until(asked).took < 5
    scenario.run(120)
    for chat in chats:
        assert chat.texts == ["meanwhile"]
    assert not scenario.server.refused


# Whatever the server is like.


@pytest.mark.parametrize("seed", range(40))
def test_each_message_once(seed: int) -> None:
    """Servers that are odd in many ways, and mishaps: nothing is lost, and nothing comes, or is sent, twice."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    scenario = Scenario(
        seed=seed,
        agent=lambda text: [(rng.uniform(0, 5), f"{text}.{number}") for number in range(rng.choice([0, 1, 1, 3]))],
        old=rng.choice([0, 5, 300]),
        server=drawn(rng),
    )
    scenario.server.fault("streamMessages", *[status(503, retry_after="0")] * rng.randint(0, 2))
    scenario.listening()
    scenario.server.plan = mishaps(rng.choice([0.0, 0.02, 0.2]), "sendMessage", "listMessages", "streamMessages")
    sent = []
    for number in range(20):
        scenario.run(rng.choice([0.0, 0.1, 3.0, 30.0]))
        sent.append(scenario.chat.send(str(number)))
        if rng.random() < 0.1:
            scenario.server.cut(ending=rng.choice(["ended", "lost", "died"]))
    scenario.server.plan = None
    scenario.run(20 * MINUTE)
    received = scenario.server.received(scenario.thread_id)
    new = [text for text in received if not text.startswith("old")]
    assert len(new) == len(set(new))
    assert all(process.done for process in sent)
    assert {str(number) for number, process in enumerate(sent) if process.error is None} <= set(new)
    scenario.chat.check()
