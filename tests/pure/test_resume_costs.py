"""Conversations in fake time: where a conversation goes on, what that costs, and which errors there are."""

from __future__ import annotations

from typing import Any

import pytest
from conversation_talk import Talk
from featherhq import APITimeoutError, FeatherError, InvalidArgumentError, NotFoundError, ResponseDecodeError
from featherhq._core.effects import Accepted
from featherhq._threads.bookmark import hashed
from featherhq._threads.experience import Experience
from featherhq._threads.lists import MessageList
from featherhq._threads.owed import Owed
from featherhq._threads.progress import Progress
from featherhq._threads.scans import AskPage
from featherhq.models import Message, SentMessage, read_message
from flow_caller import THREAD, Caller, page
from flow_scenarios import Scenario, quiet
from model_server import status

__all__ = ["quiet"]

ORDERS = pytest.mark.parametrize("newest_first", [False, True])


def long_thread(count: int = 10_000, **options: Any) -> Scenario:
    """A thread with many old messages."""
    return Scenario(old=count, **options)


def resumed(scenario: Scenario, after: object) -> list[str]:
    """The texts that a conversation of a new process hands out within five seconds after it was opened."""
    chat = scenario.conversation(scenario.settings(), after=after)
    chat.open()
    chat.listen()
    scenario.run(5)
    chat.close()
    return chat.texts


def message_of(row: Any) -> Message:
    """A listed message in the client's type."""
    found = read_message(
        {
            "id": row.id,
            "threadId": row.thread_id,
            "messageBody": row.text,
            "direction": row.direction,
            "createdAt": row.stamp,
        }
    )
    assert found is not None
    return found


@ORDERS
@pytest.mark.parametrize("back", [1, 2, 7, 60])
@pytest.mark.parametrize("place", ["id", "message", "receipt"])
def test_a_long_thread_is_resumed_near_its_end_with_few_requests(newest_first: bool, back: int, place: str) -> None:
    """From one of the last of 10,000 messages on, a conversation needs at most three requests for the list, whichever
    way the list runs, and hands out what the agent said after that message, in order.
    """
    scenario = long_thread(newest_first=newest_first)
    rows = scenario.server.rows[scenario.thread_id]
    row = rows[-1 - back]
    after = {"id": row.id, "message": message_of(row), "receipt": SentMessage(row.id, scenario.thread_id)}[place]
    expected = [row.text for row in rows[-back:] if row.direction == "OUTBOUND"]
    assert resumed(scenario, after) == expected
    assert scenario.server.cost()["listMessages"] <= 3


@ORDERS
def test_a_bookmark_of_a_long_thread_needs_few_requests(newest_first: bool) -> None:
    """Also from a bookmark, at most three requests are needed, wherever the bookmark was made: before anything was
    handed out, in the middle of what had been missed, or after the last message.
    """
    scenario = long_thread(newest_first=newest_first)
    rows = scenario.server.rows[scenario.thread_id]
    chat = scenario.conversation(scenario.settings(), after=rows[-11].id)
    bookmarks = [chat.flow.bookmark()]
    chat.open()
    for _ in range(5):
        taken = scenario.world.run_until(chat.replies(1.0))
        assert taken.error is None
        bookmarks.append(chat.flow.bookmark())
        scenario.server.say(scenario.thread_id, f"live {len(bookmarks)}")
    chat.close()
    assert len(chat.texts) == len(set(chat.texts))
    total = [row.text for row in rows[-10 - 5 :] if row.direction == "OUTBOUND"]
    for bookmark in bookmarks:
        before = scenario.server.cost()["listMessages"]
        texts = resumed(scenario, bookmark)
        assert texts == total[len(total) - len(texts) :]
        assert scenario.server.cost()["listMessages"] - before <= 3


@ORDERS
def test_a_fresh_bookmark_of_a_long_thread_needs_few_requests(newest_first: bool) -> None:
    """A conversation that began with new messages has a bookmark for the next one before any scan was made. After ten
    seconds, three requests are enough.
    """
    scenario = long_thread(newest_first=newest_first, life=None)
    scenario.listening()
    scenario.say(1, "one")
    scenario.say(2, "two")
    scenario.run(13)
    bookmark = scenario.chat.flow.bookmark()
    scenario.chat.close()
    scenario.say(0, "three")
    scenario.run(1)
    before = scenario.server.cost()["listMessages"]
    assert resumed(scenario, bookmark) == ["three"]
    assert scenario.server.cost()["listMessages"] - before <= 3


def test_a_young_bookmark_is_completed_later() -> None:
    """In the first ten seconds, a conversation cannot be sure of what stands before its first message. So the next one
    goes on from there with few requests, and reads the rest of the list later, when nobody waits.
    """
    scenario = Scenario(old=350, life=None).listening()
    scenario.say(0.5, "left out", streamed=False)
    scenario.say(1, "one")
    scenario.run(3)
    bookmark = scenario.chat.flow.bookmark()
    scenario.chat.close()
    scenario.say(0, "two")
    scenario.run(1)
    before = scenario.server.cost()["listMessages"]
    chat = scenario.conversation(scenario.settings(), after=bookmark)
    chat.open()
    assert scenario.server.cost()["listMessages"] - before <= 3
    chat.listen()
    scenario.run(60)
    assert sorted(chat.texts) == ["left out", "two"]


