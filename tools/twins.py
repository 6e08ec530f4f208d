"""Make the synchronous classes in `_sync/` from the asynchronous classes in `_async/`, below `wrapper/featherhq`.

    python tools/twins.py            # write them
    python tools/twins.py --check    # compare, and change nothing

`unasync` changes the code. This program changes the words in docstrings and comments. ruff formats the result.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from documents import ROOT
from unasync import Rule, unasync_files

PACKAGE: Final = ROOT / "wrapper" / "featherhq"
HEADER: Final = "# Made by `make generate` from {source}: change that file, not this one.\n"
NAMES: Final = {
    "AsyncFeather": "Feather",
    "AsyncThreads": "Threads",
    "AsyncThread": "Thread",
    "AsyncConversation": "Conversation",
    "AsyncReplies": "Replies",
    "AsyncResource": "Resource",
    "AsyncKeySource": "KeySource",
    "AsyncClient": "Client",
    "TaskRunner": "ThreadRunner",
    "TaskMailbox": "ThreadMailbox",
    "task_runner": "thread_runner",
    "task_mailbox": "thread_mailbox",
    "featherhq._http.task_runner": "featherhq._http.thread_runner",
    "featherhq._http.task_mailbox": "featherhq._http.thread_mailbox",
    "_async": "_sync",
    "aclose": "close",
}
# Patterns to replace in docstrings and comments, in this order.
WORDS: Final = (
    (r" An AsyncFeather takes\n +coroutine functions too\.", ""),
    (r", in a coroutine::", "::"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\bthe tasks of one event loop\b", "the threads of a program"),
    (r"\btask\b", "Python thread"),
    (r"\basynchronous\b", "synchronous"),
    (r"\ban async with\b|\ban `async with`", "a `with`"),
    (r"\basync (?=with|for)", ""),
    (r"\bawait ", ""),
    (r"\.asyncio\(", ".sync("),
)
_TEXT: Final = re.compile(r'"""(?:.|\n)*?"""|#[^\n]*')


def made(scratch: Path) -> dict[str, str]:
    """The text of each synchronous file, by its name."""
    sources = sorted((PACKAGE / "_async").glob("*.py"))
    unasync_files([str(path) for path in sources], [Rule(f"{PACKAGE}/_async/", f"{scratch}/", NAMES)])
    return {source.name: _finished(source.name, (scratch / source.name).read_text("utf-8")) for source in sources}


def _finished(name: str, code: str) -> str:
    """The final text of a file: with a header, with new words in docstrings and comments, and formatted by ruff."""
    text = HEADER.format(source=f"_async/{name}") + _TEXT.sub(lambda found: _reworded(found[0]), code)
    for command in (["check", "--fix", "--quiet", "--select=I"], ["format", "--quiet"]):
        line = [sys.executable, "-m", "ruff", *command, f"--stdin-filename={PACKAGE / '_sync' / name}", "-"]
        text = subprocess.run(line, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    return text


def _reworded(text: str) -> str:
    for pattern, words in WORDS:
        text = re.sub(pattern, words, text)
    return text


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there, and change nothing")
    given = parser.parse_args()
    folder = PACKAGE / "_sync"
    with tempfile.TemporaryDirectory() as scratch:
        wanted = made(Path(scratch))
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.py")}
    if there == wanted:
        return 0
    if given.check:
        print("error: _sync/ is not what _async/ gives; `make generate` makes it so", file=sys.stderr)
        return 1
    folder.mkdir(exist_ok=True)
    for name in there.keys() - wanted.keys():
        (folder / name).unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")
    print(f"wrapper/featherhq/_sync: {len(wanted)} files made from _async")
    return 0


if __name__ == "__main__":
    sys.exit(main())
