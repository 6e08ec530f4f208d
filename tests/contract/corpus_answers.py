"""Bodies for the schema of a response: valid ones, and all kinds of others. They are made from the vendor's schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen
from corpus_page import Json
from corpus_schema import Schemas, View

# How many values one body may have before optional parts are left out, and how deep they may stand.
_MANY: Final = 120
_DEEP: Final = 4
# The same for the body that follows a recursive schema as far as it goes.
_MOST: Final = 300
_DEEPEST: Final = 40
# How many different valid bodies there are for one schema, and how many places are changed one at a time.
_VARIANTS: Final = 6
_PLACES: Final = 14
_WRONG: Final[tuple[Any, ...]] = ("text", 7, 1.5, True, [], ["x"], {}, {"x": 1})
_NEW: Final = {"nested": [1, None, {"x": "y"}]}

_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "date": ("2026-01-02", "1999-12-31"),
    "date-time": (
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123456+02:00",
        "2026-01-02T03:04:05.5-11:30",
        "2026-01-02T03:04:05.123456789Z",
    ),
    "uuid": ("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11", "0B7E5F0A-3C1D-4F6E-8A2B-9D8C7B6A5F4E"),
    "byte": ("aGVsbG8=", ""),
    "binary": ("bytes",),
    "email": ("a@example.com",),
    "uri": ("https://example.com/a?b=c#d",),
}
_TEXTS: Final = ("text", "naïve 🎈", "", "2026-01-02T03:04:05Z", "7", "null")
_SCALARS: Final[dict[str, tuple[Any, ...]]] = {
    "integer": (7, 0, -1, 2**53 + 1),
    "number": (1.5, 3, 0, -2.5e10),
    "boolean": (True, False),
}


@frozen
class Body:
    """What the server answers.

    Attributes:
        name: What it is, such as `full 0`.
        content: Its bytes.
        data: Its JSON, or `...` if it is no JSON.
    """

    name: str
    content: bytes
    data: Any = ...


class Maker:
    """Makes valid values of one kind.

    Args:
        schemas: The schemas of the page.
        variant: Which branch of a union, value of an enum and so on it takes: the first, the second…
        optional: Whether it adds what may be missing.
        deep: How deep optional objects and arrays may stand.
        many: How many values it makes before it leaves out what is optional.
        nulls: Whether null is taken wherever it is allowed.
        texts: The strings that have no format.
    """

    def __init__(
        self,
        schemas: Schemas,
        variant: int = 0,
        *,
        optional: bool = True,
        deep: int = _DEEP,
        many: int = _MANY,
        nulls: bool = False,
        texts: tuple[str, ...] = _TEXTS,
    ) -> None:
        self._schemas = schemas
        self._variant = variant
        self._optional = optional
        self._deep = deep
        self._left = many
        self._nulls = nulls
        self._texts = texts

    def make(self, schema: Any, depth: int = 0) -> Any:
        """A value that is right for the schema."""
        view = self._schemas.view(schema)
        self._left -= 1
        if view.nullable and depth and (self._nulls or not self._has_room(schema, depth)):
            return None
        if view.values is not None:
            return self._one_of(view.values) if view.values else None
        if view.branches:
            return self._of_union(view, depth)
        kind = self._one_of(view.kinds) if view.kinds else "object" if view.properties else ""
        if kind == "object":
            return self._object(view, depth)
        if kind == "array":
            return self._array(view, depth)
        if kind == "string":
            return self._one_of(_FORMS.get(view.form, self._texts))
        if not kind:
            return self._one_of(({"free": [1, None, "x"]}, "free", 7, [{}]))
        return self._one_of(_SCALARS[kind])

    def _one_of(self, values: tuple[Any, ...]) -> Any:
        return values[self._variant % len(values)]

    def _of_union(self, view: View, depth: int) -> Any:
        small = tuple(branch for branch in view.branches if self._has_room(branch.schema, depth))
        branch = self._one_of(small or view.branches)
        made = self.make(branch.schema, depth)
        if isinstance(made, dict) and (view.properties or view.tag):
            made = {**self._object(view, depth), **made} if view.properties else made
            return {**made, view.tag: self._one_of(branch.names)} if view.tag else made
        return made

    def _has_room(self, schema: Any, depth: int) -> bool:
        """Whether an optional value still finds a place."""
        view = self._schemas.view(schema)
        is_large = bool(view.branches or view.properties or set(view.kinds) & {"object", "array"})
        return not is_large or (depth < self._deep and self._left > 0)

    def _object(self, view: View, depth: int) -> Json:
        made = {}
        for name, schema in view.properties.items():
            if self._schemas.is_skipped(schema):
                continue
            if name in view.required or (self._optional and self._has_room(schema, depth)):
                made[name] = self.make(schema, depth + 1)
        if self._optional and view.extra is not False and self._has_room(view.extra, depth):
            if isinstance(view.extra, dict):
                made |= {name: self.make(view.extra, depth + 1) for name in ("first key", "key2")}
            elif not view.properties:
                made |= {"free": "form", "n": [1, {"x": None}]}
        return made

    def _array(self, view: View, depth: int) -> list[Any]:
        if not self._optional or not self._has_room(view.items, depth):
            return []
        made = []
        # The items of an array are of different branches.
        for _ in range(2 if depth < 2 else 1):
            made.append(self.make(view.items, depth + 1))
            self._variant += 1
        self._variant -= len(made)
        return made


def valid_data(schemas: Schemas, schema: Any) -> Iterator[tuple[str, Any]]:
    """Named values that are right for a schema, each of them once."""
    found = [(f"full {index}", Maker(schemas, index).make(schema)) for index in range(_VARIANTS)]
    found += [(f"minimal {index}", Maker(schemas, index, optional=False).make(schema)) for index in range(_VARIANTS)]
    found.append(("allowed nulls", Maker(schemas, nulls=True).make(schema)))
    found.append(("deep", Maker(schemas, deep=_DEEPEST, many=_MOST).make(schema)))
    yield from _different(found)


def bodies(schemas: Schemas, schema: Any) -> list[Body]:
    """All bodies for a schema, valid or not, each of them once."""
    found = list(valid_data(schemas, schema))
    full = found[0][1]
    changes = ("null", "missing", "new field", "new value", *_WRONG)
    found += [(f"everywhere {change!r}", _everywhere(schemas, schema, full, change)) for change in changes]
    alike: set[object] = set()
    for name, value in found[:_VARIANTS]:
        found += [(f"{name}: {told}", changed) for told, changed in _one_at_a_time(schemas, schema, value, alike)]
    found += [(f"top {value!r}", value) for value in (*_WRONG, None, [None], [[]], [{}], {"unheard": 1}, _NEW)]
    found.append(("nested", _nested(45)))
    made = [Body(name, json.dumps(value).encode(), value) for name, value in _different(found)]
    texts = {
        "no body": b"",
        "HTML": b"<html>",
        "cut off": json.dumps(full).encode()[:-1] + b"\xff",
        # The client refuses this, so that no parser runs out of stack.
        "too deep": json.dumps(_nested(400)).encode(),
    }
    return [*made, *(Body(name, content) for name, content in texts.items())]


def _nested(levels: int) -> Any:
    """An object with two levels for each of these."""
    nested: Any = {}
    for _ in range(levels):
        nested = {"x": [nested]}
    return nested


def _different(found: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for name, value in found:
        text = json.dumps(value)
        if text not in seen:
            seen.add(text)
            yield name, value


def places(schemas: Schemas, schema: Any, value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, View]]:
    """The places in a valid value, from the top: the keys that lead there, and what the schema says there."""
    view = schemas.view(schema)
    while view.branches and (index := schemas.branch(view, value)) is not None:
        chosen = schemas.view(view.branches[index].schema)
        if not isinstance(value, dict):
            view = chosen
            break
        yield path, view
        view = chosen
    yield path, view
    if isinstance(value, dict):
        for name, item in value.items():
            inner = view.properties.get(name, view.extra)
            yield from places(schemas, inner, item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(schemas, view.items, item, (*path, index))


def _one_at_a_time(schemas: Schemas, schema: Any, value: Any, seen: set[object]) -> Iterator[tuple[str, Any]]:
    """Copies of a value, each with one change at one place. Places that are alike are changed once (`seen`)."""
    for path, view in places(schemas, schema, value):
        required = bool(path) and path[-1] in schemas.view(_around(schemas, schema, value, path)).required
        alike = (view.kinds, view.form, view.values is None, len(view.branches), view.nullable, required, len(path) > 1)
        if not path or alike in seen or len(seen) >= _PLACES:
            continue
        seen.add(alike)
        where = "/".join(map(str, path))
        yield f"{where} null", _changed(value, path, None)
        if isinstance(path[-1], str):
            yield f"{where} missing", _changed(value, path, ...)
        for wrong in _WRONG:
            yield f"{where} {wrong!r}", _changed(value, path, wrong)
        if view.tag:
            yield f"{where} new kind", _changed(value, (*path, view.tag), "new-kind")


def _around(schemas: Schemas, schema: Any, value: Any, path: tuple[Any, ...]) -> Any:
    """The schema of the object or array that holds a place."""
    for key in path[:-1]:
        view = _concrete(schemas, schema, value)
        schema = view.items if isinstance(value, list) else view.properties.get(key, view.extra)
        value = value[key]
    return schema


def _concrete(schemas: Schemas, schema: Any, value: Any) -> View:
    view = schemas.view(schema)
    while view.branches and (index := schemas.branch(view, value)) is not None:
        view = schemas.view(view.branches[index].schema)
    return view


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a value with another value at one place, or with nothing there (`...`)."""
    changed = copy.deepcopy(value)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(new)
    return changed


