"""Fixtures for the tests of whoever uses `featherhq`: no network, no key, no mocks.

    def test_it(feather, feather_sandbox):
        thread = feather.threads.create(agent_id)
        feather_sandbox.inject("sendMessage", Status(503, headers={"Retry-After": "0"}))
        assert thread.ask("Hello").text

Installed with the package; the fixtures need the extra `featherhq[sandbox]`.

In tests, clients connect to loopback addresses alone, so that none reaches Feather by mistake: elsewhere they raise a
`UsageError`. The marker `@pytest.mark.feather_network` lets a test, class or module through, and
`feather_network = true` in pytest's configuration a whole project.
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

# pytest loads this module into every run where the package is installed, so it imports nothing until it is used.

_NETWORK: Final = "feather_network"
_ENTER: Final = "async with async_feather:"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the option."""
    parser.addini(_NETWORK, "whether featherhq's clients may connect to other machines in tests", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", f"{_NETWORK}: featherhq's clients may connect to other machines in this test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep the clients of a test, its fixtures included, on this machine."""
    before = guard.switch.refuse_all_but_loopback
    if item.config.getini(_NETWORK) or item.get_closest_marker(_NETWORK):
        guard.allow()
    else:
        guard.forbid()
    yield
    # Not `allow`: this run may itself be within a test.
    guard.switch.refuse_all_but_loopback = before


@pytest.fixture
def feather_sandbox() -> Iterator[Sandbox]:
    """A Feather on this machine, fresh for each test and without a rate limit."""
    from featherhq.sandbox import Sandbox  # noqa: PLC0415 - see above

    with Sandbox(rate_limit=None) as running:
        yield running


@pytest.fixture
def feather(feather_sandbox: Sandbox) -> Iterator[Feather]:
    """A `Feather` that talks to `feather_sandbox`."""
    from featherhq import Feather  # noqa: PLC0415 - see above

    with Feather(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None) as client:
        yield client


@pytest.fixture
def async_feather(feather_sandbox: Sandbox) -> Iterator[AsyncFeather]:
    """An `AsyncFeather` that talks to `feather_sandbox`.

    Enter it in the test (`async with async_feather:`): its connections belong to the test's event loop, which
    this fixture, made to work with any plugin for async tests, knows nothing of.
    """
    from featherhq import AsyncFeather  # noqa: PLC0415 - see above

    uses = {name for name in dir(AsyncFeather) if not name.startswith("_")} - {"aclose"}

    class ToBeEntered(AsyncFeather):
        """Fails the test that uses it before it is entered, since connections left open are reported in a later one."""

        is_open = was_entered = False

        async def __aenter__(self) -> Self:
            ToBeEntered.is_open = ToBeEntered.was_entered = True
            return await super().__aenter__()

        async def aclose(self) -> None:
            ToBeEntered.is_open = False
            await super().aclose()

        def __getattribute__(self, name: str) -> Any:
            if name in uses and not ToBeEntered.was_entered:
                # No exception that the test might catch, or expect.
                pytest.fail(f"async_feather was used and not entered; enter it: {_ENTER}")
            return super().__getattribute__(name)

    ToBeEntered.__name__ = AsyncFeather.__name__
    client = ToBeEntered(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None)
    yield client
    if ToBeEntered.is_open:
        _let_go(client)
        pytest.fail(f"async_feather was entered and never left; enter it: {_ENTER}")


def _let_go(client: AsyncFeather) -> None:
    """Have connections end here and now whose event loop may be gone, and not with a warning in a later test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client.__dict__.clear()
        gc.collect()
