"""What a conversation makes of the results of its jobs: which error it raises, and which it only reports."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from conversation_pages import PageTalk
from featherhq import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    FeatherError,
    NotFoundError,
    PermissionDeniedError,
)
from featherhq._core.effects import Flow, JobDone, Start
from featherhq._core.events import CursorRefused, ScanFailed, StreamGivenUp, StreamLost, StreamOpened
from featherhq._core.responses import Response
from featherhq._core.retry import Outcome, Stop
from featherhq._threads.flows import Listing, Page
from featherhq._threads.intake import Intake
from flow_caller import THREAD, Caller, ok

EVENTS = Response(200, {"content-type": "text/event-stream"}, is_stream=True)


class Notices:
    """The intake of a conversation, and what it has made of the notices so far.

    Attributes:
        talk: The state of the conversation.
        intake: Takes in the notices.
        caller: Runs the flows of its jobs.
    """

    def __init__(self) -> None:
        self.talk = PageTalk()
        self.caller = Caller()
        settings = attrs.evolve(
            self.caller.settings,
            clock=lambda: self.talk.now,
            wall_clock=lambda: self.talk.server_time(self.talk.now),
            listen=self.talk.events.append,
        )
        self.intake = Intake(settings, Listing(THREAD), self.talk.state)

    def opening(self, outcome: object) -> list[object]:
        """A job that opens a stream ends in this way. Returns the events."""
        self.intake.take_in(JobDone(self.talk.connect(), outcome))
        return self.talk.events

    def page(self, outcome: object) -> list[object]:
        """The job that reads a page ends in this way. Returns the events."""
        self.intake.take_in(JobDone("scan", outcome))
        return self.talk.events


def status(code: int, kind: type[APIStatusError] = APIStatusError, **fields: Any) -> APIStatusError:
    """The error of a response with this status."""
    return kind("no luck", status_code=code, **fields)


def started(flow: Flow[None]) -> list[Start]:
    """The jobs that a flow starts."""
    jobs = []
    for effect in flow:
        assert isinstance(effect, Start)
        jobs.append(effect)
    return jobs


# Streams.


def test_the_result_of_an_opening_is_kept() -> None:
    """Whoever waits for the stream can see the result of the job that opened it. Listeners hear that it is open."""
    notices = Notices()
    assert notices.opening(EVENTS) == [StreamOpened(renewed=False)]
    assert notices.intake.opening is EVENTS
    assert notices.talk.state.is_open


def test_a_response_without_events_is_a_refusal() -> None:
    """A page instead of an event stream counts as a refusal, and the reason names the status."""
    assert Notices().opening(ok({})) == [StreamGivenUp("200 without an event stream", 60.0)]


@pytest.mark.parametrize("code", [404, 405, 406, 501])
def test_some_statuses_say_that_there_are_no_streams(code: int) -> None:
    """With these statuses the server says that it has no streams. No stream is requested for a minute."""
    notices = Notices()
    assert notices.opening(Stop(status(code), Outcome.DENIED)) == [StreamGivenUp("no luck", 60.0)]
    assert notices.intake.trouble is None


@pytest.mark.parametrize(("wait", "delay"), [(None, 0.5), (7.0, 7.0)])
def test_other_statuses_count_as_failures(wait: float | None, delay: float) -> None:
    """With another status, the next stream is requested soon, or when the server asks for it."""
    stop = Stop(status(503, retry_after=wait), Outcome.REFUSED)
    assert Notices().opening(stop) == [StreamLost("no luck", delay)]


def test_an_error_without_a_status_counts_as_a_failure() -> None:
    """If the server cannot be reached, the next stream is requested soon."""
    assert Notices().opening(Stop(FeatherError("lost"), Outcome.UNKNOWN)) == [StreamLost("lost", 0.5)]


def test_a_refused_key_is_raised_once() -> None:
    """If the server refuses the key, the caller is told so, but only once."""
    notices = Notices()
    error = status(401, AuthenticationError)
    notices.opening(Stop(error, Outcome.DENIED))
    with pytest.raises(AuthenticationError) as raised:
        notices.intake.raise_trouble()
    assert raised.value is error
    notices.intake.raise_trouble()


def test_an_error_of_our_own_is_raised_at_once() -> None:
    """An error that is not one of the library's is raised at once, and the stream counts as failed."""
    notices = Notices()
    with pytest.raises(RuntimeError):
        notices.opening(RuntimeError("a bug"))
    assert notices.talk.events == [StreamLost("a bug", 0.5)]


