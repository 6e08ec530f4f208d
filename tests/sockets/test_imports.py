"""Which modules are imported, and when. An import of the package must be quick."""

from __future__ import annotations

import subprocess
import sys


def test_each_step_imports_only_what_it_needs() -> None:
    """The package alone imports no httpx, aiohttp or generated code. A client imports httpx, an `AsyncFeather` aiohttp,
    and a call only its own models.
    """
    heavy = {"httpx", "httpcore", "aiohttp", "asyncio", "featherhq_api", "featherhq.sandbox", "featherhq._cli"}
    heavy |= {"starlette", "uvicorn", "jsonschema", "argparse", "_pytest"}
    steps = {
        "import featherhq": set(),
        "from featherhq import Feather, AsyncFeather": set(),
        "f = Feather('key')": {"httpx", "httpcore"},
        "import asyncio": {"asyncio"},
        "from featherhq._threads.send import send": set(),
        "next(send(f._settings, 'x', 'hello', f._settings.deadline(None)))": {"featherhq_api"},
        "AsyncFeather('key')": {"aiohttp"},
    }
    code = "".join(f"{step}\nprint(*sys.modules)\n" for step in steps)
    ran = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True, check=True)
    expected: set[str] = set()
    for line, new in zip(ran.stdout.splitlines(), steps.values(), strict=True):
        expected |= new
        assert set(line.split()) & heavy == expected
    models = {name for name in ran.stdout.split() if name.startswith("featherhq_api.models.")}
    assert models == {f"featherhq_api.models.send_message_{part}" for part in ("body", "response")}
