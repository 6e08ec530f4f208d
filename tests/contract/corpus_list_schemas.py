"""The shapes of schemas that the corpus must have, each with a rule that finds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from corpus_fixed_names import ODD_PROPERTIES, OURS
from corpus_page import Json

Rule = Callable[[Any], Any]


def each(text: str, test: Callable[[Any, Any], Any], values: Iterable[str]) -> dict[str, Rule]:
    """A rule for each of some words."""

    def rule(value: str) -> Rule:
        return lambda it: test(it, value)

    return {text.format(value): rule(value) for value in values}


def _union(schema: Json) -> list[Any]:
    return [*schema.get("oneOf", ()), *schema.get("anyOf", ())]


def _any(schema: Json, key: str, value: Any) -> bool:
    """Whether one of the parts of a union has a key with this value."""
    return any(part.get(key) == value for part in _union(schema))


def _extra(schema: Json, *keys: str) -> bool:
    extra = schema.get("additionalProperties")
    return isinstance(extra, dict) and any(key in extra for key in keys)


def _items(schema: Json, *keys: str) -> bool:
    items = schema.get("items")
    return isinstance(items, dict) and any(key in items for key in keys)


def _enum(schema: Json, *values: Any) -> bool:
    return all(value in schema.get("enum", ()) for value in values)


SCHEMAS: Final[dict[str, Rule]] = {
    "allOf of references": lambda it: len(it.get("allOf", ())) > 1 and all("$ref" in part for part in it["allOf"]),
    "allOf of inline parts": lambda it: it.get("allOf") and all("properties" in part for part in it["allOf"]),
    "allOf of three": lambda it: len(it.get("allOf", ())) > 2,
    "allOf of one with a description": lambda it: len(it.get("allOf", ())) == 1 and "description" in it,
    "nullable allOf of one": lambda it: len(it.get("allOf", ())) == 1 and it.get("nullable"),
    "oneOf": lambda it: "oneOf" in it,
    "anyOf": lambda it: "anyOf" in it,
    "a discriminator with a mapping": lambda it: it.get("discriminator", {}).get("mapping") and _union(it),
    "a discriminator without a mapping": lambda it: "discriminator" in it and "mapping" not in it["discriminator"],
    "a union of constants": lambda it: any(
        "const" in field for part in _union(it) for field in part.get("properties", {}).values()
    ),
    "a union of enums of one value": lambda it: any(
        len(field.get("enum", ())) == 1 for part in _union(it) for field in part.get("properties", {}).values()
    ),
    "a union of scalars": lambda it: _any(it, "type", "string") and (_any(it, "type", "integer")),
    "a union of arrays": lambda it: len(_union(it)) > 1 and all(part.get("type") == "array" for part in _union(it)),
    "a union with null": lambda it: _any(it, "type", "null"),
    "a union of references and scalars": lambda it: (
        any("$ref" in part for part in _union(it)) and _any(it, "type", "string")
    ),
    "nullable": lambda it: it.get("nullable"),
    "null in a list of types": lambda it: isinstance(it.get("type"), list) and "null" in it["type"],
    "two types": lambda it: isinstance(it.get("type"), list) and {"string", "integer"} <= set(it["type"]),
    "a constant": lambda it: "const" in it,
    "examples": lambda it: "examples" in it,
    "a numeric exclusiveMinimum": lambda it: isinstance(it.get("exclusiveMinimum"), int) and "const" not in it,
    "an enum of integers": lambda it: any(isinstance(value, int) for value in it.get("enum", ())),
    "an enum with null": lambda it: None in it.get("enum", ()),
    "an enum with odd values": lambda it: _enum(it, "1", "", "a b", "class"),
    "an enum whose values differ in case": lambda it: _enum(it, "A", "a"),
    "an enum whose values differ in a sign": lambda it: _enum(it, "+1", "-1"),
    "an enum with letters of other scripts": lambda it: any(
        isinstance(value, str) and not value.isascii() for value in it.get("enum", ())
    ),
    "a default": lambda it: "default" in it,
    **each(
        "the format {}",
        lambda it, form: it.get("format") == form,
        ["date", "date-time", "uuid", "binary", "byte", "int64", "float", "email", "uri", "unheard-of"],
    ),
    "a map of anything": lambda it: it.get("additionalProperties") is True,
    "an object that is closed": lambda it: it.get("additionalProperties") is False,
    "a map of scalars": lambda it: _extra(it, "type"),
    "a map of references": lambda it: _extra(it, "$ref"),
    "a map of arrays": lambda it: _extra(it, "items"),
    "a map of formats": lambda it: _extra(it, "format"),
    "an array of references": lambda it: _items(it, "$ref"),
    "an array of arrays": lambda it: _items(it, "items"),
    "an array of enums": lambda it: _items(it, "enum"),
    "an array of unions": lambda it: _items(it, "oneOf", "anyOf"),
    "an object of free form": lambda it: it == {"type": "object"},
    "an empty schema": lambda it: it == {},
    **each(
        "a property called {!r}",
        lambda it, name: name in it.get("properties", {}),
        ODD_PROPERTIES,
    ),
    "a property without a name": lambda it: "" in it.get("properties", {}),
    "a title with blanks and slashes": lambda it: "/" in it.get("title", "") and " " in it["title"],
    **each("the title {}", lambda it, name: it.get("title") == name, OURS[:4]),
    "a required field that is only read": lambda it: any(
        field.get("readOnly") and name in it.get("required", ()) for name, field in it.get("properties", {}).items()
    ),
    "a field that is only written": lambda it: any(
        field.get("writeOnly") for field in it.get("properties", {}).values()
    ),
    "words of schemas in a default": lambda it: "enum" in json.dumps(it.get("default", "")),
}
