"""Responses: how generated code reads their JSON, and how dates in their headers are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from featherhq import ResponseDecodeError
from featherhq._core.bodies import SHOWN
from featherhq._core.headers import read_date
from featherhq._core.responses import Response


def response(content: bytes, flaw: str | None = None) -> Response:
    """A successful response with this body."""
    return Response(200, {}, content, method="GET", url="http://x/y", attempts=3, flaw=flaw)


def test_generated_code_reads_objects_and_arrays() -> None:
    """Generated code can read a JSON object as a dictionary, and a JSON array as a list."""
    whole = response(b'{"a": 1}').json()
    assert isinstance(whole, dict)
    assert dict(whole) == {"a": 1}
    assert list(whole.items()) == [("a", 1)]
    listed = response(b"[1, 2]").json()
    assert isinstance(listed, list)
    assert list(listed) == [1, 2]


@pytest.mark.parametrize(
    ("content", "expected", "told"),
    [
        (b'{"a": 1}', {"200": list}, "an object where the contract has an array"),
        (b"[]", {"2XX": dict}, "an array where the contract has an object"),
        (b"7", {"default": str}, "a number where the contract has a string"),
        (b"true", {"200": (int, float)}, "a boolean where the contract has a number"),
        (b"null", {"200": (int, float)}, "null where the contract has a number"),
        (b'"a"', {"200": bool}, "a string where the contract has a boolean"),
        (b"1.5", {"201": str, "200": bool, "default": dict}, "a number where the contract has a boolean"),
    ],
)
def test_json_of_an_unexpected_type_is_an_error(content: bytes, expected: dict[str, Any], told: str) -> None:
    """The error tells what came and what the contract documents for this status."""
    with pytest.raises(ResponseDecodeError, match=told) as error:
        response(content).check(expected)
    assert error.value.body == json.loads(content)
    assert (error.value.method, error.value.url, error.value.attempts) == ("GET", "http://x/y", 3)
    assert error.value.status_code == 200


def test_json_of_the_expected_type_is_read_once() -> None:
    """The body is decoded once for the check and the value. After that, it is decoded again."""
    for content, expected in ((b"{}", {"200": dict}), (b"1", {"200": (int, float)}), (b"true", {"default": bool})):
        answer = response(content)
        answer.check(expected)
        answer.content = b'"decoded again"'
        assert answer.json() == json.loads(content)
        assert answer.json() == "decoded again"
    response(b"not JSON").check({"404": dict})


@pytest.mark.parametrize(
    ("content", "flaw", "told"),
    [
        (b"", None, "but with no body"),
        (b"{", None, r"a body that is not JSON \("),
        (b"{}", "of more than much", "a body of more than much"),
    ],
)
def test_a_body_that_cannot_be_read_is_an_error(content: bytes, flaw: str | None, told: str) -> None:
    """The error says why the body cannot be read. Its context holds no error of the parser, which would hold the
    whole body.
    """
    with pytest.raises(ResponseDecodeError, match=told) as error:
        response(content, flaw).data()
    assert error.value.__context__ is None
    assert any("check before you repeat the request" in note for note in error.value.__notes__)


def test_an_error_shows_the_beginning_of_a_long_body() -> None:
    """It is text, even if the whole body is JSON."""
    content = json.dumps(["x" * SHOWN]).encode()
    assert response(content).body == content.decode()[:SHOWN]
    assert response(content[:SHOWN]).body == content.decode()[:SHOWN]


def test_an_invalid_date_is_ignored() -> None:
    """A date that is missing, invalid or out of range is read as `None`."""
    assert read_date("Thu, 01 Jan 1970 00:01:40 GMT") == 100
    for odd in (None, "", "soon", "Thu, 99 Jan 1970 00:01:40 GMT", "Thu, 01 Jan 99999999 00:00:00 GMT", ","):
        assert read_date(odd) is None
