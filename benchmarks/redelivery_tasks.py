"""The Celery application of `redelivery.py`. Its settings come from the environment."""

from __future__ import annotations

import json
import os
import signal
import time

import redis
from celery import Celery
from kombu.transport.redis import QoS

BROKER = os.environ["REDELIVERY_BROKER"]
app = Celery("redelivery_tasks", broker=BROKER)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_acks_late=True,
    task_time_limit=None,
    **json.loads(os.environ.get("REDELIVERY_SETTINGS", "{}")),
)


@app.task(bind=True)
def work(_task: object, number: int, seconds: float) -> None:
    """Note the start and the end of a task in Redis, with a sleep between them."""
    with redis.Redis.from_url(BROKER) as client:
        client.rpush("started", json.dumps([number, os.getpid(), time.time()]))
        time.sleep(seconds)
        client.rpush("ended", json.dumps([number, os.getpid(), time.time()]))


def _die(*_arguments: object, **_named: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# The name of the step at which the main process kills itself. No signal from outside would hit these steps in time.
match os.environ.get("REDELIVERY_DIES"):
    case "before the note":
        # Kombu has taken the message from the queue, and has not yet noted it among those that are not acknowledged.
        QoS.append = _die  # type: ignore[method-assign]
    case "in the sweep":
        # Kombu holds the lock for the sweep.
        QoS.restore_by_tag = _die  # type: ignore[method-assign]
