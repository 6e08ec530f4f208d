"""What the tests of the transport share.

A test module loads this module as a plugin for its fixture.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from raw_server import Peer


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    """The servers of a test. They are closed after it."""
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.close()
