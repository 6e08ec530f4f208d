"""What a conversation remembers of its messages if there are very many."""

from __future__ import annotations

from datetime import UTC, datetime

from featherhq._threads.experience import Experience
from featherhq._threads.messages import Messages
from featherhq.models import Message

NOW, WALL = 1000.0, 1_700_000_000.0
REMEMBERED = 2000


def message(number: int) -> Message:
    return Message(str(number), "x", "OUTBOUND", datetime.fromtimestamp(WALL + number, UTC))


def heard(count: int) -> Messages:
    """A conversation that has received and returned so many messages."""
    messages = Messages(Experience(), lambda at: WALL - NOW + at, {}, NOW, WALL, lambda _: None)
    for number in range(count):
        assert messages.hear(message(number), NOW, NOW + 5 + number)
        assert messages.inbox.take() == message(number)
    return messages


def test_a_forgotten_message_is_not_new_again() -> None:
    """The list may show messages that are older than all that is remembered. They are not returned a second time."""
    messages = heard(REMEMBERED + 10)
    later = NOW + 5 + REMEMBERED + 20
    scan, _ = messages.scan(later, partial=False)
    rows = [message(number) for number in reversed(range(REMEMBERED + 12))]
    while rows:
        page, rows = rows[:100], rows[100:]
        if scan.add(page, page[-1].id if rows else None):
            break
    fresh, lags = messages.read(scan, later, later, partial=False)
    assert [one.id for one in fresh] == [str(REMEMBERED + 10), str(REMEMBERED + 11)]
    assert not lags
