"""Give each schema that becomes a class a name of its own. Pure.

A name comes from, in this order: a title in openapi.overlay.yaml; the component's name; a title of the vendor's, as
long as all schemas with this title agree; the place of the schema. Schemas with the same title in the overlay become
one class, which has the properties of all of them. One that contradicts them is named by its place. If a name is taken,
the next one gets a number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

from documents import METHODS
from functions import function_name
from media import BYTES, FORM, MULTIPART
from openapi_python_client.strings import pascal_case
from python_names import class_name, identifier
from references import SCHEMAS, Schema, children, free_name, schemas, within
from shapes import is_object

# Schemas that differ only in these keys count as equal.
_ANNOTATIONS: Final = {
    "title",
    "x-vendor-title",
    "x-at",
    "description",
    "example",
    "examples",
    "nullable",
    "deprecated",
}


_BODY_TYPES: Final = {FORM: "data", MULTIPART: "files", BYTES: "content"}

_COMPONENT: Final = "a component"

Place = tuple[str | int, ...]


def mark_titles(document: Schema) -> None:
    """Note which titles are the vendor's, before the overlay is applied. In place."""
    for _, schema in _all(document):
        if isinstance(schema.get("title"), str):
            schema["x-vendor-title"] = schema["title"]


def sort_titles(document: Schema) -> None:
    """After the overlay: `title` is ours, with its place in `x-at`, and `x-vendor-title` is the vendor's. In place."""
    for place, schema in _all(document):
        if "title" not in schema or schema["title"] == schema.get("x-vendor-title"):
            schema.pop("title", None)
        else:
            schema.pop("x-vendor-title", None)
            schema["x-at"] = target(place)


def drop_names_of_nothing(document: Schema, vendor: Schema) -> None:
    """After the overlay: drop properties of which it says only the name, and the vendor's contract nothing. In place.

    An action that gives names to what is inside a schema may name a property that this schema does not have any more.

    Args:
        document: The contract with the overlay.
        vendor: The contract without it.
    """
    known = {place for place, _ in _all(vendor)}
    for place, schema in list(_all(document)):
        if place in known and isinstance(schema.get("properties"), dict):
            for name, inner in list(schema["properties"].items()):
                if (*place, "properties", name) not in known and _is_only_named(inner):
                    del schema["properties"][name]
            if not schema["properties"]:
                del schema["properties"]


def _is_only_named(schema: Any) -> bool:
    """Whether a schema, and all that is inside it, has no more than a name."""
    if not isinstance(schema, dict) or set(schema) - {"title", "properties", "items"}:
        return False
    return all(_is_only_named(inner) for _, inner in children(schema))


def _all(document: Schema) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    for place, schema in schemas(document):
        yield from within(schema, place)


def target(place: tuple[str | int, ...]) -> str:
    """The JSONPath of a place, as a target for an action of the overlay."""
    plain = [f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in place]
    return "$" + "".join(plain)


def action(where: str, title: str, *, key: str = "title", about: str = "The class's name.") -> str:
    """The lines of an action of the overlay that gives a name."""
    return f"  - target: {where}\n    description: {about}\n    update:\n      {key}: {title}"


