"""Helpers for flows that need an API key: a background that runs callables later, and the results of flows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from featherhq._core.effects import AskKey, Flow


class Background:
    """The background of a runner. It runs a callable only when the test says so.

    Attributes:
        asked: The callables that were not run yet, each with its future result.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[[], object], Future[object]]] = []

    def run(self, ask: Callable[[], object]) -> Future[object]:
        """Keep a callable for later. Returns its future result."""
        self.asked.append((ask, Future()))
        return self.asked[-1][1]

    def answer(self) -> None:
        """Run the callable that was kept first."""
        ask, future = self.asked.pop(0)
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - `Future.result` raises it again
            future.set_exception(error)


def first_effect(flow: Flow[Any]) -> AskKey:
    """The first effect of a flow, which asks for a key."""
    effect = next(flow)
    assert isinstance(effect, AskKey)
    return effect


def result_with(flow: Flow[Any], answer: Future[Any] | None) -> Any:
    """The result of a flow that gets this result for its effect."""
    with pytest.raises(StopIteration) as end:
        flow.send(answer)
    return end.value.value


def result_of(flow: Flow[Any]) -> Any:
    """The result of a flow that yields no effect."""
    with pytest.raises(StopIteration) as end:
        next(flow)
    return end.value.value
