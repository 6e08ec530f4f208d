"""Many conversations on one API key: how long an ask waits, how many requests it costs, and whether anything is lost.

Most conversations are idle and listen. The others ask in turn. The server cuts every stream about once a minute.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import Any, Final

from attrs import frozen
from client_naive import conversation_opener
from fleet import Fleet
from processes import server
from server_rate_limit import SEND
from server_rate_limit_control import Control, controlled, thread_ids
from timing import loop_delays, percentile

LIFE: Final = (48.0, 72.0)
"""The shortest and the longest life of a stream in seconds: a minute, and a fifth less or more."""
IDLE_SHARE: Final = 3 / 4
"""The share of a fleet's conversations that only listen."""
UNASKED: Final = 3
"""In one of so many idle conversations, the agent writes one message without a question, right after a cut."""
GRACE: Final = 60.0
"""Seconds to wait at the end for messages that are not delivered yet. What is missing after that is lost. The naive
client never lists messages, so it gets no such time."""


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
) -> dict[str, Any]:
    """Measure a fleet of conversations. All times are in seconds.

    Args:
        conversations: Their number. Three quarters of them are idle and only listen.
        seconds: How long to measure.
        counting: How the server counts requests.
        client: `featherhq` or `naive`.
        life: The shortest and the longest life of a stream.
        agent: How long the agent takes to reply.
        rate: Asks a second in the whole fleet.
        warm: The time from when all are open until the measured time begins.
        newest_first: Whether the server's lists begin with the newest message.

    Returns:
        Of the asks in the measured time: how long they wait beyond the agent's own time (`p50`, `p90`, `max`; infinite
        for a failed ask), the `failed` ones by error, and `skipped`, the asks that did not begin because every
        conversation was still waiting for a reply. Of the measured time: the `requests` by operation, and `per_life`,
        the requests of an idle conversation for each stream that it opened. Of the whole run: `refused` (429),
        `replies_lost`, `replies_doubled`, `messages_doubled`, asks that got a message which is no reply to them
        (`crossed`), the `errors` of opening and listening, and the same for messages without a question (`unasked`,
        `unasked_lost`, and the time until they are delivered, `unasked_p50` and `unasked_max`). `lag` is the longest
        delay of this process itself.
    """
    options = ["--counting", counting, "--agent", agent, "--life", *life, *["--newest-first"] * newest_first]
    with server("server_rate_limit.py", *options) as url:
        found = asyncio.run(_run(url, conversations, seconds, client=client, agent=agent, rate=rate, warm=warm))
    return {"client": client, "conversations": conversations, "counting": counting, **found}


@frozen
class _Moment:
    """The state of a run at the start or at the end of the measured time."""

    time: float
    skipped: int
    report: dict[str, Any]

    @classmethod
    async def now(cls, conversations: Fleet, control: Control) -> _Moment:
        return cls(skipped=conversations.skipped, report=await control.report(), time=time.monotonic())


async def _run(
    url: str, conversations: int, seconds: float, *, client: str, agent: float, rate: float, warm: float
) -> dict[str, Any]:
    ids = thread_ids(conversations)
    # Spread them evenly, so that both kinds are among the first that are open.
    asking = ids[:: round(1 / (1 - IDLE_SHARE))]
    idle = [thread_id for thread_id in ids if thread_id not in asking]
    async with (
        controlled(url) as control,
        conversation_opener(client, url) as opener,
        loop_delays() as delays,
        Fleet(opener, ids, asking, rate).running() as running,
    ):
        await running.all_open()
        await asyncio.sleep(warm)
        for thread_id in idle[::UNASKED]:
            await control.order("say", thread=thread_id, after="cut")
        start = await _Moment.now(running, control)
        await asyncio.sleep(seconds)
        end = await _Moment.now(running, control)
        await running.finish()
        final = await running.settle(control, min(2.0, 2 * agent), GRACE if client == "featherhq" else 0.0)
    return {
        "open": percentile(running.opened, 1),
        **_asks(running, start, end, agent),
        "skipped": end.skipped - start.skipped,
        "requests": Counter(end.report["requests"]) - Counter(start.report["requests"]),
        "refused": final["refused"],
        "refused_measured": end.report["refused"] - start.report["refused"],
        "per_life": _per_life(idle, start.report, end.report),
        **_deliveries(running, final),
        "errors": running.received.errors,
        "lag": max(delays),
    }


def _asks(running: Fleet, start: _Moment, end: _Moment, agent: float) -> dict[str, Any]:
    """How long the asks waited that began in the measured time."""
    measured = [ask for ask in running.asks if start.time <= ask.began < end.time]
    waits = [math.inf if ask.error else ask.took - agent for ask in measured]
    return {
        "asks": len(measured),
        "p50": percentile(waits, 0.5),
        "p90": percentile(waits, 0.9),
        "max": percentile(waits, 1),
        "failed": Counter(ask.error for ask in measured if ask.error),
    }


def _deliveries(running: Fleet, final: dict[str, Any]) -> dict[str, Any]:
    """What was lost or doubled, by the last report of the server."""
    replies, unasked = (
        [reply for thread in final["threads"].values() for reply in thread[kind]] for kind in ("replies", "unasked")
    )
    received = running.received
    return {
        "replies": len(replies),
        "replies_lost": sum(reply not in received.times for reply in replies),
        "replies_doubled": received.times.total() - len(received.times),
        "crossed": received.crossed,
        "messages": final["messages"],
        "messages_doubled": final["doubled"],
        "unasked": len(unasked),
        "unasked_lost": sum(reply not in received.times for reply in unasked),
        "unasked_p50": percentile(received.delays, 0.5),
        "unasked_max": percentile(received.delays, 1),
    }


def _per_life(idle: list[str], start: dict[str, Any], end: dict[str, Any]) -> float:
    """Return the requests of idle conversations for each stream that they opened."""
    requests, opened = 0, 0
    for report, sign in ((end, 1), (start, -1)):
        for thread_id in idle:
            thread = report["threads"].get(thread_id, {"requests": {}, "opened": 0})
            requests += sign * sum(number for name, number in thread["requests"].items() if name != SEND)
            opened += sign * thread["opened"]
    return requests / max(opened, 1)
