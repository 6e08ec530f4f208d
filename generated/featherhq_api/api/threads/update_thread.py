from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.thread_response import ThreadResponse
from ...models.update_thread_body import UpdateThreadBody
from ...types import Response


def _get_kwargs(
    thread_id: UUID,
    *,
    body: UpdateThreadBody,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/api/v1/threads/{thread_id}".format(
            thread_id=quote(str(thread_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ThreadResponse | None:
    if response.status_code == 200:
        response_200 = ThreadResponse.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ThreadResponse]:
    return client.read(
        response,
        {"200": dict},
        lambda: Response(
            status_code=HTTPStatus(response.status_code),
            content=response.content,
            headers=response.headers,
            parsed=_parse_response(client=client, response=response),
        ),
    )


def sync_detailed(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    body: UpdateThreadBody,
) -> Response[ThreadResponse]:
    """Update a thread

     Merges metadata, variables or both into those of the thread; what is not named stays as it is.

    Args:
        thread_id (UUID):
        body (UpdateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ThreadResponse]
    """

    kwargs = _get_kwargs(
        thread_id=thread_id,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    body: UpdateThreadBody,
) -> ThreadResponse | None:
    """Update a thread

     Merges metadata, variables or both into those of the thread; what is not named stays as it is.

    Args:
        thread_id (UUID):
        body (UpdateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ThreadResponse
    """

    return sync_detailed(
        thread_id=thread_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    body: UpdateThreadBody,
) -> Response[ThreadResponse]:
    """Update a thread

     Merges metadata, variables or both into those of the thread; what is not named stays as it is.

    Args:
        thread_id (UUID):
        body (UpdateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ThreadResponse]
    """

    kwargs = _get_kwargs(
        thread_id=thread_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    body: UpdateThreadBody,
) -> ThreadResponse | None:
    """Update a thread

     Merges metadata, variables or both into those of the thread; what is not named stays as it is.

    Args:
        thread_id (UUID):
        body (UpdateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ThreadResponse
    """

    return (
        await asyncio_detailed(
            thread_id=thread_id,
            client=client,
            body=body,
        )
    ).parsed
