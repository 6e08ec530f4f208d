"""Customers ask, agents answer, and Celery carries both. A task may end at any point, and may run twice."""

import os
import sqlite3
import time
from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import uuid4

import featherhq
from celery import Celery

AGENT_ID = os.environ.get("AGENT_ID", "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")  # let it keep its data on disk (appendonly yes)
DATABASE = os.environ.get("DATABASE", "cases.sqlite")
TIMEOUT = float(os.environ.get("TIMEOUT", "60"))  # seconds of a call; a task makes two at most
FOLLOW_UP_AFTER = float(os.environ.get("FOLLOW_UP_AFTER", "300"))  # seconds until the agent may have said more
QUEUE_AGAIN_AFTER = float(os.environ.get("QUEUE_AGAIN_AFTER", "600"))  # seconds after which a task counts as lost
HOPELESS = (featherhq.InvalidArgumentError, featherhq.BadRequestError, featherhq.NotFoundError)

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS cases (
    id TEXT PRIMARY KEY, customer TEXT NOT NULL, question TEXT NOT NULL, thread_id TEXT,
    step TEXT NOT NULL,  -- what comes next (answer, follow_up), or how the case has ended (done, failed: …)
    due REAL);           -- when to queue that, unless it has ended by then
CREATE TABLE IF NOT EXISTS replies (case_id TEXT, message_id TEXT, text TEXT, PRIMARY KEY (case_id, message_id));
"""

app = Celery("worker", broker=f"{REDIS_URL}/0")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,  # a task leaves the queue when it has ended, not when it begins
    task_reject_on_worker_lost=True,  # the process that ran it was killed: queue it again at once
    worker_prefetch_multiplier=1,  # a worker keeps no tasks that it does not run
    broker_transport_options={
        "visibility_timeout": 2.5 * TIMEOUT,  # a whole worker was killed: others get its tasks after this many seconds
        "unacked_restore_interval": 5,  # this and the next two: how soon the others look for such tasks
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 10,
    },
)


@cache
def feather() -> featherhq.Feather:
    """The client of this process, made when a task needs it first: after the fork. So is the database."""
    limit = featherhq.SharedRateLimit(f"{REDIS_URL}/1", rate=10, name="feather")
    ledger = featherhq.RedisLedger(f"{REDIS_URL}/1", name="feather")
    return featherhq.Feather(timeout=TIMEOUT, rate_limit=limit, ledger=ledger)


@cache
def database() -> sqlite3.Connection:
    """SQLite here, your database in your program."""
    connection = sqlite3.connect(DATABASE, timeout=30)
    connection.executescript(SCHEMA)
    return connection


def sql(statement: str, *values: object) -> list[Any]:
    """The rows of a statement, in a transaction of its own."""
    with database() as transaction:
        return transaction.execute(statement, values).fetchall()


def start(customer: str, question: str) -> str:
    """Begin a case, and return its id. The rest of your program calls this."""
    case_id, due = str(uuid4()), time.time() + QUEUE_AGAIN_AFTER
    sql("INSERT INTO cases VALUES (?, ?, ?, NULL, 'answer', ?)", case_id, customer, question, due)
    work.delay(case_id, "answer")
    return case_id


@app.task(name="work", autoretry_for=(featherhq.FeatherError,), retry_backoff=2, retry_backoff_max=60, max_retries=5)
def work(case_id: str, step: str) -> None:
    """Do a step of a case. If another step comes next by now, the queue has delivered this one twice."""
    take = "UPDATE cases SET due = ? WHERE id = ? AND step = ? RETURNING customer, question, thread_id"
    taken = sql(take, time.time() + QUEUE_AGAIN_AFTER, case_id, step)
    if not taken:
        return
    customer, question, thread_id = taken[0]
    try:
        thread = feather().thread(thread_id or open_thread(case_id, customer))
        if step == "answer":
            # Whoever ran this before, and however that ended: with the same key it is the same message.
            turn = thread.turn(question, key=case_id)
            end(case_id, step, turn.replies, "follow_up", time.time() + FOLLOW_UP_AFTER)
        else:
            end(case_id, step, thread.messages(direction="OUTBOUND"), "done")
    except HOPELESS as error:
        end(case_id, step, (), f"failed: {error}")


def open_thread(case_id: str, customer: str) -> str:
    """Make the thread of a case. If two workers make one each, the first one counts, and an empty one is left."""
    made = feather().threads.create(AGENT_ID, metadata={"customer": customer})
    keep = "UPDATE cases SET thread_id = coalesce(thread_id, ?) WHERE id = ? RETURNING thread_id"
    return str(sql(keep, made.id, case_id)[0][0])


def end(case_id: str, step: str, said: Iterable[featherhq.Message], then: str, due: float | None = None) -> None:
    """Record the replies that are new, and that the step is done: both or nothing."""
    rows = [(case_id, message.id, message.text) for message in said]
    with database() as transaction:
        transaction.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)
        done = "UPDATE cases SET step = ?, due = ? WHERE id = ? AND step = ?"
        transaction.execute(done, (then, due, case_id, step))


def sweep() -> None:
    """Queue what is due, for ever: follow-ups, and tasks that the queue has lost. One process runs this."""
    while True:
        now = time.time()
        for row in sql("UPDATE cases SET due = ? WHERE due < ? RETURNING id, step", now + QUEUE_AGAIN_AFTER, now):
            work.delay(*row)
        time.sleep(min(5, FOLLOW_UP_AFTER / 4))
