"""Random runs in fake time, each an hour or more: `python tests/random_runs.py --runs 10000 --seed 0 --processes 2`.

Each run draws a server that is odd in some ways, one to three conversations in one thread, people who ask, listen,
send and give up, and troubles: cut streams, deploys, outages, faults of single requests, deleted messages, a machine
asleep. After an hour or two the troubles end, and what was owed must have been paid within a stated time:

- no message of the users' stands more often than it was sent and not refused; all that were confirmed stand;
- each of the agent's messages was handed out once by each conversation, and in order where one iterates;
- what is said after the troubles comes soon, and what was said before has come;
- requests and waits stay below what the lives of streams, the messages and the troubles account for;
- nothing but the library's own errors ends a call.

It prints a line for each seed that failed, and totals, and ends with 1 if any failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

from attrs import asdict, define
from fake_time import Process
from featherhq import FeatherError
from featherhq._core.effects import Flow, Sleep
from featherhq._logging import logger
from model_server import INBOUND, Options, Row, check_once, check_order, drawn, mishaps, never_sent
from test_flows import HOUR, KEY, MINUTE, Chat, Scenario

# What is said after the troubles comes within so many seconds: at the next poll, where there is no stream.
_SOON: Final = 35.0
# Where streams leave out messages, or lists lack those of a gap, and nobody waits: at the next check.
_AT_THE_NEXT_CHECK: Final = 345.0
# After so many runs, it tells how far it is.
_TOLD_EVERY: Final = 1000
# How long after the last trouble all is to be paid.
_PEACE: Final = 480.0


@define
class Totals:
    """What was done in a run, or in many."""

    runs: int = 0
    hours: float = 0.0
    sent: int = 0
    replies: int = 0
    requests: int = 0
    lives: int = 0
    troubles: int = 0

    def add(self, other: Totals) -> None:
        """Add another's."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@define(eq=False)
class Attempt:
    """A message that somebody wanted to send.

    Attributes:
        text: Its text.
        process: What sends it; an `ask` of a person's is none of its own.
        error: What came of it: an error, or
        confirmed: that it was accepted.
    """

    text: str
    process: Process[Any] | None = None
    error: FeatherError | None = None
    confirmed: bool = False

    def settle(self) -> None:
        """Take over what came of the process."""
        if self.process is not None and self.process.done and not self.process.cancelled:
            self.confirmed = self.process.error is None
            self.error = self.process.error if isinstance(self.process.error, FeatherError) else None


