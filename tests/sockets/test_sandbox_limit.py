"""The sandbox's rate limit: each way to count accepts no more than the rate, and rejects no request below it."""

from __future__ import annotations

import math
import time
from collections import Counter
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, get_args
from uuid import uuid4

import httpx
import pytest
from featherhq._cli import main
from featherhq.sandbox import Sandbox
from featherhq.sandbox._limit import Bucket, Counting, FixedWindows, SlidingWindow
from hypothesis import given, strategies as st

Way = type[Bucket] | type[SlidingWindow] | type[FixedWindows]
WAYS: list[Way] = [Bucket, SlidingWindow, FixedWindows]
# Requests may come this many seconds too early. It is more than the tolerance, because these tests round too.
EARLY = 2e-6

rates = st.one_of(st.integers(1, 20), st.floats(0.2, 20))
# The times of requests, in order, with bursts and pauses.
arrivals = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 3), st.sampled_from([0.1, 0.5, 1.0])), max_size=200
).map(lambda gaps: list(accumulate(gaps, initial=1000.0)))


def window(rate: float) -> tuple[float, int]:
    """The length of a window in seconds, and how many requests it accepts."""
    return (1.0, int(rate)) if rate >= 1 else (1 / rate, 1)


@given(rates, arrivals)
def test_a_bucket_accepts_a_burst_and_the_rate(rate: float, times: list[float]) -> None:
    """In any time T it accepts at most its capacity plus rate * T."""
    bucket = Bucket(rate)
    accepted = [now for now in times if bucket.take(now)]
    for first, began in enumerate(accepted):
        for number, ended in enumerate(accepted[first:], start=1):
            assert number <= max(1, rate) + rate * (ended - began + EARLY)


@given(rates, arrivals)
def test_a_sliding_window_never_accepts_too_many(rate: float, times: list[float]) -> None:
    """In any second it accepts at most the rate. It rejects a request only if there would be more."""
    length, allowed = window(rate)
    sliding = SlidingWindow(rate)
    accepted: list[float] = []
    for now in times:
        if sliding.take(now):
            accepted.append(now)
        else:
            assert sum(now - before < length for before in accepted) == allowed
    for first, later in zip(accepted, accepted[allowed:], strict=False):
        assert later - first >= length - EARLY


@given(rates, arrivals)
def test_a_fixed_window_never_accepts_too_many(rate: float, times: list[float]) -> None:
    """In each whole second it accepts at most the rate. It rejects a request only if there would be more."""
    length, allowed = window(rate)
    fixed = FixedWindows(rate)
    accepted: list[float] = []
    for now in times:
        if fixed.take(now):
            accepted.append(now)
        else:
            assert sum(now - before < length + EARLY for before in accepted) >= allowed
    # A request at the border may belong to either window.
    inside = [now / length for now in accepted if EARLY < now % length < length - EARLY]
    assert max(Counter(map(math.floor, inside)).values(), default=0) <= allowed


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rate", [0.3, 0.5, 1, 3, 7, 10, 49])
def test_regular_requests_at_the_limit_are_accepted(way: Way, rate: float) -> None:
    """Even with rounding errors, if the times are sums of floats or multiples of a float."""
    for times in (accumulate([1 / rate] * 2000, initial=1e5), (number / rate for number in range(2000))):
        counter = way(rate)
        assert all(counter.take(now) for now in times)


@pytest.mark.parametrize("rate", [0.3, 0.5, 1, 3, 7, 10, 49])
def test_regular_requests_after_a_burst(rate: float) -> None:
    """An empty bucket still accepts thousands of requests at the rate."""
    bucket = Bucket(rate)
    assert sum(bucket.take(1e5) for _ in range(60)) == max(1, rate)
    assert all(bucket.take(1e5 + number / rate) for number in range(1, 5000))


@pytest.mark.parametrize("way", WAYS)
def test_a_rate_below_one_per_second(way: Way) -> None:
    """One request is accepted, and the next one after 1 / rate seconds."""
    counter = way(0.25)
    assert [counter.take(now) for now in (100, 100, 101, 103.9, 104, 104, 107.9, 108)] == [
        *(True, False, False, False),
        *(True, False, False, True),
    ]


@pytest.mark.parametrize(("way", "burst"), [(Bucket, 2), (SlidingWindow, 2), (FixedWindows, 2)])
def test_a_rate_between_whole_numbers(way: Way, burst: int) -> None:
    """Windows round the rate down. A bucket does not."""
    counter = way(2.5)
    assert sum(counter.take(10.0) for _ in range(9)) == burst
    # The bucket still has half a token, so it needs a fifth of a second for the next one.
    assert counter.take(10.2) == (way is Bucket)


def test_a_rejected_request_does_not_count() -> None:
    """A client that retries is accepted as soon as a client that waits."""
    for way in WAYS:
        counter = way(1)
        assert [counter.take(10 + tenth / 10) for tenth in range(11)] == [True, *[False] * 9, True]


@pytest.mark.parametrize(
    ("counting", "accepted"),
    [
        # By time, in seconds: how many of three requests are accepted.
        ("bucket", {100.75: 2, 101.0: 0, 101.25: 1, 101.75: 1}),
        ("sliding", {100.75: 2, 101.0: 0, 101.25: 0, 101.75: 2}),
        ("fixed", {100.75: 2, 101.0: 2, 101.25: 0, 101.75: 0}),
    ],
)
def test_the_sandbox_uses_the_given_way_to_count(
    monkeypatch: pytest.MonkeyPatch, counting: Counting, accepted: dict[float, int]
) -> None:
    """Three requests are sent at each time, as the monotonic clock shows it. Those above the limit get a 429."""
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now, time=time.time)
    monkeypatch.setattr("featherhq.sandbox._app.time", clock)
    seen = {}
    with (
        Sandbox(rate_limit=2, counting=counting) as sandbox,
        httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}) as http,
    ):
        for now in accepted:
            statuses = [http.get(f"/api/v1/threads/{uuid4()}").status_code for _ in range(3)]
            assert set(statuses) <= {404, 429}
            seen[now] = statuses.count(404)
    assert seen == accepted


@pytest.mark.parametrize("rate_limit", [2, None])
def test_an_unknown_way_to_count(rate_limit: float | None) -> None:
    """The error names the known ways, even if there is no rate limit."""
    unknown: Any = "leaky"
    with pytest.raises(ValueError, match=r"counting: expected 'bucket', 'sliding', 'fixed', not 'leaky'"):
        Sandbox(rate_limit=rate_limit, counting=unknown)


@pytest.mark.parametrize("rate_limit", [0, -1, math.nan, math.inf])
def test_an_invalid_rate(rate_limit: float) -> None:
    """The error is raised when the sandbox is created, not at the first request."""
    with pytest.raises(ValueError, match="rate_limit: expected a number above 0 or None"):
        Sandbox(rate_limit=rate_limit)


@pytest.mark.parametrize("counting", get_args(Counting))
def test_counting_from_the_command_line(monkeypatch: pytest.MonkeyPatch, counting: str) -> None:
    """`--counting` accepts each way, and passes it to the sandbox."""
    given = {}

    def make(**options: Any) -> None:
        given.update(options)
        raise OSError("stop here")

    monkeypatch.setattr("featherhq.sandbox.Sandbox", make)
    assert main(["sandbox", "--counting", counting]) == 1
    assert given["counting"] == counting


def test_an_unknown_way_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 2, and the error names the known ways."""
    assert main(["sandbox", "--counting", "leaky"]) == 2
    errors = capsys.readouterr().err
    assert all(way in errors for way in get_args(Counting))
