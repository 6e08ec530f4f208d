"""Every measurement of `make bench` in small, and the parts of its report."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))

import bench
import measure_cancellation
import measure_conversations
import measure_fleet
import measure_gap
import measure_idle
import measure_limiter
import measure_memory
import measure_sends
import parts
import processes
import report_bars
import report_output
import report_tables
from measure_callers import callers
from results import Result, Results
from server_rate_limit_control import thread_ids
from server_rate_limit_counters import COUNTERS
from timing import percentile

CLIENTS = ("aiohttp", "httpx", "generated", "featherhq")
"""The clients that are installed for tests."""


def _fleet(**options: Any) -> Result:
    return measure_fleet.fleet(seconds=1.0, life=(0.5, 0.8), agent=0.1, rate=3, warm=0.3, **options)


RATE_LIMIT: dict[str, Callable[[], Result]] = {
    "200 sliding": lambda: _fleet(conversations=4, counting="sliding", newest_first=True),
    "200 naive": lambda: _fleet(conversations=4, client="naive"),
    "idle": lambda: measure_idle.idle(conversations=8, seconds=1.5, counting="fixed", every=0.5),
    "gap": lambda: measure_gap.gap(times=2, pause=0.5),
    "callers fixed": lambda: callers(number=15, timeout=1.0, counting="fixed"),
}
"""The measurements under the rate limit in small, by names that the report knows."""


@pytest.fixture
def url() -> Iterator[str]:
    """Run the server with fixed answers."""
    with processes.server("server_fast.py") as url:
        yield url


@pytest.fixture
def few_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the report have only the installed clients, and start only one of them."""
    monkeypatch.setattr(report_tables, "CLIENTS", CLIENTS)
    for module in (parts, report_tables):
        monkeypatch.setattr(module, "IMPORTS", ("featherhq",))
        monkeypatch.setattr(module, "PROGRAMS", ("featherhq",))


