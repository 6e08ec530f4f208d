"""An HTTP server on a loopback port, in its own thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from starlette.applications import Starlette

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 2048
# Seconds between two ticks. uvicorn expects a tenth of a second: it renews the `Date` header every ten ticks.
_TICK: Final = 0.1


class Server:
    """Runs an ASGI application until it is stopped.

    Attributes:
        transports: The transports of the open connections, by the client's address.
    """

    def __init__(self) -> None:
        self.transports: dict[Any, asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: _Uvicorn | None = None

    def start(self, running: Callable[[], AbstractContextManager[Starlette]], port: int) -> str:
        """Start the server, wait until it accepts connections, and return its URL.

        Args:
            running: Gives the application, as long as the server runs. It is entered and left in the server's event
                loop. If it raises an error, this method raises it.
            port: The port; 0 for any free port.

        Raises:
            OSError: The port is in use.
            RuntimeError: The server is already running.
        """
        if self.runs:
            raise RuntimeError("this sandbox is already running; call stop() first, or create another Sandbox")
        # The protocol is given, because asyncio sets TCP_NODELAY only then. Without it each response takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"{_HOST}:{port}: {error.strerror}") from None
        started: Future[None] = Future()

        def run() -> None:
            try:
                asyncio.run(self._serve(running, listener, started))
            except Exception as error:  # noqa: BLE001 - start() raises it
                listener.close()
                started.set_exception(error)

        self._thread = threading.Thread(target=run, name="feather-sandbox", daemon=True)
        self._thread.start()
        try:
            started.result()
        except Exception:
            self._thread = None
            raise
        return f"http://{_HOST}:{listener.getsockname()[1]}"

    @property
    def runs(self) -> bool:
        """Whether the server is running."""
        return self._thread is not None

    def must_run(self) -> None:
        """Check that the server is running.

        Raises:
            RuntimeError: It is not.
        """
        if not self.runs:
            raise RuntimeError("this sandbox is not running; call this inside its `with` block, or after start()")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the server's event loop, and return its result.

        Raises:
            RuntimeError: The server is not running.
        """
        self.must_run()
        assert self._loop is not None  # noqa: S101 - the server is running

        async def on_loop() -> Any:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()

    def stop(self) -> None:
        """Close all connections, and end the thread. Nothing happens if the server is not running."""
        if self._thread is not None:
            self.call(self._leave)
            self._thread.join()
            self._thread = None

    async def _serve(
        self,
        running: Callable[[], AbstractContextManager[Starlette]],
        listener: socket.socket,
        started: Future[None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        with running() as app:
            config = uvicorn.Config(
                app,
                http=_protocol(self.transports),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
            )
            self._server = _Uvicorn(config, started)
            await self._server.serve(sockets=[listener])
            # The connections of these tasks are closed. Let the tasks clean up before the event loop ends.
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    def _leave(self) -> None:
        assert self._server is not None  # noqa: S101 - the server was started
        self._server.leave()
        for transport in list(self.transports.values()):
            transport.abort()


def _protocol(transports: dict[Any, asyncio.Transport]) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """Registers its transport, so that a fault can close it."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transports[transport.get_extra_info("peername")] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.transport.get_extra_info("peername"), None)
            super().connection_lost(exc)

    return Protocol


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Future[None]) -> None:
        super().__init__(config)
        self._accepting = started
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Stop the server without waiting for the next tick."""
        self.should_exit = True
        self._leaving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn would wait for open connections. They are all closed already.
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _TICK)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting.set_result(None)