@ORDERS
@pytest.mark.parametrize("count", [0, 5, 250])
def test_an_unknown_message_is_an_error(newest_first: bool, count: int) -> None:
    """An id that is not in the thread is an error at the opening. The list is read twice, since it may lag."""
    for bad in (400, 404, "empty"):
        scenario = Scenario(old=count, newest_first=newest_first, bad_cursor=bad)
        process = scenario.world.run_until(scenario.conversation(after="unknown").open_soon())
        assert isinstance(process.error, InvalidArgumentError)
        assert f"message unknown is not in thread {scenario.thread_id}" in str(process.error)
        listing = MessageList(scenario.client, scenario.thread_id, after="unknown")
        assert isinstance(scenario.world.run_until(scenario.world.spawn(listing.next())).error, InvalidArgumentError)


@ORDERS
def test_a_message_that_is_listed_late_is_found(newest_first: bool) -> None:
    """If the list lags and does not show the message at first, the conversation waits for it."""
    scenario = Scenario(old=5, newest_first=newest_first, life=None)
    row = scenario.server.say(scenario.thread_id, "late", listed_after=1.5)
    scenario.server.say(scenario.thread_id, "later", listed_after=1.5)
    assert resumed(scenario, row.id) == ["later"]


def test_a_receipt_that_the_list_does_not_show_yet_is_trusted() -> None:
    """A message that was just accepted may be missing in the list. The conversation goes on by times."""
    scenario = Scenario(old=5, life=None, agent=lambda text: [(0.5, f"re: {text}")], lag=(1.0, 1.0))
    receipt = scenario.world.run_until(scenario.send("hello")).value().receipt
    assert resumed(scenario, receipt) == ["re: hello"]


def test_a_deleted_anchor_is_replaced_by_its_time() -> None:
    """If the message of a bookmark was deleted, times tell what comes after it."""
    for newest_first in (False, True):
        scenario = Scenario(old=40, newest_first=newest_first)
        rows = scenario.server.rows[scenario.thread_id]
        chat = scenario.conversation(after=message_of(rows[-4]))
        bookmark = chat.flow.bookmark()
        scenario.server.delete(rows[-4])
        assert resumed(scenario, bookmark) == [row.text for row in rows[-3:] if row.direction == "OUTBOUND"]


def test_an_opening_without_the_list_is_an_error() -> None:
    """If the list cannot be read, opening fails within the timeout, and the error has the reason as its cause. An error
    that lasts is raised at once.
    """
    scenario = Scenario(old=5)
    scenario.server.fault("listMessages", *[status(500)] * 100)
    process = scenario.world.run_until(scenario.conversation(scenario.settings(timeout=9.0), after="1").open_soon())
    assert isinstance(process.error, APITimeoutError)
    assert "within 9 s" in str(process.error)
    assert isinstance(process.error.__cause__, FeatherError)
    assert 8.9 < process.took < 9.5
    scenario = Scenario(old=5)
    scenario.server.fault("listMessages", status(404), status(404))
    process = scenario.world.run_until(scenario.conversation(after="1").open_soon())
    assert isinstance(process.error, NotFoundError)


def test_a_thousand_missed_messages_are_all_handed_out() -> None:
    """All that was missed is handed out, also if it is more than a conversation keeps for `ask`, and if `ask` is
    called before it was taken.
    """
    scenario = Scenario(old=0, life=None, agent=lambda text: [(0.5, f"re: {text}")])
    first = scenario.server.say(scenario.thread_id, "first", ago=5000.0)
    for number in range(1000):
        scenario.server.say(scenario.thread_id, f"missed {number}", ago=4000.0 - number, listed_after=0.0)
    chat = scenario.conversation(after=first.id)
    chat.open()
    assert scenario.world.run_until(chat.ask("hello")).value().text == "re: hello"
    chat.listen()
    scenario.run(30)
    assert chat.texts == ["re: hello", *(f"missed {number}" for number in range(1000))]


def test_newest_messages_of_small_pages_come_once_their_order_is_known() -> None:
    """If pages are small, a few of them are read before the newest messages come."""
    scenario = Scenario(old=40, newest_first=True, largest_page=5)
    listing = MessageList(scenario.client, scenario.thread_id, newest_first=True)
    first = scenario.world.run_until(scenario.world.spawn(listing.next())).value()
    rest = scenario.world.run_until(scenario.world.spawn(listing.next())).value()
    assert [message.text for message in [*first, *rest]] == [f"old {39 - number}" for number in range(20)]
    assert len(first) == 15


