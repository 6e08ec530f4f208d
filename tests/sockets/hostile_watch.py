"""The checks of the hostile tests: time, memory, errors, log lines, and what remains after a call."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from conftest import Kind
from featherhq import FeatherError
from hostile import (
    KEY,
    MEBI,
    Hostile,
)

# The seconds that a call may take after its timeout, and the seconds that the event loop may be blocked.
SLACK: Final = 0.3
MOST_MEMORY: Final = 64 * MEBI
# People read errors, so an error must not contain an id of a megabyte.
LONGEST_LINE: Final = 4096

_LONGEST_TEST: Final = 8.0


# The errors that say that the caller made a mistake.
BLAMES: Final = ("InvalidArgumentError", "ConfigurationError", "UsageError")


class Memory:
    """The growth of this process's memory at its highest. It is 0 if the system does not tell it."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = self._read("VmRSS")

    @property
    def grown(self) -> int:
        return self._read("VmHWM") - self._before

    @staticmethod
    def _read(name: str) -> int:
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0


class Lines(logging.Handler):
    """A log handler that checks each line at once and keeps none."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        told = record.getMessage()
        if not told.isprintable():
            self._faults.append(f"a log line is not printable: {told[:200]!r}")
        if KEY in told:
            self._faults.append("a log line contains the key")
        if record.name.startswith("asyncio"):
            self._faults.append(f"asyncio logged: {told[:300]!r}")


class Watch:
    """Checks calls: their time, their errors, and whether they block the event loop."""

    def __init__(self, kind: Kind, *, ticks: bool) -> None:
        self.faults: list[str] = []
        self._kind = kind
        self._tick = 0.0
        self._longest = 0.0
        self._ticking: Any = None
        if ticks and kind.asynchronous:
            kind.run(self._start())

    async def _start(self) -> None:
        self._tick = time.monotonic()
        self._ticking = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._ticked()

    def _ticked(self) -> None:
        now = time.monotonic()
        self._longest, self._tick = max(self._longest, now - self._tick), now

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The block may take so many seconds, and a little more."""
        began = self._tick = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            if took > seconds + SLACK:
                self.faults.append(f"it took {took:.2f} s, and {seconds:.2f} s are allowed")
            if self._ticking is not None:
                self._ticked()

    def judge(self, error: BaseException) -> None:
        """Check that an error is a FeatherError with a correct form."""
        if not isinstance(error, FeatherError):
            self.faults.append(f"it is not a FeatherError: {error!r:.300}")
            return
        if type(error).__name__ in BLAMES:
            self.faults.append(f"it blames the caller: {error!r:.300}")
        for what, told in (("text", str(error)), *(("note", note) for note in error.__notes__)):
            if not told.isprintable():
                self.faults.append(f"its {what} is not printable: {told[:300]!r}")
            if len(told) > LONGEST_LINE:
                self.faults.append(f"its {what} has {len(told)} characters: {told[:100]!r}…")
        wait = getattr(error, "retry_after", None)
        if wait is not None and not 0 <= wait < math.inf:
            self.faults.append(f"retry_after is {wait}")
        cause = error.__cause__
        if cause is not None and not isinstance(cause, OSError):
            self.judge(cause)

    def end(self) -> None:
        """Stop the check of the event loop."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._kind.run(asyncio.wait([self._ticking]))
            if self._longest > SLACK:
                self.faults.append(f"the event loop was blocked for {self._longest:.2f} s")


@contextmanager
def judged_log(faults: list[str]) -> Iterator[None]:
    """Check each log line of the block, and keep none of them."""
    lines, loggers = Lines(faults), [logging.getLogger(name) for name in ("featherhq", "asyncio")]
    with ExitStack() as after:
        for logger in loggers:
            logger.addHandler(lines)
            after.callback(logger.removeHandler, lines)
            after.callback(setattr, logger, "propagate", logger.propagate)
            after.callback(logger.setLevel, logger.level)
            # A handler that keeps records also keeps the bodies in their errors.
            logger.propagate = False
        loggers[0].setLevel(logging.DEBUG)
        yield


@contextmanager
def limited_time(server: Hostile) -> Iterator[None]:
    """Close the server after some time, so that a test ends even if its call does not."""
    patience = threading.Timer(_LONGEST_TEST, server.close)
    patience.start()
    try:
        yield
    finally:
        patience.cancel()
        patience.join()


@contextmanager
def watched(kind: Kind, server: Hostile, *, ticks: bool = False, **options: Any) -> Iterator[tuple[Any, Watch]]:
    """Give a client of the server. At the end, close the client and check that nothing remains of its work."""
    watch = Watch(kind, ticks=ticks)
    threads = set(threading.enumerate())
    with server, judged_log(watch.faults), limited_time(server):
        memory = Memory()
        client = kind.client(KEY, base_url=server.url, **options)
        try:
            yield client, watch
        finally:
            with watch.within(0.5):
                (client.aclose if kind.asynchronous else client.close)()
        watch.end()
        if memory.grown > MOST_MEMORY:
            watch.faults.append(f"memory grew by {memory.grown / MEBI:.0f} MiB")
        check_end(kind, server, watch, threads)
        gc.collect()
    assert not watch.faults, "\n".join(watch.faults)


def check_end(kind: Kind, server: Hostile, watch: Watch, threads: set[threading.Thread]) -> None:
    """Check that no connection, thread or task of the client remains, and that no request had a cookie."""
    # Two seconds in turns, and not by the clock: if the machine stops for a while, the threads still get their turns.
    for _ in range(200):
        if server.all_ended(0):
            break
        kind.sleep(0.01)
    if not server.all_ended(0):
        still = [thread.name for thread in threading.enumerate() if thread not in threads]
        watch.faults.append(f"a connection is still open, and these threads run: {still}")
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("featherhq")]
    for thread in ours:
        if thread not in threads:
            thread.join(1)
            watch.faults += [f"a thread still runs: {thread.name}"] * thread.is_alive()
    if kind.asynchronous:
        watch.faults += kind.run(_tasks())
    if any(b"\r\ncookie:" in request.lower() for request in server.seen):
        watch.faults.append("a request had a cookie")


async def _tasks() -> list[str]:
    # A cancelled task ends in the next turn of the event loop.
    """Return a fault for each task that still runs."""
    await asyncio.sleep(0)
    return [f"a task still runs: {task!r}" for task in asyncio.all_tasks() if task is not asyncio.current_task()]
