"""The database of `examples/worker`. `make fleet` runs the whole example."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from featherhq import Message
from store import MovedError, Store

HELLO, MORE = Message("r1", "Hello"), Message("r2", "More")


Open = Callable[..., Store]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "cases.sqlite"


@pytest.fixture
def opened(database: Path) -> Iterator[Open]:
    """Opens the store once more, as another worker does."""
    with ExitStack() as stack:
        yield lambda patience=600: stack.enter_context(closing(Store(str(database), patience)))


@pytest.fixture
def store(opened: Open) -> Store:
    """A store with a case whose replies are recorded up to the bookmark b0."""
    store = opened()
    store.add("case", "Ada", "Where is my order?")
    store.opened("case", "thread")
    store.move("case", None, "b0")
    return store


def replies(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [one[0] for one in connection.execute("SELECT message_id FROM replies")]


def test_a_reply_is_recorded_with_its_bookmark(store: Store, database: Path) -> None:
    """Whoever runs the task again goes on behind the last reply that was recorded."""
    store.record("case", HELLO, "b0", "b1")
    case = store.take("case", "answer")
    assert case is not None
    assert (case.bookmark, replies(database)) == ("b1", ["r1"])


def test_of_two_workers_one_records_a_reply(store: Store, opened: Open, database: Path) -> None:
    """Two workers read the same thread. The second one records nothing, and hears that it must begin again."""
    second = opened()
    store.record("case", HELLO, "b0", "b1")
    with pytest.raises(MovedError):
        second.record("case", HELLO, "b0", "b1")
    second.record("case", MORE, "b1", "b2")
    assert replies(database) == ["r1", "r2"]


def test_of_two_workers_one_begins_to_read(store: Store) -> None:
    """Of two workers that have opened the thread, only the first one may send and read."""
    with pytest.raises(MovedError):
        store.move("case", None, "b0 of another")


def test_a_task_that_is_done_does_nothing(store: Store) -> None:
    """A task that is handed out twice has nothing to do the second time, and takes the case no step back."""
    store.advance("case", "answer", "follow_up")
    store.opened("case", "another thread")
    assert store.take("case", "answer") is None
    case = store.take("case", "follow_up")
    assert case is not None
    assert (case.thread_id, case.bookmark) == ("thread", "b0")


def test_what_nobody_finishes_is_due_again(opened: Open) -> None:
    """A step is queued once when its time has come, and again if nobody finishes it in time."""
    impatient, patient = opened(-1), opened()
    impatient.add("case", "Ada", "Where is my order?")
    assert patient.due() == [("case", "open")]
    assert patient.due() == []
    impatient.take("case", "open")
    assert patient.due() == [("case", "open")]
    patient.fail("case", "no such agent")
    assert impatient.due() == []
