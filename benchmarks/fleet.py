"""Many conversations on one key, at the default rate limit of 10 requests a second: what that costs, and who waits.

`python benchmarks/fleet.py fleet --conversations 200` and so on, each against a server of its own (`fleet_server.py`);
prints JSON. All times are seconds, and real ones. The measurements:

- `fleet`: most conversations are idle and listen, the others ask in turn, and all streams are cut again and again. By
  this client, or by one that is written in an hour (`--client naive`).
- `idle`: messages are sent while a thousand idle conversations are being opened.
- `gap`: how late a reply is that was made while the stream was down.
- `callers`: many callers at once who have a few seconds each.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import math
import random
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol, Self
from uuid import UUID

import httpx
from attrs import Factory, define
from featherhq import AsyncFeather, DeliveryUnknownError, Feather, FeatherError, Message
from fleet_server import COUNTING, SEND, made_at

KEY: Final = "benchmark-key"
LIFE: Final = (48.0, 72.0)
"""Seconds between which a stream is cut: a minute, and a fifth more or less."""
IDLE_PART: Final = 3 / 4
"""Of a fleet's conversations, those that only listen."""
UNASKED: Final = 3
"""One in so many idle conversations is told something unasked, once, in the gap after its stream was cut."""
TRIES: Final = 3
"""Of the naive client, for one message."""
PATIENCE: Final = 30.0
"""Seconds that the naive client waits for a reply."""
GRACE: Final = 60.0
"""Seconds after the end for what was made and not handed out yet; whatever then lacks is lost. The naive client, which
never looks for anything, gets none."""
LONGEST_GAPS: Final = 60.0
"""Seconds after which `gap` begins no further ask."""

Found = dict[str, Any]
Trouble = (FeatherError, httpx.HTTPError, TimeoutError)


class Chat(Protocol):
    """An open conversation, of whichever client."""

    async def ask(self, text: str) -> Message:
        """Send a message; the reply to it."""

    def replies(self, timeout: float | None = None) -> AsyncIterator[Message]:
        """What the agent says, until so many seconds bring nothing."""


Opener = Callable[[str], AbstractAsyncContextManager[Chat]]


class NaiveChat:
    """A conversation as one writes it in an hour: one stream, opened again when it ends; POSTs that are tried again
    after any error; and no look into the list.

    Args:
        http: Has the server's URL, and no limit to its connections.
        thread_id: The thread.
    """

    def __init__(self, http: httpx.AsyncClient, thread_id: str) -> None:
        self._http = http
        self._path = f"/api/v1/threads/{thread_id}"
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._opened = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        await self._opened.wait()
        return self

    async def __aexit__(self, *args: object) -> None:
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def ask(self, text: str) -> Message:
        """As `Chat.ask`: the next message that comes is taken for the reply."""
        await self._send(text)
        async with asyncio.timeout(PATIENCE):
            return await self._heard.get()

    async def replies(self, timeout: float | None = None) -> AsyncIterator[Message]:
        """As `Chat.replies`."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(timeout):
                    message = await self._heard.get()
                yield message

    async def _send(self, text: str) -> None:
        for tried in range(1, TRIES + 1):
            try:
                answer = await self._http.post(f"{self._path}/messages", json={"message": text})
                answer.raise_for_status()
            except httpx.HTTPError as error:
                if tried == TRIES:
                    raise
                await asyncio.sleep(_retry_after(error))
            else:
                return

    async def _read(self) -> None:
        while True:
            try:
                async with self._http.stream("GET", f"{self._path}/stream", timeout=None) as answer:
                    answer.raise_for_status()
                    self._opened.set()
                    async for line in answer.aiter_lines():
                        if line.startswith("data:"):
                            data = json.loads(line[5:])
                            self._heard.put_nowait(Message(id=data["id"], text=data["messageBody"]))
            except httpx.HTTPError as error:
                await asyncio.sleep(_retry_after(error))


def _retry_after(error: httpx.HTTPError) -> float:
    return float(error.response.headers.get("Retry-After", 0)) if isinstance(error, httpx.HTTPStatusError) else 0.0


@asynccontextmanager
async def client(name: str, url: str) -> AsyncIterator[Opener]:
    """What opens conversations: by `featherhq` with its defaults, or by the `naive` client."""
    if name == "featherhq":
        async with AsyncFeather(KEY, base_url=url) as feather:
            yield lambda thread_id: feather.thread(thread_id).conversation()
    else:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": KEY}, limits=limits) as http:
            yield lambda thread_id: NaiveChat(http, thread_id)


@contextmanager
def serving(*options: object) -> Iterator[str]:
    """A server in a process of its own: its URL."""
    line = [sys.executable, str(Path(__file__).parent / "fleet_server.py"), *map(str, options)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield process.stdout.readline().strip()
        process.communicate()


class Control:
    """What the measurement itself has to do with the server.

    Args:
        http: Has the server's URL.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def report(self) -> Found:
        """What the server has counted, see `fleet_server.Server.report`."""
        found: Found = (await self._http.get("/-/report")).raise_for_status().json()
        return found

    async def order(self, what: str, **query: str) -> Any:
        """Have the server do something, see `fleet_server`; what it answers."""
        return (await self._http.post(f"/-/{what}", params=query)).raise_for_status().json()