class Run:
    """One run.

    Args:
        seed: Of all that is random.

    Attributes:
        totals: What was done.
        scenario: Its world.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311 - no secret
        options = drawn(rng)
        if options.heartbeat == 1.0:
            # Thousands of them tell no more than hundreds.
            options.heartbeat = 8.0
        self.small = options.largest_page < 20
        if not self.small and rng.random() < 0.8:
            # Shorter pages are sooner read.
            options.largest_page = 25
        self.scenario = scenario = Scenario(
            seed=seed,
            agent=self._answer,
            old=rng.choice([0, 5, 20]) if self.small else rng.choice([0, 5, 5, 60, 60, 300]),
            server=options,
        )
        self.options: Options = options
        self.usual = (options.stream_status, options.stream_html)
        self.world, self.server = scenario.world, scenario.server
        self.totals = Totals(runs=1)
        self.attempts: list[Attempt] = []
        self.chats: list[Chat] = [scenario.chat]
        self.iterated: set[Chat] = set()
        self.persons: dict[Chat, Process[None]] = {}
        self.opened: dict[Chat, float] = {}
        self.slept = 0.0
        self.deleted: list[Row] = []
        self.numbers = iter(range(1_000_000))
        if rng.random() < 0.3:
            self.chats.append(scenario.conversation())
        if rng.random() < 0.15:
            self.chats.append(scenario.conversation(scenario.settings(rng.choice([KEY, "another-key"]))))
        if len(self.chats) > 1 and rng.random() < 0.95:
            # Else they take each other's stream away all the time.
            options.one_stream = None
        # How much goes on.
        # A list that is always read from its beginning, in small pages, takes the runs too long if it grows long.
        self.every = 400.0 if self.small and not options.any_cursor else rng.choice([40.0, 120.0, 120.0, 400.0, 400.0])
        self.troubled_every = rng.choice([60.0, 200.0, 900.0])
        busy = self.every < 100 or options.life == (5.0, 30.0)
        self.until = HOUR if busy else rng.choice([HOUR, HOUR, HOUR, HOUR, HOUR, 2 * HOUR])

    def go(self) -> None:
        """Run it, and check what is owed."""
        for chat in self.chats:
            self._begin(chat)
        self._repeat(self.every, self._send_something)
        self._repeat(self.every * 2, self._say_something)
        self._repeat(self.troubled_every, self._trouble)
        self._run(self.until)
        self._make_peace()
        said = self._say_in_peace()
        self._run(_PEACE if self._leaves_out or self._lags else _PEACE / 2)
        self._check(said)

    # What people do.

    def _answer(self, text: str) -> Iterator[tuple[float, str]]:
        for part in range(0 if text == "bye" else self.rng.choice([0, 1, 1, 1, 1, 3])):
            yield self.rng.choice([0.05, 1.0, self.rng.uniform(0, 8), self.rng.uniform(0, 40)]), f"re: {text}.{part}"

    def _begin(self, chat: Chat) -> None:
        kind = self.rng.choice(["listen", "listen", "ask", "mixed"])
        if kind == "listen":
            self.iterated.add(chat)
        self._person(chat, kind, opens=True)

    def _person(self, chat: Chat, kind: str, *, opens: bool = False) -> None:
        person = self.persons[chat] = chat._spawn(self._live(chat, kind, opens=opens), kind)
        if self.rng.random() < 0.5:
            self._give_up_some_time(chat, kind, person)

    def _give_up_some_time(self, chat: Chat, kind: str, person: Process[None]) -> None:
        """The person's task is cancelled, and another one goes on."""

        def give_up() -> None:
            if self.world.now < self.until and not person.done:
                person.cancel()
                self._person(chat, kind)

        self.world.after(self.rng.expovariate(1 / 300) + 3, give_up)

    def _live(self, chat: Chat, kind: str, *, opens: bool) -> Flow[None]:
        if opens:
            # It is open all the same: what it could not do at once, it does later.
            with suppress(FeatherError):
                yield from chat.flow.open()
            # What was said before may be handed out, or not.
            self.opened[chat] = self.world.now
        taken = 0
        while self.world.now < self.until:
            there = len(self.server.rows[chat.thread_id])
            if kind == "listen":
                yield from self._listen(chat, None)
            elif there > taken + 100:
                # No more than some hundreds wait for whoever takes but few.
                taken = there
                yield from self._listen(chat, 2.0)
            elif self.rng.random() < (0.95 if kind == "ask" else 0.5):
                yield from self._ask(chat)
                yield from Sleep(self.rng.expovariate(1 / self.every))
            else:
                yield from self._listen(chat, self.rng.choice([0.3, 2.0, 20.0, 100.0]))
                yield from Sleep(self.rng.choice([0.0, 1.0, 60.0]))

    def _listen(self, chat: Chat, patience: float | None) -> Flow[None]:
        try:
            yield from chat._listen(patience)
        except FeatherError:
            # Such as a list that is forbidden, and no stream.
            yield from Sleep(1.0)

    def _ask(self, chat: Chat) -> Flow[None]:
        attempt = Attempt(self._text(chat, "ask"))
        self.attempts.append(attempt)
        deadline = self.scenario.client.deadline(self.rng.choice([1.0, 10.0, 60.0]))
        try:
            yield from chat._hand_out(chat.flow.ask(attempt.text, deadline))
            attempt.confirmed = True
        except FeatherError as error:
            attempt.error = error
            attempt.confirmed = error.delivered is True

    def _text(self, chat: Chat, what: str) -> str:
        # Nobody can tell equal texts of two clients apart.
        equal = chat._settings is self.scenario.client and self.rng.random() < 0.2
        return "same" if equal else f"{what} {next(self.numbers)}"

    def _send_something(self) -> None:
        if self.world.asleep:
            return
        for _ in range(self.rng.choice([1, 1, 1, 2, 4])):
            seconds = self.rng.choice([3.0, 15.0, 60.0])
            chat = self.rng.choice(self.chats)
            text = self._text(chat, "send")
            opened = chat.flow._opened
            process: Process[Any] = (
                chat.send(text, seconds)
                if opened and self.rng.random() < 0.7
                else self.scenario.send(text, seconds, client=chat._settings)
            )
            self.attempts.append(Attempt(text, process))
            if self.rng.random() < 0.1:
                self.world.after(self.rng.expovariate(1.0), process.cancel)

    def _say_something(self) -> None:
        streamed = self.rng.choice([None, None, None, 0.3, 1.0])
        self.server.say(self.scenario.thread_id, f"said {next(self.numbers)}", streamed=streamed)

    # Troubles.

    def _trouble(self) -> None:
        self.totals.troubles += 1
        self.rng.choice([self._cut, self._cut, self._deploy, self._outage, self._faults, self._sleep, self._delete])()

    def _cut(self) -> None:
        # Of a stream that died without a word and had no heartbeats nobody hears for ten minutes of listening.
        last = self.world.now > self.until - 12 * MINUTE or not all(chat in self.iterated for chat in self.chats)
        self.server.cut(ending=self.rng.choice(["ended", "lost", "lost" if last else "died"]))

    def _deploy(self) -> None:
        self.server.cut(ending="ended")
        options = self.options
        answers = [(404, False), (502, False), (503, False), (200, True)]
        options.stream_status, options.stream_html = self.rng.choice(answers)
        options.stream_retry_after = self.rng.choice([None, "1", "3600"])
        self.world.after(self.rng.uniform(0.5, 90), self._streams_as_usual)

    def _streams_as_usual(self) -> None:
        options = self.options
        (options.stream_status, options.stream_html), options.stream_retry_after = self.usual, None

    def _outage(self) -> None:
        self.server.cut(ending="lost")
        self.server.plan = lambda *_: never_sent()
        self.world.after(self.rng.uniform(0.5, 60), self._all_goes_well)

    def _faults(self) -> None:
        operations = self.rng.choice([("sendMessage",), ("listMessages",), ("streamMessages",), ()])
        self.server.plan = mishaps(self.rng.choice([0.1, 0.5]), *operations)
        self.world.after(self.rng.uniform(5, 300), self._all_goes_well)

    def _all_goes_well(self) -> None:
        self.server.plan = None

    def _sleep(self) -> None:
        if self.world.asleep:
            return
        seconds = self.rng.choice([6.0, 40.0, 20 * MINUTE])
        self.slept += seconds
        self.world.fall_asleep(seconds, resets=self.rng.random() < 0.5)

    def _delete(self) -> None:
        there = [row for row in self.server.rows[self.scenario.thread_id] if row not in self.deleted]
        # What was sent of late, or before the machine slept, may be looked for.
        there = [
            row for row in there if row.made_at < self.world.now - (25 * MINUTE if row.direction == INBOUND else MINUTE)
        ]
        for row in self.rng.choice([there[-1:], there[-3:], self.rng.sample(there, min(len(there), 2))]):
            self.deleted.append(row)
            self.server.delete(row)

    def _make_peace(self) -> None:
        """From now on nothing goes wrong but what this server always does."""
        self._all_goes_well()
        self._streams_as_usual()
        for chat, person in self.persons.items():
            person.cancel()
            chat.listen()

    def _say_in_peace(self) -> list[Row]:
        """Things that the agent says from now on, once the machine is awake, and streams are back."""
        self._run(MINUTE + (20 * MINUTE if self.world.asleep else 0))
        said: list[Row] = []
        for _ in range(5):
            at = self.rng.uniform(0, 30)
            self.world.after(at, lambda: said.append(self.server.say(self.scenario.thread_id, f"peace {len(said)}")))
        if self._leaves_out:
            # What streams leave out is looked for where somebody waits.
            for chat in self.chats:
                self.world.after(35, partial(chat.send, "bye"))
        return said

    @property
    def _leaves_out(self) -> bool:
        return self.options.drop > 0 or self.options.mute

    @property
    def _lags(self) -> bool:
        return self.options.lag[1] > 0 or self.options.stale_list > 0

    # Time.

    def _repeat(self, every: float, what: Callable[[], None]) -> None:
        def again() -> None:
            if self.world.now < self.until:
                what()
                self._repeat(every, what)

        self.world.after(self.rng.expovariate(1 / every), again)

    def _run(self, seconds: float) -> None:
        self.world.run_for(seconds)
        wrong = [error for error in self.world.errors if not isinstance(error, FeatherError)]
        assert not wrong, f"no error of the library's own: {wrong[0]!r}"

    # What is owed.

    def _check(self, said: list[Row]) -> None:
        self._check_sent()
        rows = self.server.rows[self.scenario.thread_id]
        for chat in self.chats:
            gone = [row for row in self.deleted if row.direction != INBOUND]
            owed = self.server.expected(self.scenario.thread_id, chat.began)
            since = self.opened.get(chat, self.world.now)
            gone += [row for row in owed if row.made_at < since]
            check_once([row for row in owed if row.made_at >= since], chat.handed, or_not=gone)
            self._check_order(chat)
            self._check_soon(chat, said)
        self._check_cost(rows)
        self.totals.hours = self.world.now / HOUR
        self.totals.replies = sum(len(chat.handed) for chat in self.chats)
        self.totals.sent = sum(attempt.confirmed for attempt in self.attempts)

    def _check_sent(self) -> None:
        stands = Counter(row.text for row in self.server.rows[self.scenario.thread_id] if row.direction == INBOUND)
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            attempt.settle()
            attempts[attempt.text].append(attempt)
            assert attempt.process is None or attempt.process.done, f"{attempt.text!r} has not ended"
        for text, tried in attempts.items():
            least = sum(attempt.confirmed for attempt in tried)
            most = sum(attempt.error is None or attempt.error.delivered is not False for attempt in tried)
            assert stands[text] >= least, f"{text!r} stands {stands[text]} times, and was confirmed {least} times"
            assert stands[text] <= most, f"{text!r} stands {stands[text]} times, and was sent {most} times at the most"
        receipts = [
            getattr(result, "receipt", result).message_id
            for attempt in self.attempts
            if attempt.process is not None and (result := attempt.process.result) is not None
        ]
        assert len(receipts) == len(set(receipts)), "one message was given to two who sent"

    def _check_order(self, chat: Chat) -> None:
        # What others of the same key were brought, this one was not; and who sleeps is not there to be handed anything.
        if chat in self.iterated and len(self.chats) == 1 and not self.slept:
            check_order(self.server, chat.thread_id, chat.handed, KEY, slack=20.0 if self.small else 2.1)

    def _check_soon(self, chat: Chat, said: list[Row]) -> None:
        options = self.options
        within = (_AT_THE_NEXT_CHECK if self._leaves_out or self._lags else _SOON) + options.lag[1] + options.stale_by
        at = {message.message_id: message.at for message in chat.handed}
        late = max(at[row.id] - row.made_at for row in said)
        assert late <= within, f"said in peace, and handed out {late:.1f} s later"

    def _check_cost(self, rows: list[Row]) -> None:
        cost = self.server.cost()
        self.totals.requests = sum(cost.values())
        self.totals.lives = lives = cost["streamMessages"]
        hours = self.world.now / HOUR
        waits = sum(self.world.waits.values())
        pages = 1 + len(rows) / self.options.largest_page
        messages = len(self.attempts) + sum(row.made_at > 0 for row in rows)
        looks = 2 * lives + 2 * messages * len(self.chats) + 20 * self.totals.troubles + 130 * hours * len(self.chats)
        self.bounds = (cost["listMessages"] / looks, cost["listMessages"] / looks / pages, lives, waits, looks)
        # Where guesses are refused, a list is read from its beginning each time.
        each = max(1.0, pages / 4 if self.options.any_cursor else pages)
        assert cost["listMessages"] <= looks * each, f"{cost} of {looks:.0f} looks in {pages:.1f} pages"
        # Where a thread may have one stream alone, two conversations in it never have both what they want.
        fight = self.options.one_stream is not None and len(self.chats) > 1
        life = HOUR if self.options.life is None else sum(self.options.life) / 2
        most = (1500 if fight else 60 + 1.6 * HOUR / life) * hours * len(self.chats) + 12 * self.totals.troubles
        assert lives <= most, f"{lives} streams, of {most:.0f}"
        assert waits <= 20 * (self.totals.requests + 100) + 3 * HOUR * hours, f"{waits} waits"


