"""Effects and notices: which responses stay open as streams, and what a cancelled job leaves in the mailbox."""

from __future__ import annotations

from featherhq._core.effects import READ_AHEAD, Chunk, Closed, Ended, JobDone, Notice, SendRequest, weight, without

STREAM = "text/event-stream"


def test_only_a_requested_event_stream_stays_open() -> None:
    """A response stays open if a stream was requested, if the response is an event stream, and if its coding can be
    unpacked in pieces.
    """
    asked = SendRequest({}, 5.0, streaming=True)
    assert asked.stays_open(200, {"content-type": STREAM})
    assert asked.stays_open(200, {"content-type": " Text/Event-Stream ; charset=utf-8"})
    assert asked.stays_open(200, {"content-type": STREAM, "content-encoding": "gzip"})
    assert not asked.stays_open(200, {"content-type": STREAM, "content-encoding": "br"})
    assert not asked.stays_open(200, {"content-type": "application/json"})
    assert not asked.stays_open(200, {})
    assert not asked.stays_open(204, {"content-type": STREAM})
    assert not SendRequest({}, 5.0).stays_open(200, {"content-type": STREAM})


def test_the_notices_of_a_cancelled_job_are_removed() -> None:
    """The notices of other jobs stay in the mailbox, in order. The bytes of their chunks still count towards
    `READ_AHEAD`.
    """
    notices: list[Notice] = [
        Chunk("a", b"12345", 0.0),
        Closed(),
        Chunk("b", b"123", 0.0),
        Ended("b", "over", 0.0),
        JobDone("a", None),
    ]
    kept, size = without(notices, "b")
    assert list(kept) == [notices[0], notices[1], notices[4]]
    assert size == weight(notices[0]) == 5 + 256
    assert without(notices, "c") == (without(notices, "")[0], 5 + 3 + 512)
    assert [weight(notice) for notice in notices[1:2] + notices[3:]] == [0, 0, 0]
    assert weight(Chunk("a", b"x" * READ_AHEAD, 0.0)) > READ_AHEAD