@asynccontextmanager
async def controlled(url: str) -> AsyncIterator[Control]:
    """The server's control."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        yield Control(http)


def thread_ids(number: int) -> list[str]:
    """Ids of threads, always the same; the server makes them when they are first named."""
    return [str(UUID(int=(1 << 126) + place, version=4)) for place in range(number)]


@define
class Ask:
    """A turn: when it began, on the monotonic clock; how long it took, in seconds; and what came of it."""

    began: float
    took: float
    error: str | None


@define
class Heard:
    """What was handed out.

    Attributes:
        times: How often, by the messages' ids.
        late: Seconds from when it was made until it was handed out, of what was said unasked.
        crossed: Asks that were given what was no reply to them.
        errors: What was raised to who listened or opened.
    """

    times: Counter[str] = Factory(Counter)
    late: list[float] = Factory(list)
    crossed: int = 0
    errors: Counter[str] = Factory(Counter)

    def hear(self, message: Message, asked: str | None = None) -> None:
        """A message was handed out: to who listened, or for what was asked."""
        self.times[message.id] += 1
        what = message.text.partition(" ")[2]
        if what == "unasked" and self.times[message.id] == 1:
            self.late.append(time.monotonic() - made_at(message.text))
        self.crossed += asked is not None and what != f"re {asked}"


class Fleet:
    """Conversations of one client that are open at once.

    Args:
        opener: Opens one.
        ids: Their threads.
        asking: Those of them that ask, and do not listen.
        rate: Asks a second, by all of them together; evenly, but for a half more or less.
    """

    def __init__(self, opener: Opener, ids: list[str], asking: Iterable[str] = (), rate: float = 1.0) -> None:
        self.heard = Heard()
        self.asks: list[Ask] = []
        self.skipped = 0
        self._open = opener
        self._ids = ids
        self._asking = frozenset(asking)
        self._rate = rate
        self._dice = random.Random(1)  # noqa: S311 - the same for each client
        self._began = time.monotonic()
        self._opened: dict[str, float] = {}
        self._all_open = asyncio.Event()
        self._ready: deque[tuple[str, Chat]] = deque()
        self._turns: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[Self]:
        """Open them all; they are left at the end of the block."""
        # What no client should raise ends the whole group.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._hold(thread_id)) for thread_id in self._ids]
            if self._asking:
                tasks.append(group.create_task(self._take_turns(group)))
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    @property
    def opened(self) -> list[float]:
        """Seconds from the start until each of those that were open was so for the first time."""
        return list(self._opened.values())

    async def all_open(self) -> None:
        """Wait until every one was open."""
        await self._all_open.wait()

    async def finish(self) -> None:
        """Ask no more, and wait for what is asked already."""
        self._ending.set()
        if self._turns:
            await asyncio.wait(self._turns)

    async def settle(self, control: Control, quiet: float, grace: float) -> Found:
        """Take what is left, for those who asked and do not listen; what the server says in the end.

        Args:
            control: The server's.
            quiet: Seconds without anything new after which there is nothing left.
            grace: Seconds to go on for, where something was made and not handed out.
        """
        until = time.monotonic() + grace
        await asyncio.gather(*(self._drain(chat, quiet) for _, chat in self._ready))
        while True:
            report = await control.report()
            lacking = {
                thread_id
                for thread_id, thread in report["threads"].items()
                if any(reply not in self.heard.times for reply in (*thread["replies"], *thread["unasked"]))
            }
            if not lacking or time.monotonic() > until:
                return report
            await asyncio.gather(
                asyncio.sleep(quiet), *(self._drain(chat, quiet) for which, chat in self._ready if which in lacking)
            )

    async def _drain(self, chat: Chat, quiet: float) -> None:
        try:
            async for message in chat.replies(timeout=quiet):
                self.heard.hear(message)
        except Trouble as error:
            self.heard.errors[type(error).__name__] += 1

    async def _hold(self, thread_id: str) -> None:
        """Hold one open, and open it again where that fails, until this is cancelled."""
        while True:
            try:
                async with self._open(thread_id) as chat:
                    self._opened.setdefault(thread_id, time.monotonic() - self._began)
                    if len(self._opened) == len(self._ids):
                        self._all_open.set()
                    if thread_id in self._asking:
                        self._ready.append((thread_id, chat))
                        await asyncio.Event().wait()
                    async for message in chat.replies():
                        self.heard.hear(message)
            except Trouble as error:
                self.heard.errors[type(error).__name__] += 1
                await asyncio.sleep(self._dice.uniform(1, 2))

    async def _take_turns(self, group: asyncio.TaskGroup) -> None:
        """Whoever is open and has waited longest for its turn asks. An ask that takes long holds up no other."""
        due = time.monotonic()
        number = 0
        while not self._ending.is_set():
            due += self._dice.uniform(0.5, 1.5) / self._rate
            await asyncio.sleep(due - time.monotonic())
            if self._ending.is_set():
                return
            if not self._ready:
                self.skipped += 1
                continue
            number += 1
            turn = group.create_task(self._turn(*self._ready.popleft(), str(number)))
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)

    async def _turn(self, thread_id: str, chat: Chat, text: str) -> None:
        began, failed = time.monotonic(), None
        try:
            self.heard.hear(await chat.ask(text), text)
        except Trouble as error:
            failed = type(error).__name__
        self.asks.append(Ask(began, time.monotonic() - began, failed))
        self._ready.append((thread_id, chat))


def fleet(
    conversations: int = 200,
    seconds: float = 180.0,
    counting: str = "bucket",
    *,
    client: str = "featherhq",
    life: tuple[float, float] = LIFE,
    agent: float = 1.0,
    rate: float = 1.6,
    warm: float = 70.0,
    newest_first: bool = False,
) -> Found:
    """A fleet: what an ask waits beyond the agent's own time, what all that costs, and whether anything is lost.

    Args:
        conversations: How many, of which three quarters are idle and listen.
        seconds: How long to measure.
        counting: How the server counts.
        client: `featherhq` or `naive`.
        life: Seconds between which streams are cut.
        agent: Seconds that the agent takes.
        rate: Asks a second, of all together.
        warm: Seconds from when all are open until the measured time begins.
        newest_first: Which way the server's lists run.

    Returns:
        Of the asks that began in the measured time: the wait in seconds (`p50`, `p90`, `max`), which is infinite for
        those that `failed`, by error; how many turns were `skipped`, since all who ask were waiting. Of the same time:
        `requests` by operation, and `per_life`, the requests of an idle conversation for each stream that it opened. Of
        the whole run: `refused` (429), `replies_lost`, `replies_doubled`, `messages_doubled`, asks that got what was no
        reply to them (`crossed`), `errors` of opening and listening, and of what was said in gaps (`unasked`) how much
        was lost, and the seconds until it was handed out (`unasked_lost`, `unasked_p50`, `unasked_max`). And `lag`, by
        how many seconds this process itself was late, at the most.
    """
    options = ["--counting", counting, "--agent", agent, "--life", *life, *["--newest-first"] * newest_first]
    with serving(*options) as url:
        found = asyncio.run(_fleet(url, conversations, seconds, name=client, agent=agent, rate=rate, warm=warm))
    return {"client": client, "conversations": conversations, "counting": counting, **found}


async def _fleet(
    url: str, conversations: int, seconds: float, *, name: str, agent: float, rate: float, warm: float
) -> Found:
    ids = thread_ids(conversations)
    # Evenly among them, so that some of both kinds are open early.
    asking = ids[:: round(1 / (1 - IDLE_PART))]
    idle = [thread_id for thread_id in ids if thread_id not in asking]
    async with (
        controlled(url) as control,
        client(name, url) as opener,
        _lag() as lag,
        Fleet(opener, ids, asking, rate).under_way() as many,
    ):
        await many.all_open()
        await asyncio.sleep(warm)
        for thread_id in idle[::UNASKED]:
            await control.order("say", thread=thread_id, after="cut")
        skipped, before, began = many.skipped, await control.report(), time.monotonic()
        await asyncio.sleep(seconds)
        skipped, after, ended = many.skipped - skipped, await control.report(), time.monotonic()
        await many.finish()
        final = await many.settle(control, min(2.0, 2 * agent), GRACE if name == "featherhq" else 0.0)
    made, unasked = (
        [reply for thread in final["threads"].values() for reply in thread[kind]] for kind in ("replies", "unasked")
    )
    times = many.heard.times
    measured = [ask for ask in many.asks if began <= ask.began < ended]
    waits = [math.inf if ask.error else ask.took - agent for ask in measured]
    return {
        "open": part(many.opened, 1),
        "asks": len(measured),
        "skipped": skipped,
        "p50": part(waits, 0.5),
        "p90": part(waits, 0.9),
        "max": part(waits, 1),
        "failed": Counter(ask.error for ask in measured if ask.error),
        "errors": many.heard.errors,
        "requests": Counter(after["requests"]) - Counter(before["requests"]),
        "refused": final["refused"],
        "refused_measured": after["refused"] - before["refused"],
        "per_life": _per_life(idle, before, after),
        "replies": len(made),
        "replies_lost": sum(reply not in times for reply in made),
        "replies_doubled": times.total() - len(times),
        "crossed": many.heard.crossed,
        "messages": final["messages"],
        "messages_doubled": final["doubled"],
        "unasked": len(unasked),
        "unasked_lost": sum(reply not in times for reply in unasked),
        "unasked_p50": part(many.heard.late, 0.5),
        "unasked_max": part(many.heard.late, 1),
        "lag": max(lag),
    }


def _per_life(idle: list[str], before: Found, after: Found) -> float:
    """Requests of idle conversations, for each stream that they opened."""
    spent, opened = 0, 0
    for report, sign in ((after, 1), (before, -1)):
        for thread_id in idle:
            thread = report["threads"].get(thread_id, {"requests": {}, "opened": 0})
            spent += sign * sum(number for name, number in thread["requests"].items() if name != SEND)
            opened += sign * thread["opened"]
    return spent / max(opened, 1)


def idle(conversations: int = 1000, seconds: float = 120.0, counting: str = "bucket", *, every: float = 3.0) -> Found:
    """Messages that are sent into another thread while idle conversations are being opened, whose streams are not cut.

    Args:
        conversations: How many are opened.
        seconds: How long to go on.
        counting: How the server counts.
        every: Seconds between two messages.

    Returns:
        How long a send takes in seconds (`p50`, `max`), infinite for those that `failed`, by error; how many
        conversations had been `opened` in the end, and `streams`; how often opening failed and was tried again
        (`errors`); `requests` by operation; `refused` (429).
    """
    with serving("--counting", counting) as url:
        return asyncio.run(_idle(url, conversations, seconds, counting, every))


async def _idle(url: str, conversations: int, seconds: float, counting: str, every: float) -> Found:
    *ids, other = thread_ids(conversations + 1)
    took: list[float] = []
    failed: Counter[str] = Counter()

    async with controlled(url) as control, AsyncFeather(KEY, base_url=url) as feather, _lag() as lag:

        async def send(number: int) -> None:
            began = time.monotonic()
            try:
                await feather.thread(other).send(str(number))
            except FeatherError as error:
                failed[type(error).__name__] += 1
                took.append(math.inf)
            else:
                took.append(time.monotonic() - began)

        async with Fleet(lambda thread_id: feather.thread(thread_id).conversation(), ids).under_way() as many:
            began = time.monotonic()
            sends: list[asyncio.Task[None]] = []
            due = min(1.0, every)
            while due < seconds:
                await asyncio.sleep(began + due - time.monotonic())
                # Each in a task of its own, so that one that takes long holds up no other.
                sends.append(asyncio.create_task(send(len(sends))))
                due += every
            await asyncio.sleep(began + seconds - time.monotonic())
            await asyncio.gather(*sends)
            report = await control.report()
    return {
        "conversations": conversations,
        "counting": counting,
        "sends": len(took),
        "p50": part(took, 0.5),
        "max": part(took, 1),
        "failed": failed,
        "messages_doubled": report["doubled"],
        "opened": len(many.opened),
        "open": part(many.opened, 1),
        "streams": report["streams"],
        "errors": many.heard.errors,
        "requests": report["requests"],
        "refused": report["refused"],
        "lag": max(lag),
    }


def gap(times: int = 15, counting: str = "bucket", *, after: float = 0.05, pause: float = 1.0) -> Found:
    """Asks whose reply is made while the stream is down: it is cut as soon as the message is accepted.

    Args:
        times: How many; fewer where that takes longer than a minute.
        counting: How the server counts.
        after: Seconds from the cut until the reply is made.
        pause: Seconds between two asks, a half more or less; and so how long a stream lives.

    Returns:
        Seconds from when a reply was made until it was handed out (`median`, `max`, and `each`), infinite for asks that
        `failed`, by error; `replies_lost` and `replies_doubled`; `requests` by operation; `refused` (429).
    """
    with serving("--counting", counting) as url:
        return {"counting": counting, "after": after, **asyncio.run(_gap(url, times, after, pause))}


async def _gap(url: str, times: int, after: float, pause: float) -> Found:
    (thread_id,) = thread_ids(1)
    dice = random.Random(1)  # noqa: S311 - the same for each run
    heard = Heard()
    late: list[float] = []
    failed: Counter[str] = Counter()
    async with controlled(url) as control, AsyncFeather(KEY, base_url=url) as feather:
        await control.order("gap", thread=thread_id, seconds=str(after))
        async with feather.thread(thread_id).conversation() as chat:
            until = time.monotonic() + LONGEST_GAPS
            for number in range(times):
                if time.monotonic() > until:
                    break
                try:
                    reply = await chat.ask(str(number))
                except FeatherError as error:
                    failed[type(error).__name__] += 1
                    late.append(math.inf)
                    continue
                late.append(time.monotonic() - made_at(reply.text))
                heard.hear(reply, str(number))
                # Not in step with whatever the client does at intervals.
                await asyncio.sleep(dice.uniform(0.5, 1.5) * pause)
            async for message in chat.replies(timeout=1):
                heard.hear(message)
        report = await control.report()
    return {
        "median": part(late, 0.5),
        "max": part(late, 1),
        "each": late,
        "failed": failed,
        "crossed": heard.crossed,
        "replies_lost": report["replies"] - len(heard.times),
        "replies_doubled": heard.times.total() - len(heard.times),
        "messages_doubled": report["doubled"],
        "requests": report["requests"],
        "refused": report["refused"],
    }


def callers(number: int = 60, timeout: float = 3.0, counting: str = "bucket") -> Found:
    """So many callers at once who have so many seconds each for one message: more than the rate lets through.

    Returns:
        For tasks (`async`) and for threads (`sync`), each on a fresh server: how many `succeeded`, how many do not know
        (`unknown`), and how many `failed` otherwise, by error; of these, how many messages stand on the server all the
        same (`standing`), and how many that succeeded do not (`lost`); messages `doubled`; the longest call, in seconds
        (`longest`); `refused` (429).
    """
    found: Found = {"number": number, "timeout": timeout, "counting": counting}
    for name, call in (("async", _tasks), ("sync", _threads)):
        with serving("--counting", counting) as url:
            found[name] = asyncio.run(_called(url, call(url, number, timeout)))
    return found


@define
class Call:
    """What came of one caller's message: its text, the seconds it took, and the error."""

    text: str
    took: float
    error: FeatherError | None


