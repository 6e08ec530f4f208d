"""Conversations in fake time: no reply is lost, late or wrong, and none of it costs more than it must."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import closing, suppress
from functools import partial
from itertools import count
from statistics import median, quantiles
from typing import Any

import attrs
import pytest
from fake_time import Process
from featherhq import ReplyTimeoutError
from featherhq._core.effects import Cancel, Flow, Start
from featherhq._logging import logger
from featherhq.models import Message
from model_server import (
    INBOUND,
    OUTBOUND,
    Call,
    Fault,
    ModelServer,
    Row,
    late_answer,
    lost_after,
    never_sent,
    silence,
    slow,
    stale,
    status,
)
from test_flows import HOUR, KEY, MINUTE, Chat, Scenario, quiet

__all__ = ["quiet"]


def answered(scenario: Scenario, chat: Chat, text: str, seconds: float = 60.0) -> Process[Message]:
    """Ask, and wait for the reply."""
    return scenario.world.run_until(chat.ask(text, seconds))


# Lost.


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("newest_first", [False, True])
def test_what_a_lasting_stream_leaves_out_is_found(heartbeat: float | None, newest_first: bool) -> None:
    """The stream never ends, and nobody waits: a check finds it within six minutes."""
    scenario = Scenario(life=None, heartbeat=heartbeat, newest_first=newest_first, old=30).listening()
    scenario.say(1, "one")
    scenario.say(2, "two", streamed=False)
    scenario.say(3, "three")
    scenario.run(HOUR)
    assert sorted(scenario.chat.texts) == ["one", "three", "two"]
    scenario.chat.check()
    assert max(message.at for message in scenario.chat.handed) < 6 * MINUTE
    # One check after a quiet while, and none for ever after; a stream without heartbeats is doubted each ten minutes.
    assert scenario.server.cost()["listMessages"] <= (3 if heartbeat else 3 + 6)


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_was_left_out_between_two_replies_is_found(newest_first: bool) -> None:
    """Each silence is looked into, and each of these looks reads back to before the gap."""
    for seed in range(12):
        rng = random.Random(seed)  # noqa: S311 - no secret
        scenario = Scenario(seed=seed, newest_first=newest_first, old=30).listening()
        for number in range(12):
            streamed = False if rng.random() < 0.5 else rng.choice([None, 0.3])
            scenario.say(rng.uniform(0, 300), str(number), streamed=streamed)
            scenario.world.after(rng.uniform(0, 300), scenario.server.cut)
            scenario.world.after(rng.uniform(0, 300), partial(scenario.chat.send, f"hello {number}"))
        scenario.run(900)
        scenario.chat.check()
        assert max(message.at for message in scenario.chat.handed) < 600


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("old", [0, 300])
@pytest.mark.parametrize("wait", [2.0, 20.0])
def test_what_was_left_out_before_the_first_message_is_found(newest_first: bool, old: int, wait: float) -> None:
    """A stream leaves out what the agent says of its own; then this conversation sends its first message."""
    for cut_after in (0.0, 0.5, 30.0):
        scenario = Scenario(newest_first=newest_first, old=old, life=None).listening()
        scenario.say(5, "left out", streamed=False)
        scenario.run(5 + wait)
        scenario.world.run_until(scenario.chat.send("hello"))
        scenario.say(1, "reply")
        scenario.world.after(cut_after, scenario.server.cut)
        scenario.run(10 * MINUTE)
        scenario.chat.check()


@pytest.mark.parametrize("newest_first", [False, True])
def test_rows_that_a_list_shows_late_in_any_order(newest_first: bool) -> None:
    """Without a stream: each row is listed up to eight seconds after it was made, younger ones before older ones."""
    for seed in range(10):
        scenario = Scenario(seed=seed, stream_status=404, newest_first=newest_first, lag=(0.0, 8.0), old=40).listening()
        for number in range(30):
            scenario.say(scenario.world.random.uniform(0, 120), str(number))
        scenario.run(400)
        scenario.chat.check()
        assert scenario.chat.late() < 60


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("stamps", ["millisecond", "second"])
@pytest.mark.parametrize("skew", [-1.4, -0.4, 0.4, 1.4])
def test_rows_of_one_moment_do_not_tell_which_way_a_list_runs(newest_first: bool, stamps: Any, skew: float) -> None:
    """In small pages, and with users' and agents' messages stamped by clocks that differ."""
    for streams in (404, 200):
        scenario = Scenario(
            agent=lambda text: [(0.02, f"re: {text}.0"), (0.05, f"re: {text}.1")],
            newest_first=newest_first,
            stamps=stamps,
            outbound_skew=skew,
            largest_page=2,
            stream_status=streams,
            mute=streams == 200,
        ).listening()
        for number in range(8):
            scenario.chat.send(f"{number}a")
            scenario.chat.send(f"{number}b")
            scenario.run(40)
        scenario.run(6 * MINUTE)
        scenario.chat.check()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("largest_page", [1, 3])
@pytest.mark.parametrize("whose", [INBOUND, OUTBOUND], ids=["others", "the agent's"])
def test_a_mark_moves_over_nothing_that_may_still_show_up(newest_first: bool, largest_page: int, whose: str) -> None:
    """Small pages, so that a look ends at the mark: an older row shows up seconds after ten younger ones were read."""
    for shift in range(0, 4000, 250):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=12, largest_page=largest_page).listening()
        scenario.world.run_until(scenario.chat.send("hello"))
        scenario.say(0.5, "older", listed_after=4.0 + shift / 1000)
        for number in range(10):
            scenario.say(0.6 + number / 100, f"younger {number}", direction=whose)
        # More to read, so that there are looks.
        for number in range(8):
            scenario.say(2.0 + number * 2, f"later {number}")
        scenario.run(3 * MINUTE)
        scenario.chat.check()


def test_a_stream_heard_while_a_look_is_under_way_is_healthy() -> None:
    """A look takes three seconds, and what comes meanwhile comes by the stream too: it is kept, and not polled."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re: {text}")], heartbeat=None, life=None, stream_way=(0.3, 0.5))
    scenario.listening()
    for number in range(30):
        scenario.server.fault("listMessages", late_answer(3.0))
        scenario.chat.send(str(number))
        # Silences of each length, so that looks are under way when something comes.
        scenario.say(4.9 + number / 10, f"more {number}")
        scenario.run(13)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1
    assert scenario.chat.late() < 2.1


