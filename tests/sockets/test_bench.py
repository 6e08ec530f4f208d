"""What `make bench` runs, in small: that it measures what it says, and what has to hold at any speed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))

import bench
import fleet
import fleet_server
import measure

_FLEET = ("fleet", "--seconds=2", "--life", "0.8", "1.2", "--agent=0.1", "--rate=2", "--warm=0.5")
CROWDS = {
    "200 bucket": (*_FLEET, "--conversations=4", "--counting=bucket"),
    "400 sliding": (*_FLEET, "--conversations=8", "--counting=sliding", "--newest-first"),
    "200 naive": (*_FLEET, "--conversations=4", "--client=naive"),
    "idle": ("idle", "--conversations=12", "--seconds=2", "--every=0.5", "--counting=fixed"),
    "gap": ("gap", "--times=2"),
    "callers fixed": ("callers", "--number=15", "--timeout=1", "--counting=fixed"),
}


@pytest.fixture
def url() -> Iterator[str]:
    """The benchmarks' own server."""
    line = [sys.executable, str(bench.HERE / "server.py")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def test_a_run_in_small(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each client does what is measured of it; the table says what holds and what does not."""
    monkeypatch.setattr(bench, "CLIENTS", ("httpx", "generated", "featherhq"))
    monkeypatch.setattr(bench, "IMPORTS", dict.fromkeys(bench.CLIENTS, "import httpx"))
    monkeypatch.setattr(bench, "PROGRAMS", {name: bench.PROGRAMS[name] for name in bench.CLIENTS})
    run = bench.Bench(sys.executable, 1)
    for client in bench.CLIENTS:
        for tasks in bench.TASKS:
            found = asyncio.run(measure.throughput(client, url, str(tasks), "0.05"))
            assert 0 < found["p50"] <= found["p99"]
            run.throughput[client, tasks].append(found)
    run.sync.append(measure.sync(url, "2"))
    assert {"httpx", "generated", "featherhq", "ratio"} <= set(run.sync[0])
    run.start(url)
    for client in ("httpx", "featherhq"):
        run.conversations[client].append(asyncio.run(measure.conversations(client, url, "20", "3")))
        assert run.conversations[client][0]["heard"] == 60
    run.storms["featherhq"] = asyncio.run(measure.storm("featherhq", url, "0.5"))
    assert run.storms["featherhq"]["succeeded"] == 100
    assert run.storms["featherhq"]["streams"] == 0
    assert run.storms["featherhq"]["connections"] <= 10
    run.limiter = asyncio.run(measure.limiter("15", "30"))
    assert (run.limiter["replies"], run.limiter["requests"], run.limiter["refused"]) == (15, 45, 0)
    run.memory.append(asyncio.run(measure.memory(url, "1000", "500")))
    assert len(run.memory[0]) == 4
    monkeypatch.setattr(bench, "CROWDS", CROWDS)
    run.crowd()
    _check(run.crowds)
    bench.show(run)
    shown = capsys.readouterr().out
    assert "MISSED" in shown  # there were far less than 5,000 messages
    assert "100 callers under a limit" in shown
    for title, (head, *rows) in run.tables():
        assert rows, title
        assert {len(row) for row in rows} == {len(head)}


def _check(crowds: dict[str, bench.Found]) -> None:
    """Nothing is lost and nothing doubled; all else is a matter of speed."""
    assert list(crowds) == list(CROWDS)
    for name in ("200 bucket", "400 sliding"):
        found = crowds[name]
        assert found["messages"] >= found["replies"] > 0
        assert found["unasked"] > 0
        assert found["unasked_lost"] == 0
        assert found["crossed"] == 0
        assert found["per_life"] > 0
    for name in ("200 bucket", "400 sliding", "gap"):
        assert crowds[name]["replies_lost"] == 0
        assert crowds[name]["replies_doubled"] == 0
        assert crowds[name]["messages_doubled"] == 0
    assert crowds["200 naive"]["client"] == "naive"
    assert crowds["200 naive"]["requests"].keys() <= {"sendMessage", "streamMessages"}
    assert crowds["idle"]["sends"] == 3
    assert crowds["idle"]["messages_doubled"] == 0
    for kind in ("async", "sync"):
        found = crowds["callers fixed"][kind]
        assert found["succeeded"] + found["unknown"] + sum(found["failed"].values()) == 15
        assert (found["standing"], found["lost"], found["messages_doubled"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("way", "comes", "refused"),
    [
        ("bucket", [0.0] * 11 + [0.11, 0.11, 1.2] + [1.31] * 11, {10, 12, 24}),
        ("sliding", [0.0] * 5 + [0.5] * 6 + [0.99] + [1.01] * 6, {10, 11, 17}),
        ("fixed", [0.9] * 11 + [1.1] * 11, {10, 21}),
    ],
)
def test_a_way_of_counting(way: str, comes: list[float], refused: set[int]) -> None:
    """Each lets in what it says, and what it refuses does not count."""
    count = fleet_server.COUNTING[way]()
    # A whole second of the clock.
    second = time.monotonic() - time.time() % 1
    assert {place for place, now in enumerate(comes) if not count.take(second + now)} == refused


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_counting_server(*, newest_first: bool) -> None:
    """It keeps messages and lists them, answers after a while, cuts streams, and refuses what is too much."""
    (thread_id,) = fleet.thread_ids(1)
    path = f"/api/v1/threads/{thread_id}"
    options = ["--agent", 0.01, *["--newest-first"] * newest_first]
    with fleet.serving(*options) as url, httpx.Client(base_url=url) as http:
        with http.stream("GET", f"{path}/stream") as stream:
            assert "Date" in stream.headers
            lines = stream.iter_lines()
            assert next(lines) == ": open"
            sent = http.post(f"{path}/messages", json={"message": "hello"}).json()
            assert sent["threadId"] == thread_id
            said = [next(lines) for _ in range(4)]
            assert said[2] == "event: message"
            assert '"direction": "OUTBOUND"' in said[3]
            assert http.post("/-/say", params={"thread": thread_id, "after": "cut"}).json() is None
            assert http.post("/-/cut").json() == 1
            with pytest.raises(httpx.TransportError):
                list(lines)
        pages, cursor = [], None
        for _ in range(3):
            query = {"limit": "1"} if cursor is None else {"limit": "1", "cursor": cursor}
            page = http.get(f"{path}/messages", params=query).json()["thread"]
            assert page["pagination"]["limit"] == 1
            cursor = page["pagination"]["nextCursor"]
            pages += page["messages"]
        assert cursor is None
        if newest_first:
            pages.reverse()
        assert [said["direction"] for said in pages] == ["INBOUND", "OUTBOUND", "OUTBOUND"]
        assert pages[0]["id"] == sent["messageId"]
        assert pages[1]["messageBody"].endswith(" re hello")
        assert pages[2]["messageBody"].endswith(" unasked")
        assert all(one["createdAt"] <= other["createdAt"] for one, other in pairwise(pages))
        answer = http.get(f"{path}/messages", params={"direction": "INBOUND"}).json()
        assert [said["id"] for said in answer["thread"]["messages"]] == [sent["messageId"]]
        answers = [http.post(f"{path}/messages", json={"message": "hello"}) for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.headers["Retry-After"] for answer in refused} <= {"1"}
        report = http.get("/-/report").json()
        assert report["requests"] == {"streamMessages": 1, "sendMessage": 31, "listMessages": 4}
        assert report["refused"] == len(refused)
        assert report["messages"] == report["doubled"] + 1 == 31 - len(refused)
        assert report["unasked"] == 1
        assert report["streams"] == 0


def test_a_part_of_times() -> None:
    """The time that so many do not exceed."""
    assert [fleet.part([3.0, 1.0, 2.0], share) for share in (0.5, 0.9, 1)] == [2.0, 3.0, 3.0]
    assert fleet.part([], 0.5) == float("inf")


def test_a_bar() -> None:
    """Some are the most that may be, and some the least."""
    assert bench.Bar("x", 1.1, 1.15).holds
    assert not bench.Bar("x", 1.2, 1.15).holds
    assert bench.Bar("x", 5.0, 5, least=True).holds
    assert not bench.Bar("x", 4.9, 5, least=True).holds
    assert bench.Bar("x", 4.9, 5, "s", least=True).cells() == ["x", "4.9 s", "≥ 5 s", "**MISSED**"]


def test_a_program_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends the run, with what it said."""
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        bench.python(sys.executable, "1 / 0")
    assert capsys.readouterr().out == ""