async def _tasks(url: str, number: int, timeout: float) -> list[Call]:
    async with AsyncFeather(KEY, base_url=url, timeout=timeout) as feather:

        async def call(thread_id: str, text: str) -> Call:
            began, failed = time.monotonic(), None
            try:
                await feather.thread(thread_id).send(text)
            except FeatherError as error:
                failed = error
            return Call(text, time.monotonic() - began, failed)

        return await asyncio.gather(
            *(call(thread_id, f"caller {place}") for place, thread_id in enumerate(thread_ids(number)))
        )


async def _threads(url: str, number: int, timeout: float) -> list[Call]:
    barrier = threading.Barrier(number)
    with Feather(KEY, base_url=url, timeout=timeout) as feather, ThreadPoolExecutor(number) as pool:

        def call(thread_id: str, text: str) -> Call:
            barrier.wait()
            began, failed = time.monotonic(), None
            try:
                feather.thread(thread_id).send(text)
            except FeatherError as error:
                failed = error
            return Call(text, time.monotonic() - began, failed)

        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(
                loop.run_in_executor(pool, call, thread_id, f"caller {place}")
                for place, thread_id in enumerate(thread_ids(number))
            )
        )


async def _called(url: str, calls: Awaitable[list[Call]]) -> Found:
    called = await calls
    # For what may still be on its way.
    await asyncio.sleep(0.5)
    async with controlled(url) as control:
        report = await control.report()
    stands = {text for thread in report["threads"].values() for text in thread["texts"]}
    succeeded = [call.text for call in called if call.error is None]
    failed = [call for call in called if call.error and not isinstance(call.error, DeliveryUnknownError)]
    return {
        "succeeded": len(succeeded),
        "unknown": len(called) - len(succeeded) - len(failed),
        "failed": Counter(type(call.error).__name__ for call in failed),
        "standing": sum(call.text in stands for call in failed),
        "lost": sum(text not in stands for text in succeeded),
        "messages_doubled": report["doubled"],
        "longest": max(call.took for call in called),
        "requests": report["requests"],
        "refused": report["refused"],
    }


