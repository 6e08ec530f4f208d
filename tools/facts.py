"""What generated functions must know of their operations, and the generator does not tell its templates. Pure."""

from __future__ import annotations

from typing import Any, Final

from media import BINARY, accepted, is_json
from parameters import about_parameters
from references import Schema
from shapes import Shapes, as_list

_KEY_HEADER: Final = "x-api-key"  # as in wrapper/featherhq/_validation.py
_NUMBER: Final = "(int, float)"
# JSON does not tell 1 from 1.0.
_PYTHON_TYPES: Final = {
    "object": "dict",
    "array": "list",
    "string": "str",
    "boolean": "bool",
    "integer": _NUMBER,
    "number": _NUMBER,
}


def fact(operation: Schema, document: Schema, shapes: Shapes) -> dict[str, Any]:
    """What one generated function must know.

    Args:
        operation: The operation, as the generator reads it.
        document: Its document.
        shapes: The components of the document.

    Returns:
        `expected`: Python code for the type of the JSON value, by status. `accept`: the header, or `None` for that of
        JSON. `security`: `None` if the API key is enough, or else the header of each scheme that the operation needs
        (`schemes`), and whether it needs the API key too (`with_key`).
        `parameters`: as in `about_parameters`.
    """
    expected = {}
    for status, response in operation["responses"].items():
        for media, node in (response.get("content") or {}).items():
            code = _python_type(node.get("schema") or {}, shapes) if is_json(media) else None
            if code is not None:
                expected[status] = code
    items = ", ".join(f'"{status}": {code}' for status, code in expected.items())
    return {
        "expected": f"{{{items}}}",
        "accept": accepted(operation),
        "security": _other_security(operation, document),
        "parameters": about_parameters(operation),
    }


def _python_type(schema: Schema, shapes: Shapes) -> str | None:
    """Python code for the type of a JSON value. `None` if it may have several types."""
    if schema.get("nullable") or schema == BINARY:
        return None
    schema = shapes.resolved(schema)
    if schema.get("nullable") or len(as_list(schema.get("type"))) > 1:
        return None
    return _PYTHON_TYPES.get(str(schema.get("type")))


def _other_security(operation: Schema, document: Schema) -> dict[str, Any] | None:
    """What an operation needs, if the API key alone is not enough for it (OpenAPI 3.0.3, section 4.7.30)."""
    schemes = (document.get("components") or {}).get("securitySchemes") or {}
    needs = operation.get("security", document.get("security")) or []
    headers = [{name: _header(schemes.get(name)) for name in need} for need in needs]
    ours = [{header.lower() for header in need.values()} & {_KEY_HEADER} for need in headers]
    if not needs or any(len(need) == len(key) for need, key in zip(headers, ours, strict=True)):
        return None
    others = {name: header for need in headers for name, header in need.items() if header.lower() != _KEY_HEADER}
    return {"schemes": others, "with_key": any(ours)}


def _header(scheme: Schema | None) -> str:
    """The header that carries the credentials of a scheme. Empty if it is none."""
    if scheme is None or scheme.get("type") != "apiKey":
        return "Authorization"
    return {"header": str(scheme.get("name")), "cookie": "Cookie"}.get(str(scheme.get("in")), "")
