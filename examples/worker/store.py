"""What the application knows, in SQLite: the cases, the next step of each, and what the agent said.

The database says what is to be done. The queue only says when: a task that is lost there is queued again from here.
"""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from featherhq import Message

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    question TEXT NOT NULL,
    step TEXT NOT NULL,  -- the task that comes next: open, answer, follow_up; or done, failed
    due REAL NOT NULL,  -- when to queue that task, unless it has ended by then
    thread_id TEXT,
    bookmark TEXT,  -- up to where the agent's messages are recorded
    problem TEXT
);
CREATE TABLE IF NOT EXISTS replies (case_id TEXT NOT NULL, message_id TEXT NOT NULL, text TEXT NOT NULL);
"""


class MovedError(Exception):
    """Another worker has moved the bookmark of this case in the meantime. Begin again from there."""


class Case(NamedTuple):
    """A question of a customer."""

    id: str
    customer: str
    question: str
    thread_id: str
    bookmark: str | None


class Store:
    """The database. Each process opens its own, after the fork.

    Args:
        path: The file.
        queue_again_after: Seconds after which a step that was not finished is queued again.
    """

    def __init__(self, path: str, queue_again_after: float) -> None:
        self._patience = queue_again_after
        self._database = sqlite3.connect(path, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, case_id: str, customer: str, question: str) -> None:
        """Add a case, whose next step is `open`."""
        with self._database:
            self._database.execute(
                "INSERT INTO cases (id, customer, question, step, due) VALUES (?, ?, ?, 'open', ?)",
                (case_id, customer, question, time.time() + self._patience),
            )

    def take(self, case_id: str, step: str) -> Case | None:
        """The case, if this is its next step. `None` if the step is done: the task was handed out twice."""
        with self._database:
            taken = self._database.execute(
                "UPDATE cases SET due = ? WHERE id = ? AND step = ?"
                " RETURNING id, customer, question, thread_id, bookmark",
                (time.time() + self._patience, case_id, step),
            ).fetchone()
        return taken and Case(*taken)

    def opened(self, case_id: str, thread_id: str) -> None:
        """Remember the thread. The first one counts, if two workers have made one each."""
        with self._database:
            self._database.execute(
                "UPDATE cases SET thread_id = ?, step = 'answer', due = ? WHERE id = ? AND step = 'open'",
                (thread_id, time.time() + self._patience, case_id),
            )

    def move(self, case_id: str, before: str | None, bookmark: str) -> None:
        """Replace the bookmark.

        Args:
            case_id: The case.
            before: The bookmark from which the caller began.
            bookmark: The new one.

        Raises:
            MovedError: The case has another bookmark than `before` by now. Nothing has changed.
        """
        with self._database:
            self._move(case_id, before, bookmark)

    def record(self, case_id: str, message: Message, before: str | None, bookmark: str) -> None:
        """Record a reply and the new bookmark: both or none, so that no reply is recorded twice or left out.

        Args:
            case_id: The case.
            message: The reply.
            before: The bookmark from before this reply.
            bookmark: The bookmark from after it.

        Raises:
            MovedError: The case has another bookmark than `before` by now. Nothing was recorded.
        """
        with self._database:
            self._move(case_id, before, bookmark)
            self._database.execute("INSERT INTO replies VALUES (?, ?, ?)", (case_id, message.id, message.text))

    def advance(self, case_id: str, step: str, following: str, wait: float = 0) -> None:
        """Note that a step is done, and when the following one is due."""
        with self._database:
            self._database.execute(
                "UPDATE cases SET step = ?, due = ? WHERE id = ? AND step = ?",
                (following, time.time() + wait, case_id, step),
            )

    def fail(self, case_id: str, problem: str) -> None:
        """Give a case up, for a reason that no repetition cures."""
        with self._database:
            self._database.execute("UPDATE cases SET step = 'failed', problem = ? WHERE id = ?", (problem, case_id))

    def due(self) -> list[tuple[str, str]]:
        """Steps to queue now: the case's id and the task's name. Those that nobody takes become due again."""
        now = time.time()
        with self._database:
            return self._database.execute(
                "UPDATE cases SET due = ? WHERE due <= ? AND step NOT IN ('done', 'failed') RETURNING id, step",
                (now + self._patience, now),
            ).fetchall()

    def _move(self, case_id: str, before: str | None, bookmark: str) -> None:
        moved = self._database.execute(
            "UPDATE cases SET bookmark = ? WHERE id = ? AND bookmark IS ?", (bookmark, case_id, before)
        )
        if not moved.rowcount:
            raise MovedError(case_id)
