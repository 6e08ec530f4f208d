"""Read the schemas of a page, and judge values by them. It uses no code of the generator and none of the tools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from attrs import Factory, evolve, field, frozen
from corpus_page import Json

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@frozen
class Branch:
    """One of the schemas of a union.

    Attributes:
        schema: The schema.
        names: What the discriminator says for it, if the union has one.
    """

    schema: Any
    names: tuple[str, ...] = ()


@frozen
class View:
    """What a schema says, with its references followed and its `allOf` united.

    Attributes:
        kinds: The JSON types that are allowed, without null; empty if all are.
        nullable: Whether null is allowed.
        values: All values that are allowed, or `None` if the schema does not list them.
        properties: The schemas of the properties.
        required: The names of the properties that must be there.
        extra: The schema of other properties, or whether there may be any.
        items: The schema of the items.
        branches: The schemas of a union, without null.
        tag: The property that names the branch, if there is a discriminator.
        form: The format.
    """

    kinds: tuple[str, ...] = ()
    nullable: bool = False
    values: tuple[Any, ...] | None = None
    properties: dict[str, Any] = Factory(dict)
    required: frozenset[str] = frozenset()
    extra: Any = True
    items: Any = True
    branches: tuple[Branch, ...] = ()
    tag: str = ""
    form: str = ""


@frozen
class Schemas:
    """The schemas of one document.

    Args:
        document: The document.
        skipped: Properties that are `writeOnly` are not in a response, and those that are `readOnly` not in a request.
        tagged: Whether the discriminator of a union decides. In a request, a caller may have to write it as text.
    """

    document: Json = field(repr=False)
    skipped: str = "writeOnly"
    tagged: bool = True
    _known: dict[int, tuple[Any, View]] = field(factory=dict, repr=False, init=False)

    def resolved(self, node: Any) -> Any:
        """What a reference points to, or the node itself if it is no reference."""
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def view(self, schema: Any) -> View:
        """What a schema says."""
        known = self._known.get(id(schema))
        if known is None or known[0] is not schema:
            known = self._known[id(schema)] = schema, self._view(schema)
        return known[1]

    def _view(self, schema: Any) -> View:
        if not isinstance(schema, dict) or not schema:
            return View(nullable=True)
        if "$ref" in schema:
            # In 3.0, all that stands beside a reference is ignored.
            is_new = str(self.document["openapi"]).startswith("3.1")
            beside = {key: value for key, value in schema.items() if key != "$ref"} if is_new else {}
            target = self.view(self.resolved(schema))
            return _united(target, self._view(beside)) if beside.keys() - _ANNOTATIONS else target
        made = self._own(schema)
        for part in schema.get("allOf", ()):
            made = _united(made, self.view(part))
        if "nullable" in schema:
            made = evolve(made, nullable=schema["nullable"])
        return made

    def _own(self, schema: Json) -> View:
        """What a schema says apart from its `allOf`."""
        listed = schema.get("type", [])
        kinds = listed if isinstance(listed, list) else [listed]
        values = [schema["const"]] if "const" in schema else [None] if kinds == ["null"] else schema.get("enum")
        says_nothing = not schema.keys() & {"type", "enum", "const", "oneOf", "anyOf", "properties", "items"}
        made = View(
            kinds=tuple(kind for kind in kinds if kind != "null"),
            nullable="null" in kinds or says_nothing or (values is not None and None in values),
            values=None if values is None else tuple(value for value in values if value is not None),
            properties=schema.get("properties", {}),
            required=frozenset(self._required(schema)),
            extra=schema.get("additionalProperties", True),
            items=schema.get("items", True),
            form=schema.get("format", ""),
        )
        return self._with_branches(made, schema)

    def _required(self, schema: Json) -> Iterator[str]:
        for name in schema.get("required", ()):
            known = schema.get("properties", {}).get(name)
            if known is None or not self.is_skipped(known):
                yield name

    def is_skipped(self, schema: Any) -> bool:
        """Whether a property with this schema is left out in this direction."""
        return bool(isinstance(schema, dict) and self.resolved(schema).get(self.skipped))

    def _with_branches(self, made: View, schema: Json) -> View:
        union = [part for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ())) if part != {"type": "null"}]
        if not union:
            return made
        nullable = len(union) < len(schema.get("oneOf", ())) + len(schema.get("anyOf", ()))
        if len(union) == 1:
            only = self.view(union[0])
            return evolve(_united(evolve(made, nullable=True), only), nullable=only.nullable or nullable)
        named = schema.get("discriminator", {})
        branches = tuple(Branch(part, tuple(_names(part, named))) for part in union)
        nullable = nullable or any(self.view(part).nullable for part in union)
        return evolve(made, branches=branches, tag=named.get("propertyName", ""), nullable=nullable)

    def branch(self, view: View, value: Any) -> int | None:
        """The index of the branch of a union for a value, or `None` if no branch has it."""
        for index, branch in enumerate(view.branches):
            is_tagged = bool(view.tag) and self.tagged
            fits = self._is_named(view, branch, value) if is_tagged else self.valid(branch.schema, value)
            if fits:
                return index
        return None

    @staticmethod
    def _is_named(view: View, branch: Branch, value: Any) -> bool:
        return isinstance(value, dict) and value.get(view.tag) in branch.names

    def decided(self, view: View) -> bool:
        """Whether a property of each branch says which branch an object is of: a discriminator, or constants."""
        if view.tag:
            return True
        views = [self.view(branch.schema) for branch in view.branches]
        for name in views[0].properties if views else ():
            found = [self.view(one.properties[name]).values if name in one.properties else None for one in views]
            listed = [value for values in found for value in values or ()]
            if all(found) and len(set(map(repr, listed))) == len(listed):
                return True
        return False

    def valid(self, schema: Any, value: Any) -> bool:
        """Whether a value is right for a schema."""
        view = self.view(schema)
        if value is None:
            return view.nullable
        if view.values is not None and not any(same_json(value, one) for one in view.values):
            return False
        if view.kinds and not any(_is(value, kind) for kind in view.kinds):
            return False
        if view.branches:
            index = self.branch(view, value)
            if index is None or not self.valid(view.branches[index].schema, value):
                return False
        if isinstance(value, dict):
            return self._valid_object(view, value)
        if isinstance(value, list):
            return all(self.valid(view.items, item) for item in value)
        return not isinstance(value, str) or well_formed(view.form, value)

    def _valid_object(self, view: View, value: Json) -> bool:
        if not view.required <= value.keys():
            return False
        for name, item in value.items():
            if name in view.properties:
                if not self.valid(view.properties[name], item):
                    return False
            elif view.extra is False or not self.valid(view.extra, item):
                return False
        return True


_ANNOTATIONS: Final = {"description", "title", "default", "example", "examples", "deprecated"}


def _names(part: Any, named: Json) -> Iterator[str]:
    """What a discriminator says for a branch: the keys of its mapping, or else the name of the component."""
    target = part.get("$ref", "") if isinstance(part, dict) else ""
    name = target.rpartition("/")[2]
    keys = [key for key, goal in named.get("mapping", {}).items() if goal in {target, name}]
    yield from keys or [name]


def _united(one: View, other: View) -> View:
    """Two views of which both hold."""
    properties = dict(one.properties)
    for name, schema in other.properties.items():
        properties[name] = {"allOf": [properties[name], schema]} if name in properties else schema
    says_nothing = View(nullable=True)
    if one == says_nothing:
        return other
    values = [value for value in one.values or other.values or () if other.values is None or value in other.values]
    return View(
        kinds=tuple(kind for kind in one.kinds if not other.kinds or kind in other.kinds) or other.kinds,
        nullable=one.nullable and other.nullable,
        values=None if one.values is None and other.values is None else tuple(values),
        properties=properties,
        required=one.required | other.required,
        extra=other.extra if one.extra is True else one.extra,
        items=other.items if one.items is True else one.items,
        branches=one.branches or other.branches,
        tag=one.tag or other.tag,
        form=one.form or other.form,
    )


def _is(value: Any, kind: str) -> bool:
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    return isinstance(value, _TYPES[kind])


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON. In Python, `True` and 1 are equal."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def well_formed(form: str, text: str) -> bool:
    """Whether a text has a format. Formats that a client does not parse are not checked."""
    try:
        if form == "date":
            return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
        if form == "date-time":
            return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False
    return form != "uuid" or bool(_UUID.fullmatch(text) and UUID(text))
