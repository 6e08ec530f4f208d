"""A server that accepts some messages late, and shows some of them late in its lists. It runs in its own process.

It knows only the two operations that a `send` needs. A request that has arrived is done even if its client is gone. A
third of the threads accept a message 3.5 s late, and in another third a list lags by two seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

SLOW: Final = 3.5
"""Seconds that a slow thread takes to accept a message."""
LAG: Final = 2.0
"""Seconds by which a lagging list is late."""
LOG: Final = "/-/log"
"""The path of a GET that answers all messages, and when each delivery has arrived and was accepted."""
DELIVERY: Final = "x-delivery"
"""The header with the number of a delivery."""
_QUICK: Final = (0.0, 0.05)
# The threads of the number 0, 1 and 2 (modulo 3) are quick, slow and lagging.
_KINDS: Final = 3


class Server:
    """The threads, and what has arrived."""

    def __init__(self) -> None:
        self._messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._deliveries: dict[str, dict[str, float]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = line.split(" ")
                answer = json.dumps(await self._answer(method, target, headers, body)).encode()
                date = formatdate(usegmt=True)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(f"Date: {date}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> object:
        parts = urlsplit(target)
        if parts.path == LOG:
            return {"messages": self._messages, "deliveries": self._deliveries}
        thread_id = parts.path.split("/")[4]
        if method == "GET":
            return self._page(thread_id, {name: values[0] for name, values in parse_qs(parts.query).items()})
        # A task of its own: it goes on if the client is gone.
        task = asyncio.create_task(self._accept(thread_id, json.loads(body)["message"], headers.get(DELIVERY, "")))
        self._tasks.add(task)
        return await asyncio.shield(task)

    async def _accept(self, thread_id: str, text: str, delivery: str) -> object:
        times = self._deliveries.setdefault(delivery, {})
        times["arrived"] = time.monotonic()
        slow = _kind(thread_id) == 1
        await asyncio.sleep(SLOW if slow else random.uniform(*_QUICK))  # noqa: S311 - no secret
        now = time.time()
        made = {
            "id": str(uuid4()),
            "threadId": thread_id,
            "direction": "INBOUND",
            "messageBody": text,
            "status": "RECEIVED",
            "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z",
        }
        self._messages[thread_id].append(made)
        times["accepted"] = time.monotonic()
        await asyncio.sleep(random.uniform(*_QUICK))  # noqa: S311
        return {"messageId": made["id"], "threadId": thread_id, "status": "accepted", "windowExpiresIn": 3600}

    def _page(self, thread_id: str, query: dict[str, str]) -> object:
        lag = LAG if _kind(thread_id) == _KINDS - 1 else 0.0
        until = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - lag + 1))
        shown = [message for message in self._messages[thread_id] if not lag or message["createdAt"] < until]
        if "cursor" in query:
            ids = [message["id"] for message in shown]
            shown = shown[ids.index(query["cursor"]) + 1 :] if query["cursor"] in ids else []
        return {"thread": {"messages": shown, "pagination": {"limit": 100, "nextCursor": None}}}


def _kind(thread_id: str) -> int:
    return UUID(thread_id).int % _KINDS


async def _main() -> None:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    # It ends with the process that has started it.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
