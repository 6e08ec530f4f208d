"""Look for a message in the thread: is it there, or is it certainly not there? The rules are in `_core/retry.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from featherhq import _validation
from featherhq._core.calls import Call, calling
from featherhq._core.effects import Sleep
from featherhq._core.events import SearchFailed
from featherhq._core.retry import POLICY
from featherhq._core.slots import Priority, Urgency
from featherhq._threads.flows import LASTING, Listing
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.ledger import CLOCK_SLACK, UNSURE_WITHIN, Match, same_text
from featherhq._threads.scan_pages import read_pages
from featherhq.errors import FeatherError
from featherhq.ledgers import Claims
from featherhq.models import INBOUND, OUTBOUND, Message, SentMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline, Stop
    from featherhq._settings import Settings
    from featherhq._threads.ledger import Sending
    from featherhq._threads.once import Once


@frozen
class Found:
    """The result of a search for a message.

    Attributes:
        receipt: Its receipt, if it was found.
        absent: Whether it is proven that the message is not in the thread.
        scanned: Whether a scan succeeded.
        doubt: Whether the result of the last successful scan was unsure.
        error: The error of the last scan that failed.
    """

    receipt: SentMessage | None = None
    absent: bool = False
    scanned: bool = False
    doubt: bool = False
    error: FeatherError | None = None


class Search:
    """The searches of one call for its message.

    Args:
        settings: The client's settings.
        sending: The entry of the message in the client's own ledger.
        deadline: The end of the call.
        once: Its key, if it has one.
    """

    def __init__(self, settings: Settings, sending: Sending, deadline: Deadline, once: Once | None) -> None:
        self._settings, self._sending, self._deadline, self._once = settings, sending, deadline, once
        self._anchor: Anchor | None = None

    def run(self, stop: Stop | None, began: float) -> Flow[Found]:
        """Look for the message until it is found, until its absence is proven, or until the time is up.

        Args:
            stop: The end of the last attempt of this call. `None`: another call with its key has made the last attempt.
            began: When the first attempt began that the message may come from.
        """
        settings = self._settings
        pauses = iter(POLICY.search_pauses)
        search, since, self._anchor = Found(), settings.clock(), None
        while True:
            scan_began = settings.clock()
            result: SentMessage | Match = Match.UNSURE
            try:
                result = yield from self._look(stop, began)
            except FeatherError as error:
                search = evolve(search, error=error)
                lasting = isinstance(error, LASTING)
                settings.listen(SearchFailed(str(error), lasting))
                if lasting:
                    return search
            else:
                search = evolve(search, scanned=True, doubt=result is Match.UNSURE)
            if isinstance(result, SentMessage):
                return evolve(search, receipt=result)
            # It is computed each time, because this scan may have shown a longer lag.
            trusted_from = self._trusted_from(stop, since)
            if result is Match.ABSENT and scan_began >= trusted_from:
                return evolve(search, absent=True)
            now = settings.clock()
            left = self._deadline.remaining(now)
            if left <= POLICY.last_search:
                return search
            # If possible, the next scan begins exactly when the absence of the message can be trusted.
            until_trusted = trusted_from - now if now < trusted_from else math.inf
            pause = min(next(pauses, POLICY.longest_search_pause), until_trusted, left - POLICY.last_search)
            if (receipt := (yield from self._pause(pause))) is not None:
                return evolve(search, receipt=receipt)

    def _trusted_from(self, stop: Stop | None, since: float) -> float:
        """When a scan must begin to prove that the message is not in the thread."""
        lag = self._longest_lag()
        trusted_from = -math.inf if stop is None else stop.absence_trusted_from(since, lag)
        once = self._once
        if once is None or not once.is_anothers:
            return trusted_from
        # The lease has the grace for the server's work. A list that lags by more than that needs more.
        return max(trusted_from, once.lease_ends + max(0.0, lag - POLICY.grace_after_loss))

    def _longest_lag(self) -> float:
        """The longest lag of a list, or time to accept a message, that this client has seen, in seconds."""
        experience, ledger = self._settings.experience, self._settings.ledger
        return max(POLICY.grace, experience.longest_lag, ledger.longest_lag, experience.slowest_post)

    def _pause(self, seconds: float) -> Flow[SentMessage | None]:
        if self._once is None:
            yield from Sleep(seconds)
            return None
        until = self._settings.clock() + seconds
        try:
            return (yield from self._once.wait(seconds))
        except FeatherError as error:
            self._settings.listen(SearchFailed(str(error), lasting=False))
        yield from Sleep(max(0.0, until - self._settings.clock()))
        return None

    def _look(self, stop: Stop | None, began: float) -> Flow[SentMessage | Match]:
        """Read the ledger and the list once."""
        settings, sending, once = self._settings, self._sending, self._once
        if once is not None and (receipt := (yield from self._adopt(once))) is not None:
            return receipt
        if once is not None and once.entry is None and stop is None:
            # The other call knows that the message has not arrived.
            return Match.ABSENT
        floor = None if sending.floor is None else sending.floor - UNSURE_WITHIN
        scan = HistoryScan(settings.experience, floor=floor, anchor=self._anchor)
        deadline = self._deadline.share(settings.clock(), POLICY.search_share)
        # In a new process, the first response is the first one that tells the server's time.
        yield from _read_inbound(settings, sending.thread_id, scan, deadline, lambda: sending.floor)
        # Read after the list: a message that another call has sent before is claimed by now, or its call is busy.
        claims = Claims() if once is None else (yield from once.claims())
        listed, now = scan.listed, settings.clock()
        result = settings.ledger.find(sending, listed, now, claims)
        settings.ledger.saw(sending.thread_id, listed, now)
        # The next scan need not read messages again that are older than this call.
        self._anchor = scan.next_anchor([message.id for message in listed if scan.is_old(message)])
        # The list may be long. Its memory is released before the next scan reads as much again.
        del listed
        if isinstance(result, Match):
            return result
        found = SentMessage(result.id, sending.thread_id, result.status, reconciled=True)
        found = evolve(found, sent_at=settings.ledger.moment(began if once is None else once.began))
        if once is None:
            return found
        kept = yield from once.record(found, answered=False)
        return Match.UNSURE if kept is None else kept

    def _adopt(self, once: Once) -> Flow[SentMessage | None]:
        """Take in what other calls with the key have done. Returns the receipt, if there is one."""
        receipt = yield from once.look()
        if receipt is None and once.entry is not None:
            sending = self._sending
            self._settings.ledger.began_before(sending, once.began)
            sending.ends = once.lease_ends
            if once.is_anothers:
                sending.waiting, sending.finished = False, self._settings.clock() >= once.lease_ends
        return receipt


def _read_inbound(
    settings: Settings, thread_id: str, scan: HistoryScan, deadline: Deadline, floor: Callable[[], float | None]
) -> Flow[None]:
    """Read the user's messages of a thread."""
    listing, urgency = Listing(thread_id, INBOUND), Urgency(Priority.RECONCILE)
    return read_pages(settings, listing, scan, lambda: deadline, urgency=urgency, floor=floor)


def find_sent(
    settings: Settings, thread_id: str, text: object, since: object, deadline: Deadline
) -> Flow[Message | None]:
    """The oldest message of the user with this text since a time of the server, or `None` if the list shows none.

    Raises:
        InvalidArgumentError: the text is empty or is not a string, or the time has no time zone.
        FeatherError: the list could not be read.
    """
    wanted = _validation.text("text", text)
    # The clocks of the server's machines may differ by the slack.
    floor = _validation.moment("since", since).timestamp() - CLOCK_SLACK
    scan = HistoryScan(settings.experience, floor=floor)
    with calling(settings, Call("find_sent", thread_id)):
        yield from _read_inbound(settings, thread_id, scan, deadline, lambda: floor)
    return next(
        (
            message
            for message in scan.listed
            if message.direction != OUTBOUND and same_text(message.text, wanted) and not scan.is_old(message)
        ),
        None,
    )
