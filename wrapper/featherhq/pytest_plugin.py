"""Fixtures for the tests of whoever uses `featherhq`: no network, no key, no mocks.

    def test_it(feather, feather_sandbox):
        thread = feather.threads.create(agent_id)
        feather_sandbox.inject("sendMessage", Status(503, headers={"Retry-After": "0"}))
        assert thread.ask("Hello").text

Installed with the package; needs the extra `featherhq[sandbox]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq import AsyncFeather, Feather
    from featherhq.sandbox import Sandbox

# pytest loads this module into every run where the package is installed, so it imports nothing until it is used.


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
def async_feather(feather_sandbox: Sandbox) -> AsyncFeather:
    """An `AsyncFeather` that talks to `feather_sandbox`.

    Enter it in the test (`async with async_feather:`): its connections belong to the test's event loop, which
    this fixture, made to work with any plugin for async tests, knows nothing of.
    """
    from featherhq import AsyncFeather  # noqa: PLC0415 - see above

    return AsyncFeather(feather_sandbox.api_key, base_url=feather_sandbox.url, rate_limit=None)
