"""The scans of a conversation: which pages are requested, how urgent they are, and what a scan leaves out."""

from __future__ import annotations

import pytest
from conversation_pages import PageTalk
from featherhq._core.pagination import OLDEST_FIRST
from featherhq._core.slots import Priority
from featherhq._threads.experience import Experience
from flow_caller import NOW


def cursors() -> Experience:
    """What is known about a server whose lists begin with the oldest message, and which accepts ids as cursors."""
    return Experience(lags=False, order=OLDEST_FIRST, ids_are_cursors=True)


def test_a_page_is_requested_once() -> None:
    """While a page is on its way, it is not requested a second time."""
    talk = PageTalk()
    talk.open_after_gap()
    talk.scan(0.1)
    assert talk.pages(1.0) == []
    talk.state.scans.page([talk.made("1")], "more", talk.now)
    assert talk.scan().cursor == "more"
    assert talk.pages(1.0) == []


def test_a_failed_page_is_requested_again() -> None:
    """If a page could not be read, the scan goes on with this page. After 20 seconds it begins anew."""
    talk = PageTalk()
    talk.open_after_gap()
    talk.scan(0.1)
    talk.state.scans.page([talk.made("1")], "more", talk.now)
    assert talk.scan().cursor == "more"
    for delay, cursor in ((0.5, "more"), (1.0, "more"), (2.0, "more"), (4.0, "more"), (8.0, "more"), (16.0, None)):
        talk.state.scans.failed(talk.now)
        assert talk.scan(delay).cursor == cursor


@pytest.mark.parametrize(("asking", "priority"), [(False, Priority.OWED), (True, Priority.NOW)])
def test_a_check_of_a_silent_stream_is_as_urgent_as_its_caller(asking: bool, priority: Priority) -> None:
    """If a reply is owed and the stream is silent, the list is read. That is more urgent if somebody waits."""
    talk = PageTalk()
    talk.open()
    talk.now += 1.0
    if asking:
        talk.state.ask(talk.now)
    talk.send("1")
    assert talk.scan(5.0).urgency.priority is priority


def test_a_gap_in_which_a_reply_may_have_come_is_read_at_once() -> None:
    """If a message of ours was accepted before the stream opened, its reply may have come before that too. So the list
    is read at once, and before the lists of conversations in which nobody waits.
    """
    talk = PageTalk()
    talk.open_after_a_message(0.5)
    assert talk.scan().urgency.priority is Priority.OWED


def reading_a_part() -> PageTalk:
    """A conversation whose list is read only from its message on. A part of the gap lies before that."""
    talk = PageTalk(cursors())
    talk.open_after_a_message(6.0)
    assert talk.scan().cursor == "1"
    return talk


def test_the_rest_of_a_list_is_read_when_nobody_waits() -> None:
    """If a list was read only from our message on, the whole list is read as soon as its reply has come. Nobody waits
    for that, so it is not urgent.
    """
    talk = reading_a_part()
    assert talk.read(talk.made("2"))
    page = talk.scan()
    assert (page.cursor, page.urgency.priority) == (None, Priority.CHECK)


def test_the_rest_of_a_list_waits_while_a_reply_is_owed() -> None:
    """A long list costs many requests. So while a reply is owed, only its end is read again, after the usual five
    seconds of silence, and as urgently as always.
    """
    talk = reading_a_part()
    assert not talk.read(talk.made("1", direction="INBOUND"))
    page = talk.scan(5.0)
    assert (page.cursor, page.urgency.priority) == ("1", Priority.OWED)


def test_a_lost_stream_leads_to_a_poll_one_second_later() -> None:
    """If the stream is lost while a reply is owed, the next stream may soon be open. So the list is read only if there
    is still none one second later.
    """
    talk = PageTalk()
    job = talk.open()
    talk.now += 1.0
    talk.send("1")
    talk.now += 4.0
    talk.end(job)
    talk.connect()
    assert talk.scan(1.0).urgency.priority is Priority.OWED


def test_polls_go_on_while_a_refused_stream_is_requested_again() -> None:
    """After a minute, a refused stream is requested again. Until it opens, the list is still read every half minute."""
    talk = PageTalk()
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    for wait in (1.0, 3.0, 30.0):
        talk.scan(wait)
        talk.read()
    last = talk.now
    talk.connect(NOW + 60.0 - talk.now)
    assert talk.scan(last + 30.0 - talk.now).urgency.priority is Priority.CHECK


def test_the_first_scan_begins_at_our_first_message() -> None:
    """The history before our first message need not be read, also if nobody waits any more when the first scan
    begins.
    """
    talk = PageTalk(cursors())
    job = talk.open()
    talk.now += 1.0
    talk.send("1")
    talk.now += 1.0
    assert talk.hear(job, ("2", 0.0))
    talk.now += 298.0
    talk.bring(job, b":\n")
    page = talk.scan()
    assert (page.cursor, page.urgency.priority) == ("1", Priority.CHECK)
