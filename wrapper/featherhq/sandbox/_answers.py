"""The functions that `Sandbox.answer` was given: they answer an operation in place of the sandbox."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

from attrs import frozen
from starlette.responses import Response

from featherhq.errors import one_line
from featherhq.sandbox import _checks
from featherhq.sandbox._blocking import in_thread
from featherhq.sandbox._faults import CODES, Body, CutAfter, CutBefore, Garbage, Html, Status
from featherhq.sandbox._redaction import redactor
from featherhq.sandbox._responses import error_response, fault_response, json_response

if TYPE_CHECKING:
    from featherhq.sandbox._contract import Operation
    from featherhq.sandbox._requests import RecordedRequest

logger: Final = logging.getLogger("featherhq.sandbox")

Answer = Callable[["RecordedRequest"], Any]
"""Takes the request, and returns a body for JSON, a pair (status, body), or a fault."""

NoResponse = CutBefore | CutAfter | Garbage
"""The faults that such a function may return and that are no response. `Status`, `Html` and `Body` are."""

_KINDS: Final = (Status, Html, Body, *get_args(NoResponse))
_EXPECTED: Final = f"a body for JSON, a pair (status, body), or one of {', '.join(kind.__name__ for kind in _KINDS)}"


@frozen
class _Failed:
    error: BaseException


class Answers:
    """The functions, by operation, and what they have raised.

    Args:
        api_key: The key that neither the log nor a response may show.

    Attributes:
        errors: What the functions have raised, oldest first.
    """

    def __init__(self, api_key: str) -> None:
        self.errors: list[BaseException] = []
        self._functions: dict[str, Answer] = {}
        self._redact = redactor(api_key)

    def add(self, operation: Operation, function: Answer) -> None:
        """Let a function answer an operation, in place of an earlier one."""
        self._functions[operation.id] = function

    def __contains__(self, operation: Operation) -> bool:
        return operation.id in self._functions

    async def call(self, operation: Operation, request: RecordedRequest) -> Response | NoResponse:
        """Call the function for an operation. If it fails, the response is an error 500."""
        function = self._functions[operation.id]

        def run() -> Response | NoResponse | _Failed:
            try:
                return _read(function(request))
            except BaseException as error:  # noqa: BLE001 - `raise_first` raises it where the test sees it
                return _Failed(error)

        result = await in_thread(run, "feather-sandbox-answer")
        if not isinstance(result, _Failed):
            return result
        self.errors.append(result.error)
        # Format the traceback here, because it may contain the key.
        trace = "".join(traceback.format_exception(result.error))
        logger.error("the function that answers %s failed\n%s", operation.id, self._redact(trace))
        text = f"The function that answers {operation.id} failed: {type(result.error).__name__}: {result.error}"
        return error_response(500, one_line(self._redact(text)))

    def raise_first(self) -> None:
        """Raise the first error, and forget all of them. Nothing happens if there is none."""
        errors, self.errors = self.errors, []
        if errors:
            errors[0].add_note("A function that was given to Sandbox.answer raised this. Its request got a 500.")
            raise errors[0]


def _read(result: Any) -> Response | NoResponse:
    """What a function has returned, as a response or a fault.

    Raises:
        TypeError: It is none of the values that are expected.
        ValueError: The status is out of range.
    """
    if isinstance(result, NoResponse):
        return result
    if isinstance(result, _KINDS) and (response := fault_response(result)) is not None:
        return response
    status, body = 200, result
    if isinstance(result, tuple):
        if len(result) != 2:  # noqa: PLR2004 - a pair
            raise _checks.bad_value(TypeError, "the answer", _EXPECTED, result)
        status, body = result
        _checks.whole("the status of the answer", status, *CODES)
        if body is None:
            return Response(status_code=status)
    if body is None:
        raise TypeError("the answer: the function returned None; (204, None) is a response without a body")
    try:
        return json_response(status, body)
    except (TypeError, ValueError):
        raise _checks.bad_value(TypeError, "the answer", _EXPECTED, body) from None
