"""Ledgers of keys for tests: each kind of ledger, on a Redis server and in files of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from featherhq import RedisLedger, SQLiteLedger


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis server of its own, in memory. Gives its URL."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as process:  # noqa: S607
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("redis-server does not accept connections")


def maker(name: str, url: str, folder: Path) -> Callable[..., Any]:
    """A function that makes ledgers of a kind. All of them share one store."""
    if name == "redis":
        return lambda **options: RedisLedger(url, name=folder.name, **options)
    return lambda **options: SQLiteLedger(folder / "ledger.db", **options)
