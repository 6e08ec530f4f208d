"""The public surface: names, signatures, imports, the log, the command line and the fixtures."""

from __future__ import annotations

import ast
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import featherhq
import pytest
from conftest import AGENT_ID, THREAD_ID
from featherhq import (
    AsyncConversation,
    AsyncFeather,
    AsyncReplies,
    AsyncThread,
    AsyncThreads,
    Conversation,
    Feather,
    Replies,
    Thread,
    Threads,
)
from featherhq._api import WiredClient
from featherhq._logging import from_environment
from featherhq._settings import UNCHANGED
from featherhq.sandbox import Sandbox

PACKAGE = Path(featherhq.__file__).parent
ROOT = Path(__file__).parent.parent.parent
TWINS = [
    f"{folder}/{name}.py" for folder in ("_async", "_sync") for name in ("client", "threads", "thread", "conversation")
]
RUNNERS = ["_http/thread_runner.py", "_http/task_runner.py"]
FOLDERS = ["_core", "_threads"]
PURE = sorted(str(path.relative_to(PACKAGE)) for folder in FOLDERS for path in (PACKAGE / folder).glob("*.py"))
PURE += ["models.py", "_validation.py", "errors.py", "sandbox/_state.py", "sandbox/_pages.py", "sandbox/_limit.py"]

pytest_plugins = ["pytester"]


def test_the_public_names() -> None:
    """The package exports these names and no others."""
    assert sorted(featherhq.__all__) == [
        "APIConnectionError",
        "APIStatusError",
        "APITimeoutError",
        "AsyncConversation",
        "AsyncFeather",
        "AsyncReplies",
        "AsyncThread",
        "AsyncThreads",
        "AuthenticationError",
        "BadRequestError",
        "ConfigurationError",
        "ConflictError",
        "Conversation",
        "DeliveryUnknownError",
        "Feather",
        "FeatherError",
        "InvalidArgumentError",
        "Ledger",
        "LedgerError",
        "Message",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimit",
        "RateLimitError",
        "RedisLedger",
        "Replies",
        "ReplyTimeoutError",
        "ResponseDecodeError",
        "SQLiteLedger",
        "SentMessage",
        "ServerError",
        "SharedRateLimit",
        "Thread",
        "Threads",
        "Turn",
        "UsageError",
        "__version__",
    ]
    assert all(hasattr(featherhq, name) for name in featherhq.__all__)


def test_files_and_functions_are_short() -> None:
    """No file that is written by hand has more than 350 lines, and no function more than 45."""
    too_long = []
    for folder in ("wrapper", "tools", "tests", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            if len(text.splitlines()) > 350:
                too_long.append(str(path))
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    if lines > 45:
                        too_long.append(f"{path}: {node.name}")
    assert too_long == []


def test_names_that_are_imported_when_they_are_used() -> None:
    """`dir` lists them before that. A name that does not exist is an `AttributeError`."""
    assert {"Feather", "AsyncFeather", "Thread", "AsyncConversation"} <= set(dir(featherhq))
    with pytest.raises(AttributeError, match="no attribute 'Fether'"):
        _ = featherhq.Fether


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [
        (Feather, AsyncFeather),
        (Threads, AsyncThreads),
        (Thread, AsyncThread),
        (Conversation, AsyncConversation),
        (Replies, AsyncReplies),
    ],
)
def test_sync_and_async_classes_have_the_same_signatures(sync: type, asynchronous: type) -> None:
    """The sync and the async class have the same methods, arguments and defaults."""

    def surface(kind: type) -> dict[str, str]:
        found = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        told = {"the class": signature(kind)}
        for name, value in found.items():
            function: Any = value.fget if isinstance(value, property) else value
            told[name.replace("aclose", "close")] = signature(function)
        return told

    def signature(function: Any) -> str:
        return re.sub(r"Async(?=[A-Z])", "", str(inspect.signature(function)))

    assert surface(sync) == surface(asynchronous)


@pytest.mark.parametrize("name", TWINS)
def test_sync_and_async_classes_make_no_decisions(name: str) -> None:
    """Their modules contain no numbers and no comparisons, because flows make all decisions."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, str | bytes | bool | None), f"line {node.lineno}"
        assert not isinstance(node, ast.Lt | ast.Gt | ast.LtE | ast.GtE | ast.Eq | ast.NotEq)


def imports(name: str) -> set[str]:
    """Return the modules that a module imports, including imports for type checkers."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return imported | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_imports_no_rules(name: str) -> None:
    """A runner performs effects. It knows nothing about retries, limits, threads, errors and statuses."""
    known = {module for module in imports(name) if module.startswith("featherhq.")}
    assert known <= {
        "featherhq._core.bodies",
        "featherhq._core.effects",
        "featherhq._core.responses",
        *(module for module in known if module.startswith("featherhq._http")),
    }
    assert "http" not in imports(name)


def test_the_list_of_pure_modules_is_complete() -> None:
    """The list contains the modules of the core and of the threads."""
    assert len(PURE) > 15
    assert {"_core/retry.py", "_core/rate_limit.py", "_threads/state.py", "_threads/send.py"} <= set(PURE)


@pytest.mark.parametrize("name", PURE)
def test_the_core_is_pure(name: str) -> None:
    """A pure module imports no sockets, clock, tasks or HTTP library."""
    impure = {"socket", "ssl", "time", "asyncio", "random", "httpx", "httpcore", "aiohttp", "starlette"}
    assert imports(name).isdisjoint(impure)
    assert not any(
        module.startswith(("featherhq._http.thread_runner", "featherhq._http.task_runner")) for module in imports(name)
    )


