"""What users see and hold on to: names, signatures, imports, the log, the command line, the fixtures."""

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
    AsyncThread,
    AsyncThreads,
    Conversation,
    Feather,
    Thread,
    Threads,
)
from featherhq._api import WiredClient
from featherhq._logging import from_environment
from featherhq._settings import UNCHANGED
from featherhq.sandbox import Sandbox

PACKAGE = Path(featherhq.__file__).parent
ROOT = Path(__file__).parent.parent.parent
TWINS = [f"{folder}/{name}.py" for folder in ("_async", "_sync") for name in ("client", "threads", "conversation")]
RUNNERS = ["_http/thread_runner.py", "_http/task_runner.py"]
FOLDERS = ["_core", "_threads"]
PURE = sorted(str(path.relative_to(PACKAGE)) for folder in FOLDERS for path in (PACKAGE / folder).glob("*.py"))
PURE += ["models.py", "_validation.py", "errors.py", "sandbox/_state.py", "sandbox/_limit.py"]

pytest_plugins = ["pytester"]


def test_the_names_that_users_import() -> None:
    """Those of the design, and no others."""
    assert sorted(featherhq.__all__) == [
        "APIConnectionError",
        "APIStatusError",
        "APITimeoutError",
        "AsyncConversation",
        "AsyncFeather",
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
        "Message",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimitError",
        "ReplyTimeoutError",
        "ResponseDecodeError",
        "SentMessage",
        "ServerError",
        "Thread",
        "Threads",
        "UsageError",
        "__version__",
    ]
    assert all(hasattr(featherhq, name) for name in featherhq.__all__)


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [(Feather, AsyncFeather), (Threads, AsyncThreads), (Thread, AsyncThread), (Conversation, AsyncConversation)],
)
def test_the_twins_have_the_same_signatures(sync: type, asynchronous: type) -> None:
    """Name for name, argument for argument, default for default."""

    def surface(kind: type) -> dict[str, str]:
        found = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        found["__init__"] = vars(kind)["__init__"]
        told = {}
        for name, value in found.items():
            function: Any = value.fget if isinstance(value, property) else value
            told[name.replace("aclose", "close")] = re.sub(
                r"Async(?=[A-Z])|(task|thread)_(?=runner)|(Task|Thread)(?=Runner)", "", str(inspect.signature(function))
            )
        return told

    assert surface(sync) == surface(asynchronous)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_decides_nothing(name: str) -> None:
    """It holds no number, and no comparison but of what a flow has said."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, str | bytes | bool | None), f"line {node.lineno}"
        assert not isinstance(node, ast.Lt | ast.Gt | ast.LtE | ast.GtE | ast.Eq | ast.NotEq)


def imports(name: str) -> set[str]:
    """The modules that a module imports, those for type checkers too."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return imported | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_knows_no_rule(name: str) -> None:
    """It performs effects: of retries, limits, threads and errors it knows nothing, and of statuses no more."""
    known = {module for module in imports(name) if module.startswith("featherhq.")}
    assert known <= {
        "featherhq._core.bodies",
        "featherhq._core.effects",
        "featherhq._core.responses",
        *(module for module in known if module.startswith("featherhq._http")),
    }
    assert "http" not in imports(name)


def test_the_pure_modules_are_there() -> None:
    """All of the core and of the threads, each by its own name."""
    assert len(PURE) > 15
    assert {"_core/retry.py", "_core/rate_limit.py", "_threads/state.py", "_threads/send.py"} <= set(PURE)


@pytest.mark.parametrize("name", PURE)
def test_the_core_is_pure(name: str) -> None:
    """No sockets, no clock of its own, no tasks, no httpx."""
    impure = {"socket", "ssl", "time", "asyncio", "random", "httpx", "httpcore", "aiohttp", "starlette"}
    assert imports(name).isdisjoint(impure)
    assert not any(
        module.startswith(("featherhq._http.thread_runner", "featherhq._http.task_runner")) for module in imports(name)
    )


