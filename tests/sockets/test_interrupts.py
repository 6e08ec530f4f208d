"""What the other side of a connection sees when a job is ended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from featherhq._http.interrupt import shut_down


@pytest.mark.slow
def test_a_server_that_waits_is_told_at_once() -> None:
    """A server sends faster than the client reads, and waits. When the client has read the rest and closes the
    connection, the server's wait ends at once.
    """
    filled, ended = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(4)
            with suppress(TimeoutError):
                while True:
                    connection.send(bytes(65536))
            filled.set()
            connection.settimeout(None)
            with suppress(OSError):
                connection.sendall(bytes(2**26))
            ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        with socket.create_connection(listener.getsockname()) as client:
            assert filled.wait(10)
            assert shut_down(client)
            while client.recv(65536):
                pass
        # Without a reset, it would ask again 0.2 s after it began to wait, 0.6 s, 1.4 s, 3 s, and 6.2 s.
        told = ended.wait(1.5)
        server.join(60)
    assert told
