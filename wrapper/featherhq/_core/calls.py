"""Calls as listeners see them: a call begins, and ends, and what happens between belongs to it. Pure.

with calling(settings, Call("send", thread_id)) as call:
    ...
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from featherhq._core.events import CallBegan, CallEnded
from featherhq._core.retry import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq._core.effects import Flow
    from featherhq._settings import Settings
    from featherhq.errors import FeatherError

T = TypeVar("T")


@define(eq=False)
class Call:
    """Something that a user has called, or a job of a conversation.

    Attributes:
        name: What it does. There are few such names: they are names of spans, and values in metrics.
        thread_id: The id of the thread that it is about, if there is one.
        composite: Whether it only waits and makes other calls, and sends no request itself.
        method: The HTTP method, if that says more than the name.
        opener: The call that opened the conversation which this one is a job of.
        message_id: The id of the message that it has sent.
        reconciled: Whether that message was found in the thread, because its response was lost.
        error: Why it failed, if it returns its error and does not raise it.
        trace: For a listener, to keep what belongs to the call.
    """

    name: str
    thread_id: str | None = None
    composite: bool = False
    method: str | None = None
    # What leads to other calls is not shown: error reporters print local variables.
    opener: Call | None = field(default=None, repr=False)
    message_id: str | None = None
    reconciled: bool = False
    error: FeatherError | None = field(default=None, repr=False)
    trace: Any = field(default=None, repr=False)


@contextmanager
def calling(settings: Settings, call: Call) -> Iterator[Call]:
    """Within the block, a flow makes this call."""
    began = settings.clock()
    try:
        settings.listen(CallBegan(call))
        yield call
    except BaseException as error:
        settings.listen(CallEnded(call, error, settings.clock() - began))
        raise
    settings.listen(CallEnded(call, call.error, settings.clock() - began))


def as_call(settings: Settings, call: Call, flow: Flow[T]) -> Flow[T]:
    """A flow that makes a call. If the flow returns a `Stop`, the call has failed."""
    with calling(settings, call):
        result = yield from flow
        if isinstance(result, Stop):
            call.error = result.error
        return result
