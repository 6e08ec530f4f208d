"""The responses of the sandbox: JSON, errors in the form that the contract gives, and those of faults."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from featherhq.errors import phrase
from featherhq.sandbox import _faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featherhq.sandbox._faults import Fault


def json_response(status: int, data: object, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body."""
    # In ASCII, because JSON may contain half of a surrogate pair (RFC 8259, section 8.2), and UTF-8 may not.
    return Response(json.dumps(data), status, dict(headers or {}), "application/json")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the contract's form: `status`, `message`, `code` and `success`."""
    try:
        code = HTTPStatus(status).name
    except ValueError:
        code = "UNKNOWN"
    return json_response(status, {"status": status, "message": message, "code": code, "success": False}, headers)


def fault_response(fault: Fault | None) -> Response | None:
    """The response that a fault sends instead of the normal one; `None` if the fault has none."""
    if isinstance(fault, _faults.Status):
        if fault.body is None:
            return error_response(fault.code, phrase(fault.code), fault.headers)
        return Response(fault.body, fault.code, dict(fault.headers), "application/json")
    if isinstance(fault, _faults.Html):
        page = f"<html><body><h1>{fault.code} {phrase(fault.code)}</h1></body></html>"
        return Response(page, fault.code, media_type="text/html")
    if isinstance(fault, _faults.Body):
        return Response(fault.content, fault.code, media_type=fault.content_type)
    return None
