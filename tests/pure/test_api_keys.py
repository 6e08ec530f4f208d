"""API keys: how they are removed from text, and how a callable is asked for a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import pytest
from fake_time import at_once
from featherhq import ConfigurationError
from featherhq._core.key import Key
from featherhq._core.secrets import Redactor, Secret
from key_flow_helpers import Background, first_effect, result_of, result_with


def test_keys_are_removed_from_all_that_a_server_sends() -> None:
    """A key is removed from texts, headers and JSON, in names and in values, also if it is escaped. Everything else
    stays as it is.
    """
    redactor = Redactor()
    redactor.add(Secret("k/1<"))
    assert redactor.text("a k/1< b K\\/1%3c c k%252f1&lt; d k&#47;1&#x3c; e \\u006b/1\\\\u003C") == (
        "a *** b *** c *** d *** e ***"
    )
    assert redactor.headers({"X-K/1<": "k/1<", "Via": "K"}) == {"x-***": "***", "via": "K"}
    data = {"a k/1<": ["k/1<", 7, None, {"b": "x k/1<", "k/1<": {"c": ["k/1<"]}}], "d": "k/1"}
    before = json.dumps(data)
    assert redactor.data(data) == {"a ***": ["***", 7, None, {"b": "x ***", "***": {"c": ["***"]}}], "d": "k/1"}
    assert json.dumps(data) == before
    assert redactor.data("k/1<") == "***"
    assert redactor.data(5) == 5


def test_only_the_last_sixteen_keys_are_removed() -> None:
    """A server may still send an earlier key, so the last sixteen keys are removed. Older keys are not."""
    redactor = Redactor()
    for number in range(17):
        redactor.add(Secret(f"key-{number:02}"))
    assert redactor.text("key-16 key-01 key-00") == "*** *** key-00"


def test_calls_at_the_same_time_share_one_key() -> None:
    """Calls that need a key at the same time wait for one run of the callable. Later calls get the key without
    another run.
    """
    numbers, background = count(1), Background()
    key = Key(lambda: f"key-{next(numbers)}")
    flows = [key.get(5.0) for _ in range(3)]
    answers = [first_effect(flow).ask(background.run) for flow in flows]
    assert len(background.asked) == 1
    background.answer()
    secrets = [result_with(flow, answer) for flow, answer in zip(flows, answers, strict=True)]
    assert {secret.reveal() for secret in secrets} == {"key-1"}
    assert result_of(key.get(5.0)) is secrets[0]
    assert key.redactor.text("key-1") == "***"


def test_a_refused_key_is_replaced_once_for_all_calls() -> None:
    """If a key was refused to several calls, the callable runs once. Later calls get the new key. The old key is
    still removed from text.
    """
    numbers, background = count(1), Background()
    key = Key(lambda: f"key-{next(numbers)}")
    flow = key.get(5.0)
    first = result_with(flow, first_effect(flow).ask(at_once))
    flows = [key.get(5.0, first) for _ in range(2)]
    asked = [first_effect(flow) for flow in flows]
    assert asked[0].seconds == 5.0
    answer = asked[0].ask(background.run)
    background.answer()
    second = result_with(flows[0], answer)
    assert second.reveal() == "key-2"
    # The other call asks after the new key has come.
    assert result_with(flows[1], asked[1].ask(background.run)) is second
    assert not background.asked
    assert result_of(key.get(5.0, first)) is second
    assert key.redactor.text("key-1 key-2") == "*** ***"


def test_a_refused_key_is_not_used_again() -> None:
    """If the callable returns the refused key again, the call gets no key. If the key is a string, there is no other
    key.
    """
    key = Key(lambda: "always")
    flow = key.get(5.0)
    first = result_with(flow, first_effect(flow).ask(at_once))
    again = key.get(5.0, first)
    assert result_with(again, first_effect(again).ask(at_once)) is None
    fixed = Secret("fixed")
    assert result_of(Key(fixed).get(5.0)) is fixed
    assert result_of(Key(fixed).get(5.0, fixed)) is None


def test_a_key_may_come_too_late_for_its_call() -> None:
    """If the callable takes too long, the call gets no key. When the callable has returned, the next call gets that
    key.
    """
    background = Background()
    key = Key(lambda: "late")
    flow = key.get(0.5)
    first_effect(flow).ask(background.run)
    assert result_with(flow, None) is None
    background.answer()
    assert result_of(key.get(0.5)).reveal() == "late"


@pytest.mark.parametrize(
    ("gives", "told", "hint"),
    [
        (lambda: 5, "returned a value that is of type int", "visible ASCII"),
        (lambda: "", "returned a value that is empty", "visible ASCII"),
        (lambda: 1 / 0, "raised ZeroDivisionError", "cause above"),
    ],
)
def test_a_callable_without_a_valid_key_is_an_error(gives: Callable[[], object], told: str, hint: str) -> None:
    """If the callable raises an error or returns an invalid key, the call raises an error. The error names the
    callable, and the callable's own error is its cause. The next call runs the callable again.
    """
    key = Key(gives)
    for _ in range(2):
        flow = key.get(5.0)
        answer = first_effect(flow).ask(at_once)
        with pytest.raises(ConfigurationError, match=told) as error:
            flow.send(answer)
        assert "<lambda>" in str(error.value)
        assert any(hint in note for note in error.value.__notes__)
        assert isinstance(error.value.__cause__, ZeroDivisionError) == ("raised" in told)
