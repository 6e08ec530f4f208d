"""Pytest fixtures for programs that use `featherhq`. They need no network, no API key and no mocks.

    def test_it(feather, feather_sandbox):
        thread = feather.threads.create(agent_id)
        feather_sandbox.inject("sendMessage", Status(503, headers={"Retry-After": "0"}))
        assert thread.ask("Hello").text
        assert feather_sandbox.sent() == ["Hello"]

The fixtures are `feather_sandbox`, `feather`, `async_feather` and `feather_environment`. The marker
`@pytest.mark.feather_sandbox(agent=…, rate_limit=…)` gives arguments to the `Sandbox` of a test, a class or a module.
The report of a failed test shows what the sandbox has received. The plugin is installed with the package. The fixtures
need the extra `featherhq[sandbox]`.

In tests, clients may connect to loopback addresses only, so that no test reaches Feather's servers by mistake. For any
other address they raise a `UsageError`. The marker `@pytest.mark.feather_network` allows all addresses for a test, a
class or a module. The line `feather_network = true` in pytest's configuration allows them for a whole project.
"""

from __future__ import annotations

import gc
import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from featherhq._http import guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from typing import Self

    from featherhq import AsyncFeather, Feather
    from featherhq.sandbox import Sandbox

# pytest loads this module in every run if the package is installed. So the fixtures import what they need when they
# are used.

_NETWORK: Final = "feather_network"
_SANDBOX: Final = "feather_sandbox"
_ASYNCIO: Final = "featherhq_asyncio"
_ENTER: Final = "async with async_feather:"
_RUN: Final = (
    "With pytest-asyncio 0.24 or newer, mark the test with @pytest.mark.asyncio, or set asyncio_mode = auto. "
    "With anyio, mark it with @pytest.mark.anyio. Then async_feather is entered and closed for you."
)
_TRIO: Final = (
    "async_feather needs asyncio, and this test runs under {backend}. Put this into the test's module or conftest.py: "
    "@pytest.fixture def anyio_backend(): return 'asyncio'"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the option with pytest."""
    parser.addini(_NETWORK, "whether featherhq's clients may connect to other machines in tests", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker with pytest."""
    config.addinivalue_line("markers", f"{_NETWORK}: featherhq's clients may connect to other machines in this test")
    config.addinivalue_line("markers", f"{_SANDBOX}(agent=…, rate_limit=…): arguments for the test's feather_sandbox")
    guard.switch.may_refuse = True
    if "pytest_asyncio" in sys.modules:
        from featherhq import _pytest_asyncio  # noqa: PLC0415 - it imports this plugin

        # Before the tests are collected, because older versions of pytest-asyncio look for fixtures then.
        config.pluginmanager.register(_pytest_asyncio, _ASYNCIO)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Allow the clients of a test and of its fixtures to connect to loopback addresses only."""
    before = guard.switch.refuse_all_but_loopback
    if item.config.getini(_NETWORK) or item.get_closest_marker(_NETWORK):
        guard.allow()
    else:
        guard.forbid()
    yield
    # Do not call `allow`, because this run may be inside another test.
    guard.switch.refuse_all_but_loopback = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in the report of a failed test what its sandbox has received."""
    report = yield
    sandbox = (getattr(item, "funcargs", None) or {}).get(_SANDBOX)
    # It may be another object, because the user may have replaced the fixture.
    if (
        report.failed
        and "featherhq.sandbox" in sys.modules
        and isinstance(sandbox, sys.modules["featherhq.sandbox"].Sandbox)
    ):
        from featherhq.sandbox._summary import summary  # noqa: PLC0415 - see above

        report.sections.append((_SANDBOX, summary(sandbox)))
    return report


@pytest.fixture
def feather_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A new `Sandbox` for each test. It has no rate limit, unless the marker `feather_sandbox` gives one."""
    from featherhq.sandbox import Sandbox  # noqa: PLC0415 - see above

    options: dict[str, Any] = {"rate_limit": None}
    # The closest marker comes first, and its arguments replace those of the others.
    for marker in reversed(list(request.node.iter_markers(_SANDBOX))):
        if marker.args:
            raise TypeError(f"@pytest.mark.{_SANDBOX}: give the arguments of Sandbox by name, such as rate_limit=10")
        options.update(marker.kwargs)
    with Sandbox(**options) as running:
        yield running


@pytest.fixture
def feather_environment(feather_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The `feather_sandbox`, for programs that read `FEATHER_API_KEY` and `FEATHER_BASE_URL`: both lead to it."""
    monkeypatch.setenv("FEATHER_API_KEY", feather_sandbox.api_key)
    monkeypatch.setenv("FEATHER_BASE_URL", feather_sandbox.url)
    return feather_sandbox


@pytest.fixture
def feather(feather_sandbox: Sandbox) -> Iterator[Feather]:
    """A `Feather` client that is connected to `feather_sandbox`."""
    from featherhq import Feather  # noqa: PLC0415 - see above

    with Feather(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None) as client:
        yield client


@pytest.fixture
def async_feather(request: pytest.FixtureRequest, feather_sandbox: Sandbox) -> Iterator[AsyncFeather]:
    """An `AsyncFeather` client that is connected to `feather_sandbox`.

    If pytest-asyncio (0.24 or newer) or anyio runs the test, the client is entered and closed in the event loop of the
    test. In any other test, enter it: `async with async_feather:`.
    """
    name = _fixture_in_loop(request)
    if name is not None:
        yield request.getfixturevalue(name)
        return
    if inspect.iscoroutinefunction(request.function):
        request.node.add_report_section("setup", "async_feather", _RUN)
    yield from _to_be_entered(feather_sandbox)


def _fixture_in_loop(request: pytest.FixtureRequest) -> str | None:
    """The name of the fixture that runs in the event loop of the test; `None` if the loop is not known."""
    asyncio = request.config.pluginmanager.get_plugin(_ASYNCIO)
    if asyncio is not None and (name := asyncio.fixture_for(request.node)) is not None:
        return str(name)
    # anyio runs a coroutine function that uses this fixture, also if the marker brings it.
    if "anyio_backend" not in request.fixturenames or not inspect.iscoroutinefunction(request.function):
        return None
    backend = request.getfixturevalue("anyio_backend_name")
    if backend != "asyncio":
        pytest.fail(_TRIO.format(backend=backend), pytrace=False)
    return _async_feather_in_anyio.__name__


@pytest.fixture
async def _async_feather_in_anyio(feather_sandbox: Sandbox) -> AsyncIterator[AsyncFeather]:
    async with connected(feather_sandbox) as client:
        yield client


def connected(sandbox: Sandbox) -> AsyncFeather:
    """A client that is connected to a sandbox."""
    from featherhq import AsyncFeather  # noqa: PLC0415 - see above

    return AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)