@pytest.mark.slow
@pytest.mark.usefixtures("few_clients")
def test_every_measurement_in_small(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every measurement gives a result, no message is lost or doubled, and the report has all of them."""
    with ThreadPoolExecutor() as pool:
        # These mostly wait for the rate limit, so they can run at the same time as the others.
        waiting = {name: pool.submit(run) for name, run in RATE_LIMIT.items()}
        limiter = pool.submit(lambda: asyncio.run(measure_limiter.limiter(asks=15, rate=30.0)))
        run = parts.Run(sys.executable, rounds=1)
        run.start(url)
        run.results.imports["httpx"] = run.results.imports["featherhq"]
        run.results.programs["httpx"] = run.results.programs["featherhq"]
        _measure_speed(run.results, url)
        run.results.limiter = limiter.result()
        run.results.rate_limit = {name: found.result() for name, found in waiting.items()}
    assert [run.results.limiter[name] for name in ("replies", "requests", "refused")] == [15, 45, 0]
    _check_fleets(run.results.rate_limit)
    _check_others(run.results.rate_limit)
    report_output.show(run.results)
    shown = capsys.readouterr().out
    assert "MISSED" in shown  # because there are far less than 5,000 messages
    assert "CPU of an async send, over raw aiohttp's in the same run" in shown
    assert len(report_bars.bars(run.results)) == 31
    for title, (head, *rows) in report_tables.tables(run.results):
        assert rows, title
        assert {len(row) for row in rows} == {len(head)}


def _measure_speed(results: Results, url: str) -> None:
    """Measure what does not need the rate limit."""
    for client in CLIENTS:
        found = asyncio.run(measure_sends.throughput(client, url, tasks=5, seconds=0.05, warm_up=0.01))
        assert 0 < found["p50"] <= found["p99"]
        for tasks in parts.TASKS:
            results.throughput[client, tasks].append(found)
    results.sync.append(measure_sends.sync(url, turns=1, warm_up=0))
    assert {"httpx", "generated", "featherhq", "ratio"} <= set(results.sync[0])
    results.cpu.append(asyncio.run(measure_sends.cpu(url, slices=2, seconds=0.05)))
    assert results.cpu[0].keys() == {"aiohttp", "featherhq", "ratio"}
    assert min(results.cpu[0].values()) > 0
    for client in ("httpx", "featherhq"):
        found = asyncio.run(measure_conversations.conversations(client, url, number=20, messages=3))
        assert found["heard"] == 60
        results.conversations[client].append(found)
    found = asyncio.run(measure_cancellation.cancellation("featherhq", url, seconds=0.3))
    assert (found["succeeded"], found["streams"]) == (100, 0)
    assert found["connections"] <= 10
    results.cancellation["featherhq"] = found
    results.memory.append(asyncio.run(measure_memory.memory(url, calls=50, chats=50)))
    assert len(results.memory[0]) == 4


def _check_fleets(found: dict[str, Result]) -> None:
    """Check that featherhq has lost and doubled nothing."""
    fleet = found["200 sliding"]
    assert fleet["messages"] >= fleet["replies"] > 0
    assert fleet["unasked"] > 0
    assert fleet["unasked_lost"] == 0
    assert fleet["crossed"] == 0
    assert fleet["per_life"] > 0
    for name in ("200 sliding", "gap"):
        assert [found[name][which] for which in ("replies_lost", "replies_doubled", "messages_doubled")] == [0, 0, 0]
    assert found["200 naive"]["client"] == "naive"
    assert found["200 naive"]["requests"].keys() <= {"sendMessage", "streamMessages"}


def _check_others(found: dict[str, Result]) -> None:
    """Check that no message is doubled, and that every call has a result."""
    assert found["idle"]["sends"] == 2
    assert found["idle"]["messages_doubled"] == 0
    for kind in ("async", "sync"):
        calls = found["callers fixed"][kind]
        assert calls["succeeded"] + calls["unknown"] + sum(calls["failed"].values()) == 15
        assert [calls[name] for name in ("standing", "lost", "messages_doubled")] == [0, 0, 0]


@pytest.mark.usefixtures("few_clients")
def test_only_some_parts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --only, the command measures these parts in processes, prints their tables, and writes no file."""
    small = ("callers", "--number=2", "--counting=fixed")
    monkeypatch.setattr(parts, "RATE_LIMIT", {"callers fixed": small, "idle": ("idle",)})
    monkeypatch.setattr(bench, "write_page", None)
    monkeypatch.setattr(bench, "draw", None)
    assert bench.main([sys.executable, "--only=callers", "--rounds=1"]) == 0
    shown = capsys.readouterr().out
    assert "60 callers at once" in shown
    assert "idle" not in shown
    assert "All bars hold." in shown
    with pytest.raises(SystemExit):
        bench.main([sys.executable, "--only=callers,speed"])
    assert "there is no part speed" in capsys.readouterr().err


def test_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The page has a table for each part that was measured."""
    monkeypatch.setattr(report_output, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(report_output, "version", lambda name: f"of {name}")
    report_output.write_page(Results(5, cpu=[{"aiohttp": 300.0, "featherhq": 540.0, "ratio": 1.81}]))
    page = (tmp_path / "results.md").read_text("utf-8")
    assert (
        "| CPU of an async send, over raw aiohttp's in the same run | 1.81 times | ≤ 1.8 times | **MISSED** |" in page
    )
    assert "| featherhq | 540 |" in page
    assert page.count("\n## ") == 2


@pytest.mark.parametrize(
    ("counting", "times", "refused"),
    [
        ("bucket", [0.0] * 11 + [0.11, 0.11, 1.2] + [1.31] * 11, {10, 12, 24}),
        ("sliding", [0.0] * 5 + [0.5] * 6 + [0.99] + [1.01] * 6, {10, 11, 17}),
        ("fixed", [0.9] * 11 + [1.1] * 11, {10, 21}),
    ],
)
def test_a_way_to_count(counting: str, times: list[float], refused: set[int]) -> None:
    """Each counter refuses the requests above its rate, and a refused request does not count."""
    counter = COUNTERS[counting]()
    # A whole second of the clock.
    second = time.monotonic() - time.time() % 1
    assert {place for place, now in enumerate(times) if not counter.accept(second + now)} == refused


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_server_with_a_rate_limit(*, newest_first: bool) -> None:
    """The server replies on the stream, cuts streams, lists messages, refuses requests, and counts all of this."""
    (thread_id,) = thread_ids(1)
    path = f"/api/v1/threads/{thread_id}"
    options = ["--agent", 0.01, *["--newest-first"] * newest_first]
    with processes.server("server_rate_limit.py", *options) as url, httpx.Client(base_url=url) as http:
        sent = _check_stream(http, thread_id, path)
        _check_pages(http, path, sent, newest_first=newest_first)
        answers = [http.post(f"{path}/messages", json={"message": "hello"}) for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.headers["Retry-After"] for answer in refused} <= {"1"}
        report = http.get("/-/report").json()
    assert report["requests"] == {"streamMessages": 1, "sendMessage": 31, "listMessages": 4}
    assert report["refused"] == len(refused)
    assert report["messages"] == report["doubled"] + 1 == 31 - len(refused)
    assert report["unasked"] == 1
    assert report["streams"] == 0


def _check_stream(http: httpx.Client, thread_id: str, path: str) -> str:
    """Send a message, read the reply, and cut the stream. Return the id of the message."""
    with http.stream("GET", f"{path}/stream") as stream:
        assert "Date" in stream.headers
        lines = stream.iter_lines()
        assert next(lines) == ": open"
        sent = http.post(f"{path}/messages", json={"message": "hello"}).json()
        assert sent["threadId"] == thread_id
        event = [next(lines) for _ in range(4)]
        assert event[2] == "event: message"
        assert '"direction": "OUTBOUND"' in event[3]
        assert http.post("/-/say", params={"thread": thread_id, "after": "cut"}).json() is None
        assert http.post("/-/cut").json() == 1
        with pytest.raises(httpx.TransportError):
            list(lines)
    return str(sent["messageId"])


def _check_pages(http: httpx.Client, path: str, sent: str, *, newest_first: bool) -> None:
    """List the three messages in pages of one message, and list only those of the user."""
    messages: list[dict[str, Any]] = []
    cursor = None
    for _ in range(3):
        query = {"limit": "1"} if cursor is None else {"limit": "1", "cursor": cursor}
        page = http.get(f"{path}/messages", params=query).json()["thread"]
        assert page["pagination"]["limit"] == 1
        cursor = page["pagination"]["nextCursor"]
        messages += page["messages"]
    assert cursor is None
    if newest_first:
        messages.reverse()
    assert [message["direction"] for message in messages] == ["INBOUND", "OUTBOUND", "OUTBOUND"]
    assert messages[0]["id"] == sent
    assert messages[1]["messageBody"].endswith(" re hello")
    assert messages[2]["messageBody"].endswith(" unasked")
    assert all(one["createdAt"] <= other["createdAt"] for one, other in pairwise(messages))
    answer = http.get(f"{path}/messages", params={"direction": "INBOUND"}).json()
    assert [message["id"] for message in answer["thread"]["messages"]] == [sent]


def test_a_percentile() -> None:
    """A percentile is the time that this share of the times does not exceed."""
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.5, 0.9, 1)] == [2.0, 3.0, 3.0]
    assert percentile([], 0.5) == float("inf")


def test_a_bar() -> None:
    """A bar is the most or the least that a value may be."""
    assert report_bars.Bar("x", 1.1, 1.15).holds
    assert not report_bars.Bar("x", 1.2, 1.15).holds
    assert report_bars.Bar("x", 5.0, 5, least=True).holds
    assert not report_bars.Bar("x", 4.9, 5, least=True).holds
    assert report_bars.Bar("x", 4.9, 5, "s", least=True).cells() == ["x", "4.9 s", "≥ 5 s", "**MISSED**"]


def test_a_program_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """If a program fails, the run ends and shows the error of the program."""
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        processes.run_code(sys.executable, "1 / 0")
    assert capsys.readouterr().out == ""
