"""A model of the store of a shared limit, for tests in fake time. It follows the rules of the script in Redis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from featherhq._core.events import Event
from featherhq._core.reservations import Question, Reservations, Terms
from featherhq._core.shared_limit import SharedLimit
from featherhq._core.slots import Priority
from rate_limit_queue import Caller, Queue


class Store:
    """The store, and the processes that share it, each with a queue of callers.

    Args:
        rate: Requests per second.
        burst: How many at once.
        latency: Seconds of each way of a question.

    Attributes:
        queue: The clock, and all callers.
        events: What the processes have told.
        questions: When each question came.
        answers: Whether the store answers. If not, questions wait.
        fails: Whether questions fail at once.
        refuses: Why no question can be asked, if none can.
    """

    def __init__(self, rate: float = 10.0, burst: int = 5, *, latency: float = 0.0005) -> None:
        self.terms = Terms("orders", rate, burst)
        self.events: list[Event] = []
        # Not at 0, because a clock may say anything.
        self.queue = Queue(SharedLimit(self.process()), now=100.0)
        self.questions: list[float] = []
        self.answers, self.fails = True, False
        self.refuses: str | None = None
        self._latency = latency
        self._waiting: list[Callable[[], None]] = []
        self.empty()

    def empty(self) -> None:
        """Forget all, as a Redis that was killed."""
        self._times: list[float] = []
        self._members: set[object] = set()
        self._held = -math.inf

    def process(self) -> Reservations:
        """The reservations of a new process."""
        member = object()
        return Reservations(self.terms, lambda question: self._ask(member, question), self.events.append)

    def limits(self, number: int) -> list[SharedLimit]:
        """The limits of so many new processes."""
        return [SharedLimit(self.process()) for _ in range(number)]

    def come(self, limit: SharedLimit, priority: Priority = Priority.NOW, **how: Any) -> Caller:
        """A caller comes to the queue of this limit."""
        self.queue.limit = limit
        return self.queue.come(priority, **how)

    def go_on(self) -> None:
        """Answer the questions that wait, and all others."""
        self.answers, self.fails = True, False
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer()

    def _ask(self, member: object, question: Question) -> str | None:
        if self.refuses is not None:
            return self.refuses
        self.questions.append(self.queue.now)
        self.queue.at(self.queue.now + self._latency, lambda: self._arrive(member, question))
        return None

    def _arrive(self, member: object, question: Question) -> None:
        if self.fails:
            question.owner.failed(question, self.queue.now, "Redis could not be asked (ConnectionError)")
        elif self.answers:
            self._answer(member, question)
        else:
            self._waiting.append(lambda: self._answer(member, question))

    def _answer(self, member: object, question: Question) -> None:
        now, terms = self.queue.now, self.terms
        self._members.add(member)
        if not self._times:
            self._times = [now - (place // terms.burst) * terms.period for place in reversed(range(terms.count))]
        self._held = max(self._held, now + question.hold if question.hold else -math.inf)
        slot = max(
            now,
            self._held,
            self._times[-terms.burst] + terms.period,
            self._times[-terms.count] + terms.window,
            self._times[-1] + terms.window / terms.count if question.spread else now,
        )
        reserved = slot - now <= question.longest
        if reserved:
            self._times = [*self._times, slot][-terms.count :]
        sharers, wait = len(self._members), slot - now
        self.queue.at(
            now + self._latency,
            lambda: question.owner.answered(
                question, self.queue.now, self.queue.now + wait, reserved=reserved, sharers=sharers
            ),
        )
