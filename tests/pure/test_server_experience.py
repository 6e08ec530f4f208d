"""What the streams and lists of a client show about its server: lags, lives of streams, silence, and clocks."""

from __future__ import annotations

import pytest
from featherhq._threads.experience import LAG, Experience


def test_five_fresh_lists_show_that_lists_do_not_lag() -> None:
    """After five fresh lists, lists are assumed not to lag, until one of them lags. The longest lag counts, up to
    thirty seconds.
    """
    experience = Experience()
    for _ in range(4):
        experience.list_was_fresh()
    assert experience.lags is None
    experience.list_was_fresh()
    assert experience.lags is False
    experience.list_lagged(1.0, 5.0)
    assert (experience.lags, experience.lag, experience.longest_lag) == (True, LAG, 5.0)
    experience.list_lagged(7.0, 9.0)
    experience.list_lagged(4.0, 4.0)
    assert (experience.lag, experience.longest_lag) == (7.0, 9.0)
    experience.list_lagged(77.0, 99.0)
    assert (experience.lag, experience.longest_lag) == (30.0, 30.0)
    for _ in range(9):
        experience.list_was_fresh()
    assert experience.lags is True


def test_three_similar_lives_show_when_to_renew_a_stream() -> None:
    """Three lives of similar length show when to open the next stream. Short lives and streams that end together
    show nothing. After three failed renewals in a row, no stream is renewed early.
    """
    experience = Experience()
    for number, life in enumerate((60.0, 4.9, 90.0)):
        experience.lived(life, number * 10.0)
    experience.lived(100.0, 20.01)
    assert experience.renew_after is None
    experience.lived(80.0, 40.0)
    assert experience.renew_after == pytest.approx(57.0)
    for _ in range(2):
        experience.renewed(well=False)
    assert experience.renew_after is not None
    experience.renewed(well=False)
    assert experience.renew_after is None
    experience.renewed(well=True)
    for _ in range(2):
        experience.renewed(well=False)
    assert experience.renew_after is not None
    experience.lived(121.0, 60.0)
    assert experience.renew_after is None


def test_the_longest_silence_and_the_largest_difference_of_clocks_count() -> None:
    """The longest time between heartbeats and the largest difference of clocks count, up to a limit. Streams are
    opened again with a short time between them. If the head of a stream comes late, messages wait less for the next
    one.
    """
    experience = Experience()
    assert experience.stall == 600.0
    for seconds, stall in ((2.0, 20.0), (15.0, 45.0), (10.0, 45.0)):
        experience.heartbeat_after(seconds)
        assert experience.stall == stall
    for behind, known in ((-1.0, 0.0), (3.0, 3.0), (2.0, 3.0), (600.0, 600.0), (600.1, 600.0)):
        experience.stamped(behind)
        assert experience.behind == known
    assert [experience.reopen_at(now) for now in (1.0, 1.0, 0.0, 2.0)] == pytest.approx([1.0, 1.005, 1.01, 2.0])
    assert experience.heads_come
    patience = experience.patience
    experience.head_came(in_time=False)
    assert (experience.patience, experience.heads_come) == (0.5, False)
    experience.head_came(in_time=True)
    assert (experience.patience, experience.heads_come) == (patience, True)
