"""What the targets of the fuzz tests share: inputs cut into parts, checks of results, and a way to run flows."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Iterator
from typing import Any, Final

from featherhq import FeatherError
from featherhq._core.effects import Effect, Flow, SendRequest, Sleep
from featherhq._core.responses import Response
from featherhq._core.secrets import Redactor, Secret
from featherhq._settings import Settings
from featherhq.models import Message

# Not from `conftest`, which is not on the path of `fuzz_atheris.py`.
AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
THREAD_ID: Final = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
KEY: Final = "k3y/0f+Ada~=99"
BAD_ARGUMENTS: Final = {"InvalidArgumentError", "ConfigurationError", "UsageError"}


def split(data: bytes) -> tuple[int, bytes]:
    """The first byte as a number, and the other bytes. A target uses the number to choose a case."""
    return (data[0], data[1:]) if data else (0, b"")


def cut(data: bytes, lengths: bytes) -> Iterator[bytes]:
    """The data in chunks. Each byte of `lengths` gives the length of a chunk, again and again."""
    at = number = 0
    while at < len(data):
        length = 1 + lengths[number % len(lengths)] if lengths else len(data)
        yield data[at : at + length]
        at, number = at + length, number + 1


def check_error(error: FeatherError) -> None:
    """The error is a printable line without the key, does not blame the caller, and can be pickled."""
    assert type(error).__name__ not in BAD_ARGUMENTS, error
    for text in (str(error), *error.__notes__):
        assert text.isprintable()
        assert KEY not in text
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def check_message(message: Message | None) -> None:
    """The message has an id, a text and a time that all other code can rely on."""
    if message is None:
        return
    assert message.id
    assert message.id.isprintable()
    assert isinstance(message.text, str)
    if message.created_at is not None:
        assert message.created_at.tzinfo is not None
        assert math.isfinite(message.created_at.timestamp())


def response(data: bytes) -> Response:
    """A response. The first byte chooses its status, and the other bytes are its body."""
    number, content = split(data)
    status = (200, 201, 204, 400, 401, 404, 409, 429, 500, 503, 302, 599, 999, 100)[number % 14]
    redactor = Redactor()
    redactor.add(Secret(KEY))
    return Response(
        status, {"content-type": "application/json"}, content, method="GET", url="http://x/", redactor=redactor
    )


def drive(flow: Flow[Any], responses: list[Response]) -> object:
    """Run a flow with these responses. Returns its result or error, or `None` if it needs more responses."""
    waiting, result = iter(responses), None
    while True:
        try:
            effect: Effect[Any] = flow.send(result)
        except StopIteration as end:
            return end.value
        except FeatherError as error:
            check_error(error)
            return error
        result = None
        if isinstance(effect, SendRequest):
            result = next(waiting, None)
            if result is None:
                flow.close()
                return None
        elif not isinstance(effect, Sleep):
            flow.close()
            return effect


def new_settings() -> Settings:
    """The settings of a client, whose log is quiet."""
    made = Settings.read(
        Secret(KEY), base_url="http://feather.test", timeout=60, max_retries=0, rate_limit=None, headers=None
    )
    logging.getLogger("featherhq").setLevel("CRITICAL")
    return made
