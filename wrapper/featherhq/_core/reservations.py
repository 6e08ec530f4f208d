"""The slots that one process reserves of a limit that it shares with others. Pure except for its lock.

A reservation belongs to the process and not to a request: whichever request is first when its time comes takes it. A
process has at most one, so that all processes come in turn. If nobody waits when its time comes, it is lost.

The process asks a store that all share, in the background. If the store does not answer, the process goes on with its
share of the rate, evenly spaced, and asks again every two seconds.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import frozen

from featherhq import _forks
from featherhq._core.events import SharedLimitBack, SharedLimitLost
from featherhq._core.rate_limit import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.events import Event, Listener
    from featherhq._core.shared_limit import SharedLimit
    from featherhq._core.slots import Slot

# Windows are longer by this part, because requests need different times to arrive.
_MARGIN: Final = 0.02
# Seconds to wait for an answer: at first, when a connection must be made, and later.
_FIRST_PATIENCE: Final = 1.0
_PATIENCE: Final = 0.25
# Seconds after a failed question until the next one.
_TRY_AGAIN: Final = 2.0
# Seconds after the first answer. Within them other processes may not know yet that the store is back, and send their
# shares. So this one sends no more than its own.
_CATCH_UP: Final = 2.5
# Seconds after its time for which a reservation may be taken, by a request that was in the queue at that time: a busy
# program is late. For a later request it is gone, because all windows count from its time.
_FRESH: Final = 0.25
# Seconds. If the queue whose turn it is does not take a reservation, because its program is busy, the next one does.
_TURN: Final = 0.02
# Seconds: no slot is further away. A number, because a store does not know infinity.
_LONGEST: Final = 1e9


@frozen
class Terms:
    """What all processes that share a limit agree on.

    Attributes:
        name: The name of the limit.
        rate: Requests per second.
        burst: How many may be sent at once.
    """

    name: str
    rate: float
    burst: int

    @property
    def period(self) -> float:
        """Seconds in which at most `burst` may be sent."""
        return self.burst / self.rate * (1 + _MARGIN)

    @property
    def count(self) -> int:
        """How many may be sent in each `window`. With a larger burst, the server cannot count windows of a second."""
        return max(self.burst, 1, math.floor(self.rate))

    @property
    def window(self) -> float:
        """Seconds: as long as a window of a server that counts windows."""
        return max(1.0, self.count / self.rate) * (1 + _MARGIN)


@frozen(eq=False)
class Question:
    """What a process asks the store.

    Attributes:
        owner: The reservations of the process, which get the answer.
        asked_at: When, in seconds of the monotonic clock.
        longest: Seconds. A slot that is further away is not reserved; negative if none is wanted.
        spread: Whether the slot must be as far from the last one as slots are on average. So requests for which nobody
            waits come evenly, those of all processes together.
        hold: Seconds for which no process may send, because the server has refused a request.
    """

    owner: Reservations
    asked_at: float
    longest: float = -1.0
    spread: bool = False
    hold: float = 0.0


class Reservations:
    """The reservations of one process. Its queues come in turn.

    Args:
        terms: What the processes agree on.
        ask: Takes a question. Calls `answered` or `failed` later, from another thread; if it cannot, it returns why.
        listen: Hears of each event.

    Attributes:
        terms: See above.
        sharers: How many processes share the limit, as far as this one knows.
        is_lost: Whether the store does not answer.
    """

    def __init__(self, terms: Terms, ask: Callable[[Question], str | None], listen: Listener) -> None:
        self.terms = terms
        self.sharers = 1
        self._ask, self._listen = ask, listen
        self._taken_at = float("-inf")
        self.forked()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: what was reserved belongs to the parent."""
        self.is_lost = False
        self._lock = Lock()
        # The queues, each with its first slot. The one whose turn it is comes first.
        self._queues: OrderedDict[SharedLimit, Slot] = OrderedDict()
        self._asked: Question | None = None
        # The time of the reservation, and the time of one that was too far away.
        self._slot_at: float | None = None
        self._too_far: float | None = None
        self._patience = _FIRST_PATIENCE
        self._try_at = self._even_until = float("-inf")
        self._news: list[Event] = []

    @property
    def label(self) -> str:
        """What the limit is called in an error."""
        rate, name = self.terms.rate, self.terms.name
        own = f"; {rate / self.sharers:.3g} for this process, because Redis does not answer" if self.is_lost else ""
        return f"the shared limit of {rate:g} requests per second ({name}{own})"

    def take(self, queue: SharedLimit, slot: Slot, now: float, until: float, *, spread: bool) -> float:
        """Take a slot for the first request of a queue, if one is free now.

        Args:
            queue: The queue that needs it.
            slot: Its first slot, which is woken when there is news.
            now: The time on the monotonic clock, in seconds.
            until: The latest time for the slot.
            spread: As in `Question`.

        Returns:
            0 if it is taken; `inf` if none can come in time; else the seconds after which to ask again.
        """
        with self._lock:
            self._queues[queue] = slot
            place = list(self._queues).index(queue)
            even_at = self._taken_at + self.sharers * WINDOW / queue.pace(now)
            catching_up = not self.is_lost and now < self._even_until
            if self._slot_at is not None and (now > self._slot_at + _FRESH or slot.joined_at > self._slot_at):
                self._slot_at = None
            opens = self._slot_at
            if opens is None:
                if place == 0 and self._is_too_far(until):
                    return math.inf
                if self._asked is None and now >= self._try_at and not (catching_up and now < even_at):
                    self._question(Question(self, now, min(until - now, _LONGEST), spread))
                if self._asked is not None and self._is_patient(now, self._asked):
                    return self._asked.asked_at + self._patience + place * _TURN - now
                opens = even_at
            elif catching_up:
                opens = max(opens, even_at)
            if place == 0 and opens >= until:
                return math.inf
            wait = opens + place * _TURN - now
            if wait > 0:
                return wait
            self._slot_at, self._taken_at = None, now
            self._next(queue)
            return 0.0

    def leave(self, queue: SharedLimit) -> None:
        """A queue needs no reservation now."""
        with self._lock:
            self._next(queue)

    def hold(self, now: float, seconds: float) -> None:
        """Let all processes wait, because the server has refused a request."""
        with self._lock:
            self._ask(Question(self, now, hold=seconds))

    def answered(self, question: Question, now: float, slot_at: float, *, reserved: bool, sharers: int) -> None:
        """The store has answered.

        Args:
            question: The question.
            now: The time on the monotonic clock, in seconds.
            slot_at: The time of the slot, on the same clock.
            reserved: Whether it is reserved.
            sharers: How many processes share the limit.
        """
        with self._lock:
            if self.is_lost:
                self.is_lost, self._even_until = False, now + _CATCH_UP
                self._news.append(SharedLimitBack(self.terms.name))
            self._patience, self._try_at = _PATIENCE, float("-inf")
            # A store that has come back empty does not know all processes yet.
            self.sharers = max(sharers, self.sharers if now < self._even_until else 1)
            if question is self._asked:
                self._asked = None
                self._slot_at, self._too_far = (slot_at, None) if reserved else (None, slot_at)
            self._wake()
        self.tell()

    def failed(self, question: Question, now: float, problem: str) -> None:
        """The store could not be asked.

        Args:
            question: The question.
            now: The time on the monotonic clock, in seconds.
            problem: Why, in a few words.
        """
        with self._lock:
            self._failed(question, now, problem)
            self._wake()
        self.tell()

    def tell(self) -> None:
        """Tell the listener what has happened."""
        while self._news:
            with self._lock:
                news, self._news = self._news, []
            for event in news:
                self._listen(event)

    def _question(self, question: Question) -> None:
        self._asked = question
        if (problem := self._ask(question)) is not None:
            self._failed(question, question.asked_at, problem)

    def _failed(self, question: Question, now: float, problem: str) -> None:
        if question is self._asked:
            self._asked = None
        self._try_at = now + _TRY_AGAIN
        self._lose(problem)

    def _is_too_far(self, until: float) -> bool:
        """Whether the store has just said that the next slot comes later than this."""
        too_far, self._too_far = self._too_far, None
        return too_far is not None and too_far > until

    def _is_patient(self, now: float, asked: Question) -> bool:
        """Whether to go on waiting for the answer to this question."""
        if self.is_lost:
            return False
        if now >= asked.asked_at + self._patience:
            self._lose(f"Redis did not answer within {self._patience:g} s")
        return not self.is_lost

    def _lose(self, problem: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._news.append(SharedLimitLost(self.terms.name, problem, self.terms.rate / self.sharers))

    def _next(self, queue: SharedLimit) -> None:
        if self._queues.pop(queue, None) is not None:
            for slot in list(self._queues.values())[:1]:
                slot.wake()

    def _wake(self) -> None:
        for slot in self._queues.values():
            slot.wake()