def run(seed: int) -> tuple[int, Totals, str | None]:
    """A run: its seed, what was done, and what is wrong with it."""
    logger.setLevel("CRITICAL")
    made = Run(seed)
    try:
        made.go()
    except AssertionError as error:
        return seed, made.totals, str(error).partition("\n")[0] or repr(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others run on
        return seed, made.totals, repr(error)
    return seed, made.totals, None


def main() -> int:
    """Run as many as were asked for."""
    parser = argparse.ArgumentParser(description="Random runs in fake time, each an hour or more.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the next one has the next")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began, totals, failed, kinds = time.monotonic(), Totals(), 0, Counter[str]()
    seeds = range(given.seed, given.seed + given.runs)
    with ProcessPoolExecutor(given.processes) as pool:
        for seed, done, wrong in pool.map(run, seeds, chunksize=max(1, min(50, given.runs // 20))):
            totals.add(done)
            if wrong is not None:
                failed += 1
                kinds[
                    "lost" if "never" in wrong else "doubled" if "twice" in wrong or "stands" in wrong else "else"
                ] += 1
                print(f"seed {seed}: {wrong}", flush=True)  # noqa: T201
            if totals.runs % _TOLD_EVERY == 0 and totals.runs < given.runs:
                print(f"{totals.runs} runs so far, {failed} failed", flush=True)  # noqa: T201
    print(  # noqa: T201
        f"{totals.runs} runs, {totals.hours:.0f} hours, {totals.troubles} troubles, {totals.lives} streams, "
        f"{totals.sent} messages sent, {totals.replies} handed out, {totals.requests} requests: "
        f"{kinds['lost']} runs lost some, {kinds['doubled']} doubled some, {failed} failed in all "
        f"({time.monotonic() - began:.0f} s)"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
