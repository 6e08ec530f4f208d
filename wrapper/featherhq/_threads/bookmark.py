"""Where a conversation goes on in its thread: after a bookmark, or after a message. Pure.

Messages may come out of order: one that is late in the list, or on another stream, comes out after younger ones. So the
id of the last message does not tell what was handed out. A bookmark has an *anchor*: the id of a message up to which
everything was handed out, in the order of the list. And it has what was handed out beyond that anchor.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN
from featherhq._validation import refusal
from featherhq.errors import InvalidArgumentError, one_line
from featherhq.models import Message, SentMessage, is_of, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping

# A bookmark begins with this. A new form gets a new number.
_PREFIX: Final = "bookmark-1."
_ANY_PREFIX: Final = "bookmark-"
# What is so, as bits of one number.
_SURE: Final = 1
_PROVEN: Final = 2
# Bytes of the hash that stands for an id. Among a few hundred ids, two with equal hashes are all but impossible.
_HASH_LENGTH: Final = 6


@frozen
class After:
    """From where on a conversation hands out messages.

    Attributes:
        anchor: The id of a message. Messages after it in the list were not handed out, except those in `given`. `None`
            if no such message is known.
        anchor_at: Its time, or a moment before that, in seconds since 1970 on the server's clock. `None` if unknown.
        since: Messages that were made before this time were there before, in seconds since 1970. Used if there is no
            anchor, or if the anchor is not sure.
        is_sure: Whether nothing that stands before the anchor is missing.
        is_proven: Whether the server has shown that the anchor is in this thread.
        order: The order of the thread's list, or `UNKNOWN`.
        given: What was handed out beyond the anchor: hashes of ids, each with the server's time when that id became
            known. `None` if that time is not known. In the order in which they were handed out.
    """

    anchor: str | None = None
    anchor_at: float | None = None
    since: float | None = None
    is_sure: bool = True
    is_proven: bool = True
    order: int = UNKNOWN
    given: Mapping[str, float | None] = field(factory=dict)

    @classmethod
    def read(cls, thread_id: str, value: object) -> After:
        """From the caller's argument `after`: a bookmark, a message's id, a `Message` or a `SentMessage`.

        Raises:
            InvalidArgumentError: it is none of these, or belongs to another thread.
        """
        if isinstance(value, str) and value.startswith(_ANY_PREFIX):
            return cls._from_text(thread_id, value)
        return cls.of_message(thread_id, value, "after", "a bookmark, the id of a message, a Message or a SentMessage")

    @classmethod
    def of_message(cls, thread_id: str, value: object, name: str, expected: str) -> After:
        """From a message's id, a `Message` or a `SentMessage`.

        Args:
            thread_id: The id of the thread.
            value: The caller's argument.
            name: Its name, for an error.
            expected: What it may be, for an error.

        Raises:
            InvalidArgumentError: it is none of these, or belongs to another thread.
        """
        if isinstance(value, Message):
            if not is_of(value, thread_id):
                raise _of_another_thread(f"{name}: message {one_line(value.id)}", thread_id)
            at = None if value.created_at is None else value.created_at.timestamp()
            return cls(value.id, at, is_proven=at is not None and isinstance(value.raw.get("threadId"), str))
        if isinstance(value, SentMessage):
            if value.thread_id.lower() != thread_id.lower():
                raise _of_another_thread(f"{name}: message {one_line(value.message_id)}", thread_id)
            return cls(value.message_id, None if value.sent_at is None else value.sent_at.timestamp())
        message_id = read_id(value) if isinstance(value, str) else None
        if message_id is None:
            raise refusal(name, expected, value)
        return cls(message_id, is_proven=False)

    @property
    def starts_at(self) -> float | None:
        """What is older than this, in seconds since 1970 on the server's clock, is not new. `None` if not known."""
        return self.anchor_at if self.is_sure else self.since

    def not_in(self, thread_id: str) -> InvalidArgumentError:
        """The error if the list of the thread was read and does not show the anchor."""
        return InvalidArgumentError(
            f"after: message {one_line(str(self.anchor))} is not in thread {thread_id}",
            hint="The whole list was read. Check that the id is that of a message, and of this thread.",
        )

    def text(self, thread_id: str) -> str:
        """The bookmark that says this."""
        base = min((math.ceil(at) for at in self.given.values() if at is not None), default=0)
        given = [(one, None if at is None else math.ceil(at) - base) for one, at in self.given.items()]
        parts = [
            thread_id,
            self.anchor,
            _milliseconds(self.anchor_at),
            _milliseconds(self.since),
            _SURE * self.is_sure + _PROVEN * self.is_proven,
            self.order,
            base,
            *(part for pair in given for part in pair),
        ]
        encoded = urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode())
        return _PREFIX + encoded.decode().rstrip("=")

    @classmethod
    def _from_text(cls, thread_id: str, bookmark: str) -> After:
        """What a bookmark says.

        Raises:
            InvalidArgumentError: it cannot be read, or belongs to another thread.
        """
        if not bookmark.startswith(_PREFIX):
            raise InvalidArgumentError(
                f"after: a bookmark in a form that this version does not know: {one_line(bookmark[:20])}…",
                hint="It may come from a newer version of featherhq. Nothing was sent.",
            )
        theirs, after = cls._decoded(bookmark.removeprefix(_PREFIX))
        if after is None:
            raise InvalidArgumentError(
                f"after: this bookmark is damaged: {one_line(bookmark)}",
                hint="Store the whole string that `bookmark` gives. Nothing was sent.",
            )
        if theirs.lower() != thread_id.lower():
            raise _of_another_thread("after: this bookmark", thread_id)
        return after

    @classmethod
    def _decoded(cls, encoded: str) -> tuple[str, After | None]:
        """The id of the thread, and what the bookmark says; `None` if it cannot be read."""
        try:
            parts: Any = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
            theirs, anchor, anchor_at, since, flags, order, base, *given = parts
            pairs = zip(given[::2], given[1::2], strict=True)
            after = cls(
                anchor,
                _seconds(anchor_at),
                _seconds(since),
                is_sure=bool(flags & _SURE),
                is_proven=bool(flags & _PROVEN),
                order=order,
                given={str(one): None if at is None else base + at for one, at in pairs},
            )
            times = (anchor_at, since, flags, base, *given[1::2])
            is_right = isinstance(theirs, str) and (anchor is None or read_id(anchor) == anchor)
            is_right = (
                is_right
                and order in {NEWEST_FIRST, UNKNOWN, OLDEST_FIRST}
                and all(at is None or type(at) is int for at in times)
            )
        except (ArithmeticError, RecursionError, TypeError, ValueError):
            return "", None
        return (theirs, after) if is_right else ("", None)


def hashed(message_id: str) -> str:
    """What stands for an id in a bookmark: short, and the same in each process."""
    # Imported here, because a program that uses no bookmark starts faster without it.
    from hashlib import blake2b

    # With "surrogatepass", any id can be hashed.
    digest = blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=_HASH_LENGTH).digest()
    return urlsafe_b64encode(digest).decode()


def _milliseconds(at: float | None) -> int | None:
    return None if at is None else math.floor(at * 1000)


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _of_another_thread(what: str, thread_id: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{what} does not belong to thread {thread_id}", hint="Nothing was sent.")
