"""The record of the requests that the sandbox received."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from featherhq.sandbox._faults import Fault
from featherhq.sandbox._redaction import redactor

if TYPE_CHECKING:
    from starlette.requests import Request

    from featherhq.sandbox._contract import Operation

KEY_HEADER: Final = "x-api-key"


@define(eq=False)
class RecordedRequest:
    """A request that the sandbox received. Each API key in it is replaced by `***`, even if the key was wrong.

    Attributes:
        operation: The `operationId`; `""` if the contract has no such operation.
        method: The HTTP method.
        path: The path of the URL.
        parameters: The values of the parameters in the path, such as `threadId`.
        query: The parameters of the URL's query.
        headers: The headers, with names in lower case and without `x-api-key`.
        body: The body.
        at: When the request was received, in seconds since 1970.
        status: The HTTP status of the response, even if the client disconnected before it was sent. `None` if there
            is no response, or not yet.
        fault: The fault that was applied to it; `None` for none.
    """

    operation: str
    method: str
    path: str
    parameters: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    at: float
    status: int | None = None
    fault: Fault | None = None

    def json(self) -> Any:
        """The body, read as JSON.

        Raises:
            ValueError: The body is not JSON.
        """
        return json.loads(self.body)


class RequestLog:
    """All requests that were received, in order. Any thread may use it.

    Args:
        api_key: The key that must not appear in it.

    Attributes:
        requests: The requests.
        changed: Notified after each new request and each new message.
    """

    def __init__(self, api_key: str) -> None:
        self.requests: list[RecordedRequest] = []
        self.changed = threading.Condition()
        self._api_key = api_key

    def add(self, request: Request, operation: Operation | None, body: bytes) -> RecordedRequest:
        """Record a request."""
        parameters = {} if operation is None else operation.parameters(request.path_params)
        redact = redactor(self._api_key, *request.headers.getlist(KEY_HEADER))
        headers = [item for item in request.headers.items() if item[0] != KEY_HEADER]
        recorded = RecordedRequest(
            operation="" if operation is None else operation.id,
            method=request.method,
            path=redact(request.url.path),
            parameters={name: redact(value) for name, value in parameters.items()},
            query={redact(name): redact(value) for name, value in request.query_params.items()},
            headers={redact(name): redact(value) for name, value in headers},
            # Latin-1 maps each byte to one character, so bytes that are not text stay unchanged.
            body=redact(body.decode("latin-1")).encode("latin-1"),
            at=time.time(),
        )
        with self.changed:
            self.requests.append(recorded)
            self.changed.notify_all()
        return recorded

    def wake(self) -> None:
        """Notify those who wait for a message."""
        with self.changed:
            self.changed.notify_all()
