"""Responses: how generated code reads their JSON, and how dates in their headers are read."""

from __future__ import annotations

from typing import Any

import pytest
from featherhq import ResponseDecodeError
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


def test_json_of_an_unexpected_kind_is_an_error() -> None:
    """If generated code reads an object as an array, or an array as an object, the error tells what came. A body
    that is neither of them is an error too.
    """
    whole: Any = response(b'{"a": 1}').json()
    with pytest.raises(ResponseDecodeError, match="JSON object where") as error:
        list(whole)
    assert error.value.body == {"a": 1}
    assert (error.value.method, error.value.url, error.value.attempts) == ("GET", "http://x/y", 3)
    listed: Any = response(b"[1]").json()
    with pytest.raises(ResponseDecodeError, match="array where") as error:
        dict(listed)
    assert error.value.body == [1]
    assert error.value.status_code == 200
    with pytest.raises(ResponseDecodeError, match="neither an object nor an array"):
        response(b"7").json()


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
    assert any("do not repeat the request" in note for note in error.value.__notes__)


def test_an_invalid_date_is_ignored() -> None:
    """A date that is missing, invalid or out of range is read as `None`."""
    assert read_date("Thu, 01 Jan 1970 00:01:40 GMT") == 100
    for odd in (None, "", "soon", "Thu, 99 Jan 1970 00:01:40 GMT", "Thu, 01 Jan 99999999 00:00:00 GMT", ","):
        assert read_date(odd) is None
