"""What `make bench` runs, in small: that it measures what it says, and what has to hold at any speed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import bench
import measure


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
    bench.show(run)
    shown = capsys.readouterr().out
    assert "MISSED" in shown  # there were far less than 5,000 messages
    assert "100 callers under a limit" in shown
    for title, (head, *rows) in run.tables():
        assert rows, title
        assert {len(row) for row in rows} == {len(head)}


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
