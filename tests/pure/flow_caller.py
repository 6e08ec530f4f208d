"""A caller that runs a flow against prepared responses, and the responses of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from fake_time import EPOCH, at_once
from featherhq import FeatherError
from featherhq._core.effects import Announce, Consult, Effect, Flow, SendRequest, Sleep, TakeSlot
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.slots import Slot
from featherhq._settings import Settings

AGENT = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
THREAD = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
OTHER = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4f"
URL = "http://feather.test"
NOW = 1000.0
LOST = TransportFailure(sent=True, timed_out=False, reason="lost")


class Caller:
    """Runs a flow against prepared responses. Its clock moves only when the flow sleeps or sends a request.

    Args:
        takes: Seconds that each request takes.
        options: The settings of the client.

    Attributes:
        requests: The requests that were sent.
        announced: The notices for the conversations of a thread.
        slots: The slots that were taken.
        now: The time now, in seconds of the monotonic clock.
        settings: The settings of the client.
        consult: It answers for the ledger of keys. By default, the ledger answers at once.
        look: It is called with the method of each request before that is sent.
    """

    def __init__(self, takes: float = 0.0, **options: Any) -> None:
        self._takes = takes
        self.requests: list[Mapping[str, Any]] = []
        self.announced: list[Announce] = []
        self.slots: list[Slot] = []
        self.now = NOW
        self.look: Callable[[str], None] = lambda _: None
        self.consult: Callable[[Consult], Any] = lambda effect: effect.ask(at_once)
        given: dict[str, Any] = {
            "base_url": URL,
            "timeout": 60.0,
            "max_retries": 0,
            "rate_limit": None,
            "headers": None,
        }
        clocks: dict[str, Any] = {
            "clock": lambda: self.now,
            "wall_clock": lambda: EPOCH + self.now,
            "random": lambda: 0.0,
        }
        self.settings = attrs.evolve(Settings.read("key", **(given | options)), **clocks)

    def run(self, flow: Flow[Any], *responses: Response | TransportFailure) -> Any:
        """Run the flow. Returns its result, or the error of the library that it raises.

        The last response is used again for all later requests.
        """
        waiting = list(responses)
        result: object = None
        while True:
            try:
                effect: Effect[Any] = flow.send(result)
            except StopIteration as end:
                return end.value
            except FeatherError as error:
                return error
            result = None
            if isinstance(effect, SendRequest):
                self.look(effect.request["method"].upper())
                self.requests.append(effect.request)
                self.now += self._takes
                result = attrs.evolve(waiting[0])
                del waiting[: len(waiting) > 1]
            elif isinstance(effect, Sleep):
                self.now += effect.seconds
            elif isinstance(effect, TakeSlot):
                self.slots.append(effect.slot)
                result = True
            elif isinstance(effect, Consult):
                result = self.consult(effect)
            else:
                assert isinstance(effect, Announce), effect
                self.announced.append(effect)

    def last_request(self) -> tuple[str, str, Any]:
        """The method of the last request, its URL without the base, and its JSON."""
        request = self.requests[-1]
        url = request["url"]
        assert url.startswith(URL)
        return request["method"].upper(), url.removeprefix(URL), request.get("json")


def ok(data: object, status: int = 200) -> Response:
    """A response with this JSON."""
    return Response(status, {"content-type": "application/json"}, json.dumps(data).encode())


def thread(**fields: Any) -> Response:
    """A response with the details of a thread."""
    return ok({"thread": {"id": THREAD, **fields}})


def rows(*numbers: int, direction: str = "OUTBOUND", **fields: Any) -> list[dict[str, Any]]:
    """Rows of the list of messages, as the server sends them. Their times are seconds after `NOW`."""
    return [
        {
            "id": str(number),
            "messageBody": f"text {number}",
            "direction": direction,
            "createdAt": datetime.fromtimestamp(EPOCH + NOW + number, UTC).isoformat(),
            **fields,
        }
        for number in numbers
    ]


def page(listed: object, cursor: object = None) -> Response:
    """A response with one page of the list."""
    return ok({"thread": {"messages": listed, "pagination": {"nextCursor": cursor}}})


def receipt(**fields: Any) -> Response:
    """A response with the receipt of a message."""
    return ok({"messageId": "1", "threadId": THREAD, "status": "QUEUED", "windowExpiresIn": 5, **fields})
