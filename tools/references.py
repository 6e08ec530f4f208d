"""Resolve references of an OpenAPI document, so that only schemas remain components.

A document may describe a parameter, a body, a response or a header once, in its components, and refer to it. Here each
operation gets a copy of its own, because what is read gets another form than what is sent. A reference to a schema
inside something else (`#/components/schemas/Squad/properties/lead`) gets a component of its own.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote

from documents import METHODS, ContractError

SCHEMAS: Final = "#/components/schemas/"

Schema = dict[str, Any]


def with_copies(document: Schema) -> Schema:
    """A copy of a document in which only schemas are referred to. What the generator ignores is left out.

    Raises:
        ContractError: a reference has no target, or leads to itself.
    """
    document = copy.deepcopy(document)
    resolver = _Resolver(document)
    for path, item in document["paths"].items():
        document["paths"][path] = resolver.path_item(item)
    kept = {"schemas", "securitySchemes"}
    components = {name: content for name, content in (document.pop("components", None) or {}).items() if name in kept}
    document.pop("webhooks", None)
    if components:
        document["components"] = components
    for _, schema in schemas(document):
        resolver.name_targets(schema)
    return document


def schemas(document: Schema) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    """All schemas of a document that are not inside another schema, each with the keys that lead to it."""
    for path, item in document["paths"].items():
        for place, node in _parameters(item.get("parameters"), ("paths", path, "parameters")):
            yield from _in(node, place)
        for method in METHODS:
            if method in item:
                yield from _of_operation(item[method], ("paths", path, method))
    components = document.get("components") or {}
    for name, schema in list((components.get("schemas") or {}).items()):
        if isinstance(schema, dict):
            yield ("components", "schemas", name), schema
    for section in ("parameters", "headers", "responses", "requestBodies"):
        for name, node in (components.get(section) or {}).items():
            yield from _in(node, ("components", section, name))


def children(schema: Schema) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The schemas directly inside a schema, as far as the generator reads them, each with its keys."""
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield (key,), schema[key]
    for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for index, member in enumerate(schema.get(key) or ()):
            yield (key, index), member
    for name, inner in (schema.get("properties") or {}).items():
        yield ("properties", name), inner


def with_children(schema: Schema, change: Callable[[str, Schema], Schema]) -> Schema:
    """A copy of a schema in which each schema directly inside it is changed.

    Args:
        schema: The schema.
        change: Makes the new schema. Its arguments are the key, such as `properties`, and the old schema.
    """
    new = dict(schema)
    for (key, *inner), child in children(schema):
        if isinstance(child, dict):
            if not inner:
                new[key] = change(key, child)
            else:
                if new[key] is schema[key]:
                    new[key] = copy.copy(schema[key])
                new[key][inner[0]] = change(key, child)
    return new


def within(schema: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    """A schema and all schemas inside it, each with its keys. References are not followed."""
    if isinstance(schema, dict):
        yield place, schema
        for keys, inner in children(schema):
            yield from within(inner, (*place, *keys))


def _of_operation(operation: Schema, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    for inner, node in _parameters(operation.get("parameters"), (*place, "parameters")):
        yield from _in(node, inner)
    yield from _in(operation.get("requestBody"), (*place, "requestBody"))
    for status, response in (operation.get("responses") or {}).items():
        yield from _in(response, (*place, "responses", status))


def _parameters(nodes: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    for index, node in enumerate(nodes or ()):
        yield (*place, index), node


def _in(node: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    """The schemas of a parameter, a body, a response or a header."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get("schema"), dict):
        yield (*place, "schema"), node["schema"]
    for media, content in (node.get("content") or {}).items():
        if isinstance(content, dict) and isinstance(content.get("schema"), dict):
            yield (*place, "content", media, "schema"), content["schema"]


class _Resolver:
    """Follows the references of a document.

    Args:
        document: The document. New components are added to it.
    """

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._original = copy.deepcopy(document)
        self._named: dict[str, str] = {}

    def path_item(self, item: Schema) -> Schema:
        """A path item with copies of all that its operations refer to."""
        item = {**self._follow(item), **{key: value for key, value in item.items() if key != "$ref"}}
        if "parameters" in item:
            item["parameters"] = [self._follow(parameter) for parameter in item["parameters"]]
        for method in METHODS:
            if method in item:
                item[method] = self._operation(dict(item[method]))
        return item

    def _operation(self, operation: Schema) -> Schema:
        operation.pop("callbacks", None)
        if "parameters" in operation:
            operation["parameters"] = [self._follow(parameter) for parameter in operation["parameters"]]
        if "requestBody" in operation:
            operation["requestBody"] = self._follow(operation["requestBody"])
        responses = operation.get("responses") or {}
        operation["responses"] = {status: self._response(node) for status, node in responses.items()}
        return operation

    def _response(self, node: Schema) -> Schema:
        # The generated code reads no header of a response.
        return {key: value for key, value in self._follow(node).items() if key not in {"links", "headers"}}

    def name_targets(self, schema: Schema) -> None:
        """Let all references in a schema lead to components that are schemas."""
        for _, inner in within(schema):
            target = inner.get("$ref")
            if isinstance(target, str):
                inner["$ref"] = SCHEMAS + self._component(target)

    def _component(self, target: str, seen: tuple[str, ...] = ()) -> str:
        """The name of the component that a reference leads to. A component that is only a reference is skipped."""
        if target in seen:
            raise ContractError(f"{target} leads to itself")
        name = _simple_name(target)
        found = self._at(target)
        if isinstance(found, dict) and isinstance(found.get("$ref"), str):
            return self._component(found["$ref"], (*seen, target))
        if name is not None:
            return name
        if target not in self._named:
            components = self._document.setdefault("components", {}).setdefault("schemas", {})
            words = re.findall(r"\w+", unquote(target.rpartition("components/schemas")[2] or target))
            words = [word for word in words if word not in {"properties", "schema", "content", "application", "json"}]
            self._named[target] = free_name("".join(word[:1].upper() + word[1:] for word in words), components)
            components[self._named[target]] = copy.deepcopy(found)
            if isinstance(found, dict):
                self.name_targets(components[self._named[target]])
        return self._named[target]

    def _follow(self, node: Any) -> Any:
        """A copy of what a reference leads to, or the node itself if it is no reference."""
        seen = []
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            if node["$ref"] in seen:
                raise ContractError(f"{node['$ref']} leads to itself")
            seen.append(node["$ref"])
            node = self._at(node["$ref"])
        return copy.deepcopy(node) if seen else node

    def _at(self, target: str) -> Any:
        node: Any = self._original
        for step in target.removeprefix("#").split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                raise ContractError(f"there is no {target.removeprefix('#')}")
        return node


def _simple_name(target: str) -> str | None:
    """The name of the component of a reference such as `#/components/schemas/Squad`."""
    name = unquote(target.removeprefix(SCHEMAS)).replace("~1", "/").replace("~0", "~")
    return name if target.startswith(SCHEMAS) and "/" not in target.removeprefix(SCHEMAS) else None


def free_name(name: str, taken: Any) -> str:
    """A name that is not taken: the name itself, or the name with the first free number from 2 on."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free
