"""The options of the model server, and its random choices."""

from __future__ import annotations

import random
from typing import Any, Final, Literal
from uuid import UUID

from attrs import define

LARGEST_PAGE: Final = 100

Range = tuple[float, float]
"""Seconds: the smallest and the largest value. One between them is drawn."""
Counting = Literal["bucket", "sliding", "fixed"]
"""How requests are counted for the rate limit."""
Ending = Literal["ended", "lost", "died"]
"""How a stream ends: properly, with a lost connection, or without any sign to the client."""


@define(kw_only=True)
class Options:
    """How the server behaves. All options may be changed while it runs.

    Probabilities are from 0 to 1. Times are in seconds.

    Attributes:
        latency: The time of a request and its response on the network.
        counting: How requests are counted for the rate limit. `None` means no limit.
        rate: The rate limit, in requests per second.
        by_key: Whether each key has a limit of its own.
        too_many_wait: The `Retry-After` of a 429.
        stream_status: The status of the response to a request for a stream.
        stream_html: Whether the response to a request for a stream is an HTML page.
        stream_retry_after: The `Retry-After` of a refused stream.
        stream_way: The time of an event of a stream on the network.
        head: How long the head of a stream is held back. `None` means for ever.
        head_keeps: Whether the events of that time come after the head. Otherwise they are lost.
        life: How long a stream lives. `None` means for ever.
        ending: How streams end.
        silent_death: The probability that a stream dies without any sign instead.
        heartbeat: The time between two heartbeats of a stream. `None` means no heartbeats.
        greeting: The first bytes of a stream.
        replay: How many of the agent's last messages a stream brings at its beginning.
        one_stream: Whether a second stream of a thread is refused, or replaces the first.
        mute: Whether streams bring only heartbeats.
        envelope: The name of the object around the message in an event. `None` means no such object.
        fields: Whether events have the fields `id:` and `event:`.
        drop: The probability that a stream leaves out a message.
        duplicate: The probability that a stream brings a message twice.
        hold: The probability that a stream brings a message late, so that others overtake it.
        held: How late.
        split: The probability that an event arrives in two pieces.
        newest_first: Whether lists begin with the newest message.
        largest_page: The largest number of messages in a page.
        any_cursor: Whether the id of any message is a valid cursor. Otherwise only cursors from earlier pages are.
        bad_cursor: The response to an invalid cursor: a status, or an empty page.
        lag: How long after its creation a message is listed.
        stale_list: The probability that a list is out of date.
        stale_by: By how many seconds it is out of date.
        misplaced: The probability that a message stands one or two places too far down in lists.
        stamps: The form of `createdAt`: with milliseconds, with whole seconds, always the same time, or `null`.
        inbound_skew: By how much the clock that stamps the users' messages is ahead.
        outbound_skew: By how much the clock that stamps the agent's messages is ahead.
        date_skew: By how much the clock of the `Date` header is ahead.
        escape: Whether texts are stored with `&amp;` for `&`.
        closed: Whether the thread accepts no messages: the status is 409.
    """

    latency: Range = (0.02, 0.06)
    counting: Counting | None = "sliding"
    rate: float = 10.0
    by_key: bool = True
    too_many_wait: str | None = "1"
    stream_status: int = 200
    stream_html: bool = False
    stream_retry_after: str | None = None
    stream_way: Range = (0.005, 0.03)
    head: Range | None = (0.0, 0.0)
    head_keeps: bool = True
    life: Range | None = (55.0, 65.0)
    ending: Ending = "ended"
    silent_death: float = 0.0
    heartbeat: float | None = 15.0
    greeting: bytes = b": open\n\n"
    replay: int = 0
    one_stream: Literal["refuse", "replace"] | None = None
    mute: bool = False
    envelope: Literal["message", "data"] | None = None
    fields: bool = False
    drop: float = 0.0
    duplicate: float = 0.0
    hold: float = 0.0
    held: Range = (0.05, 0.5)
    split: float = 0.0
    newest_first: bool = False
    largest_page: int = LARGEST_PAGE
    any_cursor: bool = True
    bad_cursor: Literal[400, 404, "empty"] = 400
    lag: Range = (0.0, 0.0)
    stale_list: float = 0.0
    stale_by: float = 1.0
    misplaced: float = 0.0
    stamps: Literal["millisecond", "second", "same", "none"] = "millisecond"
    inbound_skew: float = 0.0
    outbound_skew: float = 0.0
    date_skew: float = 0.0
    escape: bool = False
    closed: bool = False


def drawn(rng: random.Random) -> Options:
    """Draw options for a server that has some faults. Its lists are at most two seconds out of date."""

    def sometimes(unusual: Any, usual: Any, probability: float = 0.25) -> Any:
        return unusual if rng.random() < probability else usual

    return Options(
        latency=rng.choice([(0.005, 0.02), (0.02, 0.06), (0.05, 0.6)]),
        counting=rng.choice(["bucket", "sliding", "fixed"]),
        stream_status=sometimes(404, 200, 0.1),
        stream_html=sometimes(True, False, 0.05),
        head=sometimes((0.2, 1.5), (0.0, 0.0)),
        life=rng.choice([(55.0, 65.0), (5.0, 30.0), (280.0, 320.0), None]),
        ending=rng.choice(["ended", "lost"]),
        heartbeat=rng.choice([None, 1.0, 15.0, 30.0]),
        replay=sometimes(rng.randint(1, 5), 0),
        one_stream=rng.choice([None, None, "refuse", "replace"]),
        mute=sometimes(True, False, 0.1),
        envelope=rng.choice([None, "message", "data"]),
        fields=rng.random() < 1 / 2,
        drop=sometimes(0.1, 0.0),
        duplicate=sometimes(0.2, 0.0),
        hold=sometimes(0.2, 0.0),
        split=sometimes(0.5, 0.0),
        newest_first=rng.random() < 1 / 2,
        largest_page=rng.choice([100, 100, 20, 5, 2]),
        any_cursor=rng.random() < 1 / 2,
        bad_cursor=rng.choice([400, 404, "empty"]),
        lag=sometimes((0.0, 1.5), (0.0, 0.0)),
        stale_list=sometimes(0.2, 0.0),
        stamps=rng.choice(["millisecond", "millisecond", "second"]),
        inbound_skew=sometimes(rng.uniform(-1.5, 1.5), 0.0),
        outbound_skew=sometimes(rng.uniform(-1.5, 1.5), 0.0),
        date_skew=sometimes(rng.uniform(-1.0, 1.0), 0.0),
        escape=sometimes(True, False, 0.1),
    )


class Chance:
    """The random choices of a server.

    Args:
        seed: The seed of the random numbers.

    Attributes:
        random: Gives the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing here is secret

    def draw(self, span: Range) -> float:
        """Draw a number of seconds."""
        low, high = span
        return low if low == high else self.random.uniform(low, high)

    def happens(self, probability: float) -> bool:
        """Draw whether something happens that has this probability."""
        return probability > 0 and self.random.random() < probability

    def new_id(self) -> str:
        """Draw the id of a thread or a message."""
        return str(UUID(int=self.random.getrandbits(128), version=4))
