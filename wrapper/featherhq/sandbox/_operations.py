"""The operations of the contract, and what each one does to the threads."""

from __future__ import annotations

import json
import logging
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from featherhq.sandbox import _faults
from featherhq.sandbox._responses import error_response, json_response
from featherhq.sandbox._state import ClosedThreadError, State, UnknownThreadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from featherhq.sandbox._contract import Operation
    from featherhq.sandbox._faults import Fault

logger: Final = logging.getLogger("featherhq.sandbox")


class RefusedError(Exception):
    """A request does not conform to the contract. The text says why."""


class Operations:
    """Runs operations.

    Args:
        state: The threads and their messages.
        on_message: Called with a thread's id, a message's id and its text, when a user's message was accepted.
    """

    def __init__(self, state: State, on_message: Callable[[str, str, str], None]) -> None:
        self._state = state
        self._on_message = on_message
        self._work: dict[str, Callable[[Request, Any], dict[str, Any]]] = {
            "createThread": self._create,
            "getThread": self._get,
            "updateThread": self._update,
            "closeThread": self._close,
            "listThreads": self._list_threads,
            "sendMessage": self._send,
        }

    def run(self, request: Request, operation: Operation, data: Any, fault: Fault | None) -> Response | None:
        """Run an operation. Return its response; `None` for `streamMessages`, whose response is an event stream.

        Args:
            request: The request.
            operation: The operation.
            data: The request's body, as `read_body` gives it.
            fault: The fault that is applied to the request.
        """
        try:
            if operation.id == "streamMessages":
                self._state.get(request.path_params["threadId"])
                return None
            if operation.id == "listMessages":
                return json_response(HTTPStatus.OK, self._list(request, fault))
            if operation.id not in self._work:
                message = f"The sandbox does not know what {operation.id} returns; say it with Sandbox.answer"
                return error_response(HTTPStatus.NOT_IMPLEMENTED, message)
            return json_response(HTTPStatus.OK, self._work[operation.id](request, data))
        except UnknownThreadError:
            return error_response(HTTPStatus.NOT_FOUND, "Thread not found")
        except ClosedThreadError:
            return error_response(HTTPStatus.BAD_REQUEST, "The thread is closed")
        except OSError as error:
            logger.error("the file of the sandbox was not written: %s", error)  # noqa: TRY400 - the text says all
            return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, f"The sandbox cannot write its file: {error}")

    def _create(self, _: Request, body: Any) -> dict[str, Any]:
        created = self._state.create(body["agentId"], body.get("metadata", {}), body.get("variables", {}))
        return {"thread": created}

    def _get(self, request: Request, _: Any) -> dict[str, Any]:
        return {"thread": self._state.get(request.path_params["threadId"]).details}

    def _update(self, request: Request, body: Any) -> dict[str, Any]:
        thread_id = request.path_params["threadId"]
        return {"thread": self._state.update(thread_id, body.get("metadata", {}), body.get("variables", {}))}

    def _close(self, request: Request, body: Any) -> dict[str, Any]:
        return {"thread": self._state.close(request.path_params["threadId"], body.get("reason"))}

    def _list(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        names = ("limit", "cursor", "direction", "status")
        page = self._state.page(
            request.path_params["threadId"],
            *(request.query_params.get(name) for name in names),
            hidden=fault.messages if isinstance(fault, _faults.Lag) else 0,
            without=fault.text if isinstance(fault, _faults.Hide) else None,
        )
        if isinstance(fault, _faults.Reorder):
            random.Random(fault.seed).shuffle(page["messages"])  # noqa: S311 - not for secrets
        return {"thread": page}

    def _list_threads(self, request: Request, _: Any) -> dict[str, Any]:
        names = ("limit", "cursor", "agentId", "isActive")
        return self._state.list_threads(*(request.query_params.get(name) for name in names))

    def _send(self, request: Request, body: Any) -> dict[str, Any]:
        accepted = self._state.accept(request.path_params["threadId"], body["message"])
        self._on_message(accepted["threadId"], accepted["messageId"], body["message"])
        return accepted


def read_body(request: Request, operation: Operation, body: bytes) -> Any:
    """Check a request against the contract, and return what is in its body; `None` if the operation takes no body.

    Raises:
        RefusedError: The request does not conform to the contract.
    """
    try:
        data = _decode(request, body) if operation.takes_body else None
    except ValueError as error:
        raise RefusedError(f"body: {error}") from None
    problem = operation.problem(operation.parameters(request.path_params), request.query_params, data)
    if problem is not None:
        raise RefusedError(problem)
    return data


def _decode(request: Request, body: bytes) -> Any:
    if not body:
        # The contract does not require a body. A required field is then reported as missing.
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ValueError("expected application/json")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
