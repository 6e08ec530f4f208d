"""The operations of the contract, and the check of a request against it.

The contract is the OpenAPI document from which the client was generated, so the two cannot differ.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from jsonschema import Draft202012Validator, FormatChecker

from featherhq.sandbox import _checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_METHOD_AND_PATH: Final = re.compile(rf"({'|'.join(_METHODS).upper()}) ((?:/[^\s/?#{{}}]+|/\{{[A-Za-z_]\w*\}})+)")


@frozen
class Operation:
    """One operation of the contract.

    Attributes:
        id: The `operationId`, such as `sendMessage`.
        method: The HTTP method, in capital letters.
        path: The path, with parameters in braces.
    """

    id: str
    method: str
    path: str
    _parameters: Mapping[tuple[str, str], Draft202012Validator] = field(repr=False)
    _body: Draft202012Validator | None = field(repr=False)
    _needs_body: bool = field(default=True, repr=False)

    @property
    def takes_body(self) -> bool:
        """Whether its requests have a JSON body."""
        return self._body is not None

    def parameters(self, values: Mapping[str, str]) -> dict[str, str]:
        """The values of a path, by the names of this operation. Another operation may have the same path."""
        return dict(zip(re.findall(r"\{([^}]*)\}", self.path), values.values(), strict=False))

    def problem(self, path: Mapping[str, str], query: Mapping[str, str], body: object) -> str | None:
        """The first error of a request against the contract; `None` if there is no error."""
        values = {("path", name): value for name, value in path.items()}
        values |= {("query", name): value for name, value in query.items()}
        for key, validator in self._parameters.items():
            if key in values and (wrong := _wrong(validator, values[key])):
                return f"{key[1]}: {wrong}"
        may_be_missing = body is None and not self._needs_body
        if self._body is not None and not may_be_missing and (wrong := _first(self._body, body)):
            return f"body: {wrong}"
        return None


@cache
def operations() -> tuple[Operation, ...]:
    """All operations of the contract."""
    document = json.loads(files("featherhq_api").joinpath("openapi.json").read_text("utf-8"))
    return tuple(
        _operation(document, path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    )


class KnownOperations:
    """The operations that a sandbox knows: those of the contract, and those that it was told to answer.

    Any thread may read them.
    """

    def __init__(self) -> None:
        self._all = list(operations())

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)

    def find(self, name: str, *others: str) -> Operation:
        """The operation with a name such as `sendMessage`, `send_message` or `GET /api/v1/threads/{threadId}`.

        Args:
            name: The name.
            others: More names that the caller accepts. The error lists them.

        Raises:
            TypeError: The name is not a string.
            ValueError: There is no such operation. The error lists all operations.
        """
        _checks.instance("operation", name, str, "an operationId such as 'sendMessage'")
        wanted = _comparable(name)
        for known in self._all:
            if wanted in (_comparable(known.id), _comparable(f"{known.method} {known.path}")):
                return known
        raise ValueError(
            f"no operation {name!r}; expected one of {', '.join([*(one.id for one in self._all), *others])}"
        )

    def learn(self, name: str) -> Operation:
        """As `find`. A method and a path that are not known become a new operation."""
        new = _METHOD_AND_PATH.fullmatch(name) if isinstance(name, str) else None
        try:
            return self.find(name, "a method and a path, such as 'GET /api/v1/agents/{agentId}'")
        except ValueError:
            if new is None:
                raise
        method, path = new.groups()
        made = Operation(f"{method} {path}", method, path, {}, None)
        self._all.append(made)
        return made


def template(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _comparable(name: str) -> str:
    # A method and a path are compared with capital letters, and without the names of parameters.
    return template(name) if "/" in name else name.replace("_", "").lower()


def _operation(document: dict[str, Any], path: str, method: str, described: dict[str, Any]) -> Operation:
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        # An operation without an `operationId` is named by its method and path.
        id=described.get("operationId", f"{method} {path}"),
        method=method.upper(),
        path=path,
        parameters={
            (parameter["in"], parameter.get("x-wire-name", parameter["name"])): _validator(
                document, parameter["schema"]
            )
            for parameter in described.get("parameters", ())
        },
        body=None if body is None else _validator(document, body),
        needs_body=described.get("requestBody", {}).get("required", False),
    )


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    whole = {**_as_json_schema(schema), "components": _as_json_schema(document.get("components", {}))}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def _as_json_schema(schema: Any, *, names: bool = False) -> Any:
    """Convert a schema of OpenAPI 3.0 to JSON Schema: `nullable: true` becomes the type null.

    Args:
        schema: The schema, or a part of it.
        names: Whether the keys of this part are names of properties.
    """
    if isinstance(schema, list):
        return [_as_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _as_json_schema(value, names=key == "properties" and not names) for key, value in schema.items()}
    if not names and plain.pop("nullable", None) is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def _wrong(validator: Draft202012Validator, text: str) -> str | None:
    """The first error of a parameter. It may be text, another JSON value, or one or several items."""
    values: list[object] = [text]
    with suppress(ValueError):
        values.append(json.loads(text))
    values += [[value] for value in values] + [text.split(sign) for sign in ", |"]
    wrong = [_first(validator, value) for value in values]
    return None if None in wrong else wrong[0]


def _first(validator: Draft202012Validator, value: object) -> str | None:
    error = next(validator.iter_errors(value), None)
    return None if error is None else re.sub(r"\s+", " ", error.message)
