"""Show a contract as the generated package shows it, in a form that `redocly diff` compares correctly. Pure.

The vendor's contract may change without any effect on the package. A field may be gone from one of four operations
whose responses are one class. A new limit may hold for what the server sends, and the client checks no limits. So the
documents that the generator reads are compared, with what has no effect left out:

- errors, which the wrapper raises, and security that the API key satisfies;
- in what is read: limits such as `maxLength`; in all: formats that are no Python types;
- the difference between a component that is no class and its content, since it has no name in the package.

`redocly diff` pairs the schemas of two lists by their text. A reference to a class is always an `allOf` with one
member, and a union is always a `oneOf` that lists its classes, so that equal things have equal forms. The name of a
class stands in `format`, so that redocly sees if another class with the same content takes its place.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from documents import ContractError, check_valid, operations
from facts import fact
from generate import directed_document
from media import JSON, is_json
from naming import Names
from references import SCHEMAS, Schema
from shapes import Shapes, as_list, is_object

_TYPES: Final = frozenset({"type", "nullable", "enum", "const", "required"})
_LIMITS: Final = frozenset(
    {"minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)
# Formats that are Python types of their own. All others are plain texts and numbers.
_OBJECTS: Final = {"date", "date-time", "uuid", "binary"}
_PLAIN: Final = "plain"
_UNIONS: Final = ("oneOf", "anyOf")


def shown(before: Schema, after: Schema, *, named: bool) -> tuple[Schema, Schema]:
    """Two contracts as the generated packages show them.

    Args:
        before: The old contract with the overlay applied.
        after: The new one.
        named: Whether the overlay names the classes of both. If not, schemas are compared where they stand.

    Raises:
        ContractError: the new one is not valid OpenAPI.
    """
    check_valid(after, lambda _: "the contract with the overlay")
    sides = [directed_document(side)[0] for side in (before, after)]
    if named:
        # If the names in one of them clash, as `make generate` will say, both are compared without names.
        with suppress(ContractError):
            sides = [Names(copy.deepcopy(side), _ignore).give() for side in sides]
    return _View(sides[0]).document(), _View(sides[1]).document()


def references(node: Any) -> Iterator[str]:
    """The names of the components that a part of a document refers to directly."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(SCHEMAS)
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def reached(components: Schema, node: Any) -> set[str]:
    """The names of the components that a part of a document needs, directly or through others."""
    found, waiting = set[str](), list(references(node))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += references(components.get(name))
    return found


def kinds(schema: Schema | None) -> str:
    """The classes and types of a schema of a document that `shown` has made, such as `Lead | string`."""
    if schema is None:
        return "nothing"
    if "oneOf" in schema:
        return " | ".join(dict.fromkeys(map(kinds, schema["oneOf"])))
    return str(schema["format"]) if is_class(schema) else " | ".join(map(str, as_list(schema.get("type", "any"))))


def is_class(schema: Schema | None) -> bool:
    """Whether a schema of a document that `shown` has made is a reference to a class."""
    return schema is not None and "allOf" in schema


def _ignore(_: str) -> None:
    """Say nothing: `make generate` tells of names that clash."""


