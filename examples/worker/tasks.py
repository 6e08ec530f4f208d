"""The tasks: open a thread for a case, send the question and record the answer, and follow up.

Each task may run twice, or end at any point. A message is sent once by its key, and a reply is recorded once by the
bookmark. So a task begins from the start, whatever became of it before.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from uuid import uuid4

import settings
from celery import Celery, Task
from featherhq import (
    BadRequestError,
    Conversation,
    Feather,
    FeatherError,
    InvalidArgumentError,
    NotFoundError,
    RedisLedger,
    SharedRateLimit,
)
from store import MovedError, Store

app = Celery("worker", broker=f"{settings.REDIS_URL}/0")
app.conf.update(
    task_ignore_result=True,
    # A task is taken from the queue when it has ended, not when it begins.
    task_acks_late=True,
    # The child that ran a task was killed: queue the task again at once.
    task_reject_on_worker_lost=True,
    # A worker keeps no tasks that it does not run. They would be lost to the others until the visibility timeout.
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # A whole worker was killed: its tasks go to others after so many seconds, counted from when it took them.
        "visibility_timeout": settings.VISIBILITY_TIMEOUT,
        # How often each worker looks for such tasks. By default it looks 10 s after its start, and then each 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # How long the lock of a worker lasts that was killed while it looked. By default 300 s.
        "unacked_mutex_expire": 10,
    },
)

# Errors that no repetition cures.
FOR_GOOD = (InvalidArgumentError, BadRequestError, NotFoundError)


# A child of the worker makes these two when it needs them first, so they belong to it alone.
@cache
def feather() -> Feather:
    """The client of this process."""
    return Feather(
        timeout=settings.TIMEOUT,
        rate_limit=SharedRateLimit(f"{settings.REDIS_URL}/1", rate=10, name="feather"),
        ledger=RedisLedger(f"{settings.REDIS_URL}/1", name="feather"),
    )


@cache
def store() -> Store:
    """The database of this process."""
    return Store(settings.DATABASE, settings.QUEUE_AGAIN_AFTER)


class Step(Task):  # type: ignore[misc] # Celery has no types
    """A task of a case. If Feather fails or is busy, or nobody knows what became of a message, it is repeated."""

    autoretry_for = (FeatherError, MovedError)
    dont_autoretry_for = FOR_GOOD
    # 2 s, 4 s, 8 s… at random up to that, and less than the visibility timeout. Then the sweep queues the task again.
    retry_backoff = 2
    retry_backoff_max = 60
    max_retries = 5

    def on_failure(self, exc: Exception, _task_id: str, args: Any, *_rest: Any) -> None:
        """Give the case up if the error cannot be cured."""
        if isinstance(exc, FOR_GOOD):
            store().fail(args[0], str(exc))


def start(customer: str, question: str) -> str:
    """Begin a case, and return its id. This is what the rest of a program calls."""
    case_id = str(uuid4())
    store().add(case_id, customer, question)
    open_thread.delay(case_id)
    return case_id


@app.task(base=Step, name="open")
def open_thread(case_id: str) -> None:
    """Make a thread. If this is killed before the thread is remembered, an empty thread is left."""
    case = store().take(case_id, "open")
    if case is not None:
        thread = feather().threads.create(settings.AGENT_ID, metadata={"customer": case.customer})
        store().opened(case_id, thread.id)
    # Also if the thread was made before: the task may have been killed just before this line.
    answer.delay(case_id)


@app.task(base=Step, name="answer")
def answer(case_id: str) -> None:
    """Send the question, and record what the agent answers."""
    case = store().take(case_id, "answer")
    if case is None:
        return
    with feather().thread(case.thread_id).conversation(after=case.bookmark) as chat:
        # Before the question goes out, so that whoever runs this next misses no reply.
        bookmark = chat.bookmark
        store().move(case_id, case.bookmark, bookmark)
        # Whoever ran this before, and however that ended: with the same key it is the same message.
        chat.send(case.question, key=case_id)
        record_replies(chat, case_id, bookmark)
    store().advance(case_id, "answer", "follow_up", wait=settings.FOLLOW_UP_AFTER)


@app.task(base=Step, name="follow_up")
def follow_up(case_id: str) -> None:
    """Record what the agent has said since."""
    case = store().take(case_id, "follow_up")
    if case is None:
        return
    with feather().thread(case.thread_id).conversation(after=case.bookmark) as chat:
        record_replies(chat, case_id, case.bookmark)
    store().advance(case_id, "follow_up", "done")


def record_replies(chat: Conversation, case_id: str, bookmark: str | None) -> None:
    """Record the agent's messages after a bookmark, until the agent is quiet."""
    until = time.monotonic() + settings.LISTEN
    for message in chat.replies(timeout=settings.QUIET):
        store().record(case_id, message, bookmark, chat.bookmark)
        bookmark = chat.bookmark
        if time.monotonic() > until:
            return
