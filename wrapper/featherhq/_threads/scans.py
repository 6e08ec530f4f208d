"""The scans of one conversation: when to read the list of messages, how urgent that is, and what it proves. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from featherhq._core.retry import backoff
from featherhq._core.slots import Priority, Urgency
from featherhq._threads.table import Coverage, Scan, Stream, Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featherhq._threads.history import HistoryScan
    from featherhq._threads.own import Own
    from featherhq._threads.situation import Situation
    from featherhq.models import Message

# All times are in seconds.
# While a reply is owed, an open stream that is silent is checked: sooner if no stream has brought a message yet.
_FIRST_CHECK: Final = 5.0
_FIRST_CHECK_OF_PROVEN: Final = 20.0
# Without a stream the list is polled: soon at first, and then less and less often, up to the longest interval.
_FIRST_POLL: Final = 1.0
_LONGEST_POLL: Final = 30.0
_GROWTH: Final = 3.0
# More makes no difference.
_MOST_GROWTHS: Final = 10
# If the list shows a message, an open stream has to bring it within this time.
_LEFT_OUT: Final = 3.0
# After this many failures of the list, messages of the stream no longer wait for it.
_FAILURES_WAITED_FOR: Final = 3
# A scan whose next page failed goes on within this time, and begins again after it.
_RESUMED_FOR: Final = 20.0
# If a scan begins at a message of ours, and that is this much later than the last complete scan, it leaves a part out.
_PART: Final = 5.0
# After a stream has opened and nobody waits, the list is read this much later.
_A_MOMENT: Final = 0.1
# If the caller stores bookmarks and the list must show how far it has come, there is this much time between two scans.
_BOOKMARKS_EVERY: Final = 15.0
# After messages and then this much silence, a scan checks whether the stream has left anything out; at most this often.
_QUIET: Final = 30.0
_VERIFIED_EVERY: Final = 300.0


class AskPage(NamedTuple):
    """Request a page of the list.

    Attributes:
        cursor: Its cursor; `None` for the first page.
        urgency: How urgent it is.
    """

    cursor: str | None
    urgency: Urgency


class Scans:
    """The scans of one conversation.

    Args:
        situation: What it shares with the streams.
    """

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._regions = situation.regions
        self._experience = situation.experience
        self._messages = situation.messages
        # The scan under way, and the message of ours that it may begin at.
        self._scan: HistoryScan | None = None
        self._scan_behind: Own | None = None
        self._page_asked = False
        # When the last scan began, when the last page came, and when the last complete scan began.
        self._began_at = self._page_at = self._verified_at = situation.began
        self._again_at = float("-inf")
        self._wanted_by = math.inf
        self._failures = 0
        self._saw_part = False

    # What to do.

    def commands(self, now: float) -> list[AskPage]:
        """The page that must be requested now, if there is one. It is given once."""
        due, priority = self._due(now)
        if now >= due:
            self._begin(now, priority)
        if self._scan is None or self._regions.scan is not Scan.RUNNING or self._page_asked:
            return []
        self._page_asked = True
        return [AskPage(self._scan.cursor, self._situation.scanning)]

    def due(self, now: float) -> float:
        """When the next scan is due."""
        return self._due(now)[0]

    def want_by(self, moment: float) -> None:
        """Begin a scan at that time; `inf` for no such wish."""
        self._wanted_by = moment

    @property
    def holds_messages(self) -> bool:
        """Whether messages of the stream wait for what the list may show before them."""
        if self._scan is not None and self._scan.has_begun:
            return True
        is_gap = self._regions.is_open and self._regions.coverage is Coverage.GAP
        return is_gap and self._failures < _FAILURES_WAITED_FOR

    @property
    def gap_matters(self) -> bool:
        """Whether somebody waits for a message that may have come in a gap."""
        opened = self._situation.heard_from if self._regions.is_open else math.inf
        return self._messages.is_resuming or self._messages.is_unanswered_since(opened)

    def has_seen(self, moment: float) -> bool:
        """Whether nothing is known to be missing that came before a moment."""
        if self._regions.scan is Scan.RUNNING:
            return False
        if self._regions.is_open:
            return not (self.holds_messages and self.gap_matters)
        return self._began_at >= moment or self._failures >= _FAILURES_WAITED_FOR

    # What has happened.

    def page(self, messages: Sequence[Message], next_cursor: str | None, now: float) -> list[Message]:
        """A page of the list has come. Returns the new messages, if the scan is over.

        Raises:
            EndlessListError: as in `HistoryScan.add`.
        """
        scan = self._scan
        assert scan is not None  # noqa: S101 - a page was requested
        self._page_asked, self._page_at = False, now
        apart = [self._messages.inbox.told_apart(message) for message in messages]
        return self._finish(scan, now) if scan.add(apart, next_cursor) else []

    def page_refused(self, now: float) -> bool:
        """The server does not accept a cursor. Returns whether there was one, so that the list is read from an end."""
        scan = self._scan
        assert scan is not None  # noqa: S101 - as above
        if scan.cursor is None:
            return False
        self._page_asked = False
        self._messages.refuse_anchor()
        if scan.may_begin_again:
            scan.refused()
        else:
            self._scan = None
            self.failed(now)
        return True

    def failed(self, now: float) -> None:
        """A page of the list could not be read this time."""
        self._page_asked = False
        self._regions.go(Trigger.SCAN_FAILED)
        self._again_at = now + backoff(self._failures, self._situation.random, _LONGEST_POLL)
        self._failures += 1

    # How it is worked out.

    def _due(self, now: float) -> tuple[float, Priority]:
        """When the next scan is due, and how urgent it is."""
        if self._regions.scan is Scan.RUNNING:
            return math.inf, Priority.CHECK
        due, urgent = self._regular(now)
        # A scan whose next page failed goes on.
        due = self._again_at if self._scan is not None else max(due, self._again_at)
        if self._began_at < self._wanted_by <= due:
            return self._wanted_by, Priority.NOW
        if not urgent:
            return due, Priority.CHECK
        return due, Priority.NOW if self._situation.asking else Priority.OWED

    def _regular(self, now: float) -> tuple[float, bool]:
        """When a scan is due by the state of the conversation, and whether somebody waits for it."""
        owed = self._messages.is_resuming or bool(self._messages.unanswered(now))
        if not self._regions.is_open:
            return self._poll_due(owed=owed), owed
        check = self._after_silence(self._first_check)
        coverage, matters = self._regions.coverage, self.gap_matters
        if coverage is Coverage.COVERED:
            return (check, True) if owed else (self._verification_due(), False)
        if coverage is Coverage.GAP:
            # At once if somebody waits for it, else a little later.
            if matters or self._messages.inbox.waiting_since is not None:
                return self._situation.heard_from, True
            wait = self._experience.lag if self._situation.stalled else _A_MOMENT
            return self._situation.heard_from + wait, False
        if coverage is Coverage.DOUBTFUL:
            return self._doubtful_due(check, owed=owed, matters=matters)
        # To read a long list costs a request for each page, so it waits until nobody waits for a reply.
        return (check, True) if owed else (now, False)

    def _verification_due(self) -> float:
        """When to check a stream that seems to work: after messages, and again and again until one has delivered."""
        if self._messages.progress.needs_scan:
            return self._began_at + _BOOKMARKS_EVERY
        if self._situation.active_at <= self._began_at and self._experience.delivers:
            return math.inf
        return max(self._situation.active_at + _QUIET, self._began_at + _VERIFIED_EVERY)

    def _doubtful_due(self, check: float, *, owed: bool, matters: bool) -> tuple[float, bool]:
        """When to read a list again that may have lagged."""
        opened, lag = self._situation.heard_from, self._experience.lag
        quiet = self._situation.active_at <= self._verified_at and not self._experience.lags
        if quiet and not matters:
            # If nothing happens and no list has lagged so far, one scan is enough. The next scan covers this gap too.
            return (check, True) if owed else (max(opened, self._began_at) + _VERIFIED_EVERY, False)
        # If a list goes on to lack a message, it is read less and less often: the message may have been deleted.
        due = max(opened, self._began_at) + max(lag, self._began_at - opened)
        return min(due, check) if owed else due, matters or owed

    @property
    def _first_check(self) -> float:
        return _FIRST_CHECK_OF_PROVEN if self._experience.delivers else _FIRST_CHECK

    def _poll_due(self, *, owed: bool) -> float:
        """When to read the list without a stream."""
        situation = self._situation
        if owed:
            return max(self._after_silence(_FIRST_POLL), situation.lost_at + _FIRST_POLL)
        trouble = situation.failures or situation.refusals or self._regions.stream is Stream.REFUSED
        if self._regions.coverage is Coverage.COVERED or not trouble:
            # A stream is being opened, and then there is a scan.
            return math.inf
        return self._began_at + _LONGEST_POLL if situation.scans > 1 else self._after_silence(_FIRST_POLL)

    def _after_silence(self, first: float) -> float:
        """When to scan after the last message: soon, and then less and less often."""
        wait = first * _GROWTH ** min(self._situation.scans, _MOST_GROWTHS)
        return max(self._situation.active_at, self._began_at) + min(wait, max(first, _LONGEST_POLL))

    def _begin(self, now: float, priority: Priority) -> None:
        self._regions.go(Trigger.SCAN)
        if self._scan is not None and now < self._page_at + _RESUMED_FOR:
            # A page of it failed: go on with that page.
            return
        self._began_at = self._page_at = now
        self._situation.scanning = Urgency(priority)
        self._scan, self._scan_behind = self._messages.scan(now, partial=self._saw_part)

    def _finish(self, scan: HistoryScan, now: float) -> list[Message]:
        self._scan, self._failures = None, 0
        self._regions.go(Trigger.SCANNED)
        is_open, situation = self._regions.is_open, self._situation
        # A scan right after something has happened says nothing about the silence after it, so it does not count.
        situation.scans += self._began_at >= situation.active_at + (self._first_check if is_open else _FIRST_POLL)
        behind, verified = self._scan_behind, self._verified_at + _PART
        if self._regions.gap_from > self._verified_at:
            verified = min(verified, self._regions.gap_from)
        partial = self._saw_part = scan.from_anchor and behind is not None and behind.began > verified
        fresh, lags = self._messages.read(scan, self._began_at, now, partial=partial)
        if fresh:
            situation.note_activity(now)
            if is_open and self._regions.coverage is Coverage.COVERED and self._began_at > situation.heard_from:
                situation.suspects.update((message.id, now + _LEFT_OUT) for message in fresh)
        in_gap = self._began_at < situation.heard_from and self._regions.coverage is Coverage.GAP
        settled = 0.0 if self._experience.lags is False else self._experience.lag
        if not is_open or in_gap:
            self._regions.go(Trigger.SAW_WITHOUT_STREAM)
        elif lags or self._began_at < situation.heard_from + settled:
            self._regions.go(Trigger.SAW_EARLY)
        elif partial:
            self._regions.go(Trigger.SAW_PART)
        else:
            self._regions.go(Trigger.SAW_ALL)
            self._verified_at = self._began_at
        return fresh
