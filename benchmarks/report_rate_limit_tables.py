"""The tables of the measurements under the rate limit: `fleet`, `idle`, `gap` and `callers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from report_bars import COUNTERS
from results import Result

_FLEET: Final = ["client", "conversations", "counted by"]
_TITLE: Final = "Many conversations on one API key"
_CONDITIONS: Final = "10 requests a second, 1.6 asks a second, each stream cut after about a minute"


def rate_limit_tables(rate_limit: dict[str, Result]) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the titles and rows of all that was measured. The first row is the head."""
    if fleets := [found for found in rate_limit.values() if "per_life" in found]:
        yield f"{_TITLE} ({_CONDITIONS}): seconds of an ask beyond the agent's second", _waits(fleets)
        yield f"{_TITLE}: replies, messages, and what the agent writes without a question", _deliveries(fleets)
        yield f"{_TITLE}: requests", _requests(fleets)
    if "idle" in rate_limit:
        yield "A message every 3 s while 1,000 idle conversations open", _idle(rate_limit["idle"])
    if gaps := [found for found in rate_limit.values() if "after" in found]:
        yield "A reply that is written while the stream is down: seconds until it is delivered", _gaps(gaps)
    if callers := [found for found in rate_limit.values() if "async" in found]:
        yield "60 callers at once with 3 s each", _callers(callers)


def _name(found: Result) -> list[str]:
    return [found["client"], str(found["conversations"]), COUNTERS[found["counting"]]]


def _waits(fleets: list[Result]) -> list[list[str]]:
    rows = [
        [
            *_name(found),
            str(found["asks"]),
            *(f"{found[which]:.3f}" for which in ("p50", "p90", "max")),
            str(sum(found["failed"].values())),
            str(found["refused"]),
        ]
        for found in fleets
    ]
    return [[*_FLEET, "asks", "p50, s", "p90, s", "max, s", "failed", "refused (429)"], *rows]


def _deliveries(fleets: list[Result]) -> list[list[str]]:
    counts = ("replies", "replies_lost", "replies_doubled", "messages", "messages_doubled", "unasked", "unasked_lost")
    rows = [
        [
            *_name(found),
            *(str(found[which]) for which in counts),
            *(f"{found[which]:.2f}" for which in ("unasked_p50", "unasked_max")),
        ]
        for found in fleets
    ]
    head = [*_FLEET, *(name.replace("_", " ") for name in counts), "unasked p50, s", "unasked max, s"]
    return [head, *rows]


def _requests(fleets: list[Result]) -> list[list[str]]:
    operations = ("sendMessage", "listMessages", "streamMessages")
    rows = [
        [
            *_name(found),
            *(str(found["requests"].get(which, 0)) for which in operations),
            f"{found['per_life']:.2f}",
        ]
        for found in fleets
    ]
    return [[*_FLEET, *operations, "requests of an idle conversation for each of its streams"], *rows]


def _idle(found: Result) -> list[list[str]]:
    row = [
        str(found["sends"]),
        *(f"{found[which]:.3f}" for which in ("p50", "max")),
        str(found["opened"]),
        f"{found['open']:.0f}",
        str(found["refused"]),
    ]
    return [["sends", "p50, s", "max, s", "conversations opened", "time for that, s", "refused (429)"], row]


def _gaps(gaps: list[Result]) -> list[list[str]]:
    rows = [
        [
            f"{found['after'] * 1000:.0f} ms after the cut",
            *(f"{found[which]:.3f}" for which in ("median", "max")),
            str(sum(found["failed"].values())),
        ]
        for found in gaps
    ]
    return [["written", "median, s", "max, s", "failed"], *rows]


def _callers(callers: list[Result]) -> list[list[str]]:
    rows = [
        [
            {"async": "tasks", "sync": "threads"}[kind],
            COUNTERS[found["counting"]],
            *(str(found[kind][which]) for which in ("succeeded", "unknown")),
            str(sum(found[kind]["failed"].values())),
            str(found[kind]["standing"]),
            f"{found[kind]['longest']:.2f}",
            str(found[kind]["refused"]),
        ]
        for found in callers
        for kind in ("async", "sync")
    ]
    head = ["callers", "counted by", "succeeded", "unknown", "failed", "failed but sent", "longest, s", "refused (429)"]
    return [head, *rows]
