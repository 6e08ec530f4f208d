"""Workers in fake time that share a ledger of keys. Each may be killed or stopped at any step of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs
from fake_time import Process
from featherhq import FeatherError
from featherhq._core.effects import Effect, Flow, SendRequest, Sleep
from featherhq._threads.send import Sent, send
from featherhq.ledgers import Claims, Entry, Intent
from flow_scenarios import Scenario


class Killed(Exception):  # noqa: N818 - it is no error
    """The worker was killed."""


@attrs.frozen
class Mishap:
    """What happens to a worker during a call.

    Attributes:
        kind: Whether it is killed before, during or after an effect, or is stopped for a while after it.
        step: The number of the effect, from 0.
        seconds: For `stopped`: how long. For `killed during`: when.
    """

    kind: Literal["killed before", "killed during", "killed after", "stopped after"]
    step: int
    seconds: float = 0.0


class MemoryLedger:
    """The protocol in its shortest form, as a reference for ledgers.

    Args:
        clock: The clock of the ledger.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # The entry of each key, with the times when it began, when its lease ends and when it was recorded.
        self._entries: dict[str, dict[str, Any]] = {}

    def begin(self, intent: Intent, attempt: str | None, after: str | None, seconds: float) -> Entry | None:
        """As `Ledger.begin`."""
        now, row = self._clock(), self._entries.get(intent.key)
        if attempt is not None and row is None and after is None:
            row = self._entries[intent.key] = {"intent": intent, "began": now, "attempt": None, "receipt": None}
        if attempt is not None and row is not None and row["receipt"] is None and row["attempt"] == after:
            row.update(attempt=attempt, lease=now + seconds)
        if row is None:
            return None
        known: Intent = row["intent"]
        return Entry(
            known.thread_id, known.text_hash, row["attempt"], now - row["began"], row["lease"] - now, row["receipt"]
        )

    def done(self, intent: Intent, attempt: str | None, message_id: str | None, receipt: str) -> str | None:
        """As `Ledger.done`."""
        now, row = self._clock(), self._entries.get(intent.key)
        if row is not None and row["receipt"] is not None:
            return str(row["receipt"])
        if message_id is None:
            if row is not None and row["attempt"] == attempt:
                del self._entries[intent.key]
            return None
        answered = row is not None and row["attempt"] == attempt and row["lease"] > now
        if not answered and any(message_id == other.get("id") for other in self._others(intent)):
            return None
        row = self._entries.setdefault(intent.key, {"intent": intent, "began": now, "attempt": attempt, "lease": now})
        row.update(id=message_id, receipt=receipt, recorded=now)
        return receipt

    def claimed(self, intent: Intent) -> Claims:
        """As `Ledger.claimed`."""
        now, others = self._clock(), self._others(intent)
        pending = [other for other in others if other["receipt"] is None]
        equal = [other["lease"] - now for other in pending if other["intent"].text_hash == intent.text_hash]
        return Claims(
            {other["id"]: now - other["recorded"] for other in others if other["receipt"] is not None},
            frozenset(other["intent"].text_hash for other in pending),
            max([0.0, *equal]),
        )

    def _others(self, intent: Intent) -> list[dict[str, Any]]:
        rows = self._entries.items()
        return [row for key, row in rows if key != intent.key and row["intent"].thread_id == intent.thread_id]


def mishandled(flow: Flow[Any], mishap: Mishap | None) -> Flow[Any]:
    """A flow whose worker has a mishap.

    Raises:
        Killed: the worker was killed.
    """
    step, value = 0, None
    while True:
        try:
            effect: Effect[Any] = flow.send(value)
        except StopIteration as end:
            return end.value
        here = mishap is not None and mishap.step == step
        step += 1
        if not here or mishap is None:
            value = yield effect
            continue
        if mishap.kind == "killed before":
            break
        if mishap.kind == "killed during" and isinstance(effect, SendRequest):
            effect = attrs.evolve(effect, seconds=min(effect.seconds, 0.001 + mishap.seconds))
        value = yield effect
        if mishap.kind == "stopped after":
            yield Sleep(mishap.seconds)
            continue
        break
    # A killed process runs no more code. The flow of this one writes nothing when it is closed.
    flow.close()
    raise Killed


class Fleet:
    """Workers that send messages by their keys in one thread. Each call is made by a new process.

    Args:
        scenario: The world and its server.

    Attributes:
        receipts: The receipts that calls have returned, by key.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.receipts: dict[str, list[Any]] = {}
        self._ledger = MemoryLedger(scenario.world.wall_clock)
        self._tokens, self._texts = 0, set[str]()

    def deliver(self, key: str, text: str, *mishaps: Mishap | None, seconds: float = 60.0) -> Process[None]:
        """Give a task to a worker, and again to another one until a call succeeds. The first calls have mishaps."""
        self._texts.add(text)
        return self.scenario.world.spawn(self._job(key, text, list(mishaps), seconds), name=f"job {key}")

    def _job(self, key: str, text: str, mishaps: list[Mishap | None], seconds: float) -> Flow[None]:
        while True:
            mishap = mishaps.pop(0) if mishaps else None
            settings = self._process()
            flow = send(settings, self.scenario.thread_id, text, settings.deadline(seconds), key)
            try:
                sent: Sent = yield from mishandled(flow, mishap)
            except (Killed, FeatherError) as error:
                self.scenario.world.log(f"job {key}", repr(error))
                yield Sleep(0.5)
            else:
                self.receipts.setdefault(key, []).append(sent.receipt)
                return

    def _process(self) -> Any:
        settings = self.scenario.settings(max_retries=2)
        return attrs.evolve(settings, key_ledger=self._ledger, token=self._token)

    def _token(self) -> str:
        self._tokens += 1
        return f"token {self._tokens}"

    def check(self) -> None:
        """Each key has one message, and each message has one key."""
        scenario = self.scenario
        for key, receipts in self.receipts.items():
            assert all(receipt == receipts[0] for receipt in receipts), (key, receipts, scenario.world.log_text())
        ids = sorted(receipts[0].message_id for receipts in self.receipts.values())
        there = sorted(row.id for row in scenario.server.rows[scenario.thread_id] if row.text in self._texts)
        assert ids == there, (ids, there, scenario.world.log_text(200))
