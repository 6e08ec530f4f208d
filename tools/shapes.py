"""Bring schemas into the few shapes that openapi-python-client reads correctly. Pure.

The generator refuses many valid schemas, and reads others in a wrong way. It ignores the properties beside a `oneOf`.
It makes an empty class of an `allOf` of two strings. It makes three classes of an enum with a null. Each schema is
replaced by another one that says the same in a form that the generator reads. Where that is impossible, the new schema
says less: it is wider, and never wrong. A schema that needs no change stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from references import SCHEMAS, Schema, within

# Keys that describe a schema for people. They do not change what it allows.
ANNOTATIONS: Final = frozenset(
    {"title", "x-vendor-title", "description", "example", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"externalDocs", "xml", "default", "nullable", "$comment"}
)
_UNIONS: Final = ("oneOf", "anyOf")
_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


class Shapes:
    """The components of a document, and the simple shape of each schema.

    Args:
        components: The schemas of the document's components. Each `$ref` leads to one of them.

    Attributes:
        nullable: The components that may be null, and that become classes. The references to them say so instead.
    """

    def __init__(self, components: dict[str, Any]) -> None:
        self.nullable: set[str] = set()
        self._given = components
        self._done: dict[str, Schema] = {}
        for name in components:
            self.component(name)
        for name in components:
            self._end_recursion(name, ())

    def component(self, name: str) -> Schema:
        """The simple shape of a component."""
        if name not in self._done:
            self._done[name] = {}  # what an `allOf` gets that leads to itself
            self._done[name] = self.simple(self._given.get(name))
            if self._done[name].get("nullable") and (is_object(self._done[name]) or "enum" in self._done[name]):
                del self._done[name]["nullable"]
                self.nullable.add(name)
        return self._done[name]

    def _end_recursion(self, name: str, inside: tuple[str, ...]) -> None:
        """Replace what holds itself without a class between: an array of itself has no end in Python's types."""
        if is_object(self._done[name]):
            return
        for _, schema in within(self._done[name]):
            target = str(schema.get("$ref", "")).removeprefix(SCHEMAS)
            if target in (*inside, name):
                schema.clear()
            elif target and not is_object(schema):
                self._end_recursion(target, (*inside, name))

    def target(self, schema: Schema) -> str | None:
        """The component that a schema stands for, if it adds nothing but annotations to a reference."""
        if "$ref" in schema:
            return str(schema["$ref"]).removeprefix(SCHEMAS)
        members: list[Schema] = schema.get("allOf") or []
        return self.target(members[0]) if len(members) == 1 and not set(schema) - ANNOTATIONS - {"allOf"} else None

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself, or the component that it stands for."""
        seen = set[str]()
        while (name := self.target(schema)) is not None and name not in seen:
            seen.add(name)
            schema = self.component(name)
        return schema

    def simple(self, schema: Any) -> Schema:
        """The simple shape of a schema. References stay."""
        if not isinstance(schema, dict):
            return {}
        if "$ref" in schema:
            return {"$ref": str(schema["$ref"])}
        simple = self._without_all_of(_with_known_type(_without_null(schema)))
        if self.target(simple) is not None:
            return simple
        for key in _UNIONS:
            if key in simple:
                simple = self._with_simple_union(simple, key)
        return self._with_simple_children(simple)

    def _with_simple_children(self, schema: Schema) -> Schema:
        schema = dict(schema)
        if isinstance(schema.get("properties"), dict):
            schema["properties"] = {name: self.simple(inner) for name, inner in schema["properties"].items()}
        if isinstance(schema.get("additionalProperties"), dict):
            schema["additionalProperties"] = self.simple(schema["additionalProperties"])
        if "prefixItems" in schema:
            schema["prefixItems"] = [self.simple(inner) for inner in schema["prefixItems"]]
        if "items" in schema and not isinstance(schema["items"], bool):
            schema["items"] = self.simple(schema["items"])
        elif "array" in as_list(schema.get("type")) and not schema.get("prefixItems"):
            schema["items"] = {}
        return schema

    def _without_all_of(self, schema: Schema) -> Schema:
        """One schema in place of an `allOf`: the properties of all its members. A single reference stays."""
        if "allOf" not in schema:
            return schema
        own = {key: value for key, value in schema.items() if key != "allOf"}
        members = [one for one in schema["allOf"] if isinstance(one, dict)]
        real = [one for one in members if set(one) - ANNOTATIONS]
        notes = {key: value for one in members if "$ref" not in one for key, value in one.items() if key in ANNOTATIONS}
        if not real:
            return {**notes, **own}
        if len(real) == 1 and not set(own) - ANNOTATIONS - {"type"}:
            if "$ref" in real[0]:
                kept = {key: value for key, value in {**notes, **own}.items() if key in ANNOTATIONS}
                return {**kept, "allOf": [{"$ref": real[0]["$ref"]}]}
            return self._without_all_of(_with_known_type(_without_null({**real[0], **notes, **own})))
        parts = [self.resolved(self.simple(one)) for one in real]
        return self._joined([*parts, _with_known_type(own)], {**notes, **own})

    def _joined(self, parts: list[Schema], notes: Schema) -> Schema:
        """What all of some simple schemas say together."""
        kept = {key: value for key, value in notes.items() if key in ANNOTATIONS}
        objects = [part for part in parts if is_object(part)]
        if not objects:
            whole: Schema = {}
            for part in parts:
                whole |= {key: value for key, value in part.items() if key not in ANNOTATIONS}
            return {**whole, **kept}
        properties: Schema = {}
        for part in objects:
            for name, inner in (part.get("properties") or {}).items():
                before = properties.get(name)
                both = before is not None and is_object(before) and is_object(inner)
                properties[name] = self._joined([before, inner], inner) if both and before is not None else inner
        required = list(dict.fromkeys(name for part in parts for name in part.get("required") or ()))
        more = [part["additionalProperties"] for part in objects if "additionalProperties" in part]
        joined: Schema = {**kept, "type": "object"}
        joined |= {"properties": properties} if properties else {}
        joined |= {"required": required} if required else {}
        # `false` beside an `allOf` forbids what another member allows. So it is dropped.
        return joined | ({"additionalProperties": more[-1]} if more and more[-1] is not False else {})

    def _with_one_array(self, members: list[Schema]) -> list[Schema]:
        """One array in place of several, because the generated code asks whether a value is an array, and no more."""
        arrays = [one for one in members if self.resolved(one).get("type") == "array"]
        if len(arrays) < 2:  # noqa: PLR2004 - it is told apart from all others
            return members
        inside = [self.resolved(one)["items"] for one in arrays]
        items = self.simple({"anyOf": inside}) if all(inside) else {}
        return [*(one for one in members if one not in arrays), {"type": "array", "items": items}]

    def _with_simple_union(self, schema: Schema, key: str) -> Schema:
        """A union without null, without members that add no type, and with the properties that stand beside it."""
        given = [one for one in schema[key] if isinstance(one, dict)]
        own = {name: value for name, value in schema.items() if name != key}
        members = [one for one in given if not _is_null(one)]
        if len(members) < len(given):
            own["nullable"] = True
        if not any(set(one) - ANNOTATIONS - {"required", "not"} for one in members):
            # It only says which properties go together.
            return own
        members = [self.simple(one) for one in members]
        base = {name: value for name, value in own.items() if name not in ANNOTATIONS and name != "discriminator"}
        if is_object(base) and base.get("properties"):
            base = self.simple(base)
            members = [
                self._joined([base, part], one) if is_object(part := self.resolved(one)) else one for one in members
            ]
        kept = {
            name: value for name, value in own.items() if name in ANNOTATIONS or name in {*_UNIONS, "discriminator"}
        }
        unequal = self._with_one_array(list({json.dumps(one, sort_keys=True): one for one in members}.values()))
        if any(one.get("nullable") for one in unequal):
            kept["nullable"] = True
        if len(unequal) > 1 or any(other in own for other in _UNIONS):
            return {**kept, key: unequal}
        kept.pop("discriminator", None)
        return {**kept, "allOf": unequal} if "$ref" in unequal[0] else {**unequal[0], **kept}


def is_object(schema: Schema) -> bool:
    """Whether a schema without `allOf` describes an object, and nothing else."""
    if any(schema.get(key) for key in _UNIONS):
        return False
    return schema.get("type") == "object" or ("type" not in schema and bool(schema.get("properties")))


def as_list(value: Any) -> list[Any]:
    """The types of a schema. In OpenAPI 3.0 there is one, in 3.1 there may be several."""
    return value if isinstance(value, list) else [value]


def type_of(values: Iterable[Any]) -> str | None:
    """The type of some JSON values, if it is one."""
    types = {_TYPES.get(type(value)) for value in values}
    if types == {"integer", "number"}:
        return "number"
    return types.pop() if len(types) == 1 else None


def _is_null(schema: Schema) -> bool:
    return (
        schema.get("type") == "null" or schema.get("enum") == [None] or ("const" in schema and schema["const"] is None)
    )


def _without_null(schema: Schema) -> Schema:
    """`nullable: true` in place of all other ways to say so. OpenAPI 3.1 has three of them."""
    schema = dict(schema)
    nullable = False
    if isinstance(schema.get("type"), list):
        types = [one for one in schema["type"] if one != "null"]
        nullable = len(types) < len(schema["type"])
        schema["type"] = types[0] if len(types) == 1 else types or "null"
        nullable = nullable and bool(types)
    if isinstance(schema.get("enum"), list) and None in schema["enum"]:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
        nullable = True
        if not schema["enum"]:
            del schema["enum"]
    if "const" in schema and schema["const"] is None:
        del schema["const"]
        nullable = True
    if nullable:
        schema["nullable"] = True
    return schema


def _with_known_type(schema: Schema) -> Schema:
    """The type that is meant, if it is not named. An enum or a constant that the generator cannot read is dropped."""
    schema = dict(schema)
    for key in ("enum", "const"):
        if key not in schema:
            continue
        values = schema[key] if key == "enum" else [schema[key]]
        kind = type_of(values)
        if kind is not None:
            schema.setdefault("type", kind)
        if kind not in {"string", "integer"}:
            del schema[key]
    if "enum" in schema:
        schema["enum"] = list(dict.fromkeys(schema["enum"]))
    if "type" not in schema and not any(key in schema for key in ("allOf", *_UNIONS)):
        if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
            schema["type"] = "object"
        elif "items" in schema or "prefixItems" in schema:
            schema["type"] = "array"
    return schema
