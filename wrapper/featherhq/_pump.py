"""Runs plans in the calling thread. Its twin is `_async_pump.py`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from featherhq import _sockets
from featherhq._steps import Answer, Exchange, Failure, ReadStream, Sleep
from featherhq._transport import build, check_client, client_options, closed, failure

if TYPE_CHECKING:
    from featherhq._steps import Plan

T = TypeVar("T")


class Pump:
    """Takes the steps of plans, one after the other, over connections that it keeps."""

    def __init__(self, http_client: httpx.Client | None) -> None:
        check_client(http_client, httpx.Client)
        self._given = http_client
        self._own: dict[bool, httpx.Client] = {}
        self._lock = Lock()
        self._closed = False

    def run(self, plan: Plan[T]) -> T:
        """Run a plan to its end. Streams that it has opened are closed with it."""
        with ExitStack() as streams:
            result: Any = None
            while True:
                try:
                    step = plan.send(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                if isinstance(step, Sleep):
                    time.sleep(step.seconds)
                    result = None
                elif isinstance(step, Exchange):
                    result = self._exchange(step, streams)
                else:
                    result = self._read(step)

    def close(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        with self._lock:
            self._closed = True
            own, self._own = self._own, {}
        for client in own.values():
            client.close()

    def _client(self, *, streams: bool) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise closed()
            if self._given is not None:
                return self._given
            if streams not in self._own:
                self._own[streams] = httpx.Client(**client_options(streams=streams))
                _sockets.install(self._own[streams])
            return self._own[streams]

    def _exchange(self, step: Exchange, streams: ExitStack) -> Answer | Failure:
        client = self._client(streams=step.streaming)
        request = build(client, step)
        with ExitStack() as until_read:
            try:
                with _sockets.limited_to(step.seconds):
                    response = client.send(request, stream=True, follow_redirects=False)
                    until_read.callback(response.close)
                    if step.stays_open(response.status_code, response.headers):
                        streams.push(until_read.pop_all())
                        return Answer(response.status_code, response.headers, stream=response.iter_bytes())
                    content = b"".join(step.within(time.monotonic, response.iter_bytes()))
                return Answer(response.status_code, response.headers, content)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
                return failure(error)

    def _read(self, step: ReadStream) -> bytes | Failure:
        try:
            with _sockets.limited_to(step.seconds):
                return next(step.stream, b"")
        except Exception as error:  # noqa: BLE001 - as above
            return failure(error)
