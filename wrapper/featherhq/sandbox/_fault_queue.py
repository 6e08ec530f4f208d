"""The faults that were injected and have not happened yet."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from featherhq.sandbox import _checks, _faults

if TYPE_CHECKING:
    from uuid import UUID

    from featherhq.sandbox._contract import KnownOperations
    from featherhq.sandbox._faults import Fault

_ANY: Final = "*"


class FaultQueue:
    """The faults to come, by operation and thread. Any thread may use it.

    Args:
        known: The operations.
    """

    def __init__(self, known: KnownOperations) -> None:
        self._known = known
        self._faults: dict[tuple[str, str | None], deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()

    def add(self, operation: str, fault: Fault, times: int, thread_id: str | UUID | None) -> None:
        """Add a fault. See `Sandbox.inject` for the arguments and the errors raised."""
        name = operation if operation == _ANY else self._known.find(operation, _ANY).id
        _faults.check(fault, None if name == _ANY else name)
        _checks.whole("times", times, 1)
        thread = None if thread_id is None else _checks.thread("thread_id", thread_id)
        paths = [known.path for known in self._known if name in (_ANY, known.id)]
        if thread is not None and not any("{threadId}" in path for path in paths):
            raise ValueError(f"thread_id: the path of {name} contains no thread id; leave thread_id out")
        with self._lock:
            self._faults[name, thread].extend([fault] * times)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, operation: str, thread_id: str) -> Fault | None:
        """Remove and return the next fault for a request; `None` if there is none.

        A fault for the operation comes before one for any operation. Then a fault for the thread comes before one for
        any thread.
        """
        with self._lock:
            for name in (operation, _ANY):
                for thread in (thread_id.lower(), None):
                    waiting = self._faults.get((name, thread), deque())
                    for place, fault in enumerate(waiting):
                        # A fault that has no effect on this operation waits for another request.
                        if operation in fault.fits:
                            del waiting[place]
                            return fault
        return None
