"""The list of threads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import InvalidArgumentError, ResponseDecodeError
from featherhq.sandbox import Body, Sandbox, Status

OTHER_AGENT = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4f"


@pytest.mark.parametrize("newest_first", [False, True])
def test_threads_are_listed_page_by_page(kind: Kind, newest_first: bool) -> None:
    """Each thread is listed once, with its details. Pages are fetched when they are needed."""
    with Sandbox(rate_limit=None, newest_first=newest_first) as sandbox:
        client = kind.client(base_url=sandbox.url)
        made = [client.threads.create(AGENT_ID, metadata={"n": str(number)}).id for number in range(7)]
        threads = iter(client.threads.list(page_size=3))
        first = next(threads)
        assert count(sandbox, "listThreads") == 1
        listed = [first, *threads]
        assert [thread.id for thread in listed] == (made[::-1] if newest_first else made)
        assert all(thread.details.metadata.to_dict()["n"] == str(made.index(thread.id)) for thread in listed)
        assert count(sandbox, "listThreads") == 3
        assert listed[0].send("hello").thread_id == first.id


def test_threads_are_filtered_by_the_server(kind: Kind, sandbox: Sandbox) -> None:
    """The filters are part of the request: the agent, and whether a thread is active."""
    client = kind.client(base_url=sandbox.url)
    made = [client.threads.create(agent).id for agent in (AGENT_ID, AGENT_ID, OTHER_AGENT)]
    client.thread(made[0]).close()

    def ids(**filters: Any) -> list[str]:
        return [thread.id for thread in client.threads.list(**filters)]

    assert ids() == made
    assert ids(agent_id=AGENT_ID) == made[:2]
    assert ids(agent_id=UUID(OTHER_AGENT)) == made[2:]
    assert ids(is_active=True) == made[1:]
    assert ids(is_active=False) == made[:1]
    assert ids(agent_id=OTHER_AGENT, is_active=False) == []
    assert next(iter(client.threads.list(timeout=5))).id == made[0]


def row(number: int) -> str:
    return f'{{"id": "{number}", "agentId": "{AGENT_ID}"}}'


SHAPES = [
    f'{{"threads": [{row(1)}], "pagination": {{"nextCursor": "1"}}}}',
    f'{{"threads": {{"threads": [{row(1)}], "pagination": {{"nextCursor": "1"}}}}}}',
    f'{{"data": {{"threads": [{row(1)}]}}, "pagination": {{"nextCursor": "1"}}}}',
    f'{{"data": {{"threads": [{row(1)}], "pagination": null}}, "pagination": {{"nextCursor": "1"}}}}',
    f'{{"threads": [{row(1)}, {row(1)}], "pagination": {{"nextCursor": "1"}}}}',
]


@pytest.mark.parametrize("body", SHAPES)
def test_threads_are_read_in_every_envelope(kind: Kind, sandbox: Sandbox, body: str) -> None:
    """The vendor's page does not show the shape of the list. It is read inside and outside an envelope."""
    last = f'{{"threads": [{row(1)}, {row(2)}]}}'
    sandbox.inject("listThreads", Body(body.encode()))
    sandbox.inject("listThreads", Body(last.encode()))
    client = kind.client(base_url=sandbox.url)
    assert [thread.id for thread in client.threads.list()] == ["1", "2"]
    assert sandbox.requests[-1].query["cursor"] == "1"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", "no list of threads"),
        ('{"threads": 1}', "no list of threads"),
        ('{"threads": [1]}', "a thread without a valid id"),
        ('{"threads": [{"id": ".."}]}', "a thread without a valid id"),
        ('{"threads": [], "pagination": {"nextCursor": "a\\nb"}}', "an invalid cursor"),
    ],
)
def test_a_list_that_is_none_is_an_error(kind: Kind, sandbox: Sandbox, body: str, problem: str) -> None:
    """A response without a list of threads, or with a thread without an id, is an error with the body attached."""
    sandbox.inject("listThreads", Body(body.encode()))
    with pytest.raises(ResponseDecodeError, match=problem) as caught:
        list(kind.client(base_url=sandbox.url).threads.list())
    assert caught.value.body is not None


def test_a_list_of_threads_without_an_end_is_an_error(kind: Kind) -> None:
    """If a hundred pages in a row bring no new thread and each names a next one, that is an error."""
    with Sandbox(rate_limit=None) as sandbox:
        for number in range(101):
            sandbox.inject(
                "listThreads", Body(f'{{"threads": [], "pagination": {{"nextCursor": "{number}"}}}}'.encode())
            )
        with pytest.raises(ResponseDecodeError, match="100 pages in a row"):
            list(kind.client(base_url=sandbox.url).threads.list())


def test_a_list_of_threads_is_repeated_after_a_failure(kind: Kind, sandbox: Sandbox) -> None:
    """A page that fails is requested again."""
    client = kind.client(base_url=sandbox.url)
    client.threads.create(AGENT_ID)
    sandbox.inject("listThreads", Status(500))
    assert len(list(client.threads.list())) == 1


@pytest.mark.parametrize(
    "arguments", [{"agent_id": "x"}, {"is_active": "true"}, {"is_active": 1}, {"page_size": 101}, {"timeout": 0}]
)
def test_arguments_of_the_list_are_checked_first(kind: Kind, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    """An invalid argument fails before any request."""
    with pytest.raises(InvalidArgumentError):
        kind.client(base_url=sandbox.url).threads.list(**arguments)
    assert not sandbox.requests