def test_what_the_list_shows_before_the_stream_brings_it_was_not_left_out() -> None:
    """A stream may be a second behind the list."""
    scenario = Scenario(stream_way=(1.0, 1.0), life=None, heartbeat=None).listening()
    for number in range(20):
        scenario.chat.send(str(number))
        scenario.say(5.0, f"re: {number}")
        scenario.run(20 + number / 7)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1


def test_a_reply_that_came_before_its_message_was_confirmed() -> None:
    """The stream brings the reply while the POST still waits for its answer: it is given at once after that."""
    scenario = Scenario(agent=lambda _: [(0.5, "reply")], life=None)
    scenario.chat.open()
    for seconds, wait in ((60.0, 10.0), (9.0, 5.9), (30.0, 19.0)):
        scenario.server.fault("sendMessage", late_answer(wait))
        asked = answered(scenario, scenario.chat, "hello", seconds)
        assert asked.value().text == "reply"
        assert asked.took < wait + 0.2


def test_a_reply_at_the_last_moment_is_given() -> None:
    """What has come by the time that an `ask` ends is read before a timeout is raised."""
    for tenths in range(1, 40):
        delay = 4.0 - tenths / 100
        scenario = Scenario(agent=lambda _, delay=delay: [(delay - 0.2, "reply")], life=None, latency=(0.02, 0.02))  # type: ignore[misc]
        scenario.chat.open()
        assert answered(scenario, scenario.chat, "hello", 4.0).value().text == "reply", delay


def test_a_reply_that_a_busy_machine_has_not_read_yet_is_given() -> None:
    """It lies in the client's memory behind a heartbeat when time is up, as the machine was busy."""
    scenario = Scenario(life=None, heartbeat=None)
    late = [0.0]
    busy = attrs.evolve(scenario.client, clock=lambda: scenario.world.clock() + late[0])
    chat = scenario.conversation(busy)
    chat.open()
    asked = chat.ask("hello", 5.0)
    scenario.run(3)
    stream = scenario.server.open_streams()[0]

    def arrive() -> None:
        assert stream.connection is not None
        stream.connection.write(b": heartbeat\n\n")
        stream.connection.write(
            scenario.server._event(scenario.server.say(scenario.thread_id, "reply", streamed=False))
        )
        late[0] = 10.0

    scenario.world.after(0, arrive)
    scenario.run(1)
    assert asked.value().text == "reply"


def test_an_endless_look_holds_up_no_end() -> None:
    """A conversation is closed while the list does not answer: who iterates is done at once."""
    scenario = Scenario().listening()
    scenario.server.fault("listMessages", *[silence()] * 9)
    scenario.run(5)
    scenario.server.cut()
    scenario.run(3)
    listener = next(process for process in scenario.world.processes if process.name == "listen")
    assert scenario.server.cost()["listMessages"] == 1
    scenario.chat.close()
    assert listener.done
    assert listener.error is None
    assert not scenario.chat._mailbox.jobs


