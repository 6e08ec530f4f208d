"""All Python in the documentation runs, against the sandbox, and all links lead somewhere."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import logging
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from attrs import evolve
from conftest import AGENT_ID, KEY
from docs_pages import PAGES, ROOT, Block, anchors, blocks, examples, links
from featherhq import AsyncFeather, Feather
from featherhq.sandbox import Sandbox
from redis_server import RedisServer

# How many blocks of a page are not run. Each says why, in a comment above it.
NOT_RUN = {"docs/contract.md": 1}
# If fewer examples are found in docstrings, the search for them is broken.
FEWEST_EXAMPLES = 4
# The address of Redis in the pages.
REDIS = "redis://localhost:6379"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:randomly"]
# So long pages wait for another reply that does not come. The tests wait less long.
PATIENCE = re.compile(r"\breplies\(timeout=\d+\)")
# All files of a page must be used by its tests.
CONFTEST = """
import sys

def pytest_sessionfinish(session):
    unused = {module for module in %r if module not in sys.modules}
    if unused:
        print("no test imports", unused, file=sys.stderr)
        session.exitstatus = 1
"""


def marked(page: Path) -> Any:
    """The page as a parameter. The recipes import large frameworks."""
    return pytest.param(page, id=str(page), marks=[pytest.mark.slow] if "recipes" in page.parts else [])


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as running:
        yield running.url.removesuffix("/0")


def with_redis(code: str, request: pytest.FixtureRequest) -> str:
    """The code with the address of a real Redis, if it needs one."""
    return code.replace(REDIS, request.getfixturevalue("redis_url")) if REDIS in code else code


class Reader:
    """Runs the blocks of one page, one after another, as a reader would who types them into one program.

    Before each block, `feather` and `thread` are an open client and a thread with one message; `agent_id` and
    `thread_id` are theirs. All other names stay as earlier blocks have left them.
    """

    def __init__(self, feather: Feather, folder: Path) -> None:
        thread = feather.threads.create(AGENT_ID)
        thread.ask("Hello")
        self._names = {"agent_id": AGENT_ID, "thread_id": thread.id}
        self._prepared: dict[str, Any] = {"feather": feather, "thread": thread, **self._names}
        self._folder = folder
        self._space: dict[str, Any] = {"__name__": "page", "__builtins__": builtins}
        self._typed: list[str] = []
        self._runner: asyncio.Runner | None = None

    def run(self, block: Block) -> None:
        """Run a block. A block with test functions is run by pytest, and a file is written."""
        if (file := block.file) is not None:
            (self._folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / file).write_text(block.code, "utf-8")
        elif block.is_tests:
            self._test(block)
        else:
            self._typed += block.definitions()
            self._space.update(self._prepared)
            code: Any = evolve(block, code=PATIENCE.sub("replies(timeout=0.3)", block.code)).compiled()
            try:
                result = FunctionType(code, self._space)()
                if inspect.iscoroutine(result):
                    self._loop().run(result)
            except Exception as error:  # noqa: BLE001 - whatever a reader would see
                # Python's own traceback shows the lines of the page; pytest's would show the whole page.
                pytest.fail("".join(traceback.format_exception(error)), pytrace=False)

    def run_example(self, where: str, code: str) -> None:
        """Run the code of a docstring. There may be an open conversation too, `chat`."""
        block = Block(Path(where), 0, code)
        if "async" not in where.lower():
            with self._prepared["thread"].conversation() as chat:
                self._prepared["chat"] = chat
                self.run(block)
            return

        async def prepare() -> None:
            feather = await stack.enter_async_context(AsyncFeather())
            thread = feather.thread(self._names["thread_id"])
            chat = await stack.enter_async_context(thread.conversation())
            self._prepared |= {"feather": feather, "thread": thread, "chat": chat}

        before, stack = dict(self._prepared), AsyncExitStack()
        try:
            self._loop().run(prepare())
            self.run(block)
        finally:
            self._loop().run(stack.aclose())
            self._prepared = before

    def close(self) -> None:
        """Close what the page has left open."""
        for made in self._space.values():
            if isinstance(made, Feather):
                made.close()
            elif isinstance(made, AsyncFeather):
                self._loop().run(made.aclose())
        if self._runner is not None:
            self._runner.close()

    def _loop(self) -> asyncio.Runner:
        self._runner = self._runner or asyncio.Runner()
        return self._runner

    def _test(self, block: Block) -> None:
        """Let pytest run a block. It knows what the blocks before it have imported and defined."""
        names = [f"{name} = {value!r}" for name, value in self._names.items()]
        (self._folder / "typed_before.py").write_text("\n".join([*names, *self._typed]), "utf-8")
        (self._folder / f"test_{block.line}.py").write_text(f"from typed_before import *\n{block.code}", "utf-8")
        modules = [
            str(path.relative_to(self._folder).with_suffix("")).replace(os.sep, ".")
            for path in self._folder.rglob("*.py")
            if path.parent != self._folder or not path.name.startswith(("test_", "conftest", "typed_before"))
        ]
        (self._folder / "conftest.py").write_text(CONFTEST % modules, "utf-8")
        mode = "asyncio_mode = auto\n" if find_spec("pytest_asyncio") else ""
        (self._folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{mode}", "utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTEST"))}
        line = [*PYTEST, f"test_{block.line}.py"]
        ran = subprocess.run(line, cwd=self._folder, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader with a Feather on this machine, in an empty folder."""
    root, ours = logging.getLogger(), logging.getLogger("featherhq")
    before = root.level, list(root.handlers), ours.level
    with (
        Sandbox(api_key=KEY, rate_limit=None) as sandbox,
        Feather(KEY, base_url=sandbox.url, rate_limit=None) as feather,
    ):
        monkeypatch.setenv("FEATHER_API_KEY", KEY)
        monkeypatch.setenv("FEATHER_BASE_URL", sandbox.url)
        monkeypatch.setenv("FEATHER_AGENT_ID", AGENT_ID)
        monkeypatch.chdir(tmp_path)
        reading = Reader(feather, tmp_path)
        yield reading
        reading.close()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if blocks(page)])