class _View:
    """The view of one document.

    Args:
        document: The document, as the generator reads it.
    """

    def __init__(self, document: Schema) -> None:
        self._given = document
        self._components: Schema = (document.get("components") or {}).get("schemas") or {}
        self._shapes = Shapes(self._components)

    def document(self) -> Schema:
        """As `shown`, for one document."""
        paths: Schema = {}
        for path, item in self._given["paths"].items():
            paths[path] = dict(item)
            if "parameters" in item:
                paths[path]["parameters"] = [self._parameter(one) for one in item["parameters"]]
        inputs = []
        for path, method, operation in operations(self._given):
            paths[path][method] = self._operation(operation)
            inputs += [operation.get("requestBody"), operation.get("parameters")]
        sent = reached(self._components, inputs)
        # In this form, a component is sent or read, and rarely both.
        classes = {
            name: self._schema(schema, read=name not in sent)
            for name, schema in self._components.items()
            if is_object(schema)
        }
        schemes = (self._given.get("components") or {}).get("securitySchemes")
        kept = {"schemas": classes} | ({"securitySchemes": schemes} if schemes else {})
        return {**self._given, "paths": paths, "components": kept, "security": []}

    def _operation(self, operation: Schema) -> Schema:
        new = dict(operation)
        if "parameters" in new:
            new["parameters"] = [self._parameter(one) for one in new["parameters"]]
        if "requestBody" in new:
            new["requestBody"] = self._body(new["requestBody"], read=False)
        new["responses"] = {status: self._body(node, read=True) for status, node in new["responses"].items()}
        new.setdefault("security", self._given.get("security") or [])
        if fact(operation, self._given, self._shapes)["security"] is None:
            new["security"] = []
        return new

    def _parameter(self, parameter: Schema) -> Schema:
        return {**parameter, "schema": self._schema(parameter.get("schema") or {}, read=False)}

    def _body(self, body: Schema, *, read: bool) -> Schema:
        if "content" not in body:
            return body
        content = {
            # Whatever the media type of JSON is called, it is read and written in one way.
            JSON if is_json(media) else media: {"schema": self._schema(node.get("schema") or {}, read=read)}
            for media, node in body["content"].items()
        }
        return {**body, "content": content}

    def _schema(self, schema: Schema, *, read: bool, inside: frozenset[str] = frozenset()) -> Schema:
        name = self._shapes.target(schema)
        if name is not None:
            made = self._class(name) or (
                self._schema(self._components[name], read=read, inside=inside | {name})
                if name in self._components.keys() - inside
                else {}
            )
            return made | ({"nullable": True} if schema.get("nullable") is True else {})
        new = {key: value for key, value in schema.items() if key in _TYPES or (key in _LIMITS and not read)}
        # redocly takes no format for any format. In Python, it is a type of its own.
        new["format"] = schema["format"] if schema.get("format") in _OBJECTS else _PLAIN
        hidden = "writeOnly" if read else "readOnly"
        if "properties" in schema:
            new["properties"] = {
                name: self._schema(inner, read=read, inside=inside)
                for name, inner in schema["properties"].items()
                if inner.get(hidden) is not True
            }
        more = schema.get("additionalProperties")
        if more and isinstance(more, dict):
            new["additionalProperties"] = self._schema(more, read=read, inside=inside)
        elif more is False:
            new["additionalProperties"] = False
        items = {"oneOf": schema["prefixItems"]} if "prefixItems" in schema else schema.get("items")
        if isinstance(items, dict):
            new["items"] = self._schema(items, read=read, inside=inside)
        members = [member for key in _UNIONS for member in schema.get(key) or ()]
        return new | (self._union(members, read=read, inside=inside) if members else {})

    def _class(self, name: str) -> Schema:
        """A reference to a class. Empty if the component is no class."""
        if not is_object(self._components.get(name, {})):
            return {}
        return {"type": "object", "format": name, "allOf": [{"$ref": SCHEMAS + name}]}

    def _union(self, members: list[Schema], *, read: bool, inside: frozenset[str]) -> Schema:
        parts: list[Schema] = []
        for member in members:
            part = self._schema(member, read=read, inside=inside)
            # A component that is a union itself is no class.
            parts += part.get("oneOf") or [part]
        types = {kind for part in parts for kind in as_list(part.get("type"))}
        for part in parts:
            if "allOf" in part:
                # Else redocly would take another class for the same one with other content, since the texts are alike.
                name = part["allOf"][0]["$ref"]
                part["description"] = "".join(
                    hashlib.sha512(f"{name} {number}".encode()).hexdigest() for number in (1, 2)
                )
        return {"oneOf": parts} | ({"type": sorted(types)} if None not in types else {})
