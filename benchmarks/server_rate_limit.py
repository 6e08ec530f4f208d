"""A server with a rate limit. It keeps threads, cuts streams, and answers 429 to requests above its rate.

It runs in its own process, prints its URL on the first line, and ends when its standard input ends. It is much faster
than its rate limit, so it adds almost nothing to the waits that are measured. It does not look at the API key: all
requests share one rate limit.

The measurements control the server with paths below `/-/`. These requests do not count:

- `GET /-/report`: what was counted, see `Server.report`.
- `POST /-/say?thread=ID`: the agent writes a message without a question. With `&after=cut` it does so right after the
  next cut of the thread's stream, before any client can connect again.
- `POST /-/cut`: cut all streams, or with `?thread=ID` those of one thread.
- `POST /-/gap?thread=ID&seconds=S`: from now on, the server cuts the stream of this thread when it accepts a message,
  and the reply comes so many seconds after the cut.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

import server_rate_limit_counters
from server_rate_limit_connections import Connection
from server_rate_limit_counters import COUNTERS
from server_rate_limit_threads import Thread

SEND: Final = "sendMessage"
STREAM: Final = "streamMessages"
LIST: Final = "listMessages"

_WINDOW: Final = 3600
# The operations on a thread, by the method and the path after the thread's id.
_OPERATIONS: Final = {
    ("POST", "messages"): SEND,
    ("GET", "messages"): LIST,
    ("GET", "stream"): STREAM,
    ("GET", ""): "getThread",
}


class Server:
    """All threads and their streams.

    Args:
        counter: How requests are counted.
        agent: Seconds until the agent answers a message.
        life: The shortest and the longest life of a stream in seconds. The server cuts each stream after a random time
            between them. `None` means that it never cuts a stream by itself.
        newest_first: Whether lists begin with the newest message.
        seed: Of the random lives.
    """

    def __init__(
        self,
        counter: server_rate_limit_counters.Counter,
        agent: float,
        life: tuple[float, float] | None,
        *,
        newest_first: bool,
        seed: int,
    ) -> None:
        self._counter = counter
        self._agent = agent
        self._life = life
        self._newest_first = newest_first
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._threads: dict[str, Thread] = {}
        self._requests: Counter[str] = Counter()
        self._refused = 0
        self._loop = asyncio.get_running_loop()

    def handle(self, connection: Connection, method: str, target: str, body: bytes) -> None:
        """Count and answer a request."""
        path, _, query_string = target.partition("?")
        query = dict(parse_qsl(query_string))
        parts = unquote(path).strip("/").split("/")
        if parts[0] == "-":
            connection.answer(HTTPStatus.OK, self._control(parts[-1], query))
            return
        thread = None
        if [method, *parts] == ["POST", "api", "v1", "threads", "web"]:
            operation: str | None = "createThread"
        else:
            operation = _OPERATIONS.get((method, "/".join(parts[4:])))
            thread = self._thread(parts[3]) if operation else None
        self._requests[operation or "unknown"] += 1
        if thread is not None:
            thread.requests[operation or ""] += 1
        if not self._counter.accept(time.monotonic()):
            self._refused += 1
            if thread is not None:
                thread.refused += 1
            connection.answer(
                HTTPStatus.TOO_MANY_REQUESTS,
                {"status": 429, "message": "Too many requests", "code": "TOO_MANY_REQUESTS", "success": False},
                b"Retry-After: 1\r\n",
            )
        elif operation is None:
            connection.answer(HTTPStatus.NOT_FOUND, {"status": 404, "message": "Not found", "success": False})
        elif operation == STREAM and thread is not None:
            self._open(connection, thread)
        elif operation == SEND and thread is not None:
            self._accept(connection, thread, json.loads(body)["message"])
        elif operation == LIST and thread is not None:
            connection.answer(HTTPStatus.OK, thread.page(query, newest_first=self._newest_first))
        else:
            thread = thread or self._thread(str(uuid4()))
            connection.answer(HTTPStatus.OK, {"thread": {"id": thread.id, "isActive": True}})

    def _thread(self, thread_id: str) -> Thread:
        """Return the thread with this id. The first use of an id creates its thread."""
        thread_id = thread_id.lower()
        return self._threads.setdefault(thread_id, Thread(thread_id))

    def _accept(self, connection: Connection, thread: Thread, text: str) -> None:
        message = thread.add("INBOUND", text)
        connection.answer(
            HTTPStatus.OK,
            {
                "status": "accepted",
                "threadId": thread.id,
                "messageId": message["id"],
                "windowExpiresIn": _WINDOW,
            },
        )
        if thread.gap is not None:
            self._cut(thread.streams)
        wait = self._agent if thread.gap is None else thread.gap
        self._loop.call_later(wait, self._say, thread, f"re {text}", thread.replies)

    def _say(self, thread: Thread, text: str, ids: list[str]) -> dict[str, Any]:
        said = thread.add("OUTBOUND", f"{time.monotonic()} {text}")
        ids.append(said["id"])
        for stream in thread.streams:
            stream.write_event(said)
        return said

    def _open(self, connection: Connection, thread: Thread) -> None:
        thread.opened += 1
        connection.open_stream(thread)
        if self._life is not None:
            connection.schedule_cut(self._dice.uniform(*self._life), partial(self._cut, [connection]))

    def _cut(self, streams: Iterable[Connection]) -> int:
        """Cut streams, and return their number."""
        cut = list(streams)
        for stream in cut:
            thread = stream.thread
            stream.abort()
            if thread is not None:
                # No client can connect again before this.
                for _ in range(thread.after_cut):
                    self._say(thread, "unasked", thread.unasked)
                thread.after_cut = 0
        return len(cut)

    def _control(self, what: str, query: dict[str, str]) -> object:
        thread = self._thread(query["thread"]) if "thread" in query else None
        if what == "report":
            return self.report()
        if what == "cut":
            threads = self._threads.values() if thread is None else [thread]
            return self._cut(chain.from_iterable(thread.streams for thread in threads))
        if thread is None:
            return None
        if what == "gap":
            thread.gap = float(query["seconds"])
        elif query.get("after") == "cut":
            thread.after_cut += 1
        else:
            return self._say(thread, "unasked", thread.unasked)
        return None

    def report(self) -> dict[str, Any]:
        """Return what was counted since the start.

        Returns:
            The number of `requests` by operation, of `refused` requests (429), of open `streams`, of the users'
            `messages`, of those that are in a thread more than once (`doubled`), of `replies`, and of messages without
            a question (`unasked`). And `threads`: what was counted in each of them.
        """
        threads = {thread.id: thread.report() for thread in self._threads.values()}
        return {
            "requests": self._requests,
            "refused": self._refused,
            "streams": sum(len(thread.streams) for thread in self._threads.values()),
            "messages": sum(found["texts"].total() for found in threads.values()),
            "doubled": sum(found["texts"].total() - len(found["texts"]) for found in threads.values()),
            "replies": sum(len(found["replies"]) for found in threads.values()),
            "unasked": sum(len(found["unasked"]) for found in threads.values()),
            "threads": threads,
        }


async def serve(given: argparse.Namespace) -> None:
    """Print the URL, and serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    life = tuple(given.life) if given.life else None
    threads = Server(COUNTERS[given.counting](), given.agent, life, newest_first=given.newest_first, seed=given.seed)
    server = await loop.create_server(lambda: Connection(threads.handle), "127.0.0.1", 0, backlog=4096)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counting", choices=COUNTERS, default="bucket", help="how requests are counted")
    parser.add_argument("--agent", type=float, default=1.0, help="seconds until the agent answers")
    parser.add_argument("--life", type=float, nargs=2, help="shortest and longest life of a stream in seconds")
    parser.add_argument("--newest-first", action="store_true", help="lists begin with the newest message")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