def _to_be_entered(sandbox: Sandbox) -> Iterator[AsyncFeather]:
    """A client that fails a test that uses it without entering it, or does not leave it."""
    from featherhq import AsyncFeather  # noqa: PLC0415 - see above

    uses = {name for name in dir(AsyncFeather) if not name.startswith("_")} - {"aclose"}

    class ToBeEntered(AsyncFeather):
        """Otherwise a later test would report the open connections."""

        is_open = was_entered = False

        async def __aenter__(self) -> Self:
            ToBeEntered.is_open = ToBeEntered.was_entered = True
            return await super().__aenter__()

        async def aclose(self) -> None:
            ToBeEntered.is_open = False
            await super().aclose()

        def __getattribute__(self, name: str) -> Any:
            if name in uses and not ToBeEntered.was_entered:
                # The error of `pytest.fail` is not an `Exception`, so the test cannot catch it by mistake.
                pytest.fail(f"async_feather was used but not entered; use: {_ENTER}\n{_RUN}")
            return super().__getattribute__(name)

    ToBeEntered.__name__ = AsyncFeather.__name__
    client = ToBeEntered(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
    yield client
    if ToBeEntered.is_open:
        _discard(client)
        pytest.fail(f"async_feather was entered but not closed; use: {_ENTER}")


def _discard(client: AsyncFeather) -> None:
    """Close a client's connections now, so that a later test gets no warning. Its event loop may be closed already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client.__dict__.clear()
        gc.collect()
