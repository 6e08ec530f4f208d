from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.create_thread_body import CreateThreadBody
from ...models.thread_response import ThreadResponse
from ...types import Response


def _get_kwargs(
    *,
    body: CreateThreadBody,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/threads/web",
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
    *,
    client: AuthenticatedClient,
    body: CreateThreadBody,
) -> Response[ThreadResponse]:
    """Create a web chat thread

     Opens a thread in which a user talks with an agent over web chat. For server-side use, since it
    takes the API key.

    Args:
        body (CreateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ThreadResponse]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: CreateThreadBody,
) -> ThreadResponse | None:
    """Create a web chat thread

     Opens a thread in which a user talks with an agent over web chat. For server-side use, since it
    takes the API key.

    Args:
        body (CreateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ThreadResponse
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateThreadBody,
) -> Response[ThreadResponse]:
    """Create a web chat thread

     Opens a thread in which a user talks with an agent over web chat. For server-side use, since it
    takes the API key.

    Args:
        body (CreateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ThreadResponse]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: CreateThreadBody,
) -> ThreadResponse | None:
    """Create a web chat thread

     Opens a thread in which a user talks with an agent over web chat. For server-side use, since it
    takes the API key.

    Args:
        body (CreateThreadBody):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ThreadResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
