"""The state of a client after a fork: what the child process keeps, and what stays with the parent."""

from __future__ import annotations

from fake_time import EPOCH, at_once
from featherhq._core.key import Key
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Urgency
from featherhq._threads.ledger import SendLedger
from flow_caller import THREAD
from key_flow_helpers import Background, first_effect, result_with
from message_stamps import stamped


def test_a_forked_child_asks_for_its_own_key() -> None:
    """If the callable was running in the parent at the fork, the child runs it again."""
    background = Background()
    key = Key(lambda: "of-the-child")
    first_effect(key.get(5.0)).ask(background.run)
    key.forked()
    flow = key.get(5.0)
    assert result_with(flow, first_effect(flow).ask(at_once)).reveal() == "of-the-child"


def test_a_forked_child_has_an_empty_queue() -> None:
    """The requests in the queue belong to the parent, so the child's queue is empty. Slots that were taken before
    the fork still count.
    """
    limit, urgency = RateLimit(1.0), Urgency(Priority.NOW)
    woken: list[str] = []
    first, second, third = (limit.slot(urgency) for _ in range(3))
    first.join(lambda: woken.append("first"))
    assert first.ask(0.0, 100.0) is True
    second.join(lambda: woken.append("second"))
    assert second.ask(0.0, 100.0) is not True
    limit.forked()
    third.join(lambda: woken.append("third"))
    wait = third.ask(0.5, 100.0)
    assert wait is not True
    assert third.ask(0.5 + wait, 100.0) is not True
    assert third.ask(3.1, 100.0) is True


def test_a_forked_child_is_not_sending_its_parents_messages() -> None:
    """The parent's message is not one that the child is sending, so the child finds its own message with that text.
    The child still knows the messages that were listed before.
    """
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    ledger.saw(THREAD, [stamped("1", -5.0)], 1.0)
    with ledger.sending(THREAD, "hello", 2.0):
        ledger.forked()
        with ledger.sending(THREAD, "hello", 3.0) as mine:
            mine.waiting = False
            listed = [stamped("2", 3.0, "hello", "INBOUND")]
            assert ledger.find(mine, listed, 4.0) == listed[0]
    assert set(ledger.known(THREAD)) == {"1", "2"}
