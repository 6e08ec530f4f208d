"""What is known of one conversation, as a table of states. Pure: no I/O, no clock, no HTTP library.

A conversation hands out each of the agent's messages once and in order, whatever its stream does. Three questions
decide what it does next, and each is a *region* with a state of its own:

- *stream*: is there one? ``CLOSED`` (none, and one is to be opened), ``OPENING``, ``OPEN``, ``RENEWING`` (open, and the
  next one is being opened before it ends), ``REFUSED`` (there is none to be had for a while).
- *coverage*: has everything been seen? ``COVERED``; ``GAP`` (there was no stream for a while, and the list has to
  tell what came meanwhile); ``DOUBTFUL`` (the list was looked at, but so early that it may have lagged); ``PARTIAL``
  (it was read from one of our own messages on, and not what came shortly before).
- *look*: is the list being read? ``IDLE``, ``RUNNING``, ``FAILED`` (and to be tried again).

`STREAM`, `COVERAGE` and `LOOK` below are all the transitions there are: what is not in them cannot happen, and an event
that is not expected in a state is an error in this file. Everything that changes a state must live here. *When* things
are due follows from the states and from a few moments (`_connect_due`, `_look_due`), and is worked out anew each time.
The flow that drives it (`conversation.py`) tells it what happened, asks for `commands`, and waits no longer than `due`.
What is known of the messages themselves stands in `messages.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from featherhq._core.limit import Priority, Urgency
from featherhq._core.retry import backoff
from featherhq._core.sse import EventDecoder, EventTooLargeError
from featherhq._log import logger
from featherhq._threads.experience import YOUNG, Experience
from featherhq._threads.messages import Messages
from featherhq._threads.replies import agent_message
from featherhq.models import Message, is_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featherhq._core.effects import Accepted
    from featherhq._threads.history import HistoryScan
    from featherhq._threads.messages import Own


class Stream(Enum):
    """Whether there is a stream."""

    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()
    RENEWING = auto()
    REFUSED = auto()


class Coverage(Enum):
    """Whether everything has been seen."""

    COVERED = auto()
    GAP = auto()
    DOUBTFUL = auto()
    PARTIAL = auto()


class Look(Enum):
    """Whether the list is being read."""

    IDLE = auto()
    RUNNING = auto()
    FAILED = auto()


class On(Enum):
    """What happens to the regions."""

    CONNECT = auto()
    """A stream is asked for, or the next one before the last has ended."""
    OPENED = auto()
    """The stream that was asked for is open."""
    FAILED = auto()
    """It could not be opened this time."""
    REFUSED = auto()
    """There is none to be had for a while."""
    LOST = auto()
    """The open stream has ended, broken, or fallen silent."""
    MUTE = auto()
    """The open stream leaves out what the list shows, again."""
    UNHEARD = auto()
    """There is no stream, so that what comes is not heard."""
    LOOK = auto()
    """The list is asked for."""
    READ = auto()
    """It was read as far as it must."""
    UNREADABLE = auto()
    """It could not be read this time."""
    SAW_ALL = auto()
    """What was read shows all that there is."""
    SAW_EARLY = auto()
    """It was read so soon that it may have lagged."""
    SAW_PART = auto()
    """Only what came after one of our own messages was read, and the gap began before."""
    SAW_BLIND = auto()
    """It was read while there was no stream, so that more comes that nobody hears."""


STREAM: Final[Mapping[Stream, Mapping[On, Stream]]] = {
    Stream.CLOSED: {On.CONNECT: Stream.OPENING},
    Stream.OPENING: {On.OPENED: Stream.OPEN, On.FAILED: Stream.CLOSED, On.REFUSED: Stream.REFUSED},
    Stream.OPEN: {On.CONNECT: Stream.RENEWING, On.LOST: Stream.CLOSED, On.MUTE: Stream.REFUSED},
    Stream.RENEWING: {
        On.OPENED: Stream.OPEN,
        On.FAILED: Stream.OPEN,
        On.LOST: Stream.OPENING,
        On.MUTE: Stream.REFUSED,
    },
    Stream.REFUSED: {On.CONNECT: Stream.OPENING},
}
_UNHEARD: Final = {On.LOST: Coverage.GAP, On.MUTE: Coverage.GAP, On.UNHEARD: Coverage.GAP, On.SAW_BLIND: Coverage.GAP}
_SEEN: Final = {On.SAW_ALL: Coverage.COVERED, On.SAW_EARLY: Coverage.DOUBTFUL, On.SAW_PART: Coverage.PARTIAL}
COVERAGE: Final[Mapping[Coverage, Mapping[On, Coverage]]] = {
    Coverage.COVERED: _UNHEARD | dict.fromkeys(_SEEN, Coverage.COVERED),
    Coverage.GAP: _UNHEARD | _SEEN,
    Coverage.DOUBTFUL: _UNHEARD | _SEEN,
    Coverage.PARTIAL: _UNHEARD | _SEEN,
}
LOOK: Final[Mapping[Look, Mapping[On, Look]]] = {
    Look.IDLE: {On.LOOK: Look.RUNNING},
    Look.RUNNING: {On.READ: Look.IDLE, On.UNREADABLE: Look.FAILED},
    Look.FAILED: {On.LOOK: Look.RUNNING},
}
REGIONS: Final[Mapping[str, Mapping[Any, Mapping[On, Any]]]] = {"stream": STREAM, "coverage": COVERAGE, "look": LOOK}
_EVENTS: Final = {name: {event for row in table.values() for event in row} for name, table in REGIONS.items()}

# All in seconds, but for what is called otherwise.
# A reply that does not come over an open stream is looked for: soon where no stream has brought anything yet.
_FIRST_CHECK: Final = 5.0
_FIRST_CHECK_OF_PROVEN: Final = 20.0
# Where there is no stream: soon at first, and ever more seldom, up to the longest.
_FIRST_POLL: Final = 1.0
_LONGEST_POLL: Final = 30.0
_GROWTH: Final = 3.0
# What the list shows and an open stream has not brought within this time, it has left out.
_LEFT_OUT: Final = 3.0
# How often a stream may leave out what the list shows, before it is given up for a while.
_STRIKES: Final = 2
# How often a stream may be refused, where streams have been had before, until it is believed.
_REFUSALS_DOUBTED: Final = 3
# How long a stream that was refused is not asked for again; doubled each time, up to the longest.
_REFUSED_FOR: Final = 60.0
_LONGEST_REFUSED: Final = 600.0
# How long a stream that fails young keeps from being opened again, whoever asks for it.
_LONGEST_DELAY: Final = 30.0
# How often the list may fail while a stream brings later messages that wait for what it would show before them.
_FAILURES_WAITED_FOR: Final = 3
# Streams that were opened together are renewed in so much of their life, and not all at once.
_RENEWED_APART: Final = 0.2
# A stream that could not be renewed is asked for again after this long.
_RENEW_AGAIN: Final = 10.0
# Messages of a stream wait so long for what the list has to show before them.
_LONGEST_HOLD: Final = 2.0
# Bytes that a stream may bring without a new message among them. Heartbeats of a year are less.
_MOST_FRUITLESS: Final = 8 * 1024 * 1024
# More than that makes no difference any more.
_MOST_GROWTHS: Final = 10
# A scan of which a page could not be had is gone on with for so long, and then begun anew.
_RESUMED_FOR: Final = 20.0
# A scan that begins so much after what was verified last leaves a part out, though there was a stream all the time.
_PART: Final = 5.0
# A list is looked into so long after a stream has opened, where nobody waits for it.
_A_MOMENT: Final = 0.1
# After messages, and a while without, one look sees whether the stream has left anything out; not more often than this.
_QUIET: Final = 30.0
_VERIFIED_EVERY: Final = 300.0
# How long the last stream is still read when the next one is open.
_OVERLAP: Final = 1.0
# A clock on the wall that has run so much further than the monotonic one tells that the machine was asleep. Both are
# read so often.
_ASLEEP: Final = 5.0
_CLOCKS_READ: Final = 30.0
# Who has not listened for so long begins to count silence anew.
_AWAY: Final = 1.0


class IllegalTransitionError(Exception):
    """An event came that the table does not have for a state: an error in this file."""


@frozen
class Connect:
    """Open a stream.

    Attributes:
        job: The name of the job that is to do it.
        urgency: How urgent it is.
    """

    job: str
    urgency: Urgency


@frozen
class Drop:
    """End a job, and close its stream.

    Attributes:
        job: Its name.
    """

    job: str


@frozen
class AskPage:
    """Ask for a page of the list.

    Attributes:
        cursor: Its cursor; `None` for the first.
        urgency: How urgent it is.
    """

    cursor: str | None
    urgency: Urgency


Command = Connect | Drop | AskPage


@define(eq=False)
class _Line:
    """One stream: the job that reads it, and what is known of it."""

    job: str
    decoder: EventDecoder = field(factory=EventDecoder)
    opened_at: float = math.inf
    heard_at: float = math.inf
    delivered: bool = False
    # Bytes since its last new message.
    fruitless: int = 0
    # How much of the life of others may pass before it is renewed, so that not all are at once; and not before when.
    renew_part: float = 1.0
    renew_from: float = float("-inf")


class ConversationState:
    """What is known of one conversation.

    Args:
        thread_id: The thread's id.
        experience: What is known of the server, shared by all conversations of a client.
        random: Gives a number from 0 to 1, for the jitter.
        server_time: Gives the server's time at a moment of the monotonic clock, in seconds since 1970, or `None`.
        known: Ids of messages that were known before it began, each with when.
        now: The time on the monotonic clock, in seconds, here and in all that follows.
        wall_time: The time in seconds since 1970, likewise.

    Attributes:
        stream: The state of that region, as are the next two.
        coverage: As above.
        look: As above.
        messages: What is known of the messages.
    """

    def __init__(
        self,
        thread_id: str,
        experience: Experience,
        random: Callable[[], float],
        server_time: Callable[[float], float | None],
        known: Mapping[str, float],
        now: float,
        wall_time: float,
    ) -> None:
        self.stream = Stream.CLOSED
        self.coverage = Coverage.COVERED
        self.look = Look.IDLE
        self._thread_id = thread_id
        self._experience = experience
        self._random = random
        self.messages = Messages(experience, server_time, known, now, wall_time)
        self._asking = False
        self._wall_offset = wall_time - now
        # Streams: since when there is one without a gap; the open one, the one that is being opened, and those that are
        # still read for a moment.
        self._heard_from = now
        self._line: _Line | None = None
        self._next_line: _Line | None = None
        self._old_lines: dict[_Line, float] = {}
        self._lines = 0
        self._dropped: list[str] = []
        self._connect_at = now
        self._connecting = Urgency(Priority.REOPEN)
        self._fruitless = self._refusals = self._strikes = 0
        self._stalled = False
        self._suspects: dict[str, float] = {}
        self._listening_from = self._listened_at = now
        # Looks: the scan under way, and the message of ours that it may begin behind; when the last one began; and how
        # many there were since something happened.
        self._scan: HistoryScan | None = None
        self._scan_behind: Own | None = None
        self._page_asked = False
        self._looking = Urgency(Priority.CHECK)
        self._look_from, self._page_at = now, now
        self._look_again_at = self._lost_at = float("-inf")
        self._look_by = math.inf
        self._looks = self._look_failures = 0
        self._verified_at = self._active_at = self._gap_from = now
        self._saw_part = False

    # What to do, and what to hand out.

    def commands(self, now: float, wall_time: float) -> list[Command]:
        """What is to be started or ended now; each is told once."""
        self.messages.time_is_known()
        self._notice_sleep(now, wall_time)
        if now - self._listened_at > _AWAY:
            self._listening_from = now
        self._listened_at = now
        self._judge_stream(now)
        for line in [line for line, until in self._old_lines.items() if now >= until]:
            del self._old_lines[line]
            self._dropped.append(line.job)
        commands: list[Command] = [Drop(job) for job in self._dropped]
        self._dropped.clear()
        if now >= self._connect_due():
            commands.append(self._connect(now))
        look_at, priority = self._look_due(now)
        if now >= look_at:
            self._begin_look(now, priority)
        if self._scan is not None and self.look is Look.RUNNING and not self._page_asked:
            self._page_asked = True
            commands.append(AskPage(self._scan.cursor, self._looking))
        return commands

    def listened(self, now: float) -> None:
        """Somebody has waited for something to happen until now."""
        self._listened_at = now

    def due(self, now: float) -> float:
        """When to ask for commands, or for messages, again, if nothing happens before."""
        moments = [self._connect_due(), self._stall_due(), self._look_due(now)[0], *self._old_lines.values()]
        moments.extend(self._suspects.values())
        if (since := self.messages.waiting_since) is not None:
            held_until = since + (self._experience.lag if self._asking else _LONGEST_HOLD)
            moments.append(held_until if held_until > now else math.inf)
        # A machine that was asleep shows by its clocks alone, so they are looked at now and then.
        return min(*moments, now + _CLOCKS_READ)

    def take(self, now: float) -> Message | None:
        """Hand out the next message."""
        since = self.messages.waiting_since
        held = since is not None and self._waits_for_list and now < since + _LONGEST_HOLD
        return None if held else self.messages.take()

    def take_reply(self, own: Own, now: float, *, last: bool = False) -> Message | None:
        """Hand out the first message that was made after one of ours.

        Args:
            own: Our message.
            now: The time.
            last: Whether time is up, so that there is nothing more to wait for.
        """
        if self._waits_for_list and self._gap_matters and not last:
            return None
        return self.messages.take_reply(own, now, last=last)

    @property
    def is_asking(self) -> bool:
        """Whether somebody waits for a reply."""
        return self._asking

    @property
    def is_open(self) -> bool:
        """Whether there is a stream, so that what comes from now on is heard."""
        return self.stream in {Stream.OPEN, Stream.RENEWING}

    @property
    def is_opening(self) -> bool:
        """Whether there is none, and one is being opened."""
        return self.stream is Stream.OPENING

    # What happened: to streams.

    def opened(self, job: str, now: float) -> None:
        """A stream is open."""
        line = self._next_line
        if line is None or line.job != job:
            self._dropped.append(job)
            return
        if self._line is not None:
            self._experience.renewed(well=True)
            self._old_lines[self._line] = now + _OVERLAP
        else:
            self._heard_from = now
        line.opened_at = line.heard_at = now
        line.renew_part = 1 - _RENEWED_APART * self._random()
        self._line, self._next_line = line, None
        self._go(On.OPENED)
        self._refusals = 0
        self.messages.time_is_known()
        if self.coverage is not Coverage.COVERED:
            self._looks = 0

    def failed(self, job: str, reason: str, now: float, wait: float | None = None) -> None:
        """A stream could not be opened.

        Args:
            job: The job that tried.
            reason: Why, in a few words.
            now: The time.
            wait: Seconds that the server asks to wait, if it does.
        """
        if self._next_line is None or self._next_line.job != job:
            return
        self._next_line = None
        self._go(On.FAILED)
        if self._line is not None:
            self._line.renew_from = now + _RENEW_AGAIN
            self._experience.renewed(well=False)
            return
        self._miss(On.UNHEARD, now)
        delay = min(max(backoff(self._fruitless, self._random, _LONGEST_DELAY), wait or 0.0), _LONGEST_DELAY)
        self._fruitless += 1
        self._connect_at = now + delay
        logger.warning("stream: %s; again in %.2f s", reason, delay)

    def refused(self, job: str, reason: str, now: float) -> None:
        """The server says that there is no stream here."""
        if self._next_line is None or self._next_line.job != job:
            return
        self._refusals += 1
        doubted = _REFUSALS_DOUBTED if self._experience.delivers else 0
        if self._line is not None or self._refusals <= doubted:
            # A server that is deployed anew may say so, and not mean it.
            self.failed(job, reason, now)
            return
        self._next_line = None
        self._go(On.REFUSED)
        self._miss(On.UNHEARD, now)
        self._give_up(self._refusals - doubted, reason, now)

    def heard(self, job: str, data: bytes, at: float) -> list[Message]:
        """A stream has brought something: the new messages in it."""
        lines = [line for line in (self._line, *self._old_lines) if line is not None and line.job == job]
        if not lines:
            return []
        line = lines[0]
        silence, line.heard_at, comments = at - line.heard_at, at, line.decoder.comments
        line.fruitless += len(data)
        fresh = []
        try:
            for event in line.decoder.feed(data):
                message = agent_message(event)
                if message is None:
                    continue
                if not is_of(message, self._thread_id):
                    logger.warning("stream: left out a message of another thread")
                    continue
                message = self.messages.told_apart(message)
                self._suspects.pop(message.id, None)
                if self.messages.hear(message, line.opened_at, at):
                    fresh.append(message)
        except EventTooLargeError as error:
            self.ended(job, str(error), at)
        if fresh:
            line.delivered, line.fruitless, self._strikes = True, 0, 0
            self._note_activity(at)
        elif line.fruitless > _MOST_FRUITLESS:
            line.delivered, line.opened_at = False, at
            self.ended(job, f"{line.fruitless:,} bytes without a new message", at)
        if line.decoder.comments > comments and at - silence > line.opened_at:
            self._experience.heartbeat_after(silence)
        return fresh

    def ended(self, job: str, reason: str, at: float) -> None:
        """A stream has ended."""
        self._old_lines = {line: until for line, until in self._old_lines.items() if line.job != job}
        if self._line is not None and self._line.job == job:
            self._experience.lived(at - self._line.opened_at, at)
            self._lose(reason, at)

    # What happened: in the list.

    def page(self, messages: Sequence[Message], next_cursor: str | None, now: float) -> list[Message]:
        """A page of the list has come: the new messages that are now to be handed out.

        Raises:
            EndlessListError: as `HistoryScan.add`.
        """
        scan = self._scan
        assert scan is not None  # noqa: S101 - it was asked for
        self._page_asked, self._page_at = False, now
        apart = [self.messages.told_apart(message) for message in messages]
        return self._finish_look(scan, now) if scan.add(apart, next_cursor) else []

    def page_refused(self, now: float) -> bool:
        """The server does not take a cursor: whether there was one, so that the list is read from an end, or later."""
        scan = self._scan
        assert scan is not None  # noqa: S101 - as above
        if scan.cursor is None:
            return False
        self._page_asked = False
        self.messages.refuse_anchor()
        if scan.may_begin_anew:
            scan.refused()
        else:
            self._scan = None
            self.unreadable(now)
        return True

    def unreadable(self, now: float) -> None:
        """A page of the list could not be had this time."""
        self._page_asked = False
        self._go(On.UNREADABLE)
        self._look_again_at = now + backoff(self._look_failures, self._random, _LONGEST_POLL)
        self._look_failures += 1

    # What happened: to messages of ours, and to those who wait.

    def accepted(self, accepted: Accepted, now: float) -> Own:
        """A message of ours was accepted."""
        own = self.messages.accepted(accepted, now, asking=self._asking)
        self._active_at, self._looks = now, 0
        if not self.is_open:
            # Its answer may come before there is a stream.
            self._miss(On.UNHEARD, now)
            if self.stream is Stream.CLOSED:
                self._connect_at = min(self._connect_at, now + backoff(0, self._random))
        self._urge(now)
        return own

    def unheard(self, now: float) -> None:
        """The conversation begins without a stream, so that the list has to tell what comes."""
        self._miss(On.UNHEARD, now)

    def ask(self, now: float) -> None:
        """Somebody is about to send a message and to wait for its reply: a stream is wanted now."""
        self._asking = True
        if self.stream is Stream.CLOSED and self._fruitless <= 1:
            self._connect_at = min(self._connect_at, now)
        self._urge(now)

    def look_by(self, moment: float) -> None:
        """Look into the list at that moment."""
        self._look_by = moment

    def asked(self) -> None:
        """Nobody waits for a reply any more."""
        self._asking, self._look_by = False, math.inf
        self.messages.trim()

    # Streams, worked out.

    def _connect_due(self) -> float:
        if self.stream in {Stream.CLOSED, Stream.REFUSED}:
            return self._connect_at
        after = self._experience.renew_after
        if self.stream is Stream.OPEN and self._line is not None and after is not None:
            return max(self._line.opened_at + after * self._line.renew_part, self._line.renew_from)
        return math.inf

    def _connect(self, now: float) -> Connect:
        self._lines += 1
        self._next_line = _Line(f"stream {self._lines}")
        self._go(On.CONNECT)
        self._connecting = Urgency(self._worth(now))
        return Connect(self._next_line.job, self._connecting)

    def _worth(self, now: float) -> Priority:
        """How urgent the stream is that is being opened."""
        if self.is_open:
            # The last one still serves.
            return Priority.RENEW
        if self._asking:
            return Priority.NOW
        return Priority.OWED if self.messages.unanswered(now) else Priority.REOPEN

    def _urge(self, now: float) -> None:
        """Have what waits in the line of the rate limit move up, where it has become more urgent."""
        self._connecting.raise_to(self._worth(now))
        if self._asking and self.messages.unanswered(now):
            self._looking.raise_to(Priority.NOW)

    def _stall_due(self) -> float:
        if self._line is None:
            return math.inf
        return max(self._line.heard_at, self._listening_from) + self._experience.stall

    def _judge_stream(self, now: float) -> None:
        """See whether the open stream is dead, or leaves out what the list shows."""
        if now >= self._stall_due():
            self._lose("silent for too long", now)
            # It may have been dead for long, or be well: one look is enough, when it can show all that was missed.
            self._stalled = True
        if not any(now >= until for until in self._suspects.values()):
            return
        self._strikes += 1
        if self._strikes < _STRIKES:
            self._lose("silent on what the list shows", now)
            return
        if self._next_line is not None:
            self._dropped.append(self._next_line.job)
        self._close_line()
        self._next_line, self._strikes = None, 0
        self._miss(On.MUTE, now)
        self._give_up(1, "silent on what the list shows, again", now)

    def _notice_sleep(self, now: float, wall_time: float) -> None:
        """A machine that was asleep has heard nothing meanwhile, and its connections are gone."""
        asleep = wall_time - now - self._wall_offset
        self._wall_offset = wall_time - now
        if asleep < _ASLEEP:
            return
        if self._line is not None:
            self._lose(f"the machine was asleep for {asleep:.0f} s", now)
        else:
            self._miss(On.UNHEARD, now)

    def _close_line(self) -> _Line:
        line = self._line
        assert line is not None  # noqa: S101 - it is open
        self._dropped.append(line.job)
        self._line = None
        self._suspects.clear()
        return line

    def _lose(self, reason: str, now: float) -> None:
        """The open stream is of no more use."""
        line = self._close_line()
        self._lost_at, self._stalled = now, False
        lived = line.delivered or now - line.opened_at >= YOUNG
        self._fruitless = 0 if lived else self._fruitless + 1
        # At once, but for streams that fail young again and again.
        delay = backoff(self._fruitless - 2, self._random, _LONGEST_DELAY) if self._fruitless > 1 else 0.0
        delay = max(delay, min((line.decoder.retry or 0) / 1000, _LONGEST_DELAY))
        spread = not delay and not self.messages.unanswered(now)
        self._connect_at = self._experience.reopen_at(now) if spread else now + delay
        self._miss(On.LOST, now)
        self._urge(now)
        logger.warning("stream: %s; again in %.2f s", reason, self._connect_at - now)

    def _give_up(self, times: int, reason: str, now: float) -> None:
        delay = min(_REFUSED_FOR * 2.0 ** min(times - 1, _MOST_GROWTHS), _LONGEST_REFUSED)
        self._connect_at = now + delay
        self._active_at, self._looks = now, 0
        logger.warning("stream: %s; polling for the next %.0f s", reason, delay)

    # Looks, worked out.

    @property
    def _waits_for_list(self) -> bool:
        """Whether what the stream has brought waits for what the list has to show before it."""
        if self._scan is not None and self._scan.has_begun:
            return True
        return self.is_open and self.coverage is Coverage.GAP and self._look_failures < _FAILURES_WAITED_FOR

    @property
    def _gap_matters(self) -> bool:
        """Whether somebody waits for what may have come in a gap."""
        opened = math.inf if self._line is None else self._heard_from
        return self.messages.is_unanswered_since(opened)

    def _look_due(self, now: float) -> tuple[float, Priority]:
        """When the next look is due, and how urgent it is."""
        if self.look is Look.RUNNING:
            return math.inf, Priority.CHECK
        due, urgent = self._regular_look(now)
        # A scan of which a page could not be had goes on.
        due = self._look_again_at if self._scan is not None else max(due, self._look_again_at)
        if self._look_from < self._look_by <= due:
            return self._look_by, Priority.NOW
        if not urgent:
            return due, Priority.CHECK
        return due, Priority.NOW if self._asking else Priority.OWED

    def _regular_look(self, now: float) -> tuple[float, bool]:
        """When a look is due, and whether somebody waits for it."""
        owed = bool(self.messages.unanswered(now))
        if self._line is None:
            return self._poll_due(owed=owed), owed
        opened, lag = self._heard_from, self._experience.lag
        # Where a reply is owed; soon, where no stream has proven that it delivers.
        check = self._after_silence(self._first_check)
        if self.coverage is Coverage.COVERED:
            if owed:
                return check, True
            if self._active_at <= self._look_from and self._experience.delivers:
                return math.inf, False
            # After messages; and again and again while no stream has proven that it delivers.
            return max(self._active_at + _QUIET, self._look_from + _VERIFIED_EVERY), False
        matters = self._gap_matters
        if self.coverage is Coverage.GAP:
            # At once where somebody waits for it, and else a moment later.
            if matters or self.messages.waiting_since is not None:
                return opened, True
            return opened + (lag if self._stalled else _A_MOMENT), False
        quiet = self._active_at <= self._verified_at and not self._experience.lags
        if self.coverage is Coverage.DOUBTFUL and quiet and not matters:
            # Where nothing happens, one look is enough for a gap, until lists have been seen to lag: the next one
            # covers this gap too.
            return (check, True) if owed else (max(opened, self._look_from) + _VERIFIED_EVERY, False)
        if self.coverage is Coverage.DOUBTFUL:
            # A list that goes on lacking something is looked at ever more seldom: it may have been deleted.
            due = max(opened, self._look_from) + max(lag, self._look_from - opened)
            return min(due, check) if owed else due, matters or owed
        # What a long list would cost a request a page is read when nobody waits any more.
        return (check, True) if owed else (now, False)

    @property
    def _first_check(self) -> float:
        return _FIRST_CHECK_OF_PROVEN if self._experience.delivers else _FIRST_CHECK

    def _poll_due(self, *, owed: bool) -> float:
        """When to look where there is no stream."""
        if owed:
            return max(self._after_silence(_FIRST_POLL), self._lost_at + _FIRST_POLL)
        if self.coverage is Coverage.COVERED or not (
            self._fruitless or self._refusals or self.stream is Stream.REFUSED
        ):
            # It is being opened, and then there is a look.
            return math.inf
        return self._look_from + _LONGEST_POLL if self._looks > 1 else self._after_silence(_FIRST_POLL)

    def _after_silence(self, first: float) -> float:
        """When it is time to look once more: soon after the last message, and then ever more seldom."""
        wait = first * _GROWTH ** min(self._looks, _MOST_GROWTHS)
        return max(self._active_at, self._look_from) + min(wait, max(first, _LONGEST_POLL))

    def _begin_look(self, now: float, priority: Priority) -> None:
        self._go(On.LOOK)
        if self._scan is not None and now < self._page_at + _RESUMED_FOR:
            # A page could not be had: go on with it.
            return
        self._look_from = self._page_at = now
        self._looking = Urgency(priority)
        self._scan, self._scan_behind = self.messages.scan(now, partial=self._saw_part)

    def _finish_look(self, scan: HistoryScan, now: float) -> list[Message]:
        self._scan, self._look_failures = None, 0
        self._go(On.READ)
        # One that was made for another reason, right after something has come, tells nothing of the silence after it.
        self._looks += self._look_from >= self._active_at + (_FIRST_POLL if self._line is None else self._first_check)
        behind = self._scan_behind
        verified = self._verified_at + _PART
        if self._gap_from > self._verified_at:
            verified = min(verified, self._gap_from)
        partial = self._saw_part = scan.from_anchor and behind is not None and behind.began > verified
        fresh, lags = self.messages.read(scan, self._look_from, now, partial=partial)
        line = self._line
        if fresh:
            self._note_activity(now)
            if line is not None and self.coverage is Coverage.COVERED and self._look_from > self._heard_from:
                self._suspects.update((message.id, now + _LEFT_OUT) for message in fresh)
        if line is None or (self._look_from < self._heard_from and self.coverage is Coverage.GAP):
            self._go(On.SAW_BLIND)
        elif lags or self._look_from < self._heard_from + (
            0 if self._experience.lags is False else self._experience.lag
        ):
            self._go(On.SAW_EARLY)
        elif partial:
            self._go(On.SAW_PART)
        else:
            self._go(On.SAW_ALL)
            self._verified_at = self._look_from
        return fresh

    def _note_activity(self, at: float) -> None:
        """Something new has come, so that more may soon."""
        self._active_at, self._looks, self._fruitless = at, 0, 0

    def _miss(self, event: On, now: float) -> None:
        """From now on something may be missed."""
        if self.coverage is Coverage.COVERED:
            self._gap_from = now
        self._go(event)

    def _go(self, event: On) -> None:
        """Make the transitions of an event, in each region that knows it."""
        for name, table in REGIONS.items():
            state = getattr(self, name)
            if event in table[state]:
                setattr(self, name, table[state][event])
            elif event in _EVENTS[name]:
                raise IllegalTransitionError(f"{name}: {event.name} in {state.name}")
