"""Thousands of messages and replies under faults, and a count of what became of each. `make soak` runs it.

One send in five goes wrong in some way, and every stream is cut after twenty events at the latest, sometimes in the
middle of one. What must come out: no message twice, no reply lost or twice, and exactly as many messages of unknown
fate as were arranged so that nobody can know.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from collections import Counter
from http import HTTPStatus
from statistics import median, quantiles
from typing import Any

import fleet
from attrs import Factory, define
from featherhq import AsyncConversation, AsyncFeather, DeliveryUnknownError
from featherhq.sandbox import (
    CutAfter,
    CutBefore,
    CutStream,
    Fault,
    Garbage,
    Html,
    Reorder,
    Sandbox,
    Stall,
    Status,
)

AGENT_ID = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
TIMEOUT = 12.0
"""Seconds for a send: all but three are for the answer, and the rest is to find out where none came."""
LATE = 9.1
"""Seconds after which an answer comes too late, and early enough to be found."""
FAULTY = 1 / 5
EVENTS_A_STREAM = 20

# Each of these leaves the message in the thread once, if the client does what it promises.
KNOWABLE: tuple[Fault, ...] = (
    CutBefore(),
    CutAfter(),
    Garbage(),
    Html(502),
    Status(500),
    Status(500, after=True),
    Status(502, after=True),
    Status(503),
    Status(503, headers={"Retry-After": "0"}),
    Status(504, after=True),
    Status(524, after=True),
    Status(429, headers={"Retry-After": "0.1"}),
    Stall(LATE),
    Stall(LATE, after=True),
)
# Of these nobody can know: no answer in time, and never listed; or a history that cannot be read.
UNKNOWABLE: tuple[tuple[Fault, Fault | None], ...] = (
    (Stall(), None),
    (Status(504), None),
    (CutBefore(), Status(403)),
)
UNKNOWABLE_PART = 1 / 25
"""Of the sends that go wrong."""


@define
class Tally:
    """What became of everything."""

    sent: int = 0
    failed: Counter[str] = Factory(Counter)
    arranged: int = 0
    unknown: int = 0
    reconciled: int = 0
    landed: int = 0
    doubled: int = 0
    missing: int = 0
    made: int = 0
    given: int = 0
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    requests: Counter[str] = Factory(Counter)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether everything is as promised."""
        wrong = self.doubled + self.missing + self.lost + self.twice + self.disordered + self.failed.total()
        return not wrong and self.unknown == self.arranged

    def table(self) -> str:
        """For people."""
        spent = ", ".join(f"{name} {number}" for name, number in self.requests.most_common())
        rows = [
            ("messages sent", self.sent),
            ("  landed", self.landed),
            ("  found after their answer was lost", self.reconciled),
            ("  doubled", self.doubled),
            ("  confirmed and not there", self.missing),
            ("  unknown", self.unknown),
            ("  unknown as arranged", self.arranged),
            ("  failed otherwise", f"{self.failed.total()} {dict(self.failed) or ''}"),
            ("replies made", self.made),
            ("  given", self.given),
            ("  lost", self.lost),
            ("  doubled", self.twice),
            ("  out of order", self.disordered),
            ("requests", f"{self.requests.total()} ({spent})"),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        return "\n".join(f"{name:<38} {value}" for name, value in rows)


async def soak(sends: int, conversations: int, seed: int) -> Tally:
    """Send so many messages in so many conversations at once, and count."""
    tally = Tally()
    began = time.perf_counter()
    with Sandbox(lambda text, _: f"re {text}", rate_limit=None) as sandbox:
        async with AsyncFeather(
            sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=TIMEOUT, max_retries=3
        ) as feather:
            shares = [sends // conversations + (number < sends % conversations) for number in range(conversations)]
            await asyncio.gather(
                *(
                    _converse(sandbox, feather, share, random.Random(f"{seed}/{number}"), tally)  # noqa: S311
                    for number, share in enumerate(shares)
                )
            )
        tally.requests = Counter(request.operation for request in sandbox.requests)
    tally.seconds = time.perf_counter() - began
    return tally


async def _converse(sandbox: Sandbox, feather: AsyncFeather, sends: int, dice: random.Random, tally: Tally) -> None:
    thread = await feather.threads.create(AGENT_ID)
    for _ in range(sends):
        sandbox.inject("streamMessages", _stream_fault(dice), thread_id=thread.id)
    confirmed: list[str] = []
    given: list[str] = []
    async with thread.conversation() as chat:
        for number in range(sends):
            tally.arranged += _arrange(sandbox, thread.id, dice)
            if await _send(chat, str(number), tally):
                confirmed.append(str(number))
            # A few turns are left open now and then, so that replies come while messages are sent.
            while len(given) < len(confirmed) and (dice.random() < 2 / 3 or number == sends - 1):
                got = [message.text async for message in _first(chat)]
                given += got
                if not got:
                    break
        given += [message.text async for message in chat.replies(timeout=1)]
    _count(sandbox, thread.id, confirmed, given, tally)


async def _first(chat: AsyncConversation) -> Any:
    async for message in chat.replies(timeout=15):
        yield message
        return


def _arrange(sandbox: Sandbox, thread_id: str, dice: random.Random) -> bool:
    """Let the next message go wrong, perhaps; whether nobody can know what will become of it."""
    if dice.random() >= FAULTY:
        return False
    unknowable = dice.random() < UNKNOWABLE_PART
    if unknowable:
        fault, history = dice.choice(UNKNOWABLE)
    else:
        lists: tuple[Fault, ...] = (Status(500), Reorder(dice.randrange(99)), Html(502))
        fault, history = dice.choice(KNOWABLE), dice.choice(lists) if dice.random() < 1 / 4 else None
    sandbox.inject("sendMessage", fault, thread_id=thread_id)
    if history is not None:
        sandbox.inject("listMessages", history, thread_id=thread_id)
    return unknowable


async def _send(chat: AsyncConversation, text: str, tally: Tally) -> bool:
    """Send one message; whether it was confirmed."""
    tally.sent += 1
    try:
        sent = await chat.send(text)
    except DeliveryUnknownError:
        tally.unknown += 1
        return False
    except Exception as error:  # noqa: BLE001 - counted, whatever it is
        tally.failed[f"{type(error).__name__}: {error}"] += 1
        return False
    tally.reconciled += sent.reconciled
    return True


def _stream_fault(dice: random.Random) -> Fault:
    faults: tuple[Fault, ...] = (
        CutStream(after_events=dice.randrange(1, EVENTS_A_STREAM)),
        CutStream(after_bytes=dice.randrange(1, 4000)),
        CutStream(after_events=EVENTS_A_STREAM, clean=True),
        Status(503),
    )
    return dice.choice(faults) if dice.random() < 1 / 4 else CutStream(after_events=EVENTS_A_STREAM)


def _count(sandbox: Sandbox, thread_id: str, confirmed: list[str], given: list[str], tally: Tally) -> None:
    history = sandbox.messages(thread_id)
    stands = Counter(message.text for message in history if message.direction == "INBOUND")
    made = [message.text for message in history if message.direction == "OUTBOUND"]
    tally.landed += len(stands)
    tally.doubled += stands.total() - len(stands)
    tally.missing += len(set(confirmed) - set(stands))
    tally.made += len(made)
    tally.given += len(given)
    tally.lost += len(set(made) - set(given))
    tally.twice += len(given) - len(set(given))
    tally.disordered += sum(one != other for one, other in zip(made, given, strict=False))


async def latencies(turns: int) -> dict[str, list[float]]:
    """Seconds from the sandbox's hand to the caller's: over a healthy stream, after a cut one, and without one."""
    found: dict[str, list[float]] = {"healthy stream": [], "after a cut": [], "polling": []}
    with Sandbox(rate_limit=None) as sandbox:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            for name, fault, times in (
                ("healthy stream", None, turns),
                ("after a cut", CutStream(after_events=1), 5),
                ("polling", Status(404), 3),
            ):
                thread = await feather.threads.create(AGENT_ID)
                if fault is not None:
                    sandbox.inject("streamMessages", fault, times, thread_id=thread.id)
                async with thread.conversation() as chat:
                    replies = chat.replies(timeout=15)
                    for number in range(times):
                        if isinstance(fault, CutStream):
                            # The one after which it is cut.
                            await asyncio.to_thread(sandbox.say, thread.id, "cut")
                            await anext(replies)
                        began = time.perf_counter()
                        await asyncio.to_thread(sandbox.say, thread.id, str(number))
                        await anext(replies)
                        found[name].append(time.perf_counter() - began)
    return found


async def limited(name: str, asks: int, conversations: int, seed: int) -> Counter[str]:
    """The same faults under the default rate limit, with streams that are cut: what becomes of so many asks.

    Args:
        name: The client: `featherhq` with its defaults, or the `naive` one of `fleet.py`.
        asks: How many.
        conversations: In how many conversations.
        seed: Of the faults.
    """
    counts: Counter[str] = Counter()
    with Sandbox(lambda text, _: f"re {text}", api_key=fleet.KEY, counting="sliding", stream_life=(20, 30)) as sandbox:
        async with AsyncFeather(fleet.KEY, base_url=sandbox.url) as feather:
            ids = [(await feather.threads.create(AGENT_ID)).id for _ in range(conversations)]
        async with fleet.client(name, sandbox.url) as opener:

            async def converse(number: int) -> None:
                dice = random.Random(f"{seed}/{number}")  # noqa: S311
                given: list[str] = []
                async with opener(ids[number]) as chat:
                    for turn in range(asks // conversations):
                        # One ask each two seconds in all conversations together.
                        await asyncio.sleep(dice.uniform(0, 2 * conversations / 2))
                        _arrange(sandbox, ids[number], dice)
                        try:
                            given.append((await chat.ask(str(turn))).text)
                        except Exception as error:  # noqa: BLE001 - counted, whatever it is
                            counts[f"failed: {type(error).__name__}"] += 1
                    given += [message.text async for message in chat.replies(timeout=15)]
                history = sandbox.messages(ids[number])
                stands = Counter(message.text for message in history if message.direction == "INBOUND")
                made = Counter(message.text for message in history if message.direction == "OUTBOUND")
                counts["messages doubled"] += stands.total() - len(stands)
                counts["replies made"] += made.total()
                counts["replies lost"] += (made - Counter(given)).total()
                counts["replies doubled"] += (Counter(given) - made).total()

            await asyncio.gather(*(converse(number) for number in range(conversations)))
        counts["requests"] = len(sandbox.requests)
        counts["refused (429)"] = sum(request.status == HTTPStatus.TOO_MANY_REQUESTS for request in sandbox.requests)
        # Those that were arranged are part of the faults.
    return counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument("--asks", type=int, default=200, help="of each client under the default rate limit")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # What goes wrong is arranged here, and counted; the log would tell it line by line.
    logging.getLogger("featherhq").setLevel(logging.ERROR)
    for name, times in asyncio.run(latencies(200)).items():
        ninety = quantiles(times, n=10)[-1]
        print(
            f"{name:<16} median {median(times) * 1000:8.1f} ms   p90 {ninety * 1000:8.1f} ms   ({len(times)} messages)"
        )
    wrong = 0
    for name in ("naive", "featherhq"):
        counts = asyncio.run(limited(name, given.asks, 20, given.seed))
        print(f"\n{given.asks} asks by {name}, ten requests a second:")
        for what, number in sorted(counts.items()):
            print(f"  {what:<36} {number}")
        wrong = sum(counts[what] for what in ("messages doubled", "replies lost", "replies doubled"))
    tally = asyncio.run(soak(given.sends, given.conversations, given.seed))
    print(tally.table())
    holds = tally.holds and not wrong
    print("as promised" if holds else "NOT as promised")
    return not holds


if __name__ == "__main__":
    sys.exit(main())
