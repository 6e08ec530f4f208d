"""Bookmarks: what they say, and which values of `after` are refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from featherhq import InvalidArgumentError
from featherhq._threads.bookmark import After, hashed
from featherhq.models import Message, SentMessage
from flow_caller import OTHER, THREAD
from hypothesis import given, strategies as st

times = st.none() | st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000)
ids = st.text("az09-_.é…", min_size=1, max_size=40)


@given(
    st.none() | ids,
    times,
    times,
    st.booleans(),
    st.booleans(),
    st.sampled_from([-1, 0, 1]),
    st.dictionaries(ids, times),
)
def test_a_bookmark_says_what_it_was_made_from(
    anchor: str | None,
    anchor_at: float | None,
    since: float | None,
    sure: bool,
    proven: bool,
    order: int,
    known: dict[str, float],
) -> None:
    """What is read from a bookmark is what was put into it. Times of ids are at most a second later."""
    made = After(
        anchor,
        anchor_at,
        since,
        is_sure=sure,
        is_proven=proven,
        order=order,
        given={hashed(id_): at for id_, at in known.items()},
    )
    read = After.read(THREAD, made.text(THREAD))
    assert (read.anchor, read.is_sure, read.order, read.is_proven) == (anchor, sure, order, proven)
    assert list(read.given) == list(made.given)
    for wanted, found in [(anchor_at, read.anchor_at), (since, read.since)]:
        assert found == (None if wanted is None else pytest.approx(wanted, abs=0.0011))
    for key, at in made.given.items():
        found = read.given[key]
        assert (found is None) == (at is None)
        assert at is None or found is None or 0 <= found - at < 1


def test_a_bookmark_is_short() -> None:
    """A bookmark with twenty messages beyond its anchor has less than 600 characters, and no id of those messages."""
    known = {hashed(f"{THREAD}-{number}"): 1_700_000_000.0 + number for number in range(20)}
    text = After(THREAD, 1_700_000_000.0, given=known).text(THREAD)
    assert len(text) < 600
    assert text.isascii()


def damaged() -> list[str]:
    """Bookmarks that cannot be read."""
    good = After("1", 1.0, None, given={hashed("2"): 3.0}).text(THREAD)
    parts = json.loads(base64.urlsafe_b64decode(good.removeprefix("bookmark-1.") + "=="))

    def encoded(value: object) -> str:
        return "bookmark-1." + base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    wrong = [
        (0, 5),
        (1, ""),
        (1, 7),
        (2, "x"),
        (2, 1.5),
        (2, True),
        (3, []),
        (4, "x"),
        (4, None),
        (5, 2),
        (6, None),
        (6, 1e400),
        (8, {}),
    ]
    changed = [encoded([*parts[:place], value, *parts[place + 1 :]]) for place, value in wrong]
    return [
        good[:-3],
        "bookmark-1.",
        "bookmark-1.é",
        *map(encoded, (None, 1, [], {}, parts[:-1], parts[:3], [*parts, "x"])),
        *changed,
        "bookmark-1." + base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        encoded([*parts[:2], 10**400, *parts[3:]]),
    ]


@pytest.mark.parametrize("text", damaged(), ids=lambda text: text[:60])
def test_a_damaged_bookmark_is_refused(text: str) -> None:
    """A bookmark that was cut or changed is an error before any request, and the error says what to store."""
    with pytest.raises(InvalidArgumentError, match="this bookmark is damaged") as caught:
        After.read(THREAD, text)
    assert "Store the whole string" in caught.value.__notes__[0]
    assert len(str(caught.value)) < 300


def test_a_bookmark_of_a_newer_version_is_refused() -> None:
    """The error for a bookmark in an unknown form says that it may come from a newer version."""
    with pytest.raises(InvalidArgumentError, match="does not know") as caught:
        After.read(THREAD, "bookmark-2.abc")
    assert "newer version" in caught.value.__notes__[0]


def test_places_of_another_thread_are_refused() -> None:
    """A bookmark, a message or a receipt of another thread is an error before any request."""
    for value in (
        After("1").text(OTHER),
        Message("1", "text", raw={"threadId": OTHER}),
        SentMessage("1", OTHER),
    ):
        with pytest.raises(InvalidArgumentError, match=f"does not belong to thread {THREAD}"):
            After.read(THREAD, value)


@pytest.mark.parametrize("value", [7, "", "\n", b"1", 1.5, "x" * 2000, ["1"]])
def test_what_is_no_place_is_refused(value: object) -> None:
    """Any other value is an error that says what `after` takes."""
    with pytest.raises(InvalidArgumentError, match="after: expected a bookmark, the id of a message"):
        After.read(THREAD, value)


def test_a_message_is_a_place() -> None:
    """An id, a message and a receipt say after which message to go on. The case of a thread's id does not matter."""
    moment = datetime.fromtimestamp(5.0, UTC)
    assert After.read(THREAD, "1") == After("1", is_proven=False)
    assert After.read(THREAD, Message("1", "text", created_at=moment)) == After("1", 5.0, is_proven=False)
    assert After.read(THREAD, Message("1", "", created_at=moment, raw={"threadId": THREAD.upper()})) == After("1", 5.0)
    assert After.read(THREAD, Message("1", "", raw={"threadId": THREAD})) == After("1", is_proven=False)
    assert After.read(THREAD, SentMessage("1", THREAD.upper())) == After("1")
    assert After.read(THREAD, SentMessage("1", THREAD, sent_at=moment)) == After("1", 5.0)
    assert After.read(THREAD, After("1").text(THREAD.upper())).anchor == "1"
