"""Keeps the threads and messages of a sandbox in a file, so that they outlive the process.

The file is a SQLite database. SQLite undoes what a killed process has half written, and lets only one sandbox in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featherhq.models import INBOUND
from featherhq.sandbox._state import ThreadState, as_message

if TYPE_CHECKING:
    from featherhq.sandbox._state import Change, State

# The first bytes of each SQLite database, and the bytes that say whose it is ("Fhsb").
_SQLITE: Final = b"SQLite format 3\0"
_OURS: Final = b"Fhsb"
_PLACE: Final = slice(68, 72)
# Seconds. So long it waits for a process that is about to end.
_PATIENCE: Final = 1.0
_OF_THE_SYSTEM: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
_THREADS: Final = "CREATE TABLE threads (number INTEGER PRIMARY KEY, id TEXT UNIQUE, details TEXT)"
_MESSAGES: Final = (
    "CREATE TABLE messages (number INTEGER PRIMARY KEY, id TEXT UNIQUE, thread TEXT, message TEXT, owed INTEGER)"
)
_NEW_DETAILS: Final = (
    "INSERT INTO threads (id, details) VALUES (:id, :details) ON CONFLICT (id) DO UPDATE SET details = :details"
)
_NEW_MESSAGE: Final = "INSERT INTO messages (id, thread, message, owed) VALUES (:id, :thread, :message, :owed)"

# The files that sandboxes of this process use. To look into such a file would release its lock (POSIX, `fcntl`).
_in_use: Final[set[Path]] = set()


class Keeper:
    """Reads and writes the file. Use it in one thread.

    Args:
        path: The file. It is made if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def keeping(self, state: State) -> Iterator[None]:
        """Fill a state from the file, and record each of its changes until the block ends.

        Raises:
            OSError: The file cannot be opened, or another sandbox uses it.
            ValueError: The file is damaged, or it is not the file of a sandbox. It is left as it is.
        """
        path = self._path.resolve()
        if path in _in_use:
            raise self._locked()
        self._must_be_ours()
        _in_use.add(path)
        try:
            with self._open(state):
                yield
        finally:
            _in_use.remove(path)

    @contextmanager
    def _open(self, state: State) -> Iterator[None]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)) as connection:
            try:
                threads = _read(connection)
            except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
                raise self._failed(error) from None
            state.threads.clear()
            state.threads.update(threads)

            def record(change: Change) -> None:
                try:
                    with connection:
                        _write(connection, change)
                except sqlite3.Error as error:
                    raise OSError(f"{self._path}: {error}") from None

            state.record = record
            try:
                yield
            finally:
                state.record = None

    def _must_be_ours(self) -> None:
        # For the error of the operating system: SQLite only says that it cannot open the file.
        self._path.open("ab").close()
        with self._path.open("rb") as file:
            head = file.read(_PLACE.stop)
        if head and not (head.startswith(_SQLITE) and head[_PLACE] == _OURS):
            raise ValueError(f"{self._path}: this is not the file of a sandbox; pass the path of a new file")

    def _failed(self, error: Exception) -> Exception:
        """The error that the caller gets for one of SQLite, or for one of reading what is in the file."""
        # The last byte is the kind of the error. Errors of Python's own have none.
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if kind == sqlite3.SQLITE_BUSY:
            return self._locked()
        if kind in _OF_THE_SYSTEM:
            return OSError(f"{self._path}: {error}")
        return ValueError(f"{self._path}: this file of a sandbox is damaged; move it away, or pass another path")

    def _locked(self) -> Exception:
        return OSError(f"{self._path}: another sandbox uses this file; stop it first, or pass another path")


def _read(connection: sqlite3.Connection) -> dict[str, ThreadState]:
    """Lock the file until it is closed, and read it."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # What was written outlives the process, but perhaps not the machine.
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        connection.execute("BEGIN EXCLUSIVE")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in (f"PRAGMA application_id = {int.from_bytes(_OURS)}", _THREADS, _MESSAGES):
                connection.execute(statement)
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise ValueError
        threads: dict[str, ThreadState] = {}
        for thread_id, details in connection.execute("SELECT id, details FROM threads ORDER BY number"):
            threads[thread_id] = ThreadState(json.loads(details))
        for thread_id, text, owed in connection.execute("SELECT thread, message, owed FROM messages ORDER BY number"):
            message = json.loads(text)
            # To see that all fields are there.
            as_message(message)
            threads[thread_id].add(message, owed=bool(owed))
        return threads


def _write(connection: sqlite3.Connection, change: Change) -> None:
    connection.execute("BEGIN")
    if (thread := change.thread) is not None:
        connection.execute(_NEW_DETAILS, {"id": thread["id"], "details": json.dumps(thread)})
    for message in change.messages:
        values = {"id": message["id"], "thread": message["threadId"], "message": json.dumps(message)}
        connection.execute(_NEW_MESSAGE, {**values, "owed": message["direction"] == INBOUND})
    if change.answered is not None:
        connection.execute("UPDATE messages SET owed = 0 WHERE id = :id", {"id": change.answered})