def test_a_list_after_a_place_without_an_end_is_an_error() -> None:
    """If a hundred pages in a row bring nothing new, reading after a place ends with an error."""
    caller = Caller()
    responses = [page([], str(number)) for number in range(120)]
    error = caller.run(MessageList(caller.settings, THREAD, after="1").next(), *responses)
    assert isinstance(error, ResponseDecodeError)
    assert "100 pages in a row" in str(error)


def test_an_error_that_lasts_ends_a_list_after_a_place() -> None:
    """If the list itself is refused, the error of the server is raised."""
    scenario = Scenario(old=5)
    scenario.server.fault("listMessages", *[status(404)] * 9)
    listing = MessageList(scenario.client, scenario.thread_id, after="1")
    assert isinstance(scenario.world.run_until(scenario.world.spawn(listing.next())).error, NotFoundError)


def test_threads_that_are_owed_an_answer_are_forgotten_in_time() -> None:
    """A thread waits for an answer until the agent says something, or for a minute. A thousand threads are known."""
    owed = Owed()
    for number in range(1001):
        owed.accepted(str(number), float(number))
    assert not owed.is_unanswered("0", 0.0)
    assert owed.is_unanswered("1", 60.0)
    assert not owed.is_unanswered("1", 61.0)
    owed.saw("2", [Message("1", "mine", direction="INBOUND")])
    assert owed.is_unanswered("2", 2.0)
    owed.saw("2", [Message("2", "reply")])
    assert not owed.is_unanswered("2", 2.0)


def test_a_turn_waits_for_a_scan_under_way() -> None:
    """Without a stream, a turn is over when a scan that began after the silence has brought nothing more."""
    talk = Talk()
    scans, settled = talk.state.scans, talk.now + 1
    job = talk.connect()
    talk.state.streams.refused(job, "404", talk.now)
    talk.state.accepted(Accepted("1", talk.now, None), talk.now)
    assert not scans.has_seen(settled)
    (asked,) = (command for command in talk.commands(2.0) if isinstance(command, AskPage))
    assert asked.cursor is None
    assert not scans.has_seen(settled)
    scans.page([], None, talk.now)
    assert scans.has_seen(settled)


def test_what_was_handed_out_is_forgotten_if_the_list_is_never_read() -> None:
    """If no scan has moved the anchor, a bookmark has the last 256 messages that were handed out, and goes on after the
    one before them. Once a bookmark was asked for, it is 2,000.
    """
    progress = Progress(Experience(), lambda now: now, None, 0.0)
    for number in range(257):
        progress.took(str(number), float(number))
    after = progress.after(3000.0, 0.0, {"0": 0.0}, [], waits=False)
    assert (after.anchor, after.is_sure, len(after.given)) == ("0", True, 256)
    assert hashed("0") not in after.given
    assert progress.needs_scan
    for number in range(257, 2002):
        progress.took(str(number), float(number))
    after = progress.after(3000.0, 0.0, {"0": 0.0}, [], waits=False)
    assert (after.anchor, after.is_sure, len(after.given)) == ("1", True, 2000)


def test_a_first_bookmark_after_many_messages_repeats_none() -> None:
    """If the first bookmark is asked for after an hour of messages without a pause, none of them comes again."""
    scenario = Scenario(life=None, counting=None).listening()
    for number in range(1200):
        scenario.say(3.0 * number, str(number))
    scenario.run(3610)
    bookmark = scenario.chat.flow.bookmark()
    assert len(scenario.chat.texts) == 1200
    scenario.chat.close()
    scenario.say(0, "new")
    scenario.run(1)
    assert resumed(scenario, bookmark) == ["new"]


@ORDERS
def test_the_messages_after_a_young_bookmark_are_complete(newest_first: bool) -> None:
    """A list after a bookmark of the first ten seconds has also what stands before the first message of that time."""
    scenario = Scenario(old=350, life=None, newest_first=newest_first).listening()
    scenario.say(0.5, "left out", streamed=False)
    scenario.say(1, "one")
    scenario.run(3)
    after = scenario.chat.flow.bookmark()
    scenario.say(0, "two")
    scenario.run(1)
    listing = MessageList(scenario.settings(), scenario.thread_id, after=after)
    listed = scenario.world.run_until(scenario.world.spawn(listing.next())).value()
    assert [message.text for message in listed] == ["left out", "two"]


@ORDERS
def test_a_list_after_a_bookmark_needs_no_times(newest_first: bool) -> None:
    """If no message has a time, the order in which messages were handed out tells which way the list runs."""
    scenario = Scenario(old=12, life=None, newest_first=newest_first, stamps="none")
    rows = scenario.server.rows[scenario.thread_id]
    chat = scenario.conversation(after=rows[-1].id)
    chat.open()
    chat.listen()
    for number in range(6):
        scenario.say(5.0 * number, str(number))
    scenario.run(28)
    after = chat.flow.bookmark()
    chat.close()
    scenario.say(0, "new")
    scenario.run(1)
    listing = MessageList(scenario.settings(), scenario.thread_id, after=after)
    listed = scenario.world.run_until(scenario.world.spawn(listing.next())).value()
    assert [message.text for message in listed] == ["new"]
