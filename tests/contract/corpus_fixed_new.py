"""Pages of the corpus that were written by hand: what OpenAPI 3.1 writes in another way than 3.0."""

from __future__ import annotations

from typing import Any, Final

from corpus_page import (
    BOOLEAN,
    INTEGER,
    NEW,
    NOTHING,
    NUMBER,
    TEXT,
    Json,
    Page,
    array,
    formatted,
    mapping,
    operation,
    page,
    parameter,
    reading,
    ref,
    sending,
    thing,
)


def _or_null(*parts: Any, word: str = "anyOf") -> Json:
    return {word: [*parts, NOTHING]}


def _nulls() -> Page:
    """Null as a type."""
    schemas: Json = {
        "NewThing": thing({"x": INTEGER, "at": formatted("date-time")}, "x"),
        "NewEnum": {"type": "string", "enum": ["a", "b"]},
        "NewNode": thing({"next": _or_null(ref("NewNode"))}, "next"),
    }
    fields: Json = {
        "text": {"type": ["string", "null"]},
        "moment": {"type": ["string", "null"], "format": "date-time"},
        "id": _or_null(formatted("uuid")),
        "day": _or_null(formatted("date"), word="oneOf"),
        "number": {"type": ["number", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "two": {"type": ["string", "integer"]},
        "three": {"type": ["string", "integer", "null"]},
        "list": {"type": ["array", "null"], "items": ref("NewThing")},
        "object": {"type": ["object", "null"], "properties": {"z": TEXT}},
        "map": {"type": ["object", "null"], "additionalProperties": formatted("date")},
        "thing": _or_null(ref("NewThing")),
        "thingFirst": {"oneOf": [NOTHING, ref("NewThing")]},
        "enum": _or_null(ref("NewEnum")),
        "enumNull": {"type": ["string", "null"], "enum": ["x", "y", None]},
        "union": _or_null(ref("NewThing"), TEXT, INTEGER),
        "lists": array(_or_null(ref("NewThing"))),
        "only": NOTHING,
    }
    paths = {
        "/optional": reading(thing(fields)),
        "/required": reading(thing(fields, *fields)),
        "/thing": reading(_or_null(ref("NewThing"))),
        "/text": reading({"type": ["string", "null"]}),
        "/node": reading(ref("NewNode")),
        # A caller cannot know from a type that null alone may be sent.
        "/send": sending(thing({name: one for name, one in fields.items() if name != "only"}, "text"), ref("NewThing")),
        "/query": reading(
            thing({"ok": BOOLEAN}),
            parameters=[parameter("q", {"type": ["string", "null"]}), parameter("n", _or_null(INTEGER))],
        ),
    }
    return page("new-nulls", paths, schemas, version=NEW)


def _constants() -> Page:
    """Constants, and unions that they decide."""
    schemas: Json = {
        "ConstCircle": thing({"shape": {"const": "circle"}, "radius": NUMBER}, "shape", "radius"),
        "ConstSquare": thing({"shape": {"type": "string", "const": "square"}, "side": NUMBER}, "shape"),
        "ConstOne": thing({"version": {"const": 1}, "a": TEXT}, "version"),
        "ConstTwo": thing({"version": {"const": 2}, "a": TEXT}, "version"),
        "ConstEvent": {
            "oneOf": [ref("ConstCircle"), ref("ConstSquare")],
            "discriminator": {
                "propertyName": "shape",
                "mapping": {"circle": "#/components/schemas/ConstCircle", "square": "#/components/schemas/ConstSquare"},
            },
        },
    }
    shape = {"oneOf": [ref("ConstCircle"), ref("ConstSquare")]}
    version = {"anyOf": [ref("ConstOne"), ref("ConstTwo")]}
    fields: Json = {
        "shape": shape,
        "shapes": array(shape),
        "version": version,
        "event": ref("ConstEvent"),
        "nullable": _or_null(ref("ConstCircle"), ref("ConstSquare")),
        "fixed": {"const": "always"},
        "number": {"type": "integer", "const": 7},
        "default": {"const": "d", "default": "d"},
    }
    paths = {
        "/shape": reading(shape),
        "/versions": reading(array(version)),
        "/event": reading(ref("ConstEvent")),
        "/holder": reading(thing(fields, "shape", "fixed")),
        "/send": sending(shape, thing(fields)),
    }
    return page("new-constants", paths, schemas, version=NEW)


def _annotations() -> Page:
    """Words that are new or have changed."""
    schemas: Json = {
        "AnnotatedItem": {
            **thing({"n": {**INTEGER, "exclusiveMinimum": -2, "exclusiveMaximum": 2**60}, "s": TEXT}, "n"),
            "examples": [{"n": 1, "enum": [1], "required": ["x"], "$ref": "#/nowhere"}],
        }
    }
    fields: Json = {
        "described": {"$ref": "#/components/schemas/AnnotatedItem", "description": "Beside a reference"},
        "examples": {**TEXT, "examples": ["a", "b"]},
        "file": {"type": "string", "contentMediaType": "image/png", "contentEncoding": "base64"},
        "patterned": {"type": "object", "patternProperties": {"^x": TEXT}},
        "bare": {"type": "array"},
        "comment": {**TEXT, "$comment": "Not for users"},
        "map": mapping(_or_null(INTEGER)),
    }
    paths = {
        "/read": reading(thing(fields)),
        "/required": reading(thing(fields, "described", "bare")),
        "/item": {
            "get": operation(
                {"200": {"description": "x", "content": {"application/json": {"schema": ref("AnnotatedItem")}}}}
            )
        },
        "/send": sending(ref("AnnotatedItem"), thing(fields)),
    }
    return page("new-annotations", paths, schemas, version=NEW)


PAGES: Final = (_nulls(), _constants(), _annotations())
