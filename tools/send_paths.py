"""Runs the real code of `thread.send` with every outcome of its requests, in time of its own, and notes what it does.

The code under `_threads/send.py` is a generator: it yields what it wants done. Here each request gets an invented
outcome, and no time passes. `pictures.py` draws what was noted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from featherhq import FeatherError
from featherhq._core.effects import Consult, Effect, SendRequest, Sleep, TakeSlot
from featherhq._core.responses import Response, TransportFailure
from featherhq._settings import Settings
from featherhq._threads.send import send

THREAD: Final = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
TEXT: Final = "hello"
# A time of the wall clock, in seconds since 1970. The monotonic clock begins at 1000 seconds.
EPOCH: Final = 1_700_000_000.0
START: Final = 1000.0
# Seconds that a call may take, and that each request takes.
DEADLINE: Final = 60.0
TAKES: Final = 0.01

Result = Response | TransportFailure


def _json(status: int, data: object, **headers: str) -> Response:
    return Response(status, {"content-type": "application/json", **headers}, json.dumps(data).encode())


def _html(status: int) -> Response:
    return Response(status, {"content-type": "text/html"}, b"<h1>A page of a proxy</h1>")


def _failure(reason: str, *, sent: bool, timed_out: bool = False, stale: bool = False) -> TransportFailure:
    return TransportFailure(sent=sent, timed_out=timed_out, reason=reason, stale=stale)


ACCEPTED: Final = _json(200, {"messageId": "1", "threadId": THREAD, "status": "QUEUED", "windowExpiresIn": 5})
LOST: Final = _failure("lost", sent=True)
REFUSED: Final[list[Result]] = [_json(status, {"code": "NO"}) for status in (400, 401, 403, 404, 409, 410, 422)]
# The outcomes of the request that sends the message, in the words of the picture. Those of a line must have the same
# consequences.
OUTCOMES: Final[dict[str, list[Result]]] = {
    "2xx, with a receipt": [ACCEPTED],
    "429": [_json(429, {}, **{"retry-after": "1"}), _json(429, {})],
    "503 with Retry-After": [_json(503, {}, **{"retry-after": "1"})],
    "it never left": [_failure("refused", sent=False), _failure("no connection", sent=False, timed_out=True)],
    "400, 401, 404, 409 …": REFUSED,
    "500 of Feather itself": [_json(500, {"code": "INTERNAL_SERVER_ERROR"})],
    "a used connection\nis closed at once": [_failure("closed", sent=True, stale=True)],
    "the connection is lost": [LOST],
    "502, 503, 520 to 523 …": [_html(status) for status in (502, 503, 520, 521, 522, 523, 525, 526, 527, 530)],
    "no response in time": [_failure("timed out", sent=True, timed_out=True)],
    "408, 504, 524 …": [_html(status) for status in (408, 504, 524, 528, 529)],
    "2xx without a receipt": [Response(200, {"content-type": "application/json"}, b"{"), _html(200), _json(204, {})],
}


def _page(*texts: str) -> Response:
    """The list of the user's messages. They were made just now."""
    made = datetime.fromtimestamp(EPOCH + START + TAKES / 2, UTC).isoformat()
    rows = [
        {"id": str(number), "messageBody": text, "direction": "INBOUND", "createdAt": made, "status": "QUEUED"}
        for number, text in enumerate(texts)
    ]
    return _json(200, {"thread": {"messages": rows, "pagination": {"nextCursor": None}}})


SHOWN: Final = "the thread shows it"
ABSENT: Final = "the thread does not show it"
# What the thread shows when the message is looked for.
SEARCHES: Final[dict[str, Result]] = {
    SHOWN: _page(TEXT),
    ABSENT: _page(),
    "the thread shows an\nunknown message": _page("another text"),
    "the thread cannot be read": _html(500),
}


@attrs.frozen
class Run:
    """What one call of `send` has done.

    Attributes:
        steps: `send`, `wait` and `look`, in order. What is repeated at once is there once.
        looked: Seconds from the first request to the second one, or to the end.
        result: The receipt or the error.
    """

    steps: tuple[str, ...]
    looked: float
    result: Any

    @property
    def end(self) -> str:
        """The end of the call, in the words of the picture."""
        if not isinstance(self.result, FeatherError):
            return "receipt, reconciled" if self.result.receipt.reconciled else "receipt"
        if type(self.result).__name__ == "DeliveryUnknownError":
            return "unknown"
        return f"error, delivered={self.result.delivered}"


