"""The names of generated functions. Pure.

A name comes from the overlay, or from the vendor's operationId, or is made from the path. If the vendor's name is
taken, the function is called `…_again`.
"""

from __future__ import annotations

from typing import Any

from documents import ContractError, operations
from openapi_python_client.parser.openapi import generate_operation_id
from openapi_python_client.schema.untrusted_string import UntrustedString
from openapi_python_client.strings import PythonIdentifier
from python_names import identifier
from references import Schema, free_name
from suggestions import suggested_name

_VENDORS = "x-vendor-id"


def mark_functions(document: Schema) -> None:
    """Note which operationIds are the vendor's, before the overlay is applied. In place."""
    for _, _, operation in operations(document):
        if "operationId" in operation:
            operation[_VENDORS] = operation["operationId"]


def name_functions(document: Schema) -> None:
    """After the overlay: let all functions have names of their own. In place.

    Raises:
        ContractError: the overlay gives one name to two operations.
    """
    taken: dict[str, str] = {}
    ours: list[tuple[str, str, Schema]] = []
    theirs: list[tuple[str, str, Schema]] = []
    for path, method, operation in operations(document):
        vendors = operation.pop(_VENDORS, None)
        named = "operationId" in operation and operation["operationId"] != vendors
        (ours if named else theirs).append((path, method, operation))
    for path, method, operation in ours:
        place, name = _module(path, method, operation), operation["operationId"]
        if place in taken:
            raise ContractError(
                f"the operations {taken[place]} and {name} would both be {place.rpartition('.')[2]}.py: "
                "give one another operationId in openapi.overlay.yaml"
            )
        taken[place] = name
    for path, method, operation in theirs:
        folder, _, name = _module(path, method, operation).rpartition(".")
        names = {other.rpartition(".")[2] for other in taken if other.startswith(f"{folder}.")}
        if name in names:
            operation["operationId"] = free_name(f"{name}_again", names)
        taken[_module(path, method, operation)] = f"{method} {path}"


def unnamed(document: Schema) -> list[tuple[str, str, str]]:
    """The path, the method and a suggested name of each operation without a name."""
    names = {operation["operationId"] for _, _, operation in operations(document) if "operationId" in operation}
    found = []
    for path, method, operation in operations(document):
        if "operationId" not in operation:
            found.append((path, method, suggested_name(path, method, names)))
            names.add(found[-1][2])
    return found


def function_name(path: str, method: str, operation: Schema) -> str:
    """The name of the generated function of an operation."""
    name = operation.get("operationId")
    if name is None:
        return str(generate_operation_id(path=UntrustedString(path), method=method, prefix="field_"))
    return identifier(name)


def modules(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The module that the generator makes for each operation, such as `featherhq_api.api.threads.send_message`.

    The keys are the path and the method of the operation.
    """
    return {(path, method): _module(path, method, operation) for path, method, operation in operations(document)}


def _module(path: str, method: str, operation: Schema) -> str:
    tag = PythonIdentifier((operation.get("tags") or ["default"])[0], "tag")
    return f"featherhq_api.api.{tag}.{function_name(path, method, operation)}"
