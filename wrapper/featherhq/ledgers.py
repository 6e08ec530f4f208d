"""The ledger of keys: what a ledger does, so that a message with a key is sent once, also across crashes and workers.

A program passes one to `Feather(ledger=…)`: a `SQLiteLedger`, a `RedisLedger`, or an object of its own with the three
methods of `Ledger`. The rules that use it are in `_threads/once.py`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

DEFAULT_EXPIRES = 7 * 24 * 3600.0
"""Seconds for which an entry is kept after its last change."""


@frozen
class Intent:
    """A message that a program wants to send once.

    Attributes:
        key: The program's key for it.
        thread_id: The id of its thread, in lower case.
        text_hash: The hash of its thread and its text. Equal texts in a thread have equal hashes.
    """

    key: str
    thread_id: str
    text_hash: str


@frozen
class Entry:
    """What a ledger knows about a key. All times are by the clock of the ledger.

    Attributes:
        thread_id: The id of the thread that was given with the key.
        text_hash: The hash that was given with the key.
        attempt: The token of the last attempt.
        age: Seconds since the first attempt.
        lease: Seconds until it is certain that the last attempt puts no message into the thread any more. 0 or less: it
            is certain now.
        receipt: The receipt that was recorded, or `None`.
    """

    thread_id: str
    text_hash: str
    attempt: str
    age: float
    lease: float
    receipt: str | None = None


@frozen
class Claims:
    """What a ledger knows about the other keys of a thread.

    Attributes:
        ids: The ids of the messages that belong to other keys, each with the seconds since it was recorded.
        open: The hashes of the other keys that have no receipt.
        busy: The longest `lease` of the other keys that have an equal text and no receipt, in seconds. 0: there is
            none.
    """

    ids: Mapping[str, float] = field(factory=dict)
    open: frozenset[str] = frozenset()
    busy: float = 0.0


class Ledger(Protocol):
    """A store that all workers share, and that outlives them. `docs/once.md` shows one for PostgreSQL.

    Each method is one atomic step, and is durable when it returns. The client calls them in threads of their own,
    several at once. An exception passes to the caller of `send`. After a message was accepted, it is only logged.
    """

    def begin(self, intent: Intent, attempt: str | None, after: str | None, seconds: float) -> Entry | None:
        """Read the entry of a key, and note in it that an attempt begins, if that is allowed.

        - `attempt` is `None`: only read.
        - There is no entry: make one if `after` is `None`. Its first attempt begins now.
        - The entry has no receipt, and its last attempt is `after`: note `attempt` in its place.
        - Otherwise, change nothing.

        Args:
            intent: The message.
            attempt: A new token for the attempt.
            after: The token of the last attempt that the caller knows.
            seconds: If the attempt is noted, its lease ends this many seconds from now.

        Returns:
            The entry as it is now. The attempt may leave if it is noted there.
        """
        ...

    def done(self, intent: Intent, attempt: str | None, message_id: str | None, receipt: str) -> str | None:
        """Record what came of a message.

        - `message_id` is `None`: the attempt has not put it into the thread. If the entry has no receipt, and
          `attempt` is its last attempt, remove the entry.
        - The entry has a receipt: change nothing.
        - Another key of this thread has this message: change nothing and return `None`. But if `attempt` is the last
          attempt of the entry and its lease is not over, the server itself has told the id, so record it.
        - Otherwise, record the receipt.

        Args:
            intent: The message.
            attempt: The token of the attempt whose response has come. `None` if the message was found in the list.
            message_id: The id of the message on the server.
            receipt: The receipt, as a string to be kept.

        Returns:
            The receipt that the entry has now, or `None`.
        """
        ...

    def claimed(self, intent: Intent) -> Claims:
        """What is known about the other keys of the thread.

        Args:
            intent: The message. Its own entry does not count.
        """
        ...