def _settings(clock: Callable[[], float], max_retries: int) -> Settings:
    """The settings of a client that has heard the server's time."""
    read = Settings.read(
        "key", base_url="http://feather.test", timeout=DEADLINE, max_retries=max_retries, rate_limit=None, headers=None
    )
    clocks: dict[str, Any] = {
        "clock": clock,
        "wall_clock": lambda: EPOCH + clock(),
        "random": lambda: 0.0,
        "listen": lambda _: None,
    }
    settings = attrs.evolve(read, **clocks)
    settings.ledger.heard_time(EPOCH + clock(), clock())
    return settings


def run(outcomes: list[Result], search: str, max_retries: int = 2) -> Run:
    """Call `send`.

    Args:
        outcomes: The outcomes of the requests that send the message; the last one is that of all later ones.
        search: What the thread shows.
        max_retries: The setting of the client.
    """
    now, left = START, list(outcomes)
    steps: list[str] = []
    ends: list[float] = []
    settings = _settings(lambda: now, max_retries)
    flow = send(settings, THREAD, TEXT, settings.deadline(DEADLINE))
    given: object = None
    while True:
        try:
            effect: Effect[Any] = flow.send(given)
        except StopIteration as end:
            return Run(tuple(steps), (*ends, now)[0] - START, end.value)
        except FeatherError as error:
            return Run(tuple(steps), (*ends, now)[0] - START, error)
        given = True if isinstance(effect, TakeSlot) else None
        if isinstance(effect, SendRequest):
            posts = effect.request["method"].upper() == "POST"
            if posts and "send" in steps:
                ends.append(now)
            _note(steps, "send" if posts else "look")
            given = attrs.evolve(left[0] if posts else SEARCHES[search])
            if posts:
                del left[: len(left) > 1]
            now += TAKES
        elif isinstance(effect, Sleep):
            if steps[-1] == "send":
                steps.append("wait")
            now += effect.seconds
        elif isinstance(effect, Consult):
            raise NotImplementedError("there is no ledger of keys here")


def _note(steps: list[str], step: str) -> None:
    if steps[-1:] != [step]:
        steps.append(step)


@attrs.frozen
class Path:
    """What follows the first request that sends a message.

    Attributes:
        step: `receipt`, `wait`, `look` or `error`.
        ends: What follows a search, by what the thread shows: an end, or `send`: the message is sent again.
        seconds: If the thread does not show it: how long after the first request it is sent again, rounded.
        exhausted: The end if no retry is left and the thread does not show it.
    """

    step: str
    ends: tuple[tuple[str, str], ...]
    seconds: float | None
    exhausted: str


def paths() -> Iterator[tuple[str, Path]]:
    """What follows each outcome."""
    for text, results in OUTCOMES.items():
        found = {path_of(result) for result in results}
        if len(found) > 1:
            raise SystemExit(f"the outcomes {text!r} have different consequences now: {found}")
        yield text, found.pop()


def path_of(outcome: Result) -> Path:
    """What follows an outcome."""
    runs = {search: run([outcome, ACCEPTED], search) for search in SEARCHES}
    first = runs[ABSENT]
    step = first.steps[1] if len(first.steps) > 1 else first.end
    ends = {search: "send" if one.steps.count("send") > 1 else one.end for search, one in runs.items()}
    again = step == "look" and ends[ABSENT] == "send"
    return Path(
        step,
        tuple(ends.items()) if step == "look" else (),
        round(first.looked) if again else None,
        run([outcome, ACCEPTED], ABSENT, max_retries=0).end,
    )


def second_refused() -> dict[str, str]:
    """The ends if the first copy was lost, the thread did not show it, and the second copy was refused."""
    (ends,) = {tuple((search, run([LOST, refused], search).end) for search in SEARCHES) for refused in REFUSED}
    return dict(ends)


if __name__ == "__main__":
    for name, path in paths():
        print(f"{name!r:42} {path}")
    print(second_refused())
