"""A real Redis on a free loopback port, for tests and measurements."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from types import TracebackType
from typing import Any, Self

import redis


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RedisServer:
    """A Redis that keeps nothing on disk. It may be killed, stopped, and started again on the same port."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        line = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([*line, *self._options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as one:
                    one.sendall(b"PING\r\n")
                    if one.recv(16):
                        return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as SIGKILL does. What it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Let it accept connections and answer nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> redis.Redis:
        """A client of it."""
        return redis.Redis(port=self.port, **options)
