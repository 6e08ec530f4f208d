"""Strategies for pages in the vendor's form, over the shapes that OpenAPI documents have."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import cycle
from typing import Any, Final

from corpus_fixed_names import ODD_PROPERTIES
from corpus_fixed_schemas import ODD_VALUES
from corpus_page import (
    BEARER,
    BOOLEAN,
    INTEGER,
    JSON,
    KEY,
    METHODS,
    NEW,
    NOTHING,
    NUMBER,
    OLD,
    TEXT,
    Json,
    Page,
    answer,
    array,
    body,
    choice,
    formatted,
    mapping,
    operation,
    page,
    parameter,
    ref,
    thing,
)
from hypothesis import strategies as st

Schema = st.SearchStrategy[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_NAMES: Final = ("name", "count", "createdAt", "items", "data", "next", "value", "status", "kind", *ODD_PROPERTIES)
_WORDS: Final = ("Squad", "Item", "Report", "Thing", "Job", "user.profile", "line-item", "Page_Item_")
_TITLES: Final = ("Name", "Created At", "Response / List", "Details", "Data")
_DESCRIPTIONS: Final = ("Plain words.", 'Some "quotes" and a back\\slash', "Two\nlines", "emoji 🎈")
_FORMATS: Final = ("date", "date-time", "uuid", "byte", "email", "uri", "unheard-of")
_SMALL: Final = 3
_HOLE: Final = {"$ref": "#/components/schemas/?"}


@cache
def scalars() -> Schema:
    """Strings with and without formats, numbers, booleans and enums."""
    values = st.lists(st.sampled_from(ODD_VALUES), min_size=1, max_size=4, unique_by=str.lower)
    return st.one_of(
        st.sampled_from([TEXT, INTEGER, NUMBER, BOOLEAN]),
        st.sampled_from(_FORMATS).map(formatted),
        st.sampled_from(["int32", "int64"]).map(lambda form: formatted(form, "integer")),
        st.sampled_from(["float", "double"]).map(lambda form: formatted(form, "number")),
        values.map(lambda listed: choice(*listed)),
        st.lists(st.integers(-3, 99), min_size=1, max_size=3, unique=True).map(lambda listed: choice(*listed)),
        st.just({**INTEGER, "default": 3}),
        st.just({**TEXT, "default": "d"}),
    )


def nullable(schema: Any, *, is_new: bool) -> Json:
    """A schema that allows null too."""
    if not is_new:
        return {"nullable": True, "allOf": [schema]} if "$ref" in schema else {**schema, "nullable": True}
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, NOTHING]}


@st.composite
def objects(draw: Draw, inner: Schema) -> Json:
    """Objects with a few properties, some of them required, with and without a title and a description."""
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=5, unique=True))
    fields = {name: draw(inner) for name in names}
    made = thing(fields, *(name for name in names if draw(st.booleans())))
    if draw(st.booleans()):
        made["description"] = draw(st.sampled_from(_DESCRIPTIONS))
    if draw(st.integers(0, 5)) == 0:
        made["title"] = draw(st.sampled_from(_TITLES))
    extra = draw(st.sampled_from([None, None, None, True, False, TEXT]))
    return made if extra is None else {**made, "additionalProperties": extra}


@st.composite
def kinds(draw: Draw, inner: Schema, *, is_new: bool) -> Json:
    """A union of objects that a constant or an enum of one value tells apart."""
    words = draw(st.lists(st.sampled_from(["a", "b", "c", "1", "x-y"]), min_size=2, max_size=_SMALL, unique=True))
    parts = []
    for word in words:
        constant = {"const": word} if is_new and draw(st.booleans()) else choice(word)
        made = draw(objects(inner))
        made.pop("title", None)
        fields = {"kind": constant, **{name: one for name, one in made["properties"].items() if name != "kind"}}
        extra = made.get("additionalProperties", True)
        parts.append(thing(fields, "kind", **({} if extra is True else {"additionalProperties": extra})))
    return {draw(st.sampled_from(["oneOf", "anyOf"])): parts}


@cache
def schemas(*, is_new: bool) -> Schema:
    """Schemas of all kinds. A reference in them is a hole, which `_filled` fills with a component."""
    leaves: Schema = st.one_of(scalars(), st.just({"type": "object"}), st.just({}), st.just(_HOLE))

    def larger(inner: Schema) -> Schema:
        described = st.sampled_from(_DESCRIPTIONS)
        objects_only = objects(scalars())
        plain = inner.filter(bool)
        return st.one_of(
            objects(inner),
            objects(inner),
            inner.map(array),
            inner.map(mapping),
            plain.map(lambda one: nullable(one, is_new=is_new)),
            kinds(scalars(), is_new=is_new),
            st.tuples(inner, described).map(lambda pair: {"allOf": [pair[0]], "description": pair[1]}),
            st.tuples(objects_only, objects_only).map(_united),
            st.lists(plain, min_size=2, max_size=_SMALL).map(lambda parts: {"anyOf": parts}),
        )

    return st.recursive(leaves, larger, max_leaves=8)


def _united(parts: tuple[Json, Json]) -> Json:
    """`allOf` of two objects that do not contradict each other."""
    first, second = ({**part} for part in parts)
    second["properties"] = {name: one for name, one in second["properties"].items() if name not in first["properties"]}
    second["required"] = [name for name in second.get("required", ()) if name in second["properties"]]
    for part in (first, second):
        part.pop("additionalProperties", None)
        part.pop("title", None)
        if not part.get("required"):
            part.pop("required", None)
    return {"allOf": [first, second]}


def _filled(node: Any, names: list[str]) -> Any:
    """A copy of a schema that refers to components with these names in turn, or has strings if there are none."""
    turn = cycle(names)

    def fill(one: Any) -> Any:
        if one == _HOLE:
            return ref(next(turn)) if names else TEXT
        if isinstance(one, dict):
            return {key: fill(value) for key, value in one.items()}
        return [fill(item) for item in one] if isinstance(one, list) else one

    return fill(node)


@st.composite
def parameters(draw: Draw) -> list[Json]:
    """A few parameters in the query and in headers."""
    names = draw(st.lists(st.sampled_from(["limit", "foo-bar", "from", "q", "url", "id[]"]), max_size=3, unique=True))
    made = []
    for name in names:
        schema = draw(scalars())
        listed = array(schema) if draw(st.booleans()) and "default" not in schema else schema
        made.append(parameter(name, listed, required=draw(st.booleans())))
    if draw(st.booleans()):
        made.append(parameter("X-Trace", TEXT, "header"))
    return made


@st.composite
def described(draw: Draw, inner: Schema, method: str, *, path: list[Json]) -> Json:
    """An operation."""
    answers = {draw(st.sampled_from(["200", "200", "200", "201", "202", "2XX"])): answer(draw(inner))}
    if draw(st.integers(0, 3)) == 0:
        answers["404"] = answer(thing({"message": TEXT}))
    if draw(st.integers(0, 5)) == 0:
        answers = {**answers, "204": {"description": "Nothing"}}
    more: Json = {"parameters": [*path, *draw(parameters())]}
    if method in {"post", "put", "patch"}:
        media = draw(st.sampled_from([JSON, JSON, JSON, "application/vnd.corpus+json"]))
        more["requestBody"] = body(draw(inner), media, required=draw(st.booleans()))
    more["security"] = draw(st.sampled_from([[{KEY: []}], [{KEY: []}], [{KEY: []}, {BEARER: []}], [{BEARER: []}], []]))
    more["deprecated"] = True if draw(st.integers(0, 9)) == 0 else None
    return operation(answers, **more)


@st.composite
def pages(draw: Draw, *, is_new: bool) -> Page:
    """A page whose names have the prefix `PXX`, which is replaced when it gets its number."""
    words = draw(st.lists(st.sampled_from(_WORDS), max_size=4, unique=True))
    names = [f"PXX{word}" for word in words]
    components: Json = {}
    for index, name in enumerate(names):
        # A component may refer to those before it anywhere, and to itself only where that may be missing.
        made = _filled(draw(objects(schemas(is_new=is_new))), names[:index])
        if draw(st.booleans()):
            again = draw(st.sampled_from([array(ref(name)), mapping(ref(name)), nullable(ref(name), is_new=is_new)]))
            made["properties"]["again"] = again
        made.pop("title", None)
        components[name] = draw(st.sampled_from([made, made, made, draw(scalars())]))
    paths: dict[str, Json] = {}
    for number in range(draw(st.integers(1, 2))):
        method = draw(st.sampled_from(METHODS))
        tail, own = f"/part{number}", []
        if draw(st.booleans()):
            own = [parameter("item-id", draw(st.sampled_from([TEXT, INTEGER, formatted("uuid")])), "path")]
            tail += "/{item-id}"
        paths[tail] = {method: _filled(draw(described(schemas(is_new=is_new), method, path=own)), names)}
    return page("pxx", paths, components, version=NEW if is_new else OLD, schemes=(KEY, BEARER))