@pytest.mark.parametrize("patience", [0.2, 0.3, 1.0])
@pytest.mark.parametrize("options", [{"stream_status": 404}, {}], ids=["polling", "stream"])
def test_short_waits_lose_nothing(patience: float, options: dict[str, Any]) -> None:
    """Waits shorter than a look takes, one after the other, give all that comes."""
    scenario = Scenario(latency=(0.5, 0.6), **options)
    scenario.chat.open()
    scenario.world.run_until(scenario.chat.send("hello"))
    for number in range(5):
        scenario.say(1 + 7.0 * number, str(number))
    while scenario.world.now < 3 * MINUTE:
        scenario.world.run_until(scenario.chat.replies(patience))
    scenario.chat.check()
    assert scenario.chat.late() < 35
    assert scenario.cost() < 40


def test_cancelled_waits_lose_nothing() -> None:
    """As `asyncio.wait_for` cancels them, again and again."""
    scenario = Scenario(life=(3.0, 9.0))
    scenario.chat.open()
    for number in range(20):
        scenario.say(1.3 * number, str(number))
    while scenario.world.now < MINUTE:
        listener = scenario.chat.listen()
        scenario.run(0.2)
        listener.cancel()
    scenario.chat.check()
    assert scenario.chat.late() < 4


def given_up(flow: Flow[Any], after: int) -> Flow[Any]:
    """A call that is given up as it starts or ends a job, counted from 0: both are begun at once, or not at all."""
    result: Any = None
    with suppress(StopIteration), closing(flow):
        while True:
            effect = flow.send(result)
            result = yield effect
            if isinstance(effect, Start | Cancel):
                if not after:
                    return None
                after -= 1
    return result


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("options", [{"life": (3.0, 9.0)}, {"life": (20.0, 20.0)}, {"stream_status": 404}], ids=str)
def test_a_call_that_is_given_up_at_any_step_leaves_the_rest_to_the_next(options: dict[str, Any], after: int) -> None:
    """A stream that it was to open is opened all the same, and the list is read: nothing is lost, or later."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re {text}")], **options)
    scenario.chat.open()
    for number in range(20):
        scenario.say(4.3 * number, str(number))
    turn = 0
    while scenario.world.now < 2 * MINUTE:
        turn += 1
        if turn % 10 == 0:
            scenario.world.run_until(scenario.chat.send(f"{turn}"))
        flow = scenario.chat._listen(0.3)
        scenario.world.run_until(scenario.chat._spawn(given_up(flow, after) if turn % 3 else flow, "turn"))
    scenario.chat.check()
    assert scenario.chat.late() < 35


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    "options", [{"stream_status": 404}, {"life": (30.0, 40.0)}, {"life": None}, {"heartbeat": None}]
)
def test_a_machine_that_sleeps_again_and_again(resets: bool, options: dict[str, Any]) -> None:
    """Each time something is said meanwhile, also while a look or an opening is under way: it comes within a minute."""
    for seed in range(6):
        scenario = Scenario(seed=seed, **options).listening()
        rng = scenario.world.random
        for number in range(10):
            scenario.run(rng.uniform(0, 50))
            asleep = rng.choice([6.0, 60.0, 4 * HOUR])
            scenario.say(rng.uniform(0, asleep), str(number))
            scenario.world.fall_asleep(asleep, resets=resets)
            scenario.run(asleep)
        woke = scenario.world.now
        scenario.run(300)
        scenario.chat.check()
        assert max(message.at for message in scenario.chat.handed) < woke + MINUTE


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("any_cursor", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
def test_what_marks_point_to_may_be_deleted(bad_cursor: Any, any_cursor: bool, newest_first: bool) -> None:
    """After each message the last ones that are known go, one, two or six of them: what follows is found."""
    for gone in (1, 2, 6):
        scenario = Scenario(
            old=9,
            largest_page=3,
            life=(12.0, 15.0),
            bad_cursor=bad_cursor,
            any_cursor=any_cursor,
            newest_first=newest_first,
        ).listening()
        for number in range(8):
            scenario.world.run_until(scenario.chat.send(f"hello {number}"))
            scenario.say(2, str(number), streamed=False)
            scenario.run(45)
            for row in scenario.server.rows[scenario.thread_id][-gone:]:
                scenario.server.delete(row)
        assert scenario.chat.texts == [str(number) for number in range(8)], gone


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("streams", [200, 404])
def test_cursors_may_be_refused_in_the_middle(bad_cursor: Any, newest_first: bool, streams: int) -> None:
    """A row whose id is the next page's cursor is deleted just before that page is asked for."""
    for nth in range(1, 7):
        scenario = Scenario(
            old=9,
            largest_page=3,
            bad_cursor=bad_cursor,
            newest_first=newest_first,
            stream_status=streams,
            mute=True,
            life=(12.0, 15.0),
        ).listening()
        server, asked = scenario.server, count(1)
        gone: list[Row] = []

        def delete(call: Call, _: random.Random, server: ModelServer = server, nth: int = nth) -> None:
            row = server._by_id.get(call.params.get("cursor", ""))
            if row is not None and next(asked) % nth == 0 and len(gone) < 6:  # noqa: B023 - used within its turn
                gone.append(row)  # noqa: B023
                server.delete(row)

        server.plan = delete
        for number in range(6):
            scenario.chat.send(f"hello {number}")
            scenario.say(1.5, str(number))
            scenario.run(60)
        scenario.run(6 * MINUTE)
        scenario.chat.check(or_not=gone)


