"""Give what is read another form than what is sent. Pure.

What is read is wide: a field may be missing or null, an enum may have new values. So a change of the server breaks no
client. What is sent stays strict, so that a slip is seen before the request. A component that is read and sent becomes
two: `Squad` is what is read, `SquadInput` what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from documents import operations
from kinds import Kinds, in_either, with_kinds
from media import BINARY, MULTIPART
from openapi_python_client.strings import snake_case
from references import SCHEMAS, Schema, free_name, with_children, within
from shapes import Shapes, is_object, type_of

_SUCCESS: Final = re.compile(r"2(\d\d|XX)")
# What a response need not keep to.
_STRICT: Final = {"required", "enum", "const", "default"}
# A default of these formats would be a Python object, and a default of other types none that can be sent.
_DEFAULTS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_FORMATS_WITHOUT_DEFAULT: Final = {"date", "date-time", "uuid", "binary"}
# Formats for which the generator makes an object of a string. If that fails, the string is handed on.
_PARSED: Final = {"date", "date-time", "uuid"}


def directed(document: Schema) -> Schema:
    """A copy of a document with both forms. Responses that are errors are left out, because the wrapper raises them.

    Args:
        document: A document without references to anything but schemas.
    """
    components = (document.get("components") or {}).get("schemas") or {}
    return _Directions(Shapes(components), list(components)).document(document)


def successes(operation: Schema) -> dict[str, Any]:
    """The responses of an operation that mean success. `default` does so if no other one does."""
    responses = operation.get("responses") or {}
    found = {status: node for status, node in responses.items() if _SUCCESS.fullmatch(status.upper())}
    return found or {status: node for status, node in responses.items() if status == "default"}


class _Directions:
    """The two forms of each component.

    Args:
        shapes: The components.
        names: Their names.
    """

    def __init__(self, shapes: Shapes, names: list[str]) -> None:
        self._shapes = shapes
        self._names = names
        self._read: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._kinds: dict[str, Kinds] = {}
        self._with_files = set[str]()

    def document(self, document: Schema) -> Schema:
        """As `directed`."""
        document = {**document, "paths": {path: dict(item) for path, item in document["paths"].items()}}
        sent: list[tuple[Schema, bool]] = []
        read: list[Schema] = []
        for path, method, operation in list(operations(document)):
            new = {**operation, "responses": successes(operation)}
            document["paths"][path][method] = new
            sent += [(node, media.startswith(MULTIPART)) for media, node in _contents(new.get("requestBody"))]
            sent += [(node, False) for node in new.get("parameters") or () if "schema" in node]
            for response in new["responses"].values():
                read += [node for _, node in _contents(response)]
        for holder in (*(holder for holder, _ in sent), *read):
            holder["schema"] = self._shapes.simple(holder["schema"])
        self._with_files = self._reached([holder["schema"] for holder, files in sent if files])
        self._name(self._reached([one["schema"] for one in read]), self._reached([one["schema"] for one, _ in sent]))
        for holder in read:
            # Only a whole body can be bytes: JSON holds none.
            if holder["schema"] != BINARY:
                holder["schema"] = self._as_read(holder["schema"])
        for holder, files in sent:
            if holder["schema"] != BINARY:
                holder["schema"] = self._as_sent(holder["schema"], files=files)
        self._put_components(document)
        return document

    def _reached(self, schemas: list[Schema]) -> set[str]:
        """The components that some schemas need."""
        reached, waiting = set[str](), list(schemas)
        while waiting:
            for _, schema in within(waiting.pop()):
                name = str(schema.get("$ref", "")).removeprefix(SCHEMAS)
                if name and name not in reached:
                    reached.add(name)
                    waiting.append(self._shapes.component(name))
        return reached

    def _name(self, read: set[str], sent: set[str]) -> None:
        """The names of both forms of each component. The form that is a class keeps the name, first what is read."""
        taken = set(self._names)
        for name in self._names:
            self._read[name] = self._sent[name] = name
            if name in read and name in sent:
                side, suffix = (
                    (self._sent, "Input") if is_object(self._shapes.component(name)) else (self._read, "Output")
                )
                side[name] = free_name(name + suffix, taken)
                taken.add(side[name])
        self._is_read, self._is_sent = read, sent

    def _put_components(self, document: Schema) -> None:
        made: Schema = {}
        for name in self._names:
            component = self._shapes.component(name)
            if name in self._is_read:
                made[self._read[name]] = _retitled(self._as_read(component), name, self._read[name])
            if name in self._is_sent:
                sent = self._as_sent(component, files=name in self._with_files)
                made[self._sent[name]] = _retitled(sent, name, self._sent[name])
        for name, kinds in self._kinds.items():
            made[self._read[name]]["x-kinds"] = kinds
        if "components" in document:
            kept = {key: value for key, value in document["components"].items() if key != "schemas"}
            document["components"] = kept | ({"schemas": made} if made else {})

    def _reference(self, schema: Schema, old: str, new: str, *, nullable: bool) -> Schema:
        """What stands for a component by its new name. `schema` stood for it by its old name."""
        kept = {key: value for key, value in schema.items() if key not in {"$ref", "allOf", "default", "nullable"}}
        if nullable or schema.get("nullable") or old in self._shapes.nullable:
            kept["nullable"] = True
        reference = {"$ref": SCHEMAS + new}
        return {**kept, "allOf": [reference]} if kept else reference

    # What is read.

    def _as_read(self, schema: Schema, *, nullable: bool = False) -> Schema:
        if (name := self._shapes.target(schema)) is not None:
            return self._reference(schema, name, self._read[name], nullable=nullable)
        if schema.get("type") == "null":
            return {}
        schema = {key: value for key, value in schema.items() if key not in _STRICT}
        if "prefixItems" in schema:
            schema["items"] = {"anyOf": schema.pop("prefixItems")}
        for key in {"oneOf", "anyOf"} & schema.keys():
            members, named = with_kinds(schema[key], schema.get("discriminator"), self._shapes)
            for name, kinds in named.items():
                self._kinds[name] = in_either(self._kinds.get(name, {}), kinds)
            schema[key] = members
            # If no member fits, the value is handed on as it came. The generator does so if it may be null.
            nullable = True
        schema.pop("discriminator", None)
        schema = with_children(schema, self._child_as_read)
        if schema.get("additionalProperties") is False:
            del schema["additionalProperties"]
        if schema.get("format") == "binary":
            del schema["format"]
        return schema | ({"nullable": True} if nullable else {})

    def _child_as_read(self, key: str, schema: Schema) -> Schema:
        may_fail = key == "additionalProperties" and self._may_fail(schema)
        return self._as_read(schema, nullable=key == "properties" or may_fail)

    def _may_fail(self, schema: Schema) -> bool:
        """Whether the generated code makes an object of such a value, which may fail."""
        schema = self._shapes.resolved(schema)
        return bool(schema) and (schema.get("type") not in _DEFAULTS or schema.get("format") in _PARSED)

    # What is sent.

    def _as_sent(self, schema: Schema, *, files: bool) -> Schema:
        if (name := self._shapes.target(schema)) is not None:
            return self._reference(schema, name, self._sent[name], nullable=False)
        properties = schema.get("properties") or {}
        schema = with_children(schema, lambda _, inner: self._as_sent(inner, files=files))
        schema.pop("discriminator", None)
        if "default" in schema and not _is_usable(schema["default"], schema):
            del schema["default"]
        if schema.get("format") == "binary" and not files:
            del schema["format"]
        if "enum" in schema:
            schema |= _with_member_names(schema["enum"])
            if any(not str(value).isprintable() for value in schema["enum"]):
                # The generator would leave out characters of it.
                del schema["enum"]
        if "required" in schema:
            # OpenAPI 3.0.3, section 4.7.24: what is only read is required in responses alone.
            read_only = {name for name, inner in properties.items() if inner.get("readOnly") is True}
            schema["required"] = [name for name in schema["required"] if name not in read_only]
            if not schema["required"]:
                del schema["required"]
        return schema


def _retitled(schema: Schema, old: str, new: str) -> Schema:
    """One form of a component. If its name got an ending, its title gets the same."""
    if "title" not in schema:
        return schema
    return {**schema, "title": schema["title"] + new.removeprefix(old)}


def _contents(node: Any) -> Iterator[tuple[str, Schema]]:
    """The media types of a body, each with its name. The body gets copies of them, which may be changed."""
    if isinstance(node, dict) and isinstance(node.get("content"), dict):
        node["content"] = {media: dict(content) for media, content in node["content"].items()}
        yield from ((media, content) for media, content in node["content"].items() if "schema" in content)


def _is_usable(default: Any, schema: Schema) -> bool:
    """Whether the generated code can send a default."""
    kind = schema.get("type")
    if kind not in _DEFAULTS or schema.get("format") in _FORMATS_WITHOUT_DEFAULT or type_of([default]) is None:
        return False
    fits = isinstance(default, _DEFAULTS[kind]) and (kind == "boolean") == isinstance(default, bool)
    return fits and ("enum" not in schema or default in schema["enum"]) and "const" not in schema


def _with_member_names(values: list[Any]) -> Schema:
    """Names for the members of an enum, if the generator would give one name to two of them, such as `a` and `A`."""
    names = [_member_name(value, index) for index, value in enumerate(values)]
    if len(set(names)) == len(names) and all(name.isidentifier() for name in names):
        return {}
    free: list[str] = []
    for index, name in enumerate(names):
        free.append(free_name(name if name.isidentifier() else f"VALUE_{index}", free))
    return {"x-enum-varnames": [re.sub(r"(?<=\D)(\d+)$", r"_\1", name) for name in free]}


def _member_name(value: Any, index: int) -> str:
    """The name that the generator gives to the member of an enum."""
    if isinstance(value, int):
        return f"VALUE_{value}".replace("-", "NEGATIVE_")
    return snake_case(value.upper() if value[:1].isalpha() else f"VALUE_{index}").upper()