@pytest.mark.parametrize("path", sorted((PACKAGE / "_core").glob("*.py")), ids=lambda path: path.name)
def test_the_core_does_not_import_threads(path: Path) -> None:
    """The code for threads uses the core. The core does not use the code for threads."""
    assert not any(module.startswith("featherhq._threads") for module in imports(f"_core/{path.name}"))


def test_public_methods_have_no_httpx_types() -> None:
    """No public method has an httpx type in its signature. Only the constructor's `http_client` has one."""
    for kind in (Feather, AsyncFeather, Thread, AsyncThread, Threads, AsyncThreads, Conversation, AsyncConversation):
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                assert "httpx" not in str(inspect.signature(value))


def test_the_wired_client_is_a_generated_client() -> None:
    """Type checkers accept `api` in each generated function that needs a client."""
    with Feather("key") as feather:
        assert isinstance(feather.api, WiredClient.__bases__[0])
        assert "key" not in repr(feather.api).replace("featherhq", "")


@pytest.mark.parametrize(("level", "shown"), [("", 0), ("debug", logging.DEBUG), ("warning", logging.WARNING)])
def test_feather_log_sets_the_level(level: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """FEATHER_LOG=debug prints the log. Without it, the library prints nothing."""
    logger = logging.getLogger("featherhq")
    before = (logger.handlers[:], logger.level)
    logger.handlers.clear()
    monkeypatch.setenv("FEATHER_LOG", level)
    try:
        from_environment()
        (handler,) = logger.handlers
        assert isinstance(handler, logging.NullHandler) == (level == "")
        assert logger.level == (shown or before[1])
    finally:
        logger.handlers[:], logger.level = before


@contextmanager
def command(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-m", "featherhq", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            # When a test fails, it does not wait for the process.
            process.kill()


def test_the_sandbox_from_the_command_line() -> None:
    """The command prints the settings for a client, and Ctrl-C ends it without an error."""
    with command("sandbox", "--rate-limit", "0", "--api-key", "k") as process:
        assert process.stdout is not None
        text = ""
        while "FEATHER_API_KEY" not in text:
            text += process.stdout.readline()
        url = re.search(r"FEATHER_BASE_URL=(\S+)", text)
        assert url is not None
        with Feather("k", base_url=url[1]) as feather:
            assert feather.threads.create(AGENT_ID).ask("Hello").text
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_in_use() -> None:
    """The command prints one line to standard error, and ends with exit status 1."""
    with Sandbox() as running, command("sandbox", "--port", running.url.rpartition(":")[2]) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 1
        assert "in use" in errors
        assert errors.count("\n") == 1


def test_the_sandbox_command_without_the_extra(tmp_path: Path) -> None:
    """The sandbox command says what to install."""
    (tmp_path / "uvicorn.py").write_text("raise ImportError('No module', name='uvicorn')")
    with command("sandbox", env={**os.environ, "PYTHONPATH": str(tmp_path)}) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 2
        assert errors == "featherhq sandbox: the sandbox needs uvicorn: pip install 'featherhq[sandbox]'\n"


def test_the_public_pytest_fixtures(pytester: pytest.Pytester) -> None:
    """Other projects can use feather_sandbox, feather and async_feather without any settings."""
    pytester.makepyfile(f"""
        import asyncio

        def test_sync(feather, feather_sandbox):
            assert feather.threads.create("{AGENT_ID}").ask("hello").text
            assert len(feather_sandbox.requests) == 3

        def test_async(async_feather):
            async def program():
                async with async_feather as feather:
                    return await (await feather.threads.create("{AGENT_ID}")).ask("hello")
            assert asyncio.run(program()).text
    """)
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")
    ran.assert_outcomes(passed=2)


def test_the_changelog_names_this_version() -> None:
    """The changelog has a section for the version of the package."""
    assert f"## {featherhq.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_documented_verbs_exist() -> None:
    """Each `make` verb that the README, the docs or the examples name is in the Makefile."""
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    named = {
        verb for page in pages for verb in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named - verbs == set()


def test_the_demo_runs() -> None:
    """The program that `make demo` runs prints its conversation, and no errors."""
    ran = subprocess.run([sys.executable, str(ROOT / "examples/demo.py")], capture_output=True, text=True, check=True)
    assert "Order 1042 will arrive on Thursday" in ran.stdout
    assert ran.stderr == ""


def test_the_readme_example_works(sandbox: Sandbox) -> None:
    """The first Python block of the README runs without changes."""
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    environment = {**os.environ, "FEATHER_API_KEY": sandbox.api_key, "FEATHER_BASE_URL": sandbox.url}
    ran = subprocess.run([sys.executable, "-c", block[1]], env=environment, capture_output=True, text=True, check=True)
    assert "echo: Where is my order?" in ran.stdout


def test_repr_of_public_objects() -> None:
    """The repr of an object shows what it is: a thread shows its id, a client its URL."""
    with Feather("key") as feather:
        assert repr(feather.thread(THREAD_ID)) == f"<Thread {THREAD_ID}>"
        assert repr(feather) == "<Feather for https://prod.featherhq.com>"
    assert repr(UNCHANGED) == "UNCHANGED"


def test_errors_have_a_public_module() -> None:
    """Tracebacks show names such as featherhq.errors.NotFoundError. Users can import this name, and
    tools find its source.
    """
    errors = [one for name in featherhq.__all__ if isinstance(one := getattr(featherhq, name), type)]
    assert {one.__module__ for one in errors if issubclass(one, Exception)} == {"featherhq.errors"}
