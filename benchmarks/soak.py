"""Send thousands of messages under faults, and count what happens to each message and each reply: `make soak`.

One send in five has a fault. Every stream is cut after at most twenty events, sometimes in the middle of an event. The
run holds if no message is doubled, no reply is lost or doubled, and no send fails. A send may end with
`DeliveryUnknownError` only if no client can know, after this fault, whether the message was delivered.
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

from attrs import Factory, define
from client_naive import conversation_opener
from clients import AGENT_ID, KEY
from featherhq import AsyncConversation, AsyncFeather, DeliveryUnknownError
from featherhq.sandbox import CutStream, Sandbox, Status
from soak_faults import inject_faults, stream_fault

TIMEOUT = 12.0
"""The deadline of a send in seconds. The client waits nine seconds for the answer. It keeps the other three to find out
whether the message was delivered."""


@define
class Tally:
    """The counts of a run.

    Attributes:
        sent: Messages that were sent.
        failed: Sends that failed, by error. `DeliveryUnknownError` is not among them.
        arranged: Sends with a fault of `UNKNOWABLE`.
        unknown: Sends that ended with `DeliveryUnknownError`.
        reconciled: Sends whose answer was lost, and whose message the client found in the list.
        landed: Different messages on the server.
        doubled: Messages that are on the server a second time.
        missing: Messages whose send succeeded and that are not on the server.
        made: Replies that the agent wrote.
        given: Replies that the client delivered.
        lost: Replies that it did not deliver.
        twice: Replies that it delivered a second time.
        disordered: Replies that it delivered at another place than the agent wrote them.
        requests: The requests by operation.
        seconds: The time of the run.
    """

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
        """Whether nothing is wrong."""
        wrong = self.doubled + self.missing + self.lost + self.twice + self.disordered + self.failed.total()
        return not wrong and self.unknown == self.arranged

    def table(self) -> str:
        """Return the counts as lines for the terminal."""
        spent = ", ".join(f"{name} {number}" for name, number in self.requests.most_common())
        rows = [
            ("messages sent", self.sent),
            ("  on the server", self.landed),
            ("  answer lost, message found", self.reconciled),
            ("  doubled", self.doubled),
            ("  sent successfully, not on the server", self.missing),
            ("  delivery unknown", self.unknown),
            ("  delivery unknown, expected", self.arranged),
            ("  failed with another error", f"{self.failed.total()} {dict(self.failed) or ''}"),
            ("replies written", self.made),
            ("  delivered", self.given),
            ("  lost", self.lost),
            ("  doubled", self.twice),
            ("  out of order", self.disordered),
            ("requests", f"{self.requests.total()} ({spent})"),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        return "\n".join(f"{name:<38} {value}" for name, value in rows)


async def soak(sends: int, conversations: int, seed: int) -> Tally:
    """Send messages under faults, and count.

    Args:
        sends: The number of messages.
        conversations: The number of conversations that send them at the same time.
        seed: Of the faults.
    """
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
        sandbox.inject("streamMessages", stream_fault(dice), thread_id=thread.id)
    confirmed: list[str] = []
    given: list[str] = []
    async with thread.conversation() as chat:
        for number in range(sends):
            tally.arranged += inject_faults(sandbox, thread.id, dice)
            if await _send(chat, str(number), tally):
                confirmed.append(str(number))
            # Sometimes do not wait for the replies, so that replies come while the next message is sent.
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


async def _send(chat: AsyncConversation, text: str, tally: Tally) -> bool:
    """Send one message, and count the result. Return whether the send succeeded."""
    tally.sent += 1
    try:
        sent = await chat.send(text)
    except DeliveryUnknownError:
        tally.unknown += 1
        return False
    except Exception as error:  # noqa: BLE001 - every error is counted
        tally.failed[f"{type(error).__name__}: {error}"] += 1
        return False
    tally.reconciled += sent.reconciled
    return True


def _count(sandbox: Sandbox, thread_id: str, confirmed: list[str], given: list[str], tally: Tally) -> None:
    history = sandbox.messages(thread_id)
    texts = Counter(message.text for message in history if message.direction == "INBOUND")
    made = [message.text for message in history if message.direction == "OUTBOUND"]
    tally.landed += len(texts)
    tally.doubled += texts.total() - len(texts)
    tally.missing += len(set(confirmed) - set(texts))
    tally.made += len(made)
    tally.given += len(given)
    tally.lost += len(set(made) - set(given))
    tally.twice += len(given) - len(set(given))
    tally.disordered += sum(one != other for one, other in zip(made, given, strict=False))


async def latencies(turns: int) -> dict[str, list[float]]:
    """Measure the seconds from when the sandbox writes a message until the client delivers it.

    Args:
        turns: The number of messages over a healthy stream. After a cut, and without a stream, there are fewer.
    """
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
                            # The stream is cut after this message.
                            await asyncio.to_thread(sandbox.say, thread.id, "cut")
                            await anext(replies)
                        began = time.perf_counter()
                        await asyncio.to_thread(sandbox.say, thread.id, str(number))
                        await anext(replies)
                        found[name].append(time.perf_counter() - began)
    return found


async def limited(client: str, asks: int, conversations: int, seed: int) -> Counter[str]:
    """Ask with the same faults, under the default rate limit, on streams that are cut. Count the results.

    Args:
        client: `featherhq`, with its default options, or `naive`.
        asks: The number of asks.
        conversations: The number of conversations that ask.
        seed: Of the faults.
    """
    counts: Counter[str] = Counter()
    with Sandbox(lambda text, _: f"re {text}", api_key=KEY, counting="sliding", stream_life=(20, 30)) as sandbox:
        async with AsyncFeather(KEY, base_url=sandbox.url) as feather:
            ids = [(await feather.threads.create(AGENT_ID)).id for _ in range(conversations)]
        async with conversation_opener(client, sandbox.url) as opener:

            async def converse(number: int) -> None:
                dice = random.Random(f"{seed}/{number}")  # noqa: S311
                given: list[str] = []
                async with opener(ids[number]) as conversation:
                    for turn in range(asks // conversations):
                        # All conversations together ask at most twice a second.
                        await asyncio.sleep(dice.uniform(0, conversations))
                        inject_faults(sandbox, ids[number], dice)
                        try:
                            given.append((await conversation.ask(str(turn))).text)
                        except Exception as error:  # noqa: BLE001 - every error is counted
                            counts[f"failed: {type(error).__name__}"] += 1
                    given += [message.text async for message in conversation.replies(timeout=15)]
                _count_limited(sandbox, ids[number], given, counts)

            await asyncio.gather(*(converse(number) for number in range(conversations)))
        counts["requests"] = len(sandbox.requests)
        # Some of these answers are injected faults.
        counts["refused (429)"] = sum(request.status == HTTPStatus.TOO_MANY_REQUESTS for request in sandbox.requests)
    return counts


def _count_limited(sandbox: Sandbox, thread_id: str, given: list[str], counts: Counter[str]) -> None:
    history = sandbox.messages(thread_id)
    texts = Counter(message.text for message in history if message.direction == "INBOUND")
    made = Counter(message.text for message in history if message.direction == "OUTBOUND")
    counts["messages doubled"] += texts.total() - len(texts)
    counts["replies written"] += made.total()
    counts["replies lost"] += (made - Counter(given)).total()
    counts["replies doubled"] += (Counter(given) - made).total()


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sends", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument(
        "--asks", type=int, default=200, help="the number of asks by each client under the default rate limit"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # The faults are intended, and the results are counted. The log would have a line for each of them.
    logging.getLogger("featherhq").setLevel(logging.ERROR)
    for name, times in asyncio.run(latencies(200)).items():
        ninety = quantiles(times, n=10)[-1]
        print(
            f"{name:<16} median {median(times) * 1000:8.1f} ms   p90 {ninety * 1000:8.1f} ms   ({len(times)} messages)"
        )
    wrong = 0
    for name in ("naive", "featherhq"):
        counts = asyncio.run(limited(name, given.asks, 20, given.seed))
        print(f"\n{given.asks} asks by {name}, at ten requests a second:")
        for what, number in sorted(counts.items()):
            print(f"  {what:<36} {number}")
        wrong = sum(counts[what] for what in ("messages doubled", "replies lost", "replies doubled"))
    tally = asyncio.run(soak(given.sends, given.conversations, given.seed))
    print(tally.table())
    holds = tally.holds and not wrong
    print("holds" if holds else "DOES NOT HOLD")
    return not holds


if __name__ == "__main__":
    sys.exit(main())