def _everywhere(schemas: Schemas, schema: Any, value: Any, change: Any) -> Any:
    """A copy of a value that is changed at all places at once, the innermost ones first."""
    changed = copy.deepcopy(value)
    for path, view in sorted(places(schemas, schema, value), key=lambda place: -len(place[0])):
        holder, inner = changed, changed
        for key in path:
            holder, inner = inner, inner[key] if _has(inner, key) else ...
        if change == "new field" and isinstance(inner, dict):
            inner["newField"] = copy.deepcopy(_NEW)
        elif path and inner is not ...:
            _change_one(holder, path, view, change)
    return changed


def _change_one(holder: Any, path: tuple[Any, ...], view: View, change: Any) -> None:
    """Change what a holder has at the end of a path, as `_everywhere` says."""
    inner = holder[path[-1]]
    if change == "missing":
        if isinstance(holder, dict) and len(path) > 1:
            del holder[path[-1]]
    elif change == "new value":
        _renew(holder, path[-1], view)
    elif change != "new field" and (not isinstance(inner, dict | list) or not inner):
        holder[path[-1]] = None if change == "null" else copy.deepcopy(change)


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else isinstance(holder, list) and key < len(holder)


def _renew(holder: Any, key: Any, view: View) -> None:
    """Replace a value of an enum, or the kind of an object in a union, by a new one."""
    if view.tag and isinstance(holder[key], dict):
        holder[key][view.tag] = "new-kind"
    elif view.values is not None:
        holder[key] = 987 if isinstance(holder[key], int) else "NEW_VALUE"
