"""Judge what a generated function returns for a body. The rules know JSON and the vendor's schema, and no generator."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

import attrs
from corpus_hints import Hints
from corpus_schema import Branch, Schemas, View

LOST: Final = object()
"""What stands for a value that is not there."""


def plain(value: Any) -> Any:
    """A value of a generated function as JSON data. A file becomes its text."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):  # a file, as httpx takes it
        return plain(value[1])
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "payload"):
        return plain(value.payload)
    if hasattr(value, "getvalue"):
        value = value.getvalue()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. Times and UUIDs are compared by value, since a client reads them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_value(one, other)
    return (type(one) is type(other) and bool(one == other)) or _same_number(one, other)


def _same_number(one: Any, other: Any) -> bool:
    return {type(one), type(other)} == {int, float} and bool(one == other)


def _same_value(one: str, other: str) -> bool:
    for read in (datetime.fromisoformat, UUID):
        try:
            if read(one) == read(other):
                return True
        except (ValueError, TypeError):
            continue
    return False


def differences(schemas: Schemas, schema: Any, data: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where a value is not what the body says. What the body has against the schema may be anything.

    Args:
        schemas: The schemas of the page.
        schema: The schema of the place.
        data: What the body has there.
        found: What the value has there, as JSON data.
        place: The place, for messages.
    """
    if schemas.valid(schema, data):
        if not same(data, found):
            yield f"{place or 'top'}: {_short(data)} became {_short(found)}"
        return
    view = schemas.view(schema)
    if isinstance(data, dict) and _may_be(view, "object"):
        if not isinstance(found, dict):
            yield f"{place or 'top'}: the object {_short(data)} became {_short(found)}"
            return
        yield from _lost_fields(schemas, view, data, found, place)
    elif isinstance(data, list) and _may_be(view, "array"):
        if not isinstance(found, list) or len(found) != len(data):
            yield f"{place or 'top'}: the array {_short(data)} became {_short(found)}"
            return
        for index, (item, other) in enumerate(zip(data, found, strict=True)):
            yield from differences(schemas, view.items, item, other, f"{place}/{index}")


def _lost_fields(schemas: Schemas, view: View, data: Any, found: Any, place: str) -> Iterator[str]:
    index = schemas.branch(view, data)
    if view.branches and index is not None:
        yield from differences(schemas, view.branches[index].schema, data, found, place)
        return
    for name, item in data.items():
        where = f"{place}/{name}"
        if name in view.properties or view.extra is not False:
            if name in found:
                schema = view.properties.get(name, True if view.branches else view.extra)
                yield from differences(schemas, schema, item, found[name], where)
            elif view.branches or schemas.valid(view.properties.get(name, view.extra), item):
                yield f"{where}: {_short(item)} is lost"


def _may_be(view: View, kind: str) -> bool:
    """Whether a place may hold an object or an array, by its type or by a branch of its union."""
    return kind in view.kinds or (kind == "object" and bool(view.properties) and not view.kinds)


def _short(value: Any) -> str:
    text = "nothing" if value is LOST else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def as_json(value: Any) -> str | None:
    """Why `to_dict()` of a value is no JSON, or `None` if it is."""
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if hasattr(part, "to_dict"):
            try:
                json.dumps(part.to_dict(), default=_file)
            except (TypeError, ValueError) as error:
                return str(error)
    return None


def _file(value: Any) -> str:
    if hasattr(value, "getvalue"):
        return "file"
    raise TypeError(f"{type(value).__name__} is no JSON")


class Classes:
    """Which class each branch of each union gave. Another branch must give another class.

    Attributes:
        wrong: What is wrong.
    """

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._known: dict[tuple[int, int], type] = {}
        self.wrong: list[str] = []

    def look(self, schema: Any, data: Any, value: Any, place: str = "top") -> None:
        """Look at a value that was made from a valid body."""
        view = self._schemas.view(schema)
        if isinstance(data, list) and isinstance(value, list):
            for item, made in zip(data, value, strict=False):
                self.look(view.items, item, made, f"{place}/[]")
        elif isinstance(data, dict) and view.branches:
            index = self._schemas.branch(view, data)
            if index is not None:
                if self._schemas.decided(view):
                    self._check(view.branches, index, value, place)
                self.look(view.branches[index].schema, data, value, place)
        elif isinstance(data, dict):
            self._inside(view, data, value, place)

    def _inside(self, view: View, data: Any, value: Any, place: str) -> None:
        extra = getattr(value, "additional_properties", None)
        if attrs.has(type(value)) and isinstance(extra, dict) and (raw := view.properties.keys() & extra.keys()):
            self.wrong.append(f"{place}: {type(value).__name__} has no field for {', '.join(sorted(raw))}")
        for name, item in data.items():
            if isinstance(item, dict | list):
                made = item_of(value, name, item)
                if made is not LOST:
                    self.look(view.properties.get(name, view.extra), item, made, f"{place}/{name}")

    def _check(self, branches: tuple[Branch, ...], index: int, value: Any, place: str) -> None:
        if not attrs.has(type(value)):
            self.wrong.append(f"{place}: branch {index} of the union became {type(value).__name__}")
            return
        # A component may stand for two branches, under two names.
        own = self._schemas.resolved(branches[index].schema)
        for other, branch in enumerate(branches):
            known = self._known.get((id(branches), other))
            if known is type(value) and self._schemas.resolved(branch.schema) is not own:
                self.wrong.append(f"{place}: branches {index} and {other} of the union are both {known.__name__}")
        if self._known.setdefault((id(branches), index), type(value)) is not type(value):
            self.wrong.append(f"{place}: branch {index} of the union has two classes")


def item_of(value: Any, name: str, item: Any) -> Any:
    """The part of a value for a property: of a dictionary, or an attribute whose name or content fits."""
    if isinstance(value, dict):
        return value.get(name, LOST)
    extra = getattr(value, "additional_properties", {})
    if name in extra:
        return extra[name]
    if not attrs.has(type(value)):
        return LOST
    names = [one.name for one in attrs.fields(type(value))]
    alike = [one for one in names if _letters(one) == _letters(name)]
    for one in (*alike, *names):
        if same(item, plain(getattr(value, one))):
            return getattr(value, one)
    return LOST


def _letters(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())


def fits(value: Any, annotation: Any, hints: Hints) -> Iterator[str]:
    """Where the parts of a value are not of the types that the generated code promises.

    Args:
        value: The value.
        annotation: The type that is promised.
        hints: Resolves annotations.
    """
    if not _is(value, annotation):
        yield f"{_short(value)} is not of the type {annotation}"
    elif attrs.has(type(value)):
        promised = hints.of(type(value))
        for one in attrs.fields(type(value)):
            for told in fits(getattr(value, one.name), promised[one.name], hints):
                yield f"{type(value).__name__}.{one.name}: {told}"
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else value.values():
            if attrs.has(type(item)):
                yield from fits(item, type(item), hints)


def _is(value: Any, annotation: Any) -> bool:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        return any(_is(value, one) for one in inner)
    if annotation in {Any, object} or isinstance(annotation, typing.TypeVar):
        return True
    if annotation is None:
        return value is None
    if origin is typing.Literal:
        return value in inner
    if origin is list:
        return isinstance(value, list) and all(_is(item, inner[0]) for item in value)
    if origin in {dict, Mapping}:
        return isinstance(value, dict) and all(_is(item, inner[1]) for item in value.values())
    if annotation in {int, float}:
        # In JSON, 3 is a number too. In Python, `True` is an int.
        return isinstance(value, int | float if annotation is float else int) and not isinstance(value, bool)
    kind = origin or annotation
    return not isinstance(kind, type) or isinstance(value, kind)
