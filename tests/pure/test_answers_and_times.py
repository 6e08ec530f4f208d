"""What a conversation knows about its messages: which are new by time or place, and which of ours they answer."""

from __future__ import annotations

import pytest
from fake_time import EPOCH
from featherhq._core.effects import Accepted
from featherhq._core.pagination import OLDEST_FIRST
from featherhq._logging import log
from featherhq._threads import flows
from featherhq._threads.experience import Experience
from featherhq._threads.messages import Messages
from featherhq._threads.own import Own
from featherhq.models import Message
from flow_caller import AGENT, Caller, thread
from message_stamps import stamped
from taken_replies import take_reply


def conversation(experience: Experience | None = None) -> Messages:
    """What is known in a new conversation. It began at 0, and lists have the oldest message first."""
    experience = experience or Experience(order=OLDEST_FIRST)
    return Messages(experience, lambda now: EPOCH + now, {}, 0.0, EPOCH, log)


def asked(known: Messages, id_: str, began: float, *, asking: bool = True) -> Own:
    """A message of ours that was sent at this time and accepted at once."""
    return known.accepted(Accepted(id_, began, EPOCH + began), began, asking=asking)


def user(id_: str, second: float | None) -> Message:
    """A message of the user."""
    return stamped(id_, second, "x", "INBOUND")


def listed(known: Messages, now: float, *rows: Message) -> list[str]:
    """The ids of the new messages in a list with these messages."""
    scan, _ = known.scan(now, partial=True)
    assert scan.add(rows, None)
    fresh, _ = known.read(scan, now, now, partial=True)
    return [message.id for message in fresh]


# Messages of ours that wait for an answer.


def test_a_message_waits_for_its_answer_until_one_comes() -> None:
    """A message of ours is unanswered until a message of the agent has come that may be made after it. It counts for
    times after the one at which it was sent.
    """
    known = conversation()
    own = asked(known, "1", 5.0)
    assert known.unanswered(6.0) == [own]
    assert known.is_unanswered_since(6.0)
    assert not known.is_unanswered_since(5.0)
    assert not known.is_unanswered_since(4.0)
    assert known.hear(stamped("2", 7.0), 0.0, 8.0)
    assert known.unanswered(9.0) == []
    assert not known.is_unanswered_since(9.0)


def test_a_message_that_comes_before_the_receipt_may_be_the_answer() -> None:
    """If the agent's message comes before the receipt of ours, ours counts as answered. It does not if somebody waits
    for the reply, or if ours was sent at that time or later.
    """
    for began, asking, answered in ((5.0, False, True), (5.0, True, False), (10.0, False, False), (12.0, True, False)):
        known = conversation()
        assert known.hear(stamped("2", 9.0), 0.0, 10.0)
        assert asked(known, "1", began, asking=asking).answered is answered


def test_a_hundred_messages_may_wait_for_their_answers() -> None:
    """A conversation remembers up to a hundred messages of ours that wait for their answers, and forgets the oldest."""
    known = conversation()
    owns = [asked(known, str(number), number / 10) for number in range(101)]
    assert known.unanswered(11.0) == owns[1:]
    known = conversation()
    owns = [asked(known, str(number), number / 10) for number in range(100)]
    assert known.unanswered(11.0) == owns


def test_a_live_message_answers_a_message_that_was_sent_at_the_same_time() -> None:
    """A message that comes at the moment when ours is sent may be its reply, but not one that comes before."""
    for at, replies in ((5.0, True), (4.9, False)):
        known = conversation()
        own = asked(known, "1", 5.0)
        assert known.hear(reply := stamped("2", 4.5), 0.0, at)
        assert take_reply(known.inbox, own, at) == (reply if replies else None)


# Which listed messages are new.


