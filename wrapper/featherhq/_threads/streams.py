"""The streams of one conversation: when to open, renew, drop and distrust them. Pure.

The states are in `table.py`. Here are the times: when the next stream is due, and when the open one counts as dead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from featherhq._core.events import OthersLeftOut, StreamGivenUp, StreamLost
from featherhq._core.retry import backoff
from featherhq._core.slots import Priority, Urgency
from featherhq._core.sse import EventTooLargeError
from featherhq._threads.experience import YOUNG
from featherhq._threads.stream_reader import StreamReader
from featherhq._threads.table import Coverage, Stream, Trigger

if TYPE_CHECKING:
    from featherhq._threads.situation import Situation
    from featherhq.models import Message

# All times are in seconds.
# How often a stream may leave out what the list shows, before no stream is used for a while.
_STRIKES: Final = 2
# If streams have worked before, this many refusals in a row are not believed: the server may just be deployed again.
_REFUSALS_DOUBTED: Final = 3
# A refused stream is not requested again for this long. The time is doubled with each refusal, up to the longest.
_REFUSED_FOR: Final = 60.0
_LONGEST_REFUSED: Final = 600.0
# More doublings make no difference.
_MOST_DOUBLINGS: Final = 10
# The longest wait before a stream is opened again, also if the server asks for more.
_LONGEST_DELAY: Final = 30.0
# Streams that were opened together are renewed over this part of their life, and not all at once.
_RENEWED_APART: Final = 0.2
# If a stream could not be renewed, the next try comes after this time.
_RENEW_AGAIN: Final = 10.0
# Bytes that a stream may bring without a new message. The heartbeats of a year are fewer.
_MOST_FRUITLESS: Final = 8 * 1024 * 1024
# The last stream is still read for this long after the next one is open.
_OVERLAP: Final = 1.0
# If the wall clock has run this much further than the monotonic clock, the machine was asleep.
_ASLEEP: Final = 5.0
# If nobody has listened for this long, the silence of a stream counts from now.
_AWAY: Final = 1.0


class Connect(NamedTuple):
    """Open a stream.

    Attributes:
        job: The name of the job that opens it.
        urgency: How urgent it is.
    """

    job: str
    urgency: Urgency


class Drop(NamedTuple):
    """End a job, and close its stream.

    Attributes:
        job: Its name.
    """

    job: str


class Streams:
    """The streams of one conversation.

    Args:
        thread_id: The id of its thread.
        situation: What it shares with the scans.
        wall_time: The time now, in seconds since 1970.
    """

    def __init__(self, thread_id: str, situation: Situation, wall_time: float) -> None:
        self._thread_id = thread_id
        self._situation = situation
        self._regions = situation.regions
        self._experience = situation.experience
        # The open stream, the stream that is being opened, and old streams that are still read until a time.
        self._reader: StreamReader | None = None
        self._next_reader: StreamReader | None = None
        self._old_readers: dict[StreamReader, float] = {}
        self._count = 0
        self._dropped: list[str] = []
        self._connect_at = situation.began
        self._connecting = Urgency(Priority.REOPEN)
        self._strikes = 0
        self._wall_offset = wall_time - situation.began
        self._listening_from = self._listened_at = situation.began

    # What to do.

    def commands(self, now: float, wall_time: float) -> list[Connect | Drop]:
        """What must be started or ended now. Each command is given once."""
        self._notice_sleep(now, wall_time)
        if now - self._listened_at > _AWAY:
            self._listening_from = now
        self._listened_at = now
        self._check_open_stream(now)
        for reader in [reader for reader, until in self._old_readers.items() if now >= until]:
            del self._old_readers[reader]
            self._dropped.append(reader.job)
        commands: list[Connect | Drop] = [Drop(job) for job in self._dropped]
        self._dropped.clear()
        if now >= self._connect_due():
            commands.append(self._connect(now))
        return commands

    def due(self) -> list[float]:
        """The times at which there may be new commands."""
        return [
            self._connect_due(),
            self._stall_due(),
            *self._old_readers.values(),
            *self._situation.suspects.values(),
        ]

    def listened(self, now: float) -> None:
        """Somebody has waited for something to happen until now."""
        self._listened_at = now

    def hurry(self, now: float) -> None:
        """Somebody is about to send a message: a stream is wanted now, unless streams have just failed."""
        if self._regions.stream is Stream.CLOSED and self._situation.failures <= 1:
            self._connect_at = min(self._connect_at, now)

    def expect_reply(self, now: float) -> None:
        """A message of ours was accepted, and there is no open stream. Its reply may come before there is one."""
        self._regions.miss(Trigger.NO_STREAM, now)
        if self._regions.stream is Stream.CLOSED:
            self._connect_at = min(self._connect_at, now + backoff(0, self._situation.random))

    def raise_urgency(self, now: float) -> None:
        """If the next stream, or the scan, has become more urgent, its request moves up in the queue."""
        self._connecting.raise_to(self._priority(now))
        if self._situation.asking and self._situation.messages.unanswered(now):
            self._situation.scanning.raise_to(Priority.NOW)

    # What has happened.

    def opened(self, job: str, now: float) -> None:
        """A stream is open."""
        reader = self._next_reader
        if reader is None or reader.job != job:
            self._dropped.append(job)
            return
        if self._reader is not None:
            self._experience.renewed(well=True)
            self._old_readers[self._reader] = now + _OVERLAP
        else:
            self._situation.heard_from = now
        reader.opened_at = reader.heard_at = now
        reader.renew_part = 1 - _RENEWED_APART * self._situation.random()
        self._reader, self._next_reader = reader, None
        self._regions.go(Trigger.OPENED)
        self._situation.refusals = 0
        self._situation.messages.time_is_known()
        if self._regions.coverage is not Coverage.COVERED:
            self._situation.scans = 0

    def failed(self, job: str, reason: str, now: float, wait: float | None = None) -> None:
        """A stream could not be opened.

        Args:
            job: The job that tried.
            reason: Why, in a few words.
            now: The time now.
            wait: Seconds that the server asks to wait, if it does.
        """
        if self._next_reader is None or self._next_reader.job != job:
            return
        self._next_reader = None
        self._regions.go(Trigger.OPEN_FAILED)
        if self._reader is not None:
            self._reader.renew_from = now + _RENEW_AGAIN
            self._experience.renewed(well=False)
            return
        situation = self._situation
        self._regions.miss(Trigger.NO_STREAM, now)
        delay = max(backoff(situation.failures, situation.random, _LONGEST_DELAY), wait or 0.0)
        situation.failures += 1
        self._connect_at = now + min(delay, _LONGEST_DELAY)
        situation.listen(StreamLost(reason, self._connect_at - now))

    def refused(self, job: str, reason: str, now: float) -> None:
        """The server says that there is no stream here."""
        if self._next_reader is None or self._next_reader.job != job:
            return
        situation = self._situation
        situation.refusals += 1
        doubted = _REFUSALS_DOUBTED if self._experience.delivers else 0
        if self._reader is not None or situation.refusals <= doubted:
            self.failed(job, reason, now)
            return
        self._next_reader = None
        self._regions.go(Trigger.REFUSED)
        self._regions.miss(Trigger.NO_STREAM, now)
        self._give_up(situation.refusals - doubted, reason, now)

    def heard(self, job: str, data: bytes, at: float) -> list[Message]:
        """Bytes have come over a stream. Returns the new messages in them."""
        readers = [one for one in (self._reader, *self._old_readers) if one is not None and one.job == job]
        if not readers:
            return []
        reader, situation = readers[0], self._situation
        silence, reader.heard_at = at - reader.heard_at, at
        comments, foreign = reader.decoder.comments, reader.foreign
        reader.fruitless += len(data)
        fresh = []
        try:
            for message in map(situation.messages.inbox.told_apart, reader.messages(data, self._thread_id)):
                situation.suspects.pop(message.id, None)
                if situation.messages.hear(message, reader.opened_at, at):
                    fresh.append(message)
        except EventTooLargeError as error:
            self.ended(job, str(error), at)
        if reader.foreign > foreign:
            situation.listen(OthersLeftOut("stream", reader.foreign - foreign))
        if fresh:
            reader.delivered, reader.fruitless, self._strikes = True, 0, 0
            situation.note_activity(at)
        elif reader.fruitless > _MOST_FRUITLESS:
            reader.delivered, reader.opened_at = False, at
            self.ended(job, f"{reader.fruitless:,} bytes without a new message", at)
        if reader.decoder.comments > comments and at - silence > reader.opened_at:
            self._experience.heartbeat_after(silence)
        return fresh

    def ended(self, job: str, reason: str, at: float) -> None:
        """A stream has ended."""
        self._old_readers = {reader: until for reader, until in self._old_readers.items() if reader.job != job}
        if self._reader is not None and self._reader.job == job:
            self._experience.lived(at - self._reader.opened_at, at)
            self._lose(reason, at)

    # How it is worked out.

    def _connect_due(self) -> float:
        if self._regions.stream in {Stream.CLOSED, Stream.REFUSED}:
            return self._connect_at
        after = self._experience.renew_after
        if self._regions.stream is Stream.OPEN and self._reader is not None and after is not None:
            return max(self._reader.opened_at + after * self._reader.renew_part, self._reader.renew_from)
        return math.inf

    def _connect(self, now: float) -> Connect:
        self._count += 1
        self._next_reader = StreamReader(f"stream {self._count}")
        self._regions.go(Trigger.CONNECT)
        self._connecting = Urgency(self._priority(now))
        return Connect(self._next_reader.job, self._connecting)

    def _priority(self, now: float) -> Priority:
        """How urgent the stream is that is being opened."""
        if self._regions.is_open:
            # The open stream still works.
            return Priority.RENEW
        if self._situation.asking:
            return Priority.NOW
        return Priority.OWED if self._situation.messages.unanswered(now) else Priority.REOPEN

    def _stall_due(self) -> float:
        if self._reader is None:
            return math.inf
        return max(self._reader.heard_at, self._listening_from) + self._experience.stall

    def _check_open_stream(self, now: float) -> None:
        """Check whether the open stream is dead, or leaves out what the list shows."""
        if now >= self._stall_due():
            self._lose("silent for too long", now)
            # It may have been dead for long, or may be well. One scan is enough, once it can show all that was missed.
            self._situation.stalled = True
        if not any(now >= until for until in self._situation.suspects.values()):
            return
        self._strikes += 1
        if self._strikes < _STRIKES:
            self._lose("it left out a message that the list shows", now)
            return
        if self._next_reader is not None:
            self._dropped.append(self._next_reader.job)
        self._close_reader()
        self._next_reader, self._strikes = None, 0
        self._regions.miss(Trigger.INCOMPLETE, now)
        self._give_up(1, "it left out a message that the list shows, again", now)

    def _notice_sleep(self, now: float, wall_time: float) -> None:
        """If the machine was asleep, nothing was received meanwhile, and its connections are gone."""
        asleep = wall_time - now - self._wall_offset
        self._wall_offset = wall_time - now
        if asleep < _ASLEEP:
            return
        if self._reader is not None:
            self._lose(f"the machine was asleep for {asleep:.0f} s", now)
        else:
            self._regions.miss(Trigger.NO_STREAM, now)

    def _close_reader(self) -> StreamReader:
        reader = self._reader
        assert reader is not None  # noqa: S101 - it is open
        self._dropped.append(reader.job)
        self._reader = None
        self._situation.suspects.clear()
        return reader

    def _lose(self, reason: str, now: float) -> None:
        """The open stream is of no more use."""
        reader, situation = self._close_reader(), self._situation
        situation.lost_at, situation.stalled = now, False
        lived = reader.delivered or now - reader.opened_at >= YOUNG
        situation.failures = 0 if lived else situation.failures + 1
        # Connect again at once, unless streams end young again and again.
        again = situation.failures > 1
        delay = backoff(situation.failures - 2, situation.random, _LONGEST_DELAY) if again else 0.0
        delay = max(delay, min((reader.decoder.retry or 0) / 1000, _LONGEST_DELAY))
        spread = not delay and not situation.messages.unanswered(now)
        self._connect_at = self._experience.reopen_at(now) if spread else now + delay
        self._regions.miss(Trigger.LOST, now)
        self.raise_urgency(now)
        situation.listen(StreamLost(reason, self._connect_at - now))

    def _give_up(self, times: int, reason: str, now: float) -> None:
        delay = min(_REFUSED_FOR * 2.0 ** min(times - 1, _MOST_DOUBLINGS), _LONGEST_REFUSED)
        self._connect_at = now + delay
        self._situation.active_at, self._situation.scans = now, 0
        self._situation.listen(StreamGivenUp(reason, delay))
