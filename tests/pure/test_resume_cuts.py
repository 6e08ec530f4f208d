"""Conversations in fake time: processes are cut at random while the agent talks, and resume from their bookmarks."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from featherhq import FeatherError
from flow_scenarios import quiet
from model_server import Options, drawn
from resume_cuts import Lives

__all__ = ["quiet"]


def check_once(lives: Lives) -> None:
    """Check that each message of the agent was handed out once, by whichever life."""
    times = Counter(lives.texts)
    assert [text for text in lives.said if not times[text]] == [], "lost"
    assert [text for text, number in times.items() if number > 1] == [], "doubled"
    assert times.keys() == set(lives.said), "old messages were handed out"
    assert all(isinstance(error, FeatherError) for error in lives.scenario.world.errors)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_each_message_is_handed_out_once_and_in_order(seed: int, newest_first: bool) -> None:
    """Forty runs of 30 cuts each, of the process and of the stream, whichever way the list runs: each message comes
    once and in order, and bookmarks stay short.
    """
    lives = Lives(seed, old=random.Random(seed).choice([0, 30, 300]), options=Options(newest_first=newest_first))  # noqa: S311 - no secret
    lives.run()
    check_once(lives)
    assert lives.texts == lives.said
    assert lives.longest_bookmark < 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_each_message_is_handed_out_once_by_servers_with_faults(seed: int) -> None:
    """The same with streams that leave out, repeat, hold back or replay messages, lists that lag or lack times, and
    cursors that are refused. Late messages may come after younger ones, but none is lost or doubled.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    options = drawn(rng)
    if options.one_stream == "refuse":
        # The server would take the next life for the second stream of the last one.
        options.one_stream = None
    # Without times, a bookmark from before the first message cannot say which messages are new.
    tells_no_time = options.stamps in {"same", "none"}
    lives = Lives(
        seed, old=40 if tells_no_time else rng.choice([0, 5, 40]), from_message=tells_no_time, options=options
    )
    lives.run()
    check_once(lives)


@pytest.mark.slow
@pytest.mark.parametrize("stamps", ["same", "none"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_without_useful_times_are_told_apart_by_their_place(stamps: str, newest_first: bool) -> None:
    """If all messages have one time, or none, the place in the list tells which are new."""
    for seed in range(6):
        options = Options(newest_first=newest_first)
        options.stamps = "same" if stamps == "same" else "none"
        lives = Lives(seed, old=30 + 30 * seed, from_message=True, options=options)
        lives.run()
        check_once(lives)
        assert lives.texts == lives.said


def test_a_long_life_keeps_its_bookmark_short() -> None:
    """If the agent talks all the time for an hour, bookmarks stay short, for a request every now and then."""
    lives = Lives(1, lives=1, longest=3600.0, pause=4.0)
    lives.run()
    check_once(lives)
    assert lives.longest_bookmark < 1000
