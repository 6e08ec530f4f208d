"""What happened in a sandbox, in a few lines, for the report of a failed test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from featherhq.models import INBOUND
from featherhq.sandbox._checks import shown

if TYPE_CHECKING:
    from featherhq.sandbox._requests import RecordedRequest
    from featherhq.sandbox._sandbox import Sandbox

# The largest numbers of requests, threads, and messages of a thread that are shown: the last ones.
_REQUESTS: Final = 30
_THREADS: Final = 5
_MESSAGES: Final = 20


def summary(sandbox: Sandbox) -> str:
    """The requests that a sandbox has received, and the messages of its threads, a line each."""
    requests, threads = sandbox.requests, sandbox.threads
    lines = [f"requests: {len(requests)}", *_last(_REQUESTS, [_line(request, requests[0]) for request in requests])]
    for thread_id in threads[-_THREADS:]:
        messages = sandbox.messages(thread_id)
        lines += [f"messages of thread {thread_id}: {len(messages)}"]
        lines += _last(
            _MESSAGES,
            [f"{'user ' if one.direction == INBOUND else 'agent'}  {shown(one.text)}" for one in messages],
        )
    if threads[:-_THREADS]:
        lines.append(f"older threads: {len(threads) - _THREADS}")
    return "\n".join(lines)


def _line(request: RecordedRequest, first: RecordedRequest) -> str:
    status = "no response" if request.status is None else str(request.status)
    fault = "" if request.fault is None else f", fault {shown(request.fault)}"
    name = request.operation or "not in the contract"
    return f"{request.at - first.at:7.3f} s  {request.method} {request.path} ({name}): {status}{fault}"


def _last(count: int, lines: list[str]) -> list[str]:
    return [*(["  …"] if len(lines) > count else []), *(f"  {line}" for line in lines[-count:])]
