"""The fixtures behind `async_feather` for tests that pytest-asyncio runs. Imported if that plugin is."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest_asyncio

from featherhq.pytest_plugin import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    import pytest

    from featherhq import AsyncFeather
    from featherhq.sandbox import Sandbox

# pytest-asyncio before 0.24 runs no fixture in a given event loop.
_SCOPES: Final = (
    ("function", "class", "module", "package", "session")
    if "loop_scope" in inspect.signature(pytest_asyncio.fixture).parameters
    else ()
)


def fixture_for(item: pytest.Item) -> str | None:
    """The name of the fixture that runs in the event loop of a test.

    `None` if pytest-asyncio does not run this test, or if it is older than 0.24.
    """
    if not (_SCOPES and pytest_asyncio.is_async_test(item)):
        return None
    marker = item.get_closest_marker("asyncio")
    given = {} if marker is None else marker.kwargs
    scope = given.get("loop_scope") or given.get("scope")
    with suppress(ValueError):  # there is no such option before pytest-asyncio 0.26
        scope = scope or item.config.getini("asyncio_default_test_loop_scope")
    return _name(scope or "function")


def _name(scope: str) -> str:
    return f"_async_feather_in_{scope}_loop"


def _fixture(scope: Any) -> Any:
    @pytest_asyncio.fixture(loop_scope=scope, name=_name(scope))
    async def entered(feather_sandbox: Sandbox) -> AsyncIterator[AsyncFeather]:
        async with connected(feather_sandbox) as client:
            yield client

    return entered


globals().update({_name(scope): _fixture(scope) for scope in _SCOPES})
