"""Requests to the sandbox: errors, responses, and how requests are recorded."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from featherhq.sandbox import Sandbox
from featherhq.sandbox._contract import Operation, _as_json_schema, operations
from jsonschema import Draft202012Validator
from sandbox_helpers import assert_error

pytest_plugins = ["sandbox_helpers"]


def test_errors_are_in_the_contracts_form(http: httpx.Client, path: str) -> None:
    """Each invalid request gets an error with status, code and message."""
    unknown = f"/api/v1/threads/{uuid4()}"
    assert_error(http.get(unknown), 404, "NOT_FOUND")
    assert_error(http.get(f"{unknown}/stream"), 404, "NOT_FOUND")
    assert_error(http.get("/api/v1/threads/not-a-uuid"), 400, "BAD_REQUEST")
    assert_error(http.get("/somewhere"), 404, "NOT_FOUND")
    allowed = http.put(f"{path}/messages")
    assert_error(allowed, 405, "METHOD_NOT_ALLOWED")
    assert allowed.headers["allow"] == "GET, POST"
    assert_error(http.get(path, headers={"X-API-Key": "wrong"}), 401, "UNAUTHORIZED")
    messages = f"{path}/messages"
    bad: list[Any] = [{}, {"message": ""}, {"message": 7}, [], None]
    for body in bad:
        assert assert_error(http.post(messages, json=body), 400, "BAD_REQUEST")["message"].startswith("body: ")
    for content in (b"", b"{", b"[" * 100_000):
        assert_error(
            http.post(messages, content=content, headers={"Content-Type": "application/json"}), 400, "BAD_REQUEST"
        )
    assert_error(http.post(messages, content=b"{}"), 400, "BAD_REQUEST")
    assert_error(http.get(messages, params={"direction": "SIDEWAYS"}), 400, "BAD_REQUEST")
    assert_error(http.post("/api/v1/threads/web", json={"agentId": "x"}), 400, "BAD_REQUEST")
    assert http.patch(f"{path}/close", json={"reason": "done"}).json()["thread"]["closedReason"] == "done"
    assert http.patch(f"{path}/close", json={"reason": "again"}).json()["thread"]["closedReason"] == "done"
    assert_error(http.post(messages, json={"message": "hello"}), 400, "BAD_REQUEST")


def test_half_of_a_surrogate_pair(http: httpx.Client, path: str) -> None:
    """JSON may contain it, and UTF-8 may not (RFC 8259, section 8.2)."""
    content = b'{"metadata": {"a": "\\ud83d"}}'
    answer = http.patch(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["thread"]["metadata"] == {"a": "\ud83d"}


def test_an_operation_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation that is only in the contract gets the status 501."""
    known = operations()
    new = Operation("later", "GET", "/later", parameters={}, body=None)
    monkeypatch.setattr("featherhq.sandbox._contract.operations", lambda: (*known, new))
    with Sandbox(rate_limit=None) as sandbox:
        answer = httpx.get(f"{sandbox.url}/later", headers={"X-API-Key": sandbox.api_key})
        error = assert_error(answer, 501, "NOT_IMPLEMENTED")
        assert error["message"] == "The sandbox does not know what later returns; say it with Sandbox.answer"


def test_nullable_allows_null() -> None:
    """As in OpenAPI 3.0."""
    schema = {"type": "array", "items": {"type": "string", "nullable": True}, "enum": [["a"]]}
    converted = _as_json_schema(schema)
    assert converted["items"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    named = {"properties": {"nullable": {"type": "boolean"}, "properties": {"properties": {"x": {"nullable": True}}}}}
    assert _as_json_schema(named)["properties"]["nullable"] == {"type": "boolean"}
    assert _as_json_schema(named)["properties"]["properties"]["properties"]["x"] == {"anyOf": [{}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer"}, ["1", "-7"], ["x", "1.5", ""]),
        ({"type": "boolean"}, ["true"], ["True", "1"]),
        ({"type": "string"}, ["1", "true", "", "x"], []),
        ({"type": "array", "items": {"type": "integer"}}, ["1", "[1, 2]"], ["x"]),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a", "a,b", "a|b", "a b"], ["a,c"]),
    ],
)
def test_parameters_that_are_no_text(schema: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    """A parameter is text in a URL, and its schema may be that of a number, a truth value or several items."""
    checked = Operation("a", "GET", "/a", parameters={("query", "q"): Draft202012Validator(schema)}, body=None)
    for value in right:
        assert checked.problem({}, {"q": value}, None) is None
    for value in wrong:
        assert str(checked.problem({}, {"q": value}, None)).startswith("q: ")


def test_a_body_that_may_be_missing() -> None:
    """If it is there, it is checked. A body that must be there is checked always."""
    for needed in (True, False):
        body = Draft202012Validator({"type": "object"})
        checked = Operation("a", "POST", "/a", parameters={}, body=body, needs_body=needed)
        assert checked.problem({}, {}, {}) is None
        assert checked.problem({}, {}, []) is not None
        assert (checked.problem({}, {}, None) is None) == (not needed)


@pytest.mark.parametrize("key", ['right/k"ey+1', "wrong-key-of-mine", "w"])
def test_a_request_is_recorded_without_keys(key: str) -> None:
    """Each API key is replaced by `***`, whether right or wrong, in all parts and forms. The rest is unchanged."""
    with Sandbox(api_key='right/k"ey+1', rate_limit=None) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        http.post(
            f"/api/v1/{quote(key, safe='')}/threads",
            params={"key": key, key: "1"},
            headers={"X-API-Key": key, "Authorization": f"Bearer {key}", "X-Other": "wow"},
            json={"message": f"my key is {key}, now", "bytes": "é"},
        )
        http.post("/", content=b"\xff\x00 " + quote(key, safe="").encode(), headers={"X-API-Key": key})
        first, second = sandbox.requests
    assert first.path == "/api/v1/***/threads"
    assert first.query == {"key": "***", "***": "1"}
    assert (first.headers["authorization"], first.headers["x-other"]) == ("Bearer ***", "wow")
    assert "x-api-key" not in first.headers
    assert json.loads(first.body) == {"message": "my key is ***, now", "bytes": "é"}
    assert second.body == b"\xff\x00 ***"
    assert all(key not in f"{seen}{seen.headers}" for seen in (first, second)) or key == "w"