# Wrong.


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("options", [{"stream_status": 404}, {}], ids=["polling", "stream"])
def test_a_reply_of_the_same_second_may_be_listed_before_its_question(newest_first: bool, options: Any) -> None:
    """Times are cut to whole seconds, and rows of one second stand in any order."""
    for shift in range(0, 1000, 90):
        scenario = Scenario(stamps="second", newest_first=newest_first, old=6, **options)
        scenario.chat.open()
        scenario.run(shift / 1000)
        asked = scenario.chat.ask("hello")

        def reply(scenario: Scenario = scenario) -> None:
            row = scenario.server.say(scenario.thread_id, "reply")
            row.rank -= 1.5

        scenario.world.after(0.1, reply)
        assert scenario.world.run_until(asked).value().text == "reply"
        assert asked.took < 6, shift


@pytest.mark.parametrize("skew", [-2.0, -1.0, 0.0, 2.0])
@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("once", [False, True])
def test_a_reply_stamped_by_another_clock(skew: float, streams: int, once: bool) -> None:
    """Up to two seconds before its question, or after."""
    scenario = Scenario(agent=lambda text: [(0.4, f"re: {text}")], old=6, stream_status=streams, outbound_skew=skew)
    if not once:
        scenario.chat.open()
    for text in ("one", "two", "three"):
        chat = scenario.conversation() if once else scenario.chat
        asked = scenario.world.run_until(chat.ask_once(text) if once else chat.ask(text))
        assert asked.value().text == f"re: {text}"
        assert asked.took < 6
        scenario.run(20)


@pytest.mark.parametrize("replay", [1, 3, 50])
@pytest.mark.parametrize("stamps", ["millisecond", "second"])
def test_what_a_stream_replays_at_each_opening_is_handed_out_once(replay: int, stamps: Any) -> None:
    """Yesterday's messages never, and today's once, whatever the stream sends again."""
    scenario = Scenario(
        agent=lambda text: [(1.5, f"re: {text}")], old=60, replay=replay, stamps=stamps, life=(9.0, 14.0)
    )
    scenario.chat.open()
    for number in range(6):
        assert answered(scenario, scenario.chat, str(number)).value().text == f"re: {number}"
        scenario.run(10)
    scenario.chat.listen()
    scenario.run(60)
    scenario.chat.check()


@pytest.mark.parametrize("ago", [30.0, 500.0])
def test_what_was_said_minutes_ago_and_is_replayed_is_not_new(ago: float) -> None:
    """A stream begins with what was said before the conversation was opened: that is not handed out."""
    scenario = Scenario(agent=lambda _: [(2.0, "reply")], replay=4, life=(20.0, 20.0))
    scenario.server.old(scenario.thread_id, 6, ago=ago, every=5.0)
    scenario.chat.open()
    assert answered(scenario, scenario.chat, "hello").value().text == "reply"
    scenario.chat.listen()
    scenario.run(MINUTE)
    scenario.chat.check()


