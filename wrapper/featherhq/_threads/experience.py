"""What the streams and lists of one client have shown about the server. All conversations of the client share it.

If one stream has shown something (that it delivers, that it has heartbeats, how long it lives), it is assumed for the
other streams too. So not every conversation has to find it out with requests of its own. All values are numbers and
booleans, and each is written in one step, so threads need no lock. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from featherhq._core.pagination import UNKNOWN

# All times are in seconds.
# If a stream ends sooner than this, it has failed, and its life is not counted.
YOUNG: Final = 5.0
# Streams live for a regular time if the shortest life seen is at least this part of the longest.
_REGULAR: Final = 1 / 2
_ENOUGH_LIVES: Final = 3
_SHORTEST_LIFE: Final = 15.0
# The next stream is opened when this part of the shortest life has passed.
_RENEW_AT: Final = 0.95
# After this many failures in a row, the next stream is opened only when the last one has ended.
_RENEWALS_TRIED: Final = 3
# Streams that end within this time of each other have a common cause, such as a deploy. They show no regular life.
_CUT_TOGETHER: Final = 0.02
# Streams of conversations in which nobody waits are opened again with this time between them.
_SPREAD: Final = 0.005
# A message waits this long for the head of its stream before it is sent. If heads are held back, it waits less.
_PATIENCE: Final = 5.0
_LEAST_PATIENCE: Final = 0.5
# A list is assumed to lag by this much until a longer lag was seen, and never by more than the second number.
LAG: Final = 2.0
_LONGEST_LAG: Final = 30.0
# If this many lists have shown a message that was made a moment before, lists are assumed not to lag.
_ENOUGH_FRESH: Final = 5
# A stream with heartbeats is dead after a silence of this many heartbeats, but not before the second number.
_HEARTBEATS_MISSED: Final = 3
_SHORTEST_STALL: Final = 20.0
_STALL_WITHOUT_HEARTBEATS: Final = 600.0
# The times of messages may be behind the clock of the `Date` header by this much. A larger difference is not believed.
_LONGEST_BEHIND: Final = 600.0


@define(eq=False)
class Experience:
    """What one client knows about its server. The client shares it with its views. All times are in seconds.

    Attributes:
        delivers: Whether a stream has brought a message.
        heartbeat: The longest time between two heartbeats, or `None` if there was none.
        lags: Whether lists have lagged, or `None` if too little is known.
        lag: The lower bound of the longest lag of a list seen so far, at least `LAG`.
        longest_lag: The upper bound of that lag, at least `LAG`.
        slowest_post: The longest time that the server took to accept a message.
        behind: How far the times of messages were behind the clock of the `Date` header, at most.
        order: The order of all lists, or `UNKNOWN`.
        ids_are_cursors: Whether the server accepts the id of any message as a cursor, or `None` if that is unknown.
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
        """A heartbeat has come, this many seconds after the last bytes before it."""
        self.heartbeat = max(self.heartbeat or 0.0, seconds)

    @property
    def stall(self) -> float:
        """Seconds of silence after which a stream counts as dead."""
        if self.heartbeat is None:
            return _STALL_WITHOUT_HEARTBEATS
        return max(_HEARTBEATS_MISSED * self.heartbeat, _SHORTEST_STALL)

    def lived(self, seconds: float, now: float) -> None:
        """The server has ended a stream that was open for this many seconds."""
        if seconds >= YOUNG and now - self._ended_at > _CUT_TOGETHER:
            self._lives.append(seconds)
        self._ended_at = now

    @property
    def renew_after(self) -> float | None:
        """The age of a stream at which to open the next one. `None` if the lives are irregular, or if that failed."""
        if len(self._lives) < _ENOUGH_LIVES or self._renewals_failed >= _RENEWALS_TRIED:
            return None
        shortest = min(self._lives)
        regular = shortest >= _REGULAR * max(self._lives) and shortest >= _SHORTEST_LIFE
        return _RENEW_AT * shortest if regular else None

    def renewed(self, *, well: bool) -> None:
        """The next stream was opened before the last one ended (`well`), or could not be opened."""
        self._renewals_failed = 0 if well else self._renewals_failed + 1

    def reopen_at(self, now: float) -> float:
        """When to open a stream again for which nobody waits. Streams that end together are not opened together."""
        self._reopened_at = max(now, self._reopened_at + _SPREAD)
        return self._reopened_at

    @property
    def patience(self) -> float:
        """Seconds that a message waits for the head of its stream before it is sent."""
        return self._patience

    @property
    def heads_come(self) -> bool:
        """Whether the heads of streams come at once. It is assumed until one comes too late."""
        return self._patience == _PATIENCE

    def head_came(self, *, in_time: bool) -> None:
        """The head of a stream came in time for a message, or did not."""
        self._patience = _PATIENCE if in_time else _LEAST_PATIENCE

    def list_lagged(self, at_least: float, at_most: float) -> None:
        """A list did not show a message at first, and shows it now. The arguments are the bounds of its lag."""
        self.lags = True
        self.lag = max(self.lag, min(at_least, _LONGEST_LAG))
        self.longest_lag = max(self.longest_lag, min(at_most, _LONGEST_LAG))

    def list_was_fresh(self) -> None:
        """A list showed a message that was made a moment before."""
        self._fresh_lists += 1
        if self.lags is None and self._fresh_lists >= _ENOUGH_FRESH:
            self.lags = False

    def accepted(self, seconds: float) -> None:
        """The server took this many seconds to accept a message."""
        self.slowest_post = max(self.slowest_post, seconds)

    def stamped(self, behind: float) -> None:
        """The time of a new message was this many seconds behind the clock of the `Date` header."""
        if self.behind < behind <= _LONGEST_BEHIND:
            self.behind = behind