class Names:
    """Gives names, and moves schemas that become classes to the components.

    Args:
        document: The document, with both forms of each component. It is changed.
        warn: Is told what somebody should name.
    """

    def __init__(self, document: Schema, warn: Callable[[str], None]) -> None:
        self._document = document
        self._components = (document.get("components") or {}).get("schemas") or {}
        self._warn = warn
        self._made: dict[str, Schema] = {}
        # Who has each name, by module. Two classes whose modules have one name would overwrite each other.
        self._owners: dict[str, str] = {}
        self._wishes: set[str] = set()

    def give(self) -> Schema:
        """Do it. Returns the document."""
        for _, schema in self._all():
            if "title" in schema and _is_class(schema):
                schema["title"] = class_name(schema["title"])
                self._owners[identifier(schema["title"])] = "title"
        self._rename_components()
        self._grant_wishes()
        made = {name: self._whole(schema, name) for name, schema in self._components.items()}
        for path, item in self._document["paths"].items():
            for method in (key for key in item if key in METHODS):
                self._operation(item[method], function_name(path, method, item[method]))
        made |= self._made
        for schema in (*made.values(), *(schema for _, schema in schemas(self._document))):
            for _, inner in within(schema):
                inner.pop("x-at", None)
                inner.pop("x-vendor-title", None)
        if made:
            self._document.setdefault("components", {})["schemas"] = made
        return self._document

    def _all(self) -> Iterator[tuple[Place, Schema]]:
        return _all(self._document)

    def _rename_components(self) -> None:
        """Let each component have the name of its class as its key. Those without a class only need another key."""
        renamed: dict[str, str] = {}
        taken: set[str] = set()
        for name, schema in self._components.items():
            schema.pop("x-vendor-title", None)
            wanted = class_name(schema.pop("title", name))
            free = wanted
            if _is_class(schema):
                ours = "x-at" in schema and self._owners.get(identifier(wanted)) == "title" and wanted not in taken
                free = wanted if ours else self._free(wanted, _COMPONENT)
                self._owners.setdefault(identifier(free), _COMPONENT)
            free = free_name(free, taken)
            if free != wanted and _is_class(schema):
                where = target(("components", "schemas", name))
                self._warn(
                    f"the name {wanted} is taken, so the component {name} becomes {free}. To name it, add:\n"
                    + action(where, free)
                )
            taken.add(free)
            renamed[name] = free
        for _, schema in self._all():
            if "$ref" in schema:
                schema["$ref"] = SCHEMAS + renamed[schema["$ref"].removeprefix(SCHEMAS)]
        self._components = {renamed[name]: schema for name, schema in self._components.items()}

    def _free(self, name: str, owner: str) -> str:
        """A name that nobody has, or that this owner has already. The owner gets it."""
        number, free = 1, name
        # Components are named one by one, so none has a name already.
        while identifier(free) in self._owners and (owner == _COMPONENT or self._owners[identifier(free)] != owner):
            number += 1
            free = f"{name}{number}"
        self._owners[identifier(free)] = owner
        return free

    def _grant_wishes(self) -> None:
        """Find the titles of the vendor that can be names: those whose schemas agree, and that nobody else has."""
        groups: dict[str, list[Schema]] = {}
        for _, schema in self._all():
            if is_object(schema) and isinstance(schema.get("x-vendor-title"), str) and "title" not in schema:
                groups.setdefault(class_name(schema["x-vendor-title"]), []).append(schema)
        for name, group in groups.items():
            whole = copy.deepcopy(group[0])
            agreed = all(_united(whole, other) is None for other in group)
            if agreed and name.isidentifier() and identifier(name) not in self._owners:
                self._owners[identifier(name)] = "wish"
                for schema in group:
                    schema["title"] = name

    def _operation(self, operation: Schema, function: str) -> None:
        for parameter in operation.get("parameters") or ():
            parameter["schema"] = self._visit(parameter.get("schema") or {}, function, parameter["name"])
        content = (operation.get("requestBody") or {}).get("content") or {}
        for media, node in content.items():
            parent = function if len(content) == 1 else f"{function}_{_BODY_TYPES.get(media, 'json')}"
            node["schema"] = self._visit(node["schema"], parent, "body")
        for status, response in operation["responses"].items():
            for node in (response.get("content") or {}).values():
                if "schema" in node:
                    node["schema"] = self._visit(node["schema"], function, f"response_{status}")

    def _whole(self, schema: Schema, name: str) -> Schema:
        """A component with the schemas inside it."""
        return self._inside(schema, name, "") if is_object(schema) else self._inside(schema, "", name)

    def _visit(self, schema: Schema, parent: str, name: str) -> Schema:
        """A schema as it stays at its place: itself, or a reference to the component that it becomes."""
        if "$ref" in schema or not _is_class(schema):
            return schema if "$ref" in schema else self._inside(schema, parent, name)
        place = f"{parent}/{name}"
        wanted = schema.get("title") or f"{pascal_case(parent)}{pascal_case(name)}"
        nullable = schema.get("nullable") is True
        by_generator = "enum" in schema and "title" not in schema and not nullable
        if by_generator and self._owners.setdefault(identifier(wanted), place) == place:
            return schema
        node = {key: value for key, value in schema.items() if key not in {"nullable", "x-kinds"}}
        made = self._put(wanted, node, place)
        if "x-kinds" in schema:
            self._made[made]["x-kinds"] = schema["x-kinds"]
        reference = {"$ref": SCHEMAS + made}
        return {"nullable": True, "allOf": [reference]} if nullable else reference

    def _put(self, wanted: str, node: Schema, place: str) -> str:
        """Make a component of a schema. Returns its name."""
        if "title" not in node:
            name = self._free(class_name(wanted), place)
            inside = self._inside(node, name, "") if is_object(node) else node
            # The same place may come twice, if the schemas around it have one title.
            if _united(self._made.setdefault(name, inside), inside) is not None:
                name = self._free(f"{name}2", f"{place} again")
                self._made[name] = inside
            return name
        inside = self._inside(node, wanted, "") if is_object(node) else node
        known = self._made.setdefault(wanted, inside)
        if (difference := _united(known, inside)) is None:
            return wanted
        name = self._free(class_name(place.replace("/", "_")), place)
        self._warn(
            f"two schemas have the title {wanted}, and {difference} differ: {known['x-at']} and {node['x-at']}. "
            f"The second one becomes {name}. To name it, add at the end of openapi.overlay.yaml:\n"
            + action(node["x-at"], name)
        )
        self._made[name] = {**self._inside(node, name, ""), "title": name} if is_object(node) else node
        return name

    def _inside(self, schema: Schema, parent: str, name: str) -> Schema:
        """A schema with all that is inside it. `parent` is its class if it is one, or else the class around it."""
        schema = dict(schema)
        if "properties" in schema:
            schema["properties"] = {key: self._visit(one, parent, key) for key, one in schema["properties"].items()}
        if isinstance(schema.get("additionalProperties"), dict):
            schema["additionalProperties"] = self._visit(schema["additionalProperties"], parent, "AdditionalProperty")
        if isinstance(schema.get("items"), dict):
            schema["items"] = self._visit(schema["items"], parent, f"{name}_item")
        number = 0
        for key in ("anyOf", "oneOf"):
            members = schema.get(key) or ()
            if members:
                schema[key] = [self._visit(one, parent, f"{name}_type_{number + i}") for i, one in enumerate(members)]
                number += len(members)
        return schema


def _is_class(schema: Schema) -> bool:
    return is_object(schema) or "enum" in schema


def _united(known: Schema, other: Schema) -> str | None:
    """Add the properties of a schema to a known one, unless they contradict. Returns what contradicts, in words."""
    mine, theirs = known.get("properties", {}), other.get("properties", {})
    for name in mine.keys() & theirs.keys():
        if _meaning(mine[name]) != _meaning(theirs[name]):
            return f"their {name!r}"
    rest = [_meaning({k: v for k, v in schema.items() if k != "properties"}) for schema in (known, other)]
    if rest[0] != rest[1]:
        return "they"
    if theirs:
        known["properties"] = {**mine, **{name: one for name, one in theirs.items() if name not in mine}}
    return None


def _meaning(schema: Any) -> Any:
    """A schema without the keys that do not count in a comparison."""
    if isinstance(schema, list):
        return [_meaning(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _meaning(value) for key, value in schema.items() if key not in {*_ANNOTATIONS, "properties"}}
    properties = {name: _meaning(one) for name, one in (schema.get("properties") or {}).items()}
    return kept | ({"properties": properties} if properties else {})