def test_the_python_of_a_page_runs(
    page: Path, reader: Reader, request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    """All blocks of the page run, in order. The blocks that are not run say why."""
    for block in blocks(page):
        with subtests.test(f"{page}:{block.line}"):
            if block.reason is None:
                reader.run(evolve(block, code=with_redis(block.code, request)))


def public() -> Iterator[tuple[str, str]]:
    """The public modules, classes, functions and methods, and their docstrings."""
    names = ["featherhq", "featherhq.errors", "featherhq.models", "featherhq.ledgers", "featherhq.sandbox"]
    for module in map(import_module, names):
        yield module.__name__, inspect.getdoc(module) or ""
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            yield f"{module.__name__}.{name}", inspect.getdoc(thing) or ""
            for part in sorted(vars(thing)) if isinstance(thing, type) else []:
                if not part.startswith("_"):
                    yield f"{module.__name__}.{name}.{part}", inspect.getdoc(getattr(thing, part)) or ""


def test_the_examples_of_docstrings_run(
    reader: Reader, request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    """All code in the docstrings of public names runs. Its clients, threads and conversations are there."""
    found = [(where, code) for where, text in public() for code in examples(text)]
    assert len(found) >= FEWEST_EXAMPLES
    for where, code in found:
        with subtests.test(where):
            reader.run_example(where, with_redis(code, request))


def test_few_blocks_are_not_run() -> None:
    """A block that no test runs is counted here."""
    counted = {str(page): sum(block.reason is not None for block in blocks(page)) for page in PAGES}
    assert {page: count for page, count in counted.items() if count} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Each link to a file of the project names a file that there is, and an anchor that it has."""
    for link in links(page):
        if "://" in link or link.startswith(("mailto:", "#/")):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(name).resolve() if name else ROOT / page
        assert target.exists(), f"{page}: there is no {link}"
        assert target.is_relative_to(ROOT)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.relative_to(ROOT)), f"{page}: there is no {link}"
