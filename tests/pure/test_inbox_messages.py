"""Messages that a conversation receives: which of them are new, which are the same, and how many may wait."""

from __future__ import annotations

import json

import pytest
from fake_time import EPOCH
from featherhq._core.sse import StreamEvent
from featherhq._logging import log
from featherhq._threads.experience import Experience
from featherhq._threads.messages import Messages
from featherhq._threads.replies import agent_message
from flow_scenarios import quiet
from message_stamps import stamped

__all__ = ["quiet"]


def new_messages() -> Messages:
    """What is known about the messages of a new conversation."""
    return Messages(Experience(), lambda now: EPOCH + now, {}, 0.0, EPOCH, log)


def test_a_message_in_an_event_may_be_in_an_envelope() -> None:
    """A message in an event may have half of a character in its text. If there are several envelopes, the first one
    that is an object is used. A message of the user is ignored.
    """
    bare = {"id": "1", "messageBody": "x"}
    message = agent_message(StreamEvent('{"id": "1", "messageBody": "half \ud83d"}'))
    assert message is not None
    assert message.text == "half \ud83d"
    assert agent_message(StreamEvent(json.dumps({"message": {"no": 1}, "data": bare}))) is None
    assert agent_message(StreamEvent(json.dumps({"message": {"data": bare}, "data": {}}))) is not None
    assert agent_message(StreamEvent(json.dumps(bare | {"direction": "INBOUND"}))) is None


@pytest.mark.parametrize(
    ("second", "text", "apart"),
    [
        (5.25, "x", False),
        (5.25, "y", False),
        (5.0, "y", False),
        (7.25, "x", False),
        (7.25, "y", True),
        (5.5, "y", True),
        (6.0, "y", True),
        (None, "y", False),
    ],
)
def test_two_messages_may_have_one_id(second: float | None, text: str, apart: bool) -> None:
    """Two messages with one id are different if both their texts and their times differ. A time that is cut to whole
    seconds equals all times in that second.

    Both messages are handed out under the server's id.
    """
    known = new_messages()
    first, other = known.inbox.told_apart(stamped("1", 5.25)), known.inbox.told_apart(stamped("1", second, text))
    assert first == stamped("1", 5.25)
    assert (other.id != "1") is apart
    assert known.hear(first, 0.0, 6.0)
    assert known.hear(other, 0.0, 8.0) is apart
    assert [message.id for message in iter(known.inbox.take, None)] == ["1"] * (1 + apart)


def test_the_first_time_of_a_message_may_be_cut() -> None:
    """A time that is cut to whole seconds also equals all times in that second if it comes first."""
    known = new_messages()
    known.inbox.told_apart(stamped("1", 5.0))
    assert known.inbox.told_apart(stamped("1", 5.9, "y")).id == "1"
    assert known.inbox.told_apart(stamped("1", 6.0, "y")).id != "1"


def test_a_message_that_a_stream_repeats_is_not_new() -> None:
    """A message with an old time is not new if it comes within three seconds after the stream has opened. A later
    one is new, whatever its time is. No message is new twice.
    """
    for at, new in ((3.0, False), (3.1, True)):
        known = new_messages()
        assert known.hear(stamped("1", -4.0), 0.0, at) is new
        assert known.hear(stamped("2", -3.0), 0.0, at)
        assert known.hear(stamped("3", None), 0.0, at)
        assert not known.hear(stamped("3", None), 0.0, at)


def test_a_live_message_shows_how_far_times_are_behind() -> None:
    """The time of a live message shows how far times are behind the clock of the `Date` header. A difference of more
    than ten seconds is a delay, and does not count.
    """
    for at, second, behind in ((9.0, 5.0, 4.0), (14.0, 4.0, 10.0), (14.5, 4.0, 0.0), (3.0, 1.0, 0.0), (9.0, 10.0, 0.0)):
        known = Messages(experience := Experience(), lambda now: EPOCH + now, {}, 0.0, EPOCH, log)
        assert known.hear(stamped("1", second), 0.0, at)
        assert experience.behind == behind
        assert experience.delivers
    known = Messages(experience := Experience(), lambda _: None, {}, 0.0, EPOCH, log)
    assert known.hear(stamped("1", 5.0), 0.0, 9.0)
    assert experience.behind == 0.0


def test_no_more_than_256_messages_wait(caplog: pytest.LogCaptureFixture) -> None:
    """If calls of `ask` pass over too many messages, the oldest ones are dropped. The client logs one warning about
    it.
    """
    known = new_messages()
    with caplog.at_level("WARNING", "featherhq"):
        for number in range(256):
            known.hear(stamped(str(number), number), 0.0, 10.0 + number)
        known.inbox.trim()
        assert known.inbox.is_full
        assert not caplog.records
        for number in range(256, 261):
            known.hear(stamped(str(number), number), 0.0, 10.0 + number)
            known.inbox.trim()
    assert [message.id for message in iter(known.inbox.take, None)] == [str(number) for number in range(5, 261)]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
