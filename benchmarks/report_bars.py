"""The bars: what a benchmark run must reach, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen
from results import Result, Results, median_of, median_ratio

COUNTERS: Final = {"bucket": "a token bucket", "sliding": "a sliding window", "fixed": "fixed windows"}
"""How the server counts requests, in words."""


@frozen
class Bar:
    """A limit for one value.

    Attributes:
        measure: The name of the value.
        value: The measured value.
        limit: The limit.
        unit: Their unit.
        least: Whether the value must be at least the limit. Otherwise it must be at most the limit.
    """

    measure: str
    value: float
    limit: float
    unit: str = "times"
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit."""
        return self.value >= self.limit if self.least else self.value <= self.limit

    def cells(self) -> list[str]:
        """Return a row of the table."""
        sign = "≥" if self.least else "≤"
        value, limit = (f"{number:.4g} {self.unit}".strip() for number in (self.value, self.limit))
        return [self.measure, value, f"{sign} {limit}", "holds" if self.holds else "**MISSED**"]


def bars(results: Results) -> list[Bar]:
    """Return the bars of all parts that were measured."""
    return [*_send_bars(results), *_start_bars(results), *_load_bars(results), *_rate_limit_bars(results.rate_limit)]


def _send_bars(results: Results) -> Iterator[Bar]:
    def rates(client: str, tasks: int) -> list[float]:
        return [found["rate"] for found in results.throughput[client, tasks]]

    if results.sync:
        yield Bar("sync send, over the same POST by httpx", median_of(results.sync, "ratio"), 1.15)
    if results.cpu:
        yield Bar("CPU of an async send, over raw aiohttp's in the same run", median_of(results.cpu, "ratio"), 1.8)
    if results.throughput:
        ours = rates("featherhq", 200)
        yield Bar(
            "async throughput at 200 tasks, over the generated client",
            median_ratio(ours, rates("generated", 200)),
            5,
            least=True,
        )
        yield Bar(
            "async throughput at 200 tasks, over featherhq's own at 10 tasks",
            median_ratio(ours, rates("featherhq", 10)),
            0.8,
            least=True,
        )


def _start_bars(results: Results) -> Iterator[Bar]:
    if not results.imports:
        return
    ours, theirs = (list(zip(*results.imports[client], strict=True)) for client in ("featherhq", "httpx"))
    yield Bar("time of an import, over import httpx", median_ratio([*ours[0]], [*theirs[0]]), 1.25)
    yield Bar("memory after an import, over import httpx", median_ratio([*ours[1]], [*theirs[1]]), 1.2)
    programs = results.programs
    yield Bar("a whole program, over httpx alone", median_ratio(programs["featherhq"], programs["httpx"]), 1.15)


def _load_bars(results: Results) -> Iterator[Bar]:
    """The bars of many streams, many cancelled calls, many callers and many calls."""
    if results.conversations:
        ours, theirs = results.conversations["featherhq"], results.conversations["httpx"]
        yield Bar("time to open 1,000 conversations", median_of(ours, "open"), 3, "s")
        yield Bar("memory of each of these conversations", median_of(ours, "kb"), 60, "KB")
        yield Bar(
            "messages received in them, of 5,000", min(found["heard"] for found in ours), 5000, unit="", least=True
        )
        ratio = median_ratio([found["p99"] for found in ours], [found["p99"] for found in theirs])
        yield Bar("p99 of the delivery of these messages, over httpx's", ratio, 1.5)
    if results.cancellation:
        found = results.cancellation["featherhq"]
        yield Bar("calls that succeed after 5 s of cancelled calls, of 100", found["succeeded"], 100, "", least=True)
        yield Bar("streams that are still open after them", found["streams"], 0, "")
        yield Bar("connections that are still open after them, in a pool of 10", found["connections"], 10, "")
    if results.limiter:
        yield Bar("100 callers under a limit of 10/s: requests refused (429)", results.limiter["refused"], 0, "")
        yield Bar("100 callers under a limit of 10/s: time, over requests/10", results.limiter["ratio"], 1.1)
    if results.memory:
        grown = {name: median_of(results.memory, name) for name in results.memory[0]}
        most = max(grown, key=lambda name: abs(grown[name]))
        yield Bar(
            f"growth of memory in 10,000 calls and 1,000 conversations, after the first tenth ({most})",
            abs(grown[most]),
            2,
            "MB",
        )


def _rate_limit_bars(rate_limit: dict[str, Result]) -> Iterator[Bar]:
    """The bars at the default rate limit. Each takes the worst result of all ways to count requests."""
    found = list(_featherhq(rate_limit))
    yield from _wait_bars(rate_limit, found)
    yield from _count_bars([one for _, one in found])
    if "gap" in rate_limit:
        late = rate_limit["gap"]["median"]
        yield Bar("delay of a reply that is written while the stream is down, median", late, 0.25, "s")
    if calls := [one for of, one in found if of == "callers"]:
        unknown, standing = (sum(one[name] for one in calls) for name in ("unknown", "standing"))
        name = "60 callers at once with 3 s each"
        yield Bar(f"{name}: calls that end with DeliveryUnknownError", unknown, 0, "")
        yield Bar(f"{name}: calls with another error whose message is on the server", standing, 0, "")


def _wait_bars(rate_limit: dict[str, Result], found: list[tuple[str, Result]]) -> Iterator[Bar]:
    """The bars of how long callers wait."""
    for number, limits in (("200", {"p50": 0.05, "p90": 0.3, "max": 2}), ("400", {"p90": 0.5})):
        for name, limit in limits.items():
            if values := [one[name] for of, one in found if of == number]:
                measure = f"{number} conversations at 10/s, an ask beyond the agent's second: {name}"
                yield Bar(measure, max(values), limit, "s")
    if "idle" in rate_limit:
        yield Bar("longest send while 1,000 idle conversations open", rate_limit["idle"]["max"], 0.2, "s")


def _count_bars(found: list[Result]) -> Iterator[Bar]:
    """The bars of what is counted: requests, refused requests, and what is lost or doubled."""
    if values := [one["per_life"] for one in found if "per_life" in one]:
        yield Bar("requests of an idle conversation, for each stream that it opens", max(values), 2, "")
    for counting, name in COUNTERS.items():
        if values := [one["refused"] for one in found if one["counting"] == counting]:
            yield Bar(f"requests refused (429) at 10/s, counted by {name}", sum(values), 0, "")
    for measure, names in (
        ("replies lost", ("replies_lost", "unasked_lost")),
        ("replies doubled", ("replies_doubled",)),
        ("messages doubled", ("messages_doubled",)),
    ):
        if values := [one[name] for one in found for name in names if name in one]:
            yield Bar(measure, sum(values), 0, "")


def _featherhq(rate_limit: dict[str, Result]) -> Iterator[tuple[str, Result]]:
    """Yield each result of featherhq, with the first word of its name. Tasks and threads of callers are two results."""
    for name, found in rate_limit.items():
        if found.get("client") == "naive":
            continue
        for result in (found["async"], found["sync"]) if "async" in found else (found,):
            yield name.partition(" ")[0].rstrip(","), {"counting": found["counting"], **result}