@pytest.mark.parametrize("stamps", ["same", "none"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_without_times_old_messages_are_no_replies(stamps: Any, newest_first: bool) -> None:
    """All that tells is where messages stand."""
    for old in (1, 12, 150):
        scenario = Scenario(
            agent=lambda text: [(1.5, f"re: {text}")],
            old=old,
            stamps=stamps,
            newest_first=newest_first,
            stream_status=404,
        )
        scenario.chat.open()
        for number in range(3):
            assert answered(scenario, scenario.chat, str(number)).value().text == f"re: {number}"


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_second_part_of_an_answer_is_no_reply_to_what_is_not_listed_yet(newest_first: bool) -> None:
    """A list that shows the rest of the earlier answer, and not yet the question."""
    for before in (3.0, 2.2, 2.6):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=5)
        scenario.chat.open()
        asked = scenario.chat.ask("Q1")
        scenario.say(0.3, "A1, first part")
        scenario.world.run_until(asked).value()
        scenario.say(0.1, "A1, second part")
        scenario.run(before)
        scenario.server.options.lag = (4.0, 4.0)
        asked = scenario.chat.ask("Q2")
        scenario.say(6.0, "A2")
        assert scenario.world.run_until(asked).value().text == "A2", before


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_of_just_before_is_no_reply_to_what_is_not_listed_yet(newest_first: bool) -> None:
    """Its stamp does not rule it out. But once the question is listed, so is its answer."""
    scenario = Scenario(stream_status=404, newest_first=newest_first, old=5)
    scenario.chat.open()
    asked = scenario.chat.ask("Q1")
    scenario.say(0.3, "A1, first part")
    scenario.world.run_until(asked).value()
    scenario.say(0.1, "A1, second part")
    scenario.run(1.0)
    scenario.server.options.lag = (3.0, 3.0)
    asked = scenario.chat.ask("Q2")
    scenario.say(0.5, "A2")
    assert scenario.world.run_until(asked).value().text == "A2"


def test_an_unanswered_message_before_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What comes next may be the answer to that one: a warning says so, and so does the note of a timeout."""
    scenario = Scenario()
    scenario.chat.open()
    logger.setLevel("WARNING")
    try:
        first = answered(scenario, scenario.chat, "Q1", 1.0)
        assert isinstance(first.error, ReplyTimeoutError)
        assert "earlier" not in first.error.__notes__[0]
        assert "unanswered" not in caplog.text
        second = answered(scenario, scenario.chat, "Q2", 2.0)
    finally:
        logger.setLevel("ERROR")
    assert "1 earlier message(s) are unanswered" in caplog.text
    assert isinstance(second.error, ReplyTimeoutError)
    assert "earlier message" in second.error.__notes__[0]
    assert second.error.delivered is True


def test_an_answered_message_before_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Where each question had its answer, nothing is said."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re: {text}")] if text != "Q3" else [])
    scenario.chat.open()
    logger.setLevel("WARNING")
    try:
        for text in ("Q1", "Q2"):
            answered(scenario, scenario.chat, text).value()
        third = answered(scenario, scenario.chat, "Q3", 2.0)
    finally:
        logger.setLevel("ERROR")
    assert "unanswered" not in caplog.text
    assert isinstance(third.error, ReplyTimeoutError)
    assert "earlier" not in third.error.__notes__[0]


@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_confirmed_in_another_order_than_they_were_made(streams: int, newest_first: bool) -> None:
    """Two sends at once whose answers come in reverse: an `ask` after them finds the reply that is listed."""
    scenario = Scenario(
        agent=lambda text: [(1.0, f"re: {text}")], stream_status=streams, newest_first=newest_first, old=5
    )
    scenario.chat.open()
    scenario.server.fault("sendMessage", late_answer(2.0), late_answer(1.0), late_answer(0.1))
    scenario.chat.send("one")
    scenario.run(0.05)
    scenario.chat.send("two")
    scenario.run(0.05)
    asked = answered(scenario, scenario.chat, "three", 15.0)
    # Which of the three it is, nobody can tell.
    assert asked.value().text.startswith("re: ")
    assert asked.took < 6
    scenario.chat.listen()
    scenario.run(60)
    scenario.chat.check()


# Lazy.


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}], ids=["mute", "polling"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("old", [0, 500])
def test_a_reply_without_a_stream(options: dict[str, Any], newest_first: bool, old: int) -> None:
    """Is given within six seconds of when it was said, or nine where the agent took long, in a long thread too."""
    for delay in (0.1, 0.5, 1.0, 2.0, 3.0, 5.0):
        scenario = Scenario(
            agent=lambda text: [(float(text), f"re: {text}")], old=old, newest_first=newest_first, **options
        )
        scenario.chat.open()
        asked = answered(scenario, scenario.chat, str(delay))
        assert asked.value().text == f"re: {delay}"
        late = 6 if delay <= 3 else 9
        assert asked.took < delay + late
        again = answered(scenario, scenario.chat, str(delay))
        assert again.took < delay + late


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("once", [False, True])
def test_a_listed_reply_is_found_whatever_becomes_of_guesses(bad_cursor: Any, newest_first: bool, once: bool) -> None:
    """Cursors that the server did not hand out are refused, or have nothing after them."""
    for options in ({"mute": True}, {"stream_status": 404}):
        scenario = Scenario(
            agent=lambda text: [(1.0, f"re: {text}")],
            old=250,
            any_cursor=False,
            bad_cursor=bad_cursor,
            newest_first=newest_first,
            **options,
        )
        if not once:
            scenario.chat.open()
        for number in range(3):
            chat = scenario.conversation() if once else scenario.chat
            asked = scenario.world.run_until(chat.ask_once(str(number)) if once else chat.ask(str(number)))
            assert asked.value().text == f"re: {number}"
            assert asked.took < 12
            scenario.run(30)


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_minute_of_silence_in_a_long_thread(options: dict[str, Any], newest_first: bool) -> None:
    """Costs six requests at the most, once the thread was read."""
    scenario = Scenario(life=None, old=500, newest_first=newest_first, **options).listening()
    scenario.world.run_until(scenario.chat.send("first"))
    scenario.say(1, "reply")
    scenario.run(5 * MINUTE)
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    waits = sum(scenario.world.waits.values())
    scenario.run(MINUTE)
    assert scenario.cost(sent, sent + MINUTE) <= 6
    assert sum(scenario.world.waits.values()) - waits < 100


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("seconds", [1.0, 4.0, 60.0])
def test_an_ask_that_is_not_answered_is_cheap(options: dict[str, Any], newest_first: bool, seconds: float) -> None:
    """It waits a few times, and asks a few times; a thread of five hundred messages is read once at the most."""
    for old in (0, 500):
        scenario = Scenario(old=old, newest_first=newest_first, **options)
        scenario.chat.open()
        waits, cost = sum(scenario.world.waits.values()), scenario.cost()
        asked = answered(scenario, scenario.chat, "hello", seconds)
        assert isinstance(asked.error, ReplyTimeoutError)
        assert asked.took < seconds + 0.01
        assert sum(scenario.world.waits.values()) - waits < 60
        # The message, six looks, and the life of a stream.
        assert scenario.cost() - cost <= 1 + 6 + 1 + old // 100


@pytest.mark.parametrize("streams", [404, 405, 501, "html"])
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_a_refusal_on_a_reconnection_is_for_a_while(streams: int | str, seconds: float) -> None:
    """A deploy answers one reconnection, or a minute of them, with a status or with a page of HTML."""
    scenario = Scenario(life=(20.0, 20.0)).listening()
    scenario.say(1, "one")
    scenario.run(10)
    if streams == "html":
        scenario.server.refuse_streams(200, html=True, seconds=seconds + 10)
    else:
        assert isinstance(streams, int)
        scenario.server.refuse_streams(streams, seconds=seconds + 10)
    scenario.run(10 * MINUTE)
    since = scenario.world.now
    for number in range(20):
        scenario.say(13.0 * number, str(number))
    scenario.run(300)
    late = [message.at - since - 13.0 * int(message.text) for message in scenario.chat.handed[1:]]
    assert len(late) == 20
    assert median(late) < 0.1
    # What is said where there is no stream comes with a look.
    assert max(late) < 4


def test_one_refusal_costs_seconds() -> None:
    """One 404 on a reconnection, where streams have been had before: what is said then comes within seconds."""
    for refusal in (status(404), status(405), status(500), status(503), never_sent(), lost_after()):
        scenario = Scenario(life=(20.0, 20.0)).listening()
        scenario.say(1, "one")
        scenario.run(10)
        scenario.server.fault("streamMessages", refusal)
        for number in range(20):
            scenario.say(10 + number, str(number))
        scenario.run(MINUTE)
        scenario.chat.check()
        assert scenario.chat.late() < 4


def test_one_refusal_is_not_believed() -> None:
    """Where streams have been had before, there is one again at once, and what is said then comes."""
    for code in (404, 405, 501):
        scenario = Scenario(life=(20.0, 20.0)).listening()
        scenario.say(1, "one")
        scenario.run(10)
        scenario.server.fault("streamMessages", status(code))
        scenario.say(12, "two")
        scenario.run(MINUTE)
        assert scenario.chat.texts == ["one", "two"]
        assert scenario.chat.handed[1].at - 22 < 0.2


def test_streams_that_were_refused_for_hours_are_asked_for_again() -> None:
    """After ten minutes at the latest."""
    scenario = Scenario(stream_status=404).listening()
    scenario.run(5 * HOUR)
    assert scenario.server.cost()["streamMessages"] < 5 * 8
    scenario.server.options.stream_status = 200
    scenario.run(11 * MINUTE)
    assert scenario.server.open_streams()
    scenario.say(5, "at once")
    scenario.run(10)
    assert scenario.chat.late() < 0.1


@pytest.mark.parametrize("life", [(55.0, 55.0), (6.0, 7.0), (48.0, 72.0)])
@pytest.mark.parametrize("heartbeat", [None, 15.0])
def test_an_agents_own_messages_are_not_late(life: tuple[float, float], heartbeat: float | None) -> None:
    """A stream that lived is opened again at once, whether it has brought anything or not."""
    scenario = Scenario(life=life, heartbeat=heartbeat).listening()
    scenario.run(10 * MINUTE)
    began = scenario.world.now
    for number in range(120):
        scenario.say(5.0 * number, str(number))
    scenario.run(12 * MINUTE)
    scenario.chat.check()
    late = [message.at - began - 5.0 * int(message.text) for message in scenario.chat.handed]
    assert median(late) < 0.1
    assert max(late) < 2.5


def test_streams_whose_heads_are_held_back_are_not_waited_for_again() -> None:
    """A proxy keeps the heads of streams: one `ask` finds that out, and the others do not wait for it."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], head=None)
    took = []
    for number in range(5):
        thread_id = scenario.server.thread()
        asked = scenario.conversation(thread_id=thread_id).ask_once(str(number), 30.0)
        took.append(scenario.world.run_until(asked).took)
        assert asked.value().text == f"re: {number}"
    assert took[0] < 5 + 6
    assert max(took[1:]) < 5


def test_a_head_that_comes_late_serves_all_the_same() -> None:
    """It takes three seconds each time, and brings the reply that came meanwhile."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], head=(3.0, 3.0))
    for number in range(4):
        asked = scenario.world.run_until(scenario.conversation().ask_once(str(number), 30.0))
        assert asked.value().text == f"re: {number}"
        assert asked.took < 6


def test_a_message_in_the_gap_of_a_cut_stream() -> None:
    """Somebody waits for it: it is given within a quarter of a second, half of the times."""
    late = []
    for seed in range(60):
        scenario = Scenario(seed=seed, life=None)
        scenario.chat.open()
        asked = scenario.chat.ask("hello")
        scenario.world.after(5.0, scenario.server.cut)
        scenario.say(5.005, "reply")
        scenario.world.run_until(asked).value()
        row = scenario.server.expected(scenario.thread_id)[0]
        assert row.pushed_at is None
        late.append(scenario.world.now - row.made_at)
    assert median(late) <= 0.25
    assert max(late) <= 2.5


@pytest.mark.parametrize("minutes", [1, 5, 30, 90])
@pytest.mark.parametrize("heartbeat", [None, 15.0])
def test_thinking_tears_down_no_healthy_stream(minutes: float, heartbeat: float | None) -> None:
    """Time in which nobody listens is not time in which the stream was silent."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], life=None, heartbeat=heartbeat)
    scenario.chat.open()
    for number in range(3):
        asked = answered(scenario, scenario.chat, str(number))
        assert asked.value().text == f"re: {number}"
        assert asked.took < 1.3
        scenario.run(minutes * MINUTE)
    assert scenario.server.cost()["streamMessages"] == 1
    # A check each five minutes at the most, after messages.
    assert scenario.cost() <= 1 + 3 + (2 if minutes >= 5 else 0)


def test_pieces_of_events_are_no_heartbeats() -> None:
    """Wherever an event is cut in two, its stream is left open in the silence that follows."""
    scenario = Scenario(life=None, heartbeat=None, split=1.0).listening()
    for number in range(300):
        scenario.say(number, str(number))
    scenario.run(300 + 8 * MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1


# What it costs.


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("life", [(48.0, 72.0), (280.0, 320.0)])
def test_hours_of_an_idle_conversation(heartbeat: float | None, newest_first: bool, life: tuple[float, float]) -> None:
    """Cost two requests for each life of its stream, in a thread of five thousand messages too.

    Between, there is nothing but a check each five minutes, as long as no stream has proven that it delivers.
    """
    scenario = Scenario(old=5000, heartbeat=heartbeat, newest_first=newest_first, life=life).listening()
    scenario.run(10 * MINUTE)
    since, lives, waits = scenario.world.now, len(scenario.server.streams), sum(scenario.world.waits.values())
    scenario.run(3 * HOUR)
    lives = len(scenario.server.streams) - lives
    assert scenario.cost(since) <= 2.0 * lives + 1
    assert sum(scenario.world.waits.values()) - waits < 3 * HOUR / 5
    opened = [stream.opened_at for stream in scenario.server.streams if stream.opened_at is not None]
    between = [
        call
        for call in scenario.server.calls
        if call.at > since and not any(at - 6 <= call.at <= at + 6 for at in opened)
    ]
    assert len(between) <= 3 * HOUR / (5 * MINUTE) + 1


@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_ten_quiet_minutes_in_a_very_long_thread(streams: int, newest_first: bool) -> None:
    """The thread of five thousand messages is read once at the most, with a stream and without."""
    scenario = Scenario(old=5000, stream_status=streams, newest_first=newest_first).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.say(1, "reply")
    scenario.run(10 * MINUTE)
    scenario.chat.check()
    # Fifty pages; then a poll each thirty seconds, or two requests for each life of a stream.
    assert scenario.cost() <= 50 + 30 + 10
    before = scenario.world.now
    scenario.run(10 * MINUTE)
    assert scenario.cost(before) <= 2 * 10 + 4


@pytest.mark.parametrize("stamps", ["millisecond", "second", "same", "none"])
@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_very_long_thread_is_not_handed_out(stamps: Any, streams: int, newest_first: bool) -> None:
    """In a thread of more messages than are remembered, what is new comes once, and what is old never."""
    scenario = Scenario(old=2500, stamps=stamps, stream_status=streams, newest_first=newest_first).listening()
    scenario.run(5)
    for number in range(4):
        scenario.say(3 + 60.0 * number, str(number))
        scenario.world.after(60.0 * number, partial(scenario.chat.send, f"hello {number}"))
    scenario.run(10 * MINUTE)
    scenario.chat.check()
    assert scenario.cost() <= 200


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("life", [None, (280.0, 320.0)])
def test_an_ask_each_ninety_seconds(heartbeat: float | None, life: tuple[float, float] | None) -> None:
    """Costs its message, and little else."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], heartbeat=heartbeat, life=life)
    scenario.chat.open()
    for number in range(60):
        asked = answered(scenario, scenario.chat, str(number))
        assert asked.value().text == f"re: {number}"
        scenario.run(90 - asked.took)
    lives = len(scenario.server.streams)
    assert scenario.cost() <= 60 + 2 * lives + (60 if life is None else 0)
    assert scenario.server.cost()["sendMessage"] == 60


def test_a_thousand_streams_cut_at_once_do_not_storm() -> None:
    """Without a limit of the client's, they come back over some seconds."""
    scenario = Scenario(counting=None, life=None, client={"rate_limit": None})
    scenario.world.most_effects = 200_000
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(1000)]
    for chat in chats:
        chat.open_and_listen()
    scenario.run(30)
    cut_at = scenario.world.now
    for chat in chats:
        scenario.world.after(scenario.world.random.random(), partial(scenario.server.cut, chat.thread_id))
        at = scenario.world.random.uniform(1, 10)
        scenario.world.after(at, partial(scenario.server.say, chat.thread_id, "meanwhile"))
    scenario.run(30)
    tenths = Counter(math.floor((call.at - cut_at) * 10) for call in scenario.server.calls if call.at > cut_at)
    assert max(tenths.values()) <= 60
    assert len(scenario.server.open_streams()) == 1000
    assert all(chat.texts == ["meanwhile"] for chat in chats)
    # A stream and a look; and one look more where a message came while the list might have lagged.
    assert scenario.cost(cut_at) <= 2.5 * 1000


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize(("conversations", "most"), [(200, 0.3), (400, 0.5)])
def test_many_conversations_a_quarter_of_which_ask(counting: Any, conversations: int, most: float) -> None:
    """Streams of a minute, ten requests a second, 1.6 asks a second: hardly a wait but for the agent."""
    scenario = Scenario(counting=counting, life=(48.0, 72.0), agent=lambda text: [(1.0, f"re: {text}")])
    scenario.world.most_effects = 100_000
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(conversations)]
    asking = chats[: conversations // 4]
    for chat in chats:
        chat.open_soon() if chat in asking else chat.open_and_listen()
    scenario.run(MINUTE)
    asks: list[Process[Message]] = []
    for number in range(240):
        asks.append(asking[number % len(asking)].ask(str(number)))
        scenario.run(1 / 1.6)
    scenario.run(15)
    waits = sorted(asked.took - 1.0 for asked in asks)
    assert [asked.value().text for asked in asks] == [f"re: {number}" for number in range(240)]
    assert median(waits) <= 0.05 + 0.06
    assert quantiles(waits, n=10)[-1] <= most
    assert waits[-1] <= 2
    assert not scenario.server.refused


def test_conversations_of_two_clients_in_one_thread() -> None:
    """Each client's conversation hands out each message once, also of what the other one asked."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], life=(20.0, 30.0), by_key=True)
    other = scenario.conversation(scenario.settings("another-key"))
    scenario.listening()
    other.open()
    other.listen()
    for number in range(10):
        (scenario.chat if number % 2 else other).send(str(number))
        scenario.run(11)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert Counter(other.texts) == Counter(f"re: {number}" for number in range(10))


def test_faults_of_streams_and_lists_are_got_over() -> None:
    """Any one thing that goes wrong with the opening or a look costs at most a minute."""
    faults: list[Fault] = [silence(), slow(5.0), stale(), lost_after(), status(429, retry_after="1"), status(500)]
    for operation in ("streamMessages", "listMessages"):
        for fault in faults:
            scenario = Scenario(life=(20.0, 25.0)).listening()
            scenario.run(12)
            scenario.server.fault(operation, fault)
            for number in range(10):
                scenario.say(number, str(number))
            scenario.run(200)
            scenario.chat.check()
            assert scenario.chat.late() < 25, (operation, fault)
            assert KEY not in scenario.server.refused
