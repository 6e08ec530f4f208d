"""A message that is sent once by its key: what one call asks the ledger of keys (`Feather(ledger=…)`), and when.

Before each attempt leaves, the call notes it in the ledger, with a *lease*: until its end, the attempt may put the
message into the thread. The attempt itself ends six seconds before its lease, and a server that was cut off is done by
then. So if a list that is read after the lease does not show the message, the attempt has not sent it.

An attempt is noted only if the last one in the ledger is one that the call knows to have failed. So a worker that was
stopped for a while cannot send what another worker has taken over. If an attempt of another call is in the ledger, the
message is first looked for in the thread (`search.py`). Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from featherhq._core.effects import Consult, Sleep
from featherhq._core.events import LedgerFailed
from featherhq._core.retry import POLICY, Outcome, Stop
from featherhq._threads.ledger import text_hash
from featherhq._threads.receipts import from_text, to_text
from featherhq.errors import FeatherError, InvalidArgumentError, LedgerError, one_line, settled
from featherhq.ledgers import Claims, Entry, Intent

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq.ledgers import Ledger
    from featherhq.models import SentMessage

T = TypeVar("T")

AGAIN: Final = "Call it again with the same key: the client looks for the message first, and does not send it twice."


class Once:
    """The key of one call.

    Args:
        settings: The client's settings.
        ledger: The ledger.
        key: The key.
        thread_id: The thread's id.
        text: The message.
        deadline: The end of the call.

    Attributes:
        key: The key.
        entry: The entry of the key as it was read last. `None` if there is none.
        overtaken: Whether the last attempt was not noted, because another call has noted one.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, key: str, thread_id: str, text: str, deadline: Deadline
    ) -> None:
        self.key = key
        self.entry: Entry | None = None
        self.overtaken = False
        self._settings, self._ledger, self._deadline = settings, ledger, deadline
        self._intent = Intent(key, thread_id.lower(), text_hash(thread_id, text))
        # The token of the last attempt of this call that was noted.
        self._token: str | None = None
        # When the entry was read: before it was asked for, and after the answer.
        self._asked_at = self._read_at = self._before = math.inf

    @property
    def is_anothers(self) -> bool:
        """Whether another call has made the last attempt."""
        return self.entry is not None and self.entry.attempt != self._token

    @property
    def began(self) -> float:
        """When the first attempt with this key began at the earliest, in seconds of the monotonic clock."""
        return self._settings.clock() if self.entry is None else self._asked_at - max(0.0, self.entry.age)

    @property
    def lease_ends(self) -> float:
        """When the last attempt can certainly put no message into the thread any more, on the monotonic clock."""
        return -math.inf if self.entry is None else self._read_at + self.entry.lease

    def look(self) -> Flow[SentMessage | None]:
        """Read the entry. Returns the receipt in it, if there is one."""
        self._take_in((yield from self._ask(lambda: self._ledger.begin(self._intent, None, None, 0.0))))
        receipt = None if self.entry is None else self.entry.receipt
        return None if receipt is None else from_text(receipt)

    def exists(self) -> Flow[bool]:
        """Whether there is an entry."""
        try:
            yield from self.look()
        except LedgerError as error:
            raise _unsent(error) from None
        return self.entry is not None

    def look_patiently(self) -> Flow[SentMessage | None]:
        """As `look`. If another call may be sending the message just now, wait a moment for its receipt."""
        pauses = iter(POLICY.first_looks)
        while True:
            try:
                receipt = yield from self.look()
            except LedgerError as error:
                raise _unsent(error) from None
            now = self._settings.clock()
            pause = next(pauses, math.inf)
            if receipt is not None or now >= self.lease_ends or pause >= self._deadline.remaining(now):
                return receipt
            yield from Sleep(pause)

    def wait(self, seconds: float) -> Flow[SentMessage | None]:
        """Wait. Returns the receipt as soon as another call has recorded it."""
        until = self._settings.clock() + seconds
        while (left := until - self._settings.clock()) > 0:
            yield from Sleep(min(left, POLICY.later_looks))
            if (receipt := (yield from self.look())) is not None:
                return receipt
        return None

    def begin(self, seconds: float) -> Flow[Stop | None]:
        """Note the next attempt. Returns why it must not leave, or `None`.

        Args:
            seconds: How long the attempt may take.
        """
        # After an attempt of another call, the caller has proven that the message is not in the thread.
        after, token = None if self.entry is None else self.entry.attempt, self._settings.token()
        lease = seconds + POLICY.grace_after_loss
        try:
            entry = yield from self._ask(lambda: self._ledger.begin(self._intent, token, after, lease))
            self._take_in(entry)
        except LedgerError as error:
            return Stop(_unsent(error), Outcome.NEVER_SENT)
        self.overtaken = entry is None or entry.attempt != token or entry.receipt is not None
        if self.overtaken:
            return Stop(LedgerError(f"another call with the key {self.key!r} sends the message"), Outcome.NEVER_SENT)
        self._token = token
        return None

    def prolong(self) -> Flow[None]:
        """The server may still be at work on the last attempt: note that its absence will prove nothing for a while."""
        token, entry = self._settings.token(), self.entry
        if entry is None or self.is_anothers:
            return
        lease = POLICY.longest_work

        def note() -> Entry | None:
            return self._ledger.begin(self._intent, token, entry.attempt, lease)

        prolonged = yield from self._try(note)
        if isinstance(prolonged, Entry):
            self._take_in(prolonged)
            self._token = token if prolonged.attempt == token else self._token

    def record(self, receipt: SentMessage, *, answered: bool) -> Flow[SentMessage | None]:
        """Record a receipt. Returns the receipt that counts, or `None` if the message belongs to another key.

        Args:
            receipt: The receipt.
            answered: Whether the server has told it in a response. Then it counts even if the ledger fails. Otherwise,
                the message was found in the thread.
        """

        def note() -> str | None:
            token = self._token if answered else None
            return self._ledger.done(self._intent, token, receipt.message_id, to_text(receipt))

        if not answered:
            kept = yield from self._ask(note)
            return None if kept is None else from_text(kept)
        noted = yield from self._try(note)
        return receipt if noted is _FAILED else None if noted is None else from_text(noted)

    def release(self) -> Flow[None]:
        """This call has not put the message into the thread: the next call with the key may send it at once."""
        token = self._token
        if token is not None:
            yield from self._try(lambda: self._ledger.done(self._intent, token, None, ""))

    def claims(self) -> Flow[Claims]:
        """What is known about the other keys of the thread."""
        return self._ask(lambda: self._ledger.claimed(self._intent))

    def _take_in(self, entry: Entry | None) -> None:
        if entry is not None and (entry.thread_id, entry.text_hash) != (self._intent.thread_id, self._intent.text_hash):
            what = "text" if entry.thread_id == self._intent.thread_id else "thread"
            raise InvalidArgumentError(
                f"key: {self.key!r} was used before, for another {what}",
                hint="Nothing was sent. Each message needs a key of its own; the same key means the same message.",
            )
        self.entry, self._asked_at, self._read_at = entry, self._before, self._settings.clock()

    def _ask(self, what: Callable[[], T]) -> Flow[T]:
        """Ask the ledger.

        Raises:
            LedgerError: it has failed, or did not answer in time.
        """
        self._before = self._settings.clock()
        seconds = min(POLICY.ledger_patience, self._deadline.remaining(self._before))
        future = yield from Consult(lambda run: run(what), seconds)
        if future is None:
            raise self._failure(f"it did not answer within {seconds:.2g} s")
        try:
            return future.result()  # type: ignore[no-any-return]
        except LedgerError as error:
            problem = str(error)
        except Exception as error:
            error.add_note(f"The ledger of the client raised this for the key {self.key!r}. {AGAIN}")
            raise
        raise self._failure(problem)

    def _failure(self, problem: str) -> LedgerError:
        return LedgerError(f"the ledger failed for the key {self.key!r}: {problem}", hint=AGAIN)

    def _try(self, what: Callable[[], T]) -> Flow[T | Any]:
        """Ask the ledger, and go on without it if it fails. Returns `_FAILED` then."""
        try:
            return (yield from self._ask(what))
        except Exception as error:  # noqa: BLE001 - a ledger of the caller may raise anything
            self._settings.listen(LedgerFailed(one_line(f"{type(error).__name__}: {error}")))
            return _FAILED


_FAILED: Final = object()


def _unsent(error: FeatherError) -> FeatherError:
    return settled(error, f"This call has sent nothing. {AGAIN}", delivered=False)
