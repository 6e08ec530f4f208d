"""The scans of a conversation: when it reads a list again, and when a reply waits for the list."""

from __future__ import annotations

import json

from conversation_talk import Talk
from featherhq._core.effects import Accepted
from featherhq._threads.scans import AskPage
from message_stamps import stamped
from taken_replies import take_reply
from test_flows import Scenario, quiet

__all__ = ["quiet"]


def test_the_delay_after_a_failed_scan_grows() -> None:
    """The delay before the next scan is half a second at first, and is doubled with each failure."""
    talk = Talk()
    talk.state.begin_without_stream(talk.now)
    talk.state.streams.opened(talk.connect(), talk.now)
    assert any(isinstance(command, AskPage) for command in talk.commands(0.2))
    for delay in (0.5, 1.0, 2.0, 4.0):
        talk.state.scans.failed(talk.now)
        assert not any(isinstance(command, AskPage) for command in talk.commands(delay - 0.01))
        assert any(isinstance(command, AskPage) for command in talk.commands(0.02))
    # The scan has no cursor that the server could refuse.
    assert not talk.state.scans.page_refused(talk.now)


def test_a_reply_waits_for_the_list_until_the_time_is_up() -> None:
    """The list may show an earlier reply from the time before the stream opened, so a reply from the stream waits
    for the list. At the end of the `ask`, it is returned in any case.
    """
    talk = Talk()
    job = talk.connect()
    talk.state.ask(talk.now)
    own = talk.state.accepted(Accepted("1", talk.now, talk.server_time(talk.now)), talk.now)
    talk.commands(3.0)
    talk.state.accepted(Accepted("2", talk.now, talk.server_time(talk.now)), talk.now)
    talk.commands(1.0)
    talk.state.streams.opened(job, talk.now)
    talk.now += 1.0
    early = json.dumps({"id": "3", "messageBody": "reply", "createdAt": stamped("3", 0.5).created_at}, default=str)
    (reply,) = talk.state.streams.heard(job, f"data: {early}\n\n".encode(), talk.now)
    assert take_reply(talk.state, own, talk.now) is None
    assert take_reply(talk.state, own, talk.now, last=True) == reply
    assert take_reply(talk.state, own, talk.now, last=True) is None


def test_a_last_scan_finds_a_reply_that_the_stream_left_out() -> None:
    """If the stream leaves out a reply, a scan finds it shortly before the `ask` ends."""
    for seconds, scanned in ((4.5, 1.0), (2.0, 0.5)):
        scenario = Scenario(life=None)
        scenario.chat.open()
        asked = scenario.chat.ask("hello", seconds)
        scenario.say(0.5, "reply", streamed=False)
        scenario.run(60)
        assert asked.value().text == "reply"
        assert seconds - scanned <= asked.took <= seconds