def test_only_the_first_stream_is_requested_again_within_its_job() -> None:
    """The job that opens the first stream may repeat its request. Later ones fail at once, and are started again."""
    notices = Notices()
    notices.intake.retries = 2
    lost = Response(503, {}, b"")
    for requests in (3, 4):
        (job,) = started(notices.intake.start())
        stop = notices.caller.run(job.flow, lost)
        assert len(notices.caller.requests) == requests
        notices.intake.take_in(JobDone(job.job, stop))
        notices.talk.now += 0.6


def test_a_question_alone_does_not_repeat_its_request_for_a_stream() -> None:
    """A conversation that was not opened, as for one question, requests its stream only once within the job."""
    notices = Notices()
    (job,) = started(notices.intake.start())
    notices.caller.run(job.flow, Response(503, {}, b""))
    assert len(notices.caller.requests) == 1


# Pages of the list.


def scanning(*, with_stream: bool) -> Notices:
    """A conversation that reads its list, with or without an open stream."""
    notices = Notices()
    if with_stream:
        notices.talk.open_after_gap()
        notices.talk.scan(0.1)
    else:
        notices.talk.state.streams.refused(notices.talk.connect(), "404", notices.talk.now)
        notices.talk.scan(1.0)
    notices.talk.events.clear()
    return notices


@pytest.mark.parametrize("with_stream", [False, True])
@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (status(403, PermissionDeniedError), True),
        (status(404, NotFoundError), True),
        (status(400, BadRequestError), False),
        (status(503), False),
        (FeatherError("no luck"), False),
    ],
)
def test_a_lasting_error_is_raised_if_there_is_no_stream(error: FeatherError, lasting: bool, with_stream: bool) -> None:
    """If the list cannot be read for good, and there is no stream, the caller is told so. If there is a stream, or if
    the list may be read later, an event says so.
    """
    notices = scanning(with_stream=with_stream)
    events = notices.page(error)
    if lasting and not with_stream:
        assert (notices.intake.trouble, events) == (error, [])
    else:
        assert (notices.intake.trouble, events) == (None, [ScanFailed("no luck")])


def test_a_list_goes_on_with_the_next_page() -> None:
    """The next page is requested with the cursor of the last one. If that cursor is refused, an event says so, and
    the list is read from an end.
    """
    notices = scanning(with_stream=True)
    talk = notices.talk
    assert notices.page(Page([talk.made("1", 1.0)], "more", ok({}))) == []
    (job,) = started(notices.intake.start())
    notices.caller.run(job.flow, ok({}))
    assert notices.caller.requests[-1]["params"]["cursor"] == "more"
    talk.events.clear()
    assert notices.page(status(400, BadRequestError)) == [CursorRefused()]
    assert talk.scan().cursor is None


def test_an_endless_list_is_a_failed_scan() -> None:
    """If page after page brings nothing new, the scan has failed, and an event says why."""
    notices = scanning(with_stream=True)
    page = Page([notices.talk.made("1", 1.0)], "more", ok({}))
    for _ in range(200):
        if notices.page(page):
            break
        notices.talk.scan()
        page = Page(page.messages, f"{page.next_cursor}+", page.response)
    (event,) = notices.talk.events
    assert isinstance(event, ScanFailed)
    assert event.problem.endswith("pages in a row bring nothing new, without an end")
