"""Asks Redis for reservations, in a thread of its own. So no call waits for Redis longer than it wants to."""

from __future__ import annotations

import secrets
import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from featherhq import _forks
from featherhq._redis.clients import problem
from featherhq._redis.script import RESERVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.reservations import Question, Terms

# Seconds without a question, after which the thread ends.
_IDLE: Final = 10.0
_MICROSECONDS: Final = 1_000_000


class Asker:
    """Asks the Redis of one shared limit, for one process.

    Args:
        connect: Gives the client of the package redis. Called again after a failure, and in a forked child.
        terms: The limit.
    """

    def __init__(self, connect: Callable[[], Any], terms: Terms) -> None:
        self._connect = connect
        base = f"featherhq:{{{terms.name}}}:"
        self._keys = [base + part for part in ("reserved", "sharers", "hold")]
        self._terms = [
            terms.burst,
            round(terms.period * _MICROSECONDS),
            terms.count,
            round(terms.window * _MICROSECONDS),
        ]
        self.forked()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the thread and the connection stay with the parent."""
        self._lock = Lock()
        self._questions: SimpleQueue[Question] = SimpleQueue()
        self._runs = False
        # A process that forks becomes two that share the limit.
        self._member = secrets.token_hex(8)
        self._use_new_client()

    def _use_new_client(self) -> None:
        self._script = self._connect().register_script(RESERVE)

    def ask(self, question: Question) -> str | None:
        """Ask in the background. The answer goes to the owner of the question.

        Returns:
            Why there will be no answer, or `None` if one will come.
        """
        with self._lock:
            if not self._runs:
                try:
                    Thread(target=self._run, name="featherhq-limit", daemon=True).start()
                except RuntimeError:
                    # There are too many, or the program ends.
                    return "no thread could be started to ask Redis"
                self._runs = True
            self._questions.put(question)
            return None

    def _run(self) -> None:
        while True:
            try:
                self._answer(self._questions.get(timeout=_IDLE))
            except Empty:
                with self._lock:
                    self._runs = not self._questions.empty()
                    if not self._runs:  # pragma: no branch - else a question came at this very moment
                        return

    def _answer(self, question: Question) -> None:
        longest, hold = (round(seconds * _MICROSECONDS) for seconds in (question.longest, question.hold))
        try:
            found, wait, sharers = self._script(
                self._keys, [self._member, *self._terms, int(question.spread), longest, hold]
            )
        except Exception as error:  # noqa: BLE001 - whatever a client of the caller raises, the process goes on
            # After a failover the name of the host may mean another one.
            self._use_new_client()
            question.owner.failed(question, time.monotonic(), problem(error))
            return
        # Counted from now on, and not from when it was asked, so that no request leaves too early.
        now = time.monotonic()
        question.owner.answered(question, now, now + wait / _MICROSECONDS, reserved=bool(found), sharers=sharers)
