"""Queue what is due: follow-ups, and tasks that the queue has lost. One of these runs beside the workers.

Redis hands a task to a worker before the worker can note that it has it. If the worker is killed between the two, the
queue knows nothing of the task any more. The database does.
"""

import time

import settings
import tasks


def main() -> None:
    """Run until it is ended."""
    while True:
        for case_id, step in tasks.store().due():
            tasks.app.send_task(step, (case_id,))
        time.sleep(min(5, settings.FOLLOW_UP_AFTER / 4))


if __name__ == "__main__":
    main()
