"""schemathesis, run with the contract as the vendor has it against the sandbox."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import AGENT_ID
from featherhq import Feather
from featherhq.sandbox import CutStream, Sandbox
from featherhq.sandbox._contract import operations

ROOT = Path(__file__).parent.parent.parent
# What the sandbox does by itself. To others it gives no answer but what a test hands it.
OPERATIONS = {
    "createThread",
    "getThread",
    "updateThread",
    "closeThread",
    "sendMessage",
    "listMessages",
    "streamMessages",
}


ASIDE = """
[[operations]]
include-name = "{method} {path}"
enabled = false
"""


def test_schemathesis_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All its checks and phases, on a thread that exists, with the contract's own words for right and wrong."""
    with Sandbox(rate_limit=None) as sandbox, Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        thread, closed = feather.threads.create(AGENT_ID), feather.threads.create(AGENT_ID)
        # A stream never ends by itself, and schemathesis reads answers whole.
        sandbox.inject("streamMessages", CutStream(after_events=0, clean=True), 100_000)
        settings = (ROOT / "tests/data/schemathesis.toml").read_text("utf-8")
        settings = settings.replace("THREAD_ID", thread.id).replace("CLOSED_ID", closed.id)
        settings = settings.replace("API_KEY", sandbox.api_key)
        aside = [known for known in operations() if known.id not in OPERATIONS]
        settings += "".join(ASIDE.format(path=known.path, method=known.method) for known in aside)
        config = tmp_path / "schemathesis.toml"
        config.write_text(settings)
        line = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
        line += ["run", str(ROOT / "openapi.yaml"), "--url", sandbox.url]
        ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
        answered = Counter(seen.operation for seen in sandbox.requests if seen.status == 200)
    with capsys.disabled():
        print(ran.stdout[-2500:], ran.stderr[-500:])  # noqa: T201 - what it ran is worth seeing
        print(len(sandbox.requests), "requests; answered with 200:", dict(answered))  # noqa: T201
        print("left aside:", ", ".join(known.id for known in aside) or "nothing")  # noqa: T201
    assert ran.returncode == 0
    assert set(answered) == OPERATIONS
