from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.list_messages_direction import ListMessagesDirection
from ...models.list_messages_response import ListMessagesResponse
from ...models.list_messages_status import ListMessagesStatus
from ...types import UNSET, Response, Unset


def _get_kwargs(
    thread_id: UUID,
    *,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    direction: ListMessagesDirection | Unset = UNSET,
    status: ListMessagesStatus | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    json_direction: str | Unset = UNSET
    if not isinstance(direction, Unset):
        json_direction = direction.value

    params["direction"] = json_direction

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status.value

    params["status"] = json_status

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/threads/{thread_id}/messages".format(
            thread_id=quote(str(thread_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ListMessagesResponse | None:
    if response.status_code == 200:
        response_200 = ListMessagesResponse.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ListMessagesResponse]:
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
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    direction: ListMessagesDirection | Unset = UNSET,
    status: ListMessagesStatus | Unset = UNSET,
) -> Response[ListMessagesResponse]:
    """List the messages of a thread

     The history of the thread in pages, of the user, of the agent, or of both. In which order is not
    known.

    Args:
        thread_id (UUID):
        limit (str | Unset):
        cursor (str | Unset):
        direction (ListMessagesDirection | Unset):
        status (ListMessagesStatus | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListMessagesResponse]
    """

    kwargs = _get_kwargs(
        thread_id=thread_id,
        limit=limit,
        cursor=cursor,
        direction=direction,
        status=status,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    direction: ListMessagesDirection | Unset = UNSET,
    status: ListMessagesStatus | Unset = UNSET,
) -> ListMessagesResponse | None:
    """List the messages of a thread

     The history of the thread in pages, of the user, of the agent, or of both. In which order is not
    known.

    Args:
        thread_id (UUID):
        limit (str | Unset):
        cursor (str | Unset):
        direction (ListMessagesDirection | Unset):
        status (ListMessagesStatus | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListMessagesResponse
    """

    return sync_detailed(
        thread_id=thread_id,
        client=client,
        limit=limit,
        cursor=cursor,
        direction=direction,
        status=status,
    ).parsed


async def asyncio_detailed(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    direction: ListMessagesDirection | Unset = UNSET,
    status: ListMessagesStatus | Unset = UNSET,
) -> Response[ListMessagesResponse]:
    """List the messages of a thread

     The history of the thread in pages, of the user, of the agent, or of both. In which order is not
    known.

    Args:
        thread_id (UUID):
        limit (str | Unset):
        cursor (str | Unset):
        direction (ListMessagesDirection | Unset):
        status (ListMessagesStatus | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListMessagesResponse]
    """

    kwargs = _get_kwargs(
        thread_id=thread_id,
        limit=limit,
        cursor=cursor,
        direction=direction,
        status=status,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    thread_id: UUID,
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    direction: ListMessagesDirection | Unset = UNSET,
    status: ListMessagesStatus | Unset = UNSET,
) -> ListMessagesResponse | None:
    """List the messages of a thread

     The history of the thread in pages, of the user, of the agent, or of both. In which order is not
    known.

    Args:
        thread_id (UUID):
        limit (str | Unset):
        cursor (str | Unset):
        direction (ListMessagesDirection | Unset):
        status (ListMessagesStatus | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListMessagesResponse
    """

    return (
        await asyncio_detailed(
            thread_id=thread_id,
            client=client,
            limit=limit,
            cursor=cursor,
            direction=direction,
            status=status,
        )
    ).parsed
