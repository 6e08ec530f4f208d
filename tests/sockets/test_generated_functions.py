"""Generated functions over `feather.api`: what they send, and what comes out of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from conftest import THREAD_ID, Kind
from featherhq import ResponseDecodeError, UsageError
from featherhq_api.api.threads import list_messages, list_threads, stream_messages
from peers import serve_peers
from raw_server import Peer, json_answer

serve = pytest.fixture(serve_peers)
KEY = b"x-api-key:"


def send(kind: Kind, api: Any, **request: Any) -> Any:
    """What a generated function does to send its request."""
    if kind.asynchronous:
        return kind.run(api.get_async_httpx_client().request(**request))
    return api.get_httpx_client().request(**request)


def head(peer: Peer, number: int = -1) -> bytes:
    """The head of a request."""
    return bytes(peer.seen[number].partition(b"\r\n\r\n")[0].lower())


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("200 OK", [], "a JSON body that is an array where the contract has an object"),
        ("200 OK", None, "a JSON body that is null where the contract has an object"),
        ("200 OK", "text", "a JSON body that is a string where the contract has an object"),
        ("299 Fine", {}, "a body that is not what the contract describes (ValueError: 299 is not a valid HTTPStatus)"),
    ],
)
def test_a_success_that_cannot_be_read(
    kind: Kind, serve: Callable[..., Peer], status: str, body: object, told: str
) -> None:
    """The error is ours, and it holds the body. No error of the generated code comes out."""
    peer = serve(json_answer(body, status))
    with pytest.raises(ResponseDecodeError) as error:
        kind.generated(list_threads, client=kind.client(base_url=peer.url).api)
    assert told in str(error.value)
    assert error.value.body == body
    assert error.value.__context__ is None
    assert len(peer.seen) == 1


def test_errors_of_a_reader_are_ours(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Whatever the code that reads a response raises, except the errors that are ours already and a full memory."""
    peer = serve(json_answer({"a": 1}))
    api = kind.client(base_url=peer.url).api
    response = send(kind, api, method="get", url="/a")

    def fail(error: BaseException) -> Any:
        def read() -> None:
            raise error

        return read

    for error in (
        KeyError("kind"),
        TypeError("no"),
        UnboundLocalError("x"),
        RecursionError("deep"),
        ValueError("a\nb"),
    ):
        with pytest.raises(ResponseDecodeError, match=type(error).__name__) as caught:
            api.read(response, {"200": dict}, fail(error))
        assert caught.value.body == {"a": 1}
        assert "\n" not in str(caught.value)
    for ours in (UsageError("x", hint="y"), MemoryError(), KeyboardInterrupt(), asyncio.CancelledError()):
        with pytest.raises(type(ours)):
            api.read(response, {}, fail(ours))
    assert api.read(response, {"200": dict}, response.json) == {"a": 1}


def test_what_stands_in_lists_as_it_came_goes_back_as_it_came(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A value that the contract does not describe is handed on. `to_dict` gives it back."""
    body = {"threads": [None, {"id": 7}, "x"], "pagination": [1], "new": {"a": None}}
    peer = serve(json_answer(body))
    parsed = kind.generated(list_threads, client=kind.client(base_url=peer.url).api).parsed
    assert parsed.to_dict() == body


def test_an_operation_that_needs_other_credentials(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Without them, the call fails before any request, and the error says how to pass them. With them, the API key is
    only sent if the operation needs it too.
    """
    peer = serve(json_answer({}))
    client = kind.client(base_url=peer.url)
    request = {"method": "get", "url": "/a"}
    needs = {"security": {"Bearer": "Authorization"}, "with_key": False}
    with pytest.raises(UsageError, match="GET /a needs other credentials than the API key: Bearer") as error:
        send(kind, client.api, **request, extensions=needs)
    assert 'with_options(headers={"Authorization": …}).api. Nothing was sent.' in error.value.__notes__[0]
    assert not peer.seen
    given = client.with_options(headers={"authorization": "Bearer x"})
    send(kind, given.api, **request, extensions=needs)
    assert b"authorization: bearer x" in head(peer)
    assert KEY not in head(peer)
    send(kind, given.api, **request, extensions={**needs, "with_key": True})
    assert KEY in head(peer)
    send(kind, client.api, **request, headers={"Authorization": "Bearer y"}, extensions=needs)
    assert KEY not in head(peer)


def test_a_file_is_sent_again_in_each_attempt(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The second attempt sends the whole file too, although a file can be read only once."""
    answers = iter([json_answer({}, "503 Later"), json_answer({})])
    peer = serve(lambda *_: next(answers))
    client = kind.client(base_url=peer.url, max_retries=1)
    send(kind, client.api, method="put", url="/a", content=BytesIO(b"the file"))
    assert [request.endswith(b"\r\n\r\nthe file") for request in peer.seen] == [True, True]


def test_a_body_may_be_null(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A JSON body that is null is a body."""
    peer = serve(json_answer({}))
    media = {"Content-Type": "application/json"}
    send(kind, kind.client(base_url=peer.url).api, method="post", url="/a", json=None, headers=media)
    assert peer.seen[0].endswith(b"\r\n\r\nnull")
    assert b"content-type: application/json" in head(peer)


def test_the_media_type_that_is_asked_for(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A function asks for the media type that its contract documents."""
    peer = serve(json_answer({"thread": {}}))
    api = kind.client(base_url=peer.url).api
    kind.generated(list_messages, THREAD_ID, client=api)
    assert b"accept: application/json" in head(peer)
    kind.generated(stream_messages, THREAD_ID, client=api)
    assert b"accept: text/event-stream" in head(peer)
