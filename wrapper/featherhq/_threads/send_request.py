"""A message that a generated function sends. It is sent once too, as `thread.send` does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from featherhq._threads.send import request_for, send

if TYPE_CHECKING:
    from featherhq._core.effects import Flow
    from featherhq._core.responses import Response
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings

# A placeholder for the id of a thread. With it, the path of the operation is found in the generated code.
_ANY_THREAD: Final = "any-thread"


def send_request(settings: Settings, request: Mapping[str, Any], deadline: Deadline) -> Flow[Response] | None:
    """As `send`, for a request of a generated function. Returns `None` if the request belongs to another operation.

    If the response was lost and the message was found, the response is made from what the thread shows.

    Args:
        settings: The client's settings.
        request: As in `call`.
        deadline: The end of the call.
    """
    before, _, after = request_for(_ANY_THREAD, "")["url"].partition(_ANY_THREAD)
    path, body = request["url"], request.get("json")
    thread_id = path.removeprefix(before).removesuffix(after)
    is_one = request["method"].upper() == "POST" and path == before + thread_id + after and "/" not in thread_id
    if not is_one or not isinstance(body, Mapping):
        return None
    return _response(settings, unquote(thread_id), body.get("message"), deadline)


def _response(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Flow[Response]:
    return (yield from send(settings, thread_id, text, deadline)).response