@asynccontextmanager
async def _lag() -> AsyncIterator[list[float]]:
    """Seconds by which this process's loop was late, within the block: where they are many, the machine was busy."""
    late = [0.0]

    async def watch() -> None:
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            late.append(time.monotonic() - due)

    task = asyncio.create_task(watch())
    try:
        yield late
    finally:
        task.cancel()


def part(times: list[float], share: float) -> float:
    """The time that such a share of them does not exceed; infinite where there are none."""
    if not times:
        return math.inf
    return median(times) if share == 0.5 else sorted(times)[min(int(share * len(times)), len(times) - 1)]


MEASUREMENTS: Final[dict[str, Callable[..., Found]]] = {kind.__name__: kind for kind in (fleet, idle, gap, callers)}


def main() -> None:
    """The command: each measurement's arguments are options of the same names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="measurement")
    choices = {"counting": COUNTING, "client": ("featherhq", "naive")}
    for name, measure in MEASUREMENTS.items():
        command = commands.add_parser(name, help=(measure.__doc__ or "").partition("\n")[0])
        for option, parameter in inspect.signature(measure).parameters.items():
            flag, default = f"--{option.replace('_', '-')}", parameter.default
            if isinstance(default, bool):
                command.add_argument(flag, action="store_true")
            elif isinstance(default, tuple):
                command.add_argument(flag, type=float, nargs=len(default), default=default)
            else:
                command.add_argument(flag, type=type(default), default=default, choices=choices.get(option))
    given = vars(parser.parse_args())
    print(json.dumps(MEASUREMENTS[given.pop("measurement")](**given)))


if __name__ == "__main__":
    main()
