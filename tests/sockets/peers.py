"""A fixture for tests with servers of raw bytes. A test file uses it by `serve = pytest.fixture(serve_peers)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from raw_server import Peer


def serve_peers() -> Iterator[Callable[..., Peer]]:
    """Start servers of raw bytes, and close them after the test."""
    made: list[Peer] = []

    def make(answer: Any, **options: Any) -> Peer:
        made.append(Peer(answer, **options))
        return made[-1]

    yield make
    for peer in made:
        peer.close()
