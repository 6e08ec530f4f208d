"""The model server: lists, their pages, their cursors, and the stamps of messages."""

from __future__ import annotations

import pytest
from fake_time_helpers import listed, next_cursor, post, run_flow, texts, world_and_server


@pytest.mark.parametrize("newest_first", [False, True])
def test_lists_have_pages(newest_first: bool) -> None:
    """The cursors lead through all pages, even if a message comes in between. `limit` and `direction` work."""
    world, server, thread = world_and_server(newest_first=newest_first, largest_page=2)
    server.old(thread, 5)
    page = run_flow(world, listed(thread))
    found = texts(page)
    server.say(thread, "young")
    while (cursor := next_cursor(page)) is not None:
        page = run_flow(world, listed(thread, cursor=cursor))
        found += texts(page)
    old = [f"old {number}" for number in range(5)]
    assert found == (old[::-1] if newest_first else [*old, "young"])
    assert texts(run_flow(world, listed(thread, limit="1"))) == ["young" if newest_first else "old 0"]
    assert texts(run_flow(world, listed(thread, direction="OUTBOUND")))[-1] == "old 3"


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
def test_only_cursors_of_earlier_pages_may_be_valid(bad_cursor: int | str) -> None:
    """The server refuses an invalid cursor, or sends an empty page. The id of a deleted message is always invalid."""
    world, server, thread = world_and_server(any_cursor=False, bad_cursor=bad_cursor, largest_page=2)
    rows = server.old(thread, 5)

    def outcome(cursor: str) -> object:
        response = run_flow(world, listed(thread, cursor=cursor))
        return texts(response) if response.status_code == 200 else response.status_code

    refused: object = [] if bad_cursor == "empty" else bad_cursor
    assert outcome(rows[1].id) == refused
    assert next_cursor(run_flow(world, listed(thread))) == rows[1].id
    assert outcome(rows[1].id) == ["old 2", "old 3"]
    assert outcome(rows[2].id) == refused
    server.options.any_cursor = True
    assert outcome(rows[2].id) == ["old 3", "old 4"]
    assert outcome("nothing") == refused
    server.delete(rows[2])
    assert outcome(rows[2].id) == refused
    assert outcome(rows[1].id) == ["old 3", "old 4"]


def test_an_older_message_may_be_listed_after_a_newer_one() -> None:
    """A message has a delay of its own before it is listed, or all have the same delay. A list may be out of date."""
    world, server, thread = world_and_server(counting=None)
    server.say(thread, "one", listed_after=0.3)
    server.say(thread, "two", listed_after=0.1)
    seen = [texts(run_flow(world, listed(thread))) for _ in range(20)]
    assert [found for number, found in enumerate(seen) if found not in seen[:number]] == [[], ["two"], ["one", "two"]]
    server.options.lag = (1.0, 1.0)
    server.say(thread, "three")
    assert texts(run_flow(world, listed(thread))) == ["one", "two"]
    world.run_for(1)
    server.options.stale_list, server.options.stale_by = 1.0, 0.5
    assert texts(run_flow(world, listed(thread))) == ["one", "two"]
    world.run_for(1)
    assert texts(run_flow(world, listed(thread))) == ["one", "two", "three"]


def test_lists_may_have_a_slightly_wrong_order() -> None:
    """A message stands at most two places away from its right place, and every list has the same order."""
    world, server, thread = world_and_server(misplaced=0.3)
    server.old(thread, 20)
    found = texts(run_flow(world, listed(thread)))
    distances = [abs(place - int(text.split()[1])) for place, text in enumerate(found)]
    assert 0 < max(distances) <= 2
    assert texts(run_flow(world, listed(thread))) == found


def test_stamps_may_come_from_different_clocks() -> None:
    """`createdAt` has milliseconds or whole seconds, is always the same, or is `null`. `Date` has its own clock."""
    world, server, thread = world_and_server(inbound_skew=1.0, outbound_skew=-2.0, date_skew=0.5)
    world.run(3.25)
    stamps = []
    for kind in ("millisecond", "second", "same", "none"):
        server.options.stamps = kind
        stamps.append([server.say(thread, "x", direction=direction).stamp for direction in ("INBOUND", "OUTBOUND")])
    assert stamps == [
        ["2023-11-14T22:13:24.250Z", "2023-11-14T22:13:21.250Z"],
        ["2023-11-14T22:13:24.000Z", "2023-11-14T22:13:21.000Z"],
        ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.000Z"],
        [None, None],
    ]
    assert run_flow(world, listed(thread)).headers["date"] == "Tue, 14 Nov 2023 22:13:23 GMT"


def test_texts_may_be_stored_with_entities() -> None:
    """The server may store an ampersand as `&amp;`."""
    world, _, thread = world_and_server(escape=True)
    run_flow(world, post(thread, "you & me"))
    assert texts(run_flow(world, listed(thread))) == ["you &amp; me"]
