"""A ledger of keys in a file, for the processes of one machine. The module `sqlite3` is imported when it is needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from featherhq import _validation
from featherhq._lazy import Lazy
from featherhq.errors import ConfigurationError, InvalidArgumentError, LedgerError, one_line
from featherhq.ledgers import DEFAULT_EXPIRES, Claims, Entry, Intent

if TYPE_CHECKING:
    import sqlite3
else:
    # For whoever asks what the annotations mean.
    sqlite3 = Lazy("sqlite3")

# Seconds. One process waits this long for another.
_PATIENCE: Final = 4.0
_OPENING: Final = 6.0
_PAUSE: Final = 0.02
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, thread TEXT NOT NULL, text TEXT NOT NULL, attempt TEXT NOT NULL, began REAL NOT NULL,
    lease REAL NOT NULL, changed REAL NOT NULL, message TEXT, receipt TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_thread ON entries (thread, message);
CREATE INDEX IF NOT EXISTS entries_by_change ON entries (changed);
"""


class SQLiteLedger:
    """A ledger of keys in a SQLite file (`Feather(ledger=…)`), for all threads and processes of one machine.

    Each step is on the disk when it returns. The file must be on a local disk: SQLite cannot lock files on a network.
    The ledger may be made before a fork. Times are by the clock of the machine.

    For example::

        from featherhq import Feather, SQLiteLedger

        with Feather(ledger=SQLiteLedger("feather.db")) as feather:
            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
            sent = thread.send("Pay 100", key="order-17")
            assert thread.send("Pay 100", key="order-17") == sent  # it was sent once

    Args:
        path: The file. It is made if there is none. SQLite keeps two more files beside it.
        expires: Seconds for which an entry is kept after its last change.

    Raises:
        ConfigurationError: the file cannot be opened.
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(self, path: str | os.PathLike[str], *, expires: float = DEFAULT_EXPIRES) -> None:
        if not isinstance(path, str | os.PathLike) or str(path) in {"", ":memory:"}:
            raise InvalidArgumentError(
                f"path: expected the path of a file, got {one_line(repr(path))}",
                hint="The ledger must outlive the process. Pass a path such as 'feather.db'.",
            )
        self._path, self._expires = str(Path(path).absolute()), _validation.seconds("expires", expires)
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            with self._lock:
                self._open()
        except LedgerError as error:
            problem = str(error)
        else:
            _ledgers.add(self)
            return
        raise ConfigurationError(f"SQLiteLedger: {self._path}: {problem}", hint="Pass a file on a local disk.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    def __del__(self) -> None:
        with suppress(AttributeError):  # its `__init__` has failed
            self._hang_up()

    def close(self) -> None:
        """Close the file. It is opened again if the ledger is used."""
        with self._lock:
            self._hang_up()

    def begin(self, intent: Intent, attempt: str | None, after: str | None, seconds: float) -> Entry | None:
        """As `Ledger.begin`."""
        if attempt is None:
            with self._working() as (run, now):
                return self._entry(run, intent, now)
        with self._working("BEGIN IMMEDIATE") as (run, now):
            run("DELETE FROM entries WHERE changed < :oldest", oldest=now - self._expires)
            run(
                "INSERT INTO entries (key, thread, text, attempt, began, lease, changed) "
                "VALUES (:key, :thread, :text, :attempt, :now, :lease, :now) ON CONFLICT (key) DO NOTHING"
                if after is None
                else "UPDATE entries SET attempt = :attempt, lease = :lease, changed = :now "
                "WHERE key = :key AND attempt = :after AND receipt IS NULL",
                **_values(intent, attempt=attempt, after=after, now=now, lease=now + seconds),
            )
            return self._entry(run, intent, now)

    def done(self, intent: Intent, attempt: str | None, message_id: str | None, receipt: str) -> str | None:
        """As `Ledger.done`."""
        values = _values(intent, attempt=attempt or "", message=message_id, receipt=receipt)
        with self._working("BEGIN IMMEDIATE") as (run, now):
            entry = self._entry(run, intent, now)
            if entry is not None and entry.receipt is not None:
                return entry.receipt
            if message_id is None:
                run("DELETE FROM entries WHERE key = :key AND attempt = :attempt", **values)
                return None
            answered = entry is not None and entry.attempt == attempt and entry.lease > 0
            owned = run("SELECT 1 FROM entries WHERE thread = :thread AND message = :message LIMIT 1", **values)
            if owned and not answered:
                return None
            run(
                "INSERT INTO entries VALUES (:key, :thread, :text, :attempt, :now, :now, :now, :message, :receipt) "
                "ON CONFLICT (key) DO UPDATE SET changed = :now, message = :message, receipt = :receipt",
                **values,
                now=now,
            )
            return receipt

    def claimed(self, intent: Intent) -> Claims:
        """As `Ledger.claimed`."""
        with self._working() as (run, now):
            rows = run(
                "SELECT text, lease, changed, message FROM entries "
                "WHERE thread = :thread AND key <> :key AND changed >= :oldest",
                **_values(intent, oldest=now - self._expires),
            )
        pending = [(text, lease - now) for text, lease, _, message in rows if message is None]
        return Claims(
            {message: now - changed for _, _, changed, message in rows if message is not None},
            frozenset(text for text, _ in pending),
            max([0.0, *(lease for text, lease in pending if text == intent.text_hash)]),
        )

    def _entry(self, run: Any, intent: Intent, now: float) -> Entry | None:
        rows = run(
            "SELECT thread, text, attempt, :now - began, lease - :now, receipt FROM entries "
            "WHERE key = :key AND changed >= :oldest",
            **_values(intent, now=now, oldest=now - self._expires),
        )
        return Entry(*rows[0]) if rows else None

    @contextmanager
    def _working(self, begin: str | None = None) -> Iterator[tuple[Any, float]]:
        """A function that runs a statement, and the time. With `begin`, the statements are one transaction.

        Raises:
            LedgerError: SQLite has failed.
        """
        import sqlite3

        with self._lock:
            connection = self._connection or self._open()

            def run(statement: str, **values: object) -> list[Any]:
                return connection.execute(statement, values).fetchall()

            try:
                if begin is not None:
                    run(begin)
                # The time is read in the transaction: whoever comes later reads a later time.
                yield run, time.time()
                if begin is not None:
                    run("COMMIT")
            except sqlite3.Error as error:
                raise self._failed(error) from None
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        run("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        until = time.monotonic() + _OPENING
        while True:
            try:
                # Calls come from many threads, one at a time.
                made = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
                try:
                    made.execute("PRAGMA journal_mode = WAL")
                    made.execute("PRAGMA synchronous = FULL")
                    made.executescript(_SCHEMA)
                except BaseException:
                    made.close()
                    raise
            except sqlite3.Error as error:
                # SQLite does not wait if another process changes the mode of the journal.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise self._failed(error) from None
                time.sleep(_PAUSE)
            else:
                self._connection = made
                return made

    def _failed(self, error: Exception) -> LedgerError:
        return LedgerError(f"SQLite: {error}", hint=f"The file of the ledger is {self._path}.")

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _values(intent: Intent, **others: object) -> dict[str, object]:
    """The values of a statement. It may use each of them more than once, or not."""
    return {"key": intent.key, "thread": intent.thread_id, "text": intent.text_hash, **others}


# A forked child must not use, or even close, connections of its parent. So they are closed before a fork, while no
# thread uses one, and are opened again later.
_ledgers: Final[WeakSet[SQLiteLedger]] = WeakSet()
_held: Final[list[SQLiteLedger]] = []


def _before_fork() -> None:
    _held.extend(_ledgers)
    for ledger in _held:
        ledger._lock.acquire()  # noqa: SLF001 - of this module
        ledger._hang_up()  # noqa: SLF001


def _after_fork() -> None:
    for ledger in _held:
        ledger._lock.release()  # noqa: SLF001
    _held.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - without it, no process can fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
