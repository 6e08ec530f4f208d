"""What the streams and lists of one client have shown of the server, shared by all of its conversations.

What one stream has proven (that it delivers, that it has heartbeats, how long it lives) counts for the others, so that
each need not find it out with requests of its own. Numbers and booleans alone, each written in one step, so that
threads need no lock. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from featherhq._core.pagination import UNKNOWN

# All in seconds.
# Streams that end sooner than this did not live: something was wrong with them.
YOUNG: Final = 5.0
# The life of a stream is regular where the shortest of those seen is so much of the longest.
_REGULAR: Final = 1 / 2
_ENOUGH_LIVES: Final = 3
_SHORTEST_LIFE: Final = 15.0
# The next stream is opened when so much of the shortest life has passed.
_RENEW_AT: Final = 0.95
# After so many failures in a row, no stream is opened before the last has ended.
_RENEWALS_TRIED: Final = 3
# Ends that follow one another so fast have a cause of their own, such as a deploy, and tell of no life.
_CUT_TOGETHER: Final = 0.02
# Streams of conversations in which nobody waits are opened again with so much between them.
_SPREAD: Final = 0.005
# How long a message waits for the head of a stream to come first, and how long where heads are held back.
_PATIENCE: Final = 5.0
_LEAST_PATIENCE: Final = 0.5
# How long a list may lag, at the least and at the most, as far as is known.
LAG: Final = 2.0
_LONGEST_LAG: Final = 30.0
# So many lists that show what was made a moment before are enough to believe that they do not lag.
_ENOUGH_FRESH: Final = 5
# How long a silence has to be for a stream with heartbeats to be dead: so many of them, and never less than this.
_HEARTBEATS_MISSED: Final = 3
_SHORTEST_STALL: Final = 20.0
_STALL_WITHOUT_HEARTBEATS: Final = 600.0
# Times of messages may run behind the clock of the `Date` header by so much; more is no clock.
_LONGEST_BEHIND: Final = 600.0


@define(eq=False)
class Experience:
    """Shared by a client and its views.

    Attributes:
        delivers: Whether a stream has brought a message.
        heartbeat: The longest time between two heartbeats, where there are any.
        lags: Whether lists have been seen to lag; `None` where too little has been seen.
        lag: How long a list may lag: as it has been seen to, at the least.
        longest_lag: And at the most.
        slowest_post: The longest time that a message took to be accepted.
        behind: How far the times of messages have been seen to run behind the clock of the `Date` header.
        order: Which way lists run, where that is known of all.
        ids_are_cursors: Whether ids of messages that the server did not hand out as cursors serve as such; `None` where
            that has not been tried.
    """

    delivers: bool = False
    heartbeat: float | None = None
    lags: bool | None = None
    lag: float = LAG
    longest_lag: float = LAG
    slowest_post: float = 0.0
    behind: float = 0.0
    order: int = UNKNOWN
    ids_are_cursors: bool | None = None
    _fresh_lists: int = field(default=0, init=False)
    _lives: deque[float] = field(factory=lambda: deque(maxlen=16), init=False)
    _ended_at: float = field(default=float("-inf"), init=False)
    _renewals_failed: int = field(default=0, init=False)
    _patience: float = field(default=_PATIENCE, init=False)
    _reopened_at: float = field(default=float("-inf"), init=False)

    def heartbeat_after(self, seconds: float) -> None:
        """A heartbeat has come so long after what came before it."""
        self.heartbeat = max(self.heartbeat or 0.0, seconds)

    @property
    def stall(self) -> float:
        """Seconds of silence after which a stream is taken to be dead."""
        if self.heartbeat is None:
            return _STALL_WITHOUT_HEARTBEATS
        return max(_HEARTBEATS_MISSED * self.heartbeat, _SHORTEST_STALL)

    def lived(self, seconds: float, now: float) -> None:
        """A stream was ended by the other side when it was so old."""
        if seconds >= YOUNG and now - self._ended_at > _CUT_TOGETHER:
            self._lives.append(seconds)
        self._ended_at = now

    @property
    def renew_after(self) -> float | None:
        """The age at which to open the next stream, where streams live for a regular time and that has paid."""
        if len(self._lives) < _ENOUGH_LIVES or self._renewals_failed >= _RENEWALS_TRIED:
            return None
        shortest = min(self._lives)
        regular = shortest >= _REGULAR * max(self._lives) and shortest >= _SHORTEST_LIFE
        return _RENEW_AT * shortest if regular else None

    def renewed(self, *, well: bool) -> None:
        """The next stream was opened before the last had ended, or could not be."""
        self._renewals_failed = 0 if well else self._renewals_failed + 1

    def reopen_at(self, now: float) -> float:
        """When to open a stream again for which nobody waits: a thousand that end at once do not come back at once."""
        self._reopened_at = max(now, self._reopened_at + _SPREAD)
        return self._reopened_at

    @property
    def patience(self) -> float:
        """Seconds that a message waits for the head of its stream."""
        return self._patience

    @property
    def heads_come(self) -> bool:
        """Whether the heads of streams come at once, as far as is known."""
        return self._patience == _PATIENCE

    def head_came(self, *, in_time: bool) -> None:
        """The head of a stream came in time for a message, or did not."""
        self._patience = _PATIENCE if in_time else _LEAST_PATIENCE

    def list_lagged(self, at_least: float, at_most: float) -> None:
        """A list showed a message so many seconds after it was there."""
        self.lags = True
        self.lag = max(self.lag, min(at_least, _LONGEST_LAG))
        self.longest_lag = max(self.longest_lag, min(at_most, _LONGEST_LAG))

    def list_was_fresh(self) -> None:
        """A list showed a message that was made a moment before."""
        self._fresh_lists += 1
        if self.lags is None and self._fresh_lists >= _ENOUGH_FRESH:
            self.lags = False

    def accepted(self, seconds: float) -> None:
        """A message took so long to be accepted."""
        self.slowest_post = max(self.slowest_post, seconds)

    def stamped(self, behind: float) -> None:
        """The time of a message that was just made was so far behind the clock of the `Date` header."""
        if self.behind < behind <= _LONGEST_BEHIND:
            self.behind = behind
