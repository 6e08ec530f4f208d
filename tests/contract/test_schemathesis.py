"""schemathesis checks the sandbox against the contract, which is made from the vendor's API reference."""

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
# The operations that the sandbox supports. For any other operation it responds with 501, or with an injected fault.
OPERATIONS = {
    "createThread",
    "listThreads",
    "getThread",
    "updateThread",
    "closeThread",
    "sendMessage",
    "listMessages",
    "streamMessages",
}


EXCLUDED = """
[[operations]]
include-name = "{method} {path}"
enabled = false
"""


def test_schemathesis_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All its checks and phases run on an existing thread, and report no error."""
    with Sandbox(rate_limit=None) as sandbox, Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        thread, closed = feather.threads.create(AGENT_ID), feather.threads.create(AGENT_ID)
        # A stream does not end by itself, and schemathesis reads each response to its end.
        sandbox.inject("streamMessages", CutStream(after_events=0, clean=True), 100_000)
        settings = (ROOT / "tests/data/schemathesis.toml").read_text("utf-8")
        settings = settings.replace("THREAD_ID", thread.id).replace("CLOSED_ID", closed.id)
        settings = settings.replace("API_KEY", sandbox.api_key)
        unsupported = [known for known in operations() if known.id not in OPERATIONS]
        settings += "".join(EXCLUDED.format(path=known.path, method=known.method) for known in unsupported)
        config = tmp_path / "schemathesis.toml"
        config.write_text(settings)
        line = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
        line += ["run", str(ROOT / "openapi.yaml"), "--url", sandbox.url]
        ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400)
        answered = Counter(seen.operation for seen in sandbox.requests if seen.status == 200)
    with capsys.disabled():
        print(ran.stdout[-2500:], ran.stderr[-500:])  # noqa: T201 - a summary of the run
        print(len(sandbox.requests), "requests; answered with 200:", dict(answered))  # noqa: T201
        print("not tested:", ", ".join(known.id for known in unsupported) or "nothing")  # noqa: T201
    assert ran.returncode == 0
    assert set(answered) == OPERATIONS