@pytest.mark.parametrize(("second", "is_new"), [(None, False), (-4.0, False), (-3.5, False), (-3.0, True), (5.0, True)])
def test_an_unknown_message_is_new_by_its_time(second: float | None, is_new: bool) -> None:
    """An unknown message before ours is new if it is not older than the conversation. The clocks may differ by three
    seconds. Without a time it is not new.
    """
    known = conversation()
    asked(known, "1", 4.0)
    assert listed(known, 8.0, stamped("2", second), user("1", None)) == ["2"] * is_new


@pytest.mark.parametrize(("second", "is_new"), [(None, True), (-500.0, True), (-603.0, True), (-604.0, False)])
def test_an_unknown_message_after_ours_is_new(second: float | None, is_new: bool) -> None:
    """An unknown message after ours is new, also without a time. But if its time is ten minutes older than the
    conversation, it is not.
    """
    known = conversation()
    asked(known, "1", 4.0)
    assert listed(known, 8.0, user("1", None), stamped("2", second)) == ["2"] * is_new


# Which of our messages a listed message answers.


@pytest.mark.parametrize(("second", "replies"), [(9.0, True), (5.0, True), (4.0, False)])
def test_a_listed_message_answers_ours_by_its_time(second: float, replies: bool) -> None:
    """Once the list has shown our message, its time is known. A message with that time or a later one is a reply, also
    if the list does not show ours again. An earlier one only may be a reply.
    """
    known = conversation()
    own = asked(known, "1", 5.0)
    assert listed(known, 8.0, user("1", 5.0)) == []
    assert own.listed
    reply = stamped("2", second)
    assert listed(known, 40.0, reply) == ["2"]
    assert take_reply(known.inbox, own, 40.0) == (reply if replies else None)
    assert take_reply(known.inbox, own, 50.0) == (None if replies else reply)


def test_a_time_proves_nothing_about_a_message_that_no_list_has_shown() -> None:
    """As long as no list has shown our message, its own time is not known. So a later message only may be a reply."""
    known = conversation()
    own = asked(known, "1", 5.0)
    assert listed(known, 8.0, stamped("2", 7.0)) == ["2"]
    assert take_reply(known.inbox, own, 8.0) is None
    assert known.unanswered(9.0) == [own]


def test_a_message_may_answer_each_of_ours_that_is_not_answered() -> None:
    """If the first of our messages was answered, a later message is the reply to the second one."""
    known = conversation()
    first = asked(known, "1", 4.0)
    assert known.hear(stamped("2", 5.0), 0.0, 5.0)
    second = asked(known, "3", 6.0)
    rows = [user("1", 4.0), stamped("2", 5.0), user("3", 6.0), stamped("4", 7.0)]
    assert listed(known, 9.0, *rows) == ["4"]
    assert take_reply(known.inbox, second, 9.0) == rows[3]
    assert take_reply(known.inbox, first, 9.0) == rows[1]


def test_our_own_message_shows_how_far_times_are_behind() -> None:
    """When the list shows a message of ours, its time shows how far times are behind the clock of the `Date` header."""
    experience = Experience(order=OLDEST_FIRST)
    known = conversation(experience)
    asked(known, "1", 7.0)
    listed(known, 9.0, user("1", 5.0))
    assert experience.behind == 2.0


# Limits.


def test_two_thousand_messages_are_remembered() -> None:
    """A conversation remembers two thousand messages, so none of them is new a second time. Then it forgets the
    oldest.
    """
    known = conversation()
    for number in range(2000):
        assert known.hear(stamped(str(number), number), 0.0, 5.0 + number)
    assert not known.hear(stamped("0", 0.0), 0.0, 2010.0)
    assert known.hear(stamped("2000", 2000.0), 0.0, 2011.0)
    assert known.hear(stamped("0", 0.0), 0.0, 2012.0)


@pytest.mark.parametrize("given", ["X", "XX", ".X."])
def test_only_dots_make_the_id_of_a_thread_invalid(given: str) -> None:
    """The id of a new thread may be any letters. Only an id of nothing but dots cannot be part of a path."""
    caller = Caller()
    thread_id, _ = caller.run(flows.create_thread(caller.settings, AGENT, None, None), thread(id=given))
    assert thread_id == given
