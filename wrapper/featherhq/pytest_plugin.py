"""Pytest fixtures for programs that use `featherhq`. They need no network, no API key and no mocks.

    def test_it(feather, feather_sandbox):
        thread = feather.threads.create(agent_id)
        feather_sandbox.inject("sendMessage", Status(503, headers={"Retry-After": "0"}))
        assert thread.ask("Hello").text

The plugin is installed with the package. The fixtures need the extra `featherhq[sandbox]`.

In tests, clients may connect to loopback addresses only, so that no test reaches Feather's servers by mistake. For any
other address they raise a `UsageError`. The marker `@pytest.mark.feather_network` allows all addresses for a test, a
class or a module. The line `feather_network = true` in pytest's configuration allows them for a whole project.
"""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from featherhq._http import guard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from featherhq import AsyncFeather, Feather
    from featherhq.sandbox import Sandbox

# pytest loads this module in every run if the package is installed. So the fixtures import what they need when they
# are used.

_NETWORK: Final = "feather_network"
_ENTER: Final = "async with async_feather:"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the option with pytest."""
    parser.addini(_NETWORK, "whether featherhq's clients may connect to other machines in tests", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker with pytest."""
    config.addinivalue_line("markers", f"{_NETWORK}: featherhq's clients may connect to other machines in this test")
    guard.switch.may_refuse = True


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


@pytest.fixture
def feather_sandbox() -> Iterator[Sandbox]:
    """A new `Sandbox` for each test, without a rate limit."""
    from featherhq.sandbox import Sandbox  # noqa: PLC0415 - see above

    with Sandbox(rate_limit=None) as running:
        yield running


@pytest.fixture
def feather(feather_sandbox: Sandbox) -> Iterator[Feather]:
    """A `Feather` client that is connected to `feather_sandbox`."""
    from featherhq import Feather  # noqa: PLC0415 - see above

    with Feather(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None) as client:
        yield client


@pytest.fixture
def async_feather(feather_sandbox: Sandbox) -> Iterator[AsyncFeather]:
    """An `AsyncFeather` client that is connected to `feather_sandbox`.

    Enter it in the test (`async with async_feather:`), because its connections belong to the test's event loop. This
    fixture works with any plugin for async tests, so it does not know this event loop.
    """
    from featherhq import AsyncFeather  # noqa: PLC0415 - see above

    uses = {name for name in dir(AsyncFeather) if not name.startswith("_")} - {"aclose"}

    class ToBeEntered(AsyncFeather):
        """Fails a test that uses it without entering it. Otherwise a later test would report the open connections."""

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
                pytest.fail(f"async_feather was used but not entered; use: {_ENTER}")
            return super().__getattribute__(name)

    ToBeEntered.__name__ = AsyncFeather.__name__
    client = ToBeEntered(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None)
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
