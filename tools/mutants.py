"""Make small wrong edits of the core, and check that a test fails for each of them. `make mutants` runs it.

The edits are in `tools/mutants.toml`. Each names a file, a piece of its text, the text to replace it with, and what
would go wrong. Each edit is made in a copy of the package. The tests that need no sockets run with this copy until one
fails. First, the tests must pass with a copy without an edit.

The program prints the result of each edit. The exit status is 1 if all tests pass with an edit, or if an edit cannot be
made because its text has changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).parent.parent
LIST: Final = ROOT / "tools" / "mutants.toml"
TESTS: Final = (
    "tests/test_pure.py",
    "tests/test_state.py",
    "tests/test_history.py",
    "tests/test_send_flows.py",
    "tests/test_stream_flows.py",
    "tests/test_list_flows.py",
    "tests/test_conversation_flows.py",
    "tests/test_flows.py",
    "tests/test_limit.py",
    "tests/test_long_conversations.py",
    "tests/test_random_runs.py",
)
PASSES: Final = "PASSES ALL TESTS"
_LONGEST: Final = 600.0


@frozen
class Edit:
    """A small wrong edit.

    Attributes:
        file: The path of the file below wrapper/featherhq.
        old: A piece of the file's text. It must occur there exactly once.
        new: The text to replace it with.
        wrong: What would go wrong, in a few words.
    """

    file: str
    old: str
    new: str
    wrong: str

    def verdict(self) -> str:
        """Make the edit in a copy, and run the tests. Returns their result in a few words."""
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "featherhq"
            shutil.copytree(ROOT / "wrapper" / "featherhq", package, ignore=shutil.ignore_patterns("__pycache__"))
            path = package / self.file
            text = path.read_text("utf-8")
            if text.count(self.old) != 1:
                return f"CANNOT BE MADE: its text stands {text.count(self.old)} times in the file"
            path.write_text(text.replace(self.old, self.new), "utf-8")
            environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
            line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *TESTS]
            try:
                ran = subprocess.run(  # noqa: S603 - our own tests
                    line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST
                )
            except subprocess.TimeoutExpired:
                return "found: the tests do not end"
        failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if not ran.returncode:
            return PASSES
        return f"found: {failed[0].partition(' - ')[0] if failed else ran.stdout[-200:]}"


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", type=int, help="the number of one edit, counted from 1")
    given = parser.parse_args()
    edits = [Edit(**entry) for entry in tomllib.loads(LIST.read_text("utf-8"))["edit"]]
    chosen = list(enumerate(edits, 1)) if given.only is None else [(given.only, edits[given.only - 1])]
    began, found = time.monotonic(), 0
    unchanged = Edit(file=edits[0].file, old=edits[0].old, new=edits[0].old, wrong="nothing").verdict()
    if unchanged != PASSES:
        print(f"without any edit the tests fail: {unchanged}")
        return 1
    with ThreadPoolExecutor(given.processes) as pool:
        for (number, edit), verdict in zip(chosen, pool.map(lambda one: one[1].verdict(), chosen), strict=True):
            found += verdict.startswith("found")
            print(f"{number:3} {edit.file}: {edit.wrong}\n      {verdict}", flush=True)
    print(f"{found} of {len(chosen)} found, in {time.monotonic() - began:.0f} s")
    return found < len(chosen)


if __name__ == "__main__":
    sys.exit(main())
