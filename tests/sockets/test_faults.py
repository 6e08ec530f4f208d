"""Random calls with random faults, over sockets. A model checks what must be true in the end."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from conftest import AGENT_ID, Kind
from featherhq import DeliveryUnknownError, FeatherError, ReplyTimeoutError
from featherhq.sandbox import (
    CutAfter,
    CutBefore,
    CutStream,
    Fault,
    Garbage,
    Html,
    Lag,
    Reorder,
    Sandbox,
    Stall,
    Status,
)

TIMEOUT = 3.0
FAULTS: list[Fault] = [
    CutBefore(),
    CutAfter(),
    Garbage(),
    Html(502),
    Html(200),
    Status(408),
    Status(429),
    Status(500),
    Status(502, after=True),
    Status(503, headers={"Retry-After": "0.2"}),
    Status(504, after=True),
    Stall(),
    Stall(1.0),
    Stall(2.4, after=True),
    Reorder(1),
    Lag(1),
    CutStream(after_events=1),
    CutStream(after_bytes=200),
]
OPERATIONS = ["getThread", "updateThread", "sendMessage", "sendMessage", "listMessages", "streamMessages", "*"]


class Model:
    """What a caller knows: the messages sent, by outcome, and the replies received."""

    def __init__(self, kind: Kind, sandbox: Sandbox, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - not for secrets
        self.sandbox = sandbox
        self.thread = kind.client(base_url=sandbox.url, timeout=TIMEOUT).threads.create(AGENT_ID)
        self.metadata: dict[str, str] = {}
        self.confirmed: list[str] = []
        self.unknown: list[str] = []
        self.rejected: list[str] = []
        self.received: list[str] = []

    def step(self, number: int, chat: Any) -> None:
        """Make one call, perhaps with a fault. It ends in time, with a result or a `FeatherError`."""
        if self.dice.random() < 0.6:
            operation = self.dice.choice(OPERATIONS)
            fitting = [fault for fault in FAULTS if operation == "*" or operation in fault.fits]
            self.sandbox.inject(operation, self.dice.choice(fitting))
        began = time.monotonic()
        with suppress(FeatherError):
            self.dice.choice([self.send, self.ask, self.chat, self.chat, self.read, self.change])(str(number), chat)
        assert time.monotonic() - began < TIMEOUT + 0.3

    def said(self, text: str, call: Any) -> None:
        error: FeatherError | None = None
        try:
            call(text)
        except FeatherError as caught:
            error = caught
        delivered = True if error is None else error.delivered
        {True: self.confirmed, False: self.rejected, None: self.unknown}[delivered].append(text)
        assert isinstance(error, DeliveryUnknownError) == (delivered is None)
        assert isinstance(error, ReplyTimeoutError | None) == (delivered is True)

    def send(self, text: str, _: Any) -> None:
        self.said(text, self.thread.send)

    def ask(self, text: str, _: Any) -> None:
        self.said(text, self.thread.ask)

    def chat(self, text: str, chat: Any) -> None:
        self.said(text, chat.send)
        self.take(chat, 0.3)

    def read(self, _: str, __: Any) -> None:
        times = [message.created_at for message in self.thread.messages()]
        assert times == sorted(times)

    def change(self, text: str, _: Any) -> None:
        self.metadata[text] = text
        with suppress(FeatherError):
            self.thread.update(metadata={text: text})
            assert self.thread.details.metadata[text] == text

    def end(self, chat: Any) -> None:
        """Send a last message without faults. All missing replies arrive before its reply or soon after it."""
        self.sandbox.forget_faults()
        self.said("the end", lambda text: chat.send(text, timeout=9))
        for message in chat.replies(timeout=9):
            self.received.append(message.text)
            if message.text == "re the end":
                break
        self.take(chat, 5.0)
        assert "re the end" in self.received

    def take(self, chat: Any, timeout: float) -> None:
        self.received += [message.text for message in chat.replies(timeout=timeout)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_faults(kind: Kind, seed: int) -> None:
    """A confirmed message is in the thread once, an unknown one at most once, and a rejected one never. Each reply is
    received once.
    """
    with Sandbox(lambda text, _: f"re {text}", rate_limit=None, newest_first=bool(seed % 2)) as sandbox:
        model = Model(kind, sandbox, seed)
        with model.thread.conversation() as chat:
            for number in range(15):
                model.step(number, chat)
            model.end(chat)
        history = sandbox.messages(model.thread.id)
        times = Counter(message.text for message in history if message.direction == "INBOUND")
        assert all(times[text] == 1 for text in model.confirmed)
        assert all(times[text] <= 1 for text in model.unknown)
        assert not any(times[text] for text in model.rejected)
        made = [message.text for message in history if message.direction == "OUTBOUND"]
        assert Counter(model.received) == Counter(made)
        assert set(model.thread.refresh().details.metadata.to_dict()) <= set(model.metadata)
