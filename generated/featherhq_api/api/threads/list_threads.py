from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.list_threads_response import ListThreadsResponse
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    agent_id: UUID | Unset = UNSET,
    to_phone_number: str | Unset = UNSET,
    is_active: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    json_agent_id: str | Unset = UNSET
    if not isinstance(agent_id, Unset):
        json_agent_id = str(agent_id)
    params["agentId"] = json_agent_id

    params["toPhoneNumber"] = to_phone_number

    params["isActive"] = is_active

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/threads",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ListThreadsResponse | None:
    if response.status_code == 200:
        response_200 = ListThreadsResponse.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ListThreadsResponse]:
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
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    agent_id: UUID | Unset = UNSET,
    to_phone_number: str | Unset = UNSET,
    is_active: str | Unset = UNSET,
) -> Response[ListThreadsResponse]:
    """List threads

     The threads of all kinds in pages. In which order is not known.

    Args:
        limit (str | Unset):
        cursor (str | Unset):
        agent_id (UUID | Unset):
        to_phone_number (str | Unset):
        is_active (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListThreadsResponse]
    """

    kwargs = _get_kwargs(
        limit=limit,
        cursor=cursor,
        agent_id=agent_id,
        to_phone_number=to_phone_number,
        is_active=is_active,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    agent_id: UUID | Unset = UNSET,
    to_phone_number: str | Unset = UNSET,
    is_active: str | Unset = UNSET,
) -> ListThreadsResponse | None:
    """List threads

     The threads of all kinds in pages. In which order is not known.

    Args:
        limit (str | Unset):
        cursor (str | Unset):
        agent_id (UUID | Unset):
        to_phone_number (str | Unset):
        is_active (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListThreadsResponse
    """

    return sync_detailed(
        client=client,
        limit=limit,
        cursor=cursor,
        agent_id=agent_id,
        to_phone_number=to_phone_number,
        is_active=is_active,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    agent_id: UUID | Unset = UNSET,
    to_phone_number: str | Unset = UNSET,
    is_active: str | Unset = UNSET,
) -> Response[ListThreadsResponse]:
    """List threads

     The threads of all kinds in pages. In which order is not known.

    Args:
        limit (str | Unset):
        cursor (str | Unset):
        agent_id (UUID | Unset):
        to_phone_number (str | Unset):
        is_active (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListThreadsResponse]
    """

    kwargs = _get_kwargs(
        limit=limit,
        cursor=cursor,
        agent_id=agent_id,
        to_phone_number=to_phone_number,
        is_active=is_active,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    limit: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    agent_id: UUID | Unset = UNSET,
    to_phone_number: str | Unset = UNSET,
    is_active: str | Unset = UNSET,
) -> ListThreadsResponse | None:
    """List threads

     The threads of all kinds in pages. In which order is not known.

    Args:
        limit (str | Unset):
        cursor (str | Unset):
        agent_id (UUID | Unset):
        to_phone_number (str | Unset):
        is_active (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListThreadsResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            limit=limit,
            cursor=cursor,
            agent_id=agent_id,
            to_phone_number=to_phone_number,
            is_active=is_active,
        )
    ).parsed
