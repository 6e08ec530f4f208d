"""Shared parts of the tests: a sandbox, clients of both kinds for the same test, and the watch for the API key."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import secrets
import socket
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from featherhq import AsyncConversation, AsyncFeather, AsyncThread, AsyncThreads, Feather, FeatherError
from featherhq.sandbox import Sandbox
from hypothesis import settings
from sight import Watch, every_record

# On a busy machine any example may take long, and that says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# The tests of telemetry switch it on. In all others it would only take time.
os.environ["FEATHER_TELEMETRY"] = "off"

AGENT_ID = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
THREAD_ID = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
# The key of clients and sandboxes when a test gives no other. A test that shows this key fails. The tests of the
# sandbox use its real default key instead.
KEY = f"k-{secrets.token_hex(16)}"
_SANDBOX_DEFAULTS: dict[str, Any] = Sandbox.__init__.__kwdefaults__ or {}
_SANDBOX_KEY = _SANDBOX_DEFAULTS["api_key"]


class Blocking:
    """A synchronous wrapper of an asynchronous object, so that one test works for both kinds of client."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self.target = target
        self._runner = runner

    def __repr__(self) -> str:
        return repr(self.target)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.target, name)
        if not inspect.isroutine(value):
            return self._wrap(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._wrap(value(*args, **kwargs))

        return call

    def __enter__(self) -> Any:
        return self._wrap(self.target.__aenter__())

    def __exit__(self, *error: object) -> None:
        self._wrap(self.target.__aexit__(*error))

    def __iter__(self) -> Iterator[Any]:
        return Each(aiter(self.target), self._wrap)

    def _wrap(self, value: Any) -> Any:
        if inspect.isawaitable(value):

            async def wait() -> Any:
                return await value

            return self._wrap(self._runner.run(wait()))
        if hasattr(value, "__anext__"):
            return Each(value, self._wrap)
        if isinstance(value, AsyncFeather | AsyncThread | AsyncThreads | AsyncConversation):
            return Blocking(value, self._runner)
        return value


class Each:
    """A synchronous wrapper of an asynchronous iterator. As with the iterator inside, an error does not end it."""

    def __init__(self, target: Any, face: Callable[[Any], Any]) -> None:
        self._target = target
        self._wrap = face

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return self._wrap(anext(self._target))
        except StopAsyncIteration:
            raise StopIteration from None


class Kind:
    """One of the two kinds of client."""

    def __init__(self, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self._runner = asyncio.Runner()
        self._made: list[Any] = []

    def client(self, api_key: Any = KEY, **options: Any) -> Any:
        """Make a client, which is closed after the test. It has no rate limit unless the test gives one."""
        options.setdefault("rate_limit", None)
        if not self.asynchronous:
            self._made.append(Feather(api_key, **options))
            return self._made[-1]
        self._made.append(Blocking(AsyncFeather(api_key, **options), self._runner))
        return self._made[-1]

    def generated(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a generated function: `sync_detailed`, or `asyncio_detailed`."""
        if not self.asynchronous:
            return module.sync_detailed(*args, **kwargs)
        return self._runner.run(module.asyncio_detailed(*args, **kwargs))

    def run(self, awaitable: Any) -> Any:
        return self._runner.run(awaitable)

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, and let tasks run."""
        self._runner.run(asyncio.sleep(seconds))

    def close(self) -> None:
        for made in self._made:
            (made.aclose if self.asynchronous else made.close)()
        self._runner.close()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    made = Kind(asynchronous=request.param == "async")
    yield made
    made.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(agent=lambda text, _: f"echo: {text}", api_key=KEY, rate_limit=None) as running:
        yield running


@pytest.fixture
def connect(kind: Kind, sandbox: Sandbox) -> Callable[..., Any]:
    """A function that makes clients of the sandbox."""
    return lambda **options: kind.client(**{"base_url": sandbox.url, **options})


@pytest.fixture
def thread(connect: Callable[..., Any]) -> Any:
    """A thread in the sandbox. Its client has a short deadline."""
    return connect(timeout=5).threads.create(AGENT_ID)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage is collected during the test. Python drops the exception of a signal in a callback of the collector,
    and Hypothesis has such a callback.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def dead_url() -> str:
    """A URL where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def count(sandbox: Sandbox, operation: str) -> int:
    """Return how many requests of an operation the sandbox received."""
    return sum(request.operation == operation for request in sandbox.requests)


_watches: list[Watch] = []
_make_error: Any = FeatherError.__init__


@functools.wraps(_make_error)
def _note_error(error: FeatherError, *args: Any, **kwargs: Any) -> None:
    _make_error(error, *args, **kwargs)
    for watch in _watches:
        watch.note(error)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the longest tests take a part of their cases."""
    about = "of the edits, the corpus and the hostile servers, take each Nth one; all by default"
    parser.addoption("--sample", type=int, default=1, metavar="N", help=about)


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> slice:
    """The cases that a long test takes."""
    return slice(None, None, request.config.getoption("--sample"))


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001 - pytest requires this signature
    replaced: Any = FeatherError
    replaced.__init__ = _note_error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of the contract as slow: they start the generator and other programs. Take a part of the hostile
    servers, if that is asked for.
    """
    for item in items:
        if item.path.parent.name == "contract":
            item.add_marker("slow")
    every = config.getoption("--sample")
    hostile = [item for item in items if item.path.name == "test_hostile.py"]
    # Both kinds of client stand side by side. The second term lets the sample take them in turn.
    left_out = {item for index, item in enumerate(hostile) if (index + index // every) % every}
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch each test and its fixtures, and record where the key is shown."""
    _SANDBOX_DEFAULTS["api_key"] = _SANDBOX_KEY if item.path.stem == "test_sandbox" else KEY
    watch = Watch(KEY)
    _watches.append(watch)
    try:
        with every_record(watch.look):
            return (yield)
    finally:
        _watches.remove(watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that showed the key. This happens after its clients are closed."""
    report = yield
    if call.when == "teardown" and _watches:
        watch = _watches[-1]
        watch.judge()
        for name, printed in report.sections:
            watch.look(name, printed)
        if watch.found and report.passed:
            report.outcome = "failed"
            report.longrepr = "\n".join(["the API key was seen", *watch.found])
    return report