@pytest.mark.parametrize("path", sorted((PACKAGE / "_core").glob("*.py")), ids=lambda path: path.name)
def test_the_core_knows_nothing_of_threads_of_messages(path: Path) -> None:
    """What a thread can do is built on it, and not the other way round."""
    assert not any(module.startswith("featherhq._threads") for module in imports(f"_core/{path.name}"))


def test_nobody_is_told_to_import_generated_code_by_hand() -> None:
    """Every httpx name in a public signature is http_client's."""
    for kind in (Feather, AsyncFeather, Thread, AsyncThread, Threads, AsyncThreads, Conversation, AsyncConversation):
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                assert "httpx" not in str(inspect.signature(value))


def test_the_wired_client_is_a_generated_client() -> None:
    """So that a type checker takes it wherever generated functions want one."""
    with Feather("key") as feather:
        assert isinstance(feather.api, WiredClient.__bases__[0])
        assert "key" not in repr(feather.api).replace("featherhq", "")


@pytest.mark.parametrize(("level", "shown"), [("", 0), ("debug", logging.DEBUG), ("warning", logging.WARNING)])
def test_feather_log(level: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """FEATHER_LOG=debug prints the log; without it the library is silent."""
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
            # Where a test fails, nobody waits for its end.
            process.kill()


def test_the_sandbox_from_the_command_line() -> None:
    """It says how to talk to it, and ends quietly with Ctrl-C."""
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


def test_a_port_that_is_taken() -> None:
    """One line on standard error, and exit status 1."""
    with Sandbox() as running, command("sandbox", "--port", running.url.rpartition(":")[2]) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 1
        assert "in use" in errors
        assert errors.count("\n") == 1


def test_without_the_extra(tmp_path: Path) -> None:
    """The client works, and the sandbox says what to install."""
    (tmp_path / "uvicorn.py").write_text("raise ImportError('No module', name='uvicorn')")
    with command("sandbox", env={**os.environ, "PYTHONPATH": str(tmp_path)}) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 1
        assert errors == "the sandbox needs uvicorn: pip install 'featherhq[sandbox]'\n"


def test_the_fixtures_for_others(pytester: pytest.Pytester) -> None:
    """feather_sandbox, feather and async_feather, with nothing configured."""
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
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    ran.assert_outcomes(passed=2)


def test_the_changelog_names_this_version() -> None:
    """And so does the project."""
    assert f"## {featherhq.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_demo_runs() -> None:
    """What `make demo` shows."""
    ran = subprocess.run([sys.executable, str(ROOT / "examples/demo.py")], capture_output=True, text=True, check=True)
    assert "Order 1042 will arrive on Thursday" in ran.stdout
    assert ran.stderr == ""


def test_the_readmes_example_works(sandbox: Sandbox) -> None:
    """The first Python block of the README, as it stands."""
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    environment = {**os.environ, "FEATHER_API_KEY": sandbox.api_key, "FEATHER_BASE_URL": sandbox.url}
    ran = subprocess.run([sys.executable, "-c", block[1]], env=environment, capture_output=True, text=True, check=True)
    assert "echo: Where is my order?" in ran.stdout


def test_threads_are_shown_by_their_ids() -> None:
    """A repr that helps in a log."""
    with Feather("key") as feather:
        assert repr(feather.thread(THREAD_ID)) == f"<Thread {THREAD_ID}>"
        assert repr(feather) == "<Feather for https://prod.featherhq.com>"
    assert repr(UNCHANGED) == "UNCHANGED"


def test_tracebacks_name_errors_as_users_import_them() -> None:
    """featherhq.errors.NotFoundError: a public place, and where it is defined, so that its source is found."""
    errors = [one for name in featherhq.__all__ if isinstance(one := getattr(featherhq, name), type)]
    assert {one.__module__ for one in errors if issubclass(one, Exception)} == {"featherhq.errors"}
