"""Pages of the corpus that were written by hand: schemas and where they stand."""

from __future__ import annotations

from typing import Any, Final

from corpus_page import (
    BOOLEAN,
    INTEGER,
    JSON,
    NUMBER,
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
    reading,
    ref,
    sending,
    thing,
)


def _squads() -> Page:
    """Schemas that are shared by requests and responses, and inline objects whose classes could be called like them."""
    member = thing({"id": formatted("uuid"), "since": formatted("date-time")}, "id")
    squad = thing({"name": TEXT, "lead": ref("SquadMember"), "member": thing({"rank": INTEGER}, "rank")}, "name")
    nested = thing({"squad": ref("Squad"), "depth": thing({"one": thing({"two": thing({"three": BOOLEAN})})})}, "squad")
    paths: dict[str, Json] = {
        "": {
            "get": operation({"200": answer(array(ref("Squad")))}),
            "post": operation({"201": answer(ref("Squad"))}, requestBody=body(ref("Squad"))),
        },
        "/{squadId}": {
            "parameters": [parameter("squadId", formatted("uuid"), "path")],
            "get": operation({"200": answer(nested)}),
            "put": operation({"200": answer(ref("Squad"))}, requestBody=body(nested)),
            "patch": operation({"200": answer(member)}, requestBody=body(member)),
        },
    }
    return page("squads", paths, {"Squad": squad, "SquadMember": member})


def _trees() -> Page:
    """Schemas that refer to themselves: a tree, a linked list, and two that refer to each other."""
    schemas = {
        "TreeNode": thing({"label": TEXT, "children": array(ref("TreeNode"))}, "label"),
        "LinkedItem": thing({"at": formatted("date-time"), "next": ref("LinkedItem")}, "at"),
        "LinkedNull": thing({"n": INTEGER, "next": {"nullable": True, "allOf": [ref("LinkedNull")]}}, "n", "next"),
        "Author": thing({"name": TEXT, "books": array(ref("Book"))}, "name", "books"),
        "Book": thing({"title": TEXT, "author": ref("Author")}, "title"),
        "Expression": {"oneOf": [INTEGER, thing({"left": ref("Expression"), "right": ref("Expression")}, "left")]},
        "Nest": mapping(ref("Nest")),
    }
    paths = {f"/{name.lower()}": reading(ref(name)) for name in schemas}
    return page("trees", {**paths, "/send": sending(ref("TreeNode"), ref("Author"))}, schemas)


def _parts() -> Page:
    """Responses, bodies, parameters, headers, examples and links that are components."""
    schemas = {"Part": thing({"id": TEXT, "kind": ref("PartKind")}, "id"), "PartKind": choice("A", "B")}
    header = {"description": "How many are left", "schema": INTEGER}
    link = {"operationId": "readPart", "parameters": {"partId": "$response.body#/id"}}
    components = {
        "parameters": {
            "PartId": parameter("partId", TEXT, "path"),
            "PartLimit": parameter("limit", {**INTEGER, "minimum": 1, "default": 20}),
            "PartTrace": parameter("X-Trace-Id", TEXT, "header"),
        },
        "headers": {"PartsLeft": header},
        "examples": {"PartExample": {"summary": "A part", "value": {"id": "1", "$ref": "#/nowhere"}}},
        "responses": {
            "PartAnswer": answer(
                ref("Part"), headers={"X-Left": ref("PartsLeft", "headers")}, links={"again": ref("PartLink", "links")}
            ),
            "PartMissing": answer(thing({"message": TEXT}, "message")),
            "PartAlias": ref("PartAnswer", "responses"),
        },
        "requestBodies": {"PartBody": body(ref("Part")), "PartOther": ref("PartBody", "requestBodies")},
        "links": {"PartLink": link},
    }
    both = {"200": ref("PartAnswer", "responses"), "404": ref("PartMissing", "responses")}
    shared = [ref("PartId", "parameters"), ref("PartTrace", "parameters")]
    examples = {"one": ref("PartExample", "examples")}
    listed = {"description": "All", "content": {JSON: {"schema": array(ref("Part")), "examples": examples}}}
    paths: dict[str, Json] = {
        "": {"get": operation({"200": listed}, parameters=[ref("PartLimit", "parameters")])},
        "/{partId}": {
            "parameters": shared,
            "get": operation(both, operationId="readPart"),
            "put": operation(both, requestBody=ref("PartBody", "requestBodies")),
            "patch": operation(both, requestBody=ref("PartBody", "requestBodies"), operationId="patchPart"),
        },
    }
    del components["responses"]["PartAlias"], components["requestBodies"]["PartOther"]
    return page("parts", paths, schemas, components=components)


def _compositions() -> Page:
    """`allOf` in all its forms."""
    base = thing({"id": formatted("uuid"), "createdAt": formatted("date-time")}, "id")
    named = thing({"name": TEXT, "tags": array(TEXT)}, "name")
    schemas = {
        "ComposedBase": base,
        "ComposedNamed": named,
        "ComposedOfRefs": {"allOf": [ref("ComposedBase"), ref("ComposedNamed")]},
        "ComposedInline": {"allOf": [ref("ComposedBase"), thing({"extra": NUMBER}, "extra")]},
        "ComposedOfThree": {
            "description": "Three parts",
            "allOf": [ref("ComposedBase"), ref("ComposedNamed"), thing({"third": BOOLEAN})],
        },
        "ComposedBeside": {"type": "object", "properties": {"own": TEXT}, "allOf": [ref("ComposedNamed")]},
        "ComposedStatus": choice("on", "off"),
        "ComposedHolder": thing(
            {
                "only": {"allOf": [ref("ComposedNamed")]},
                "described": {"description": "The name", "allOf": [ref("ComposedNamed")]},
                "titled": {"title": "Titled", "allOf": [ref("ComposedNamed")]},
                "nullable": {"nullable": True, "allOf": [ref("ComposedNamed")]},
                "readable": {"readOnly": True, "allOf": [ref("ComposedNamed")]},
                "status": {"allOf": [ref("ComposedStatus")], "description": "As FastAPI writes it", "default": "on"},
                "nullableStatus": {"allOf": [ref("ComposedStatus")], "nullable": True},
                "inline": {"allOf": [thing({"a": INTEGER}), thing({"b": INTEGER})]},
                "deep": {"allOf": [{"allOf": [ref("ComposedBase"), thing({"c": TEXT})]}, thing({"d": TEXT})]},
                "required": {"allOf": [ref("ComposedNamed"), {"required": ["tags"]}]},
            },
            "only",
            "nullable",
        ),
    }
    paths = {f"/{name.lower()}": reading(ref(name)) for name in schemas if name.startswith("ComposedOf")}
    paths |= {f"/{name.lower()}": reading(ref(f"Composed{name}")) for name in ("Inline", "Beside", "Holder")}
    return page("compositions", {**paths, "/send": sending(ref("ComposedOfThree"), ref("ComposedHolder"))}, schemas)


def _nullables() -> Page:
    """Null in the form of OpenAPI 3.0."""
    schemas = {"NullableThing": thing({"x": INTEGER}), "NullableWhole": {**thing({"y": TEXT}), "nullable": True}}
    fields: Json = {
        "text": {**TEXT, "nullable": True},
        "moment": formatted("date-time", nullable=True),
        "day": formatted("date", nullable=True),
        "id": formatted("uuid", nullable=True),
        "number": {**NUMBER, "nullable": True},
        "flag": {**BOOLEAN, "nullable": True},
        "list": array({**TEXT, "nullable": True}, nullable=True),
        "map": mapping({**INTEGER, "nullable": True}, nullable=True),
        "inline": thing({"z": formatted("date")}, nullable=True),
        "one": {"nullable": True, "allOf": [ref("NullableThing")]},
        "whole": ref("NullableWhole"),
        "choice": choice("a", "b", None, nullable=True),
        "choiceWithout": choice("a", "b", nullable=True),
        "listed": array({"nullable": True, "allOf": [ref("NullableThing")]}),
        "union": {"nullable": True, "oneOf": [ref("NullableThing"), TEXT]},
    }
    needed = thing(fields, *fields)
    paths = {
        "/optional": reading(thing(fields)),
        "/required": reading(needed),
        "/whole": reading(ref("NullableWhole")),
        "/send": sending(needed, {"nullable": True, "type": "string"}),
    }
    return page("nullables", paths, schemas)


ODD_VALUES: Final = ("1", "", "a b", "class", "A", "a", "+1", "-1", "ünï", "🎈", "None", "A-B", "A_B", "x/y", "value")


def _enums() -> Page:
    """Enums of all kinds, and defaults."""
    schemas: Json = {
        "EnumColor": choice("red", "green", "blue"),
        "EnumOdd": choice(*ODD_VALUES),
        "EnumLevel": choice(-1, 0, 1, 10),
        "EnumSort": choice("+1", "-1"),
        "EnumNull": choice("x", None, nullable=True),
    }
    fields: Json = {name.lower(): ref(name) for name in schemas}
    fields |= {
        "inline": choice("one", "two", default="two"),
        "levels": array(ref("EnumLevel")),
        "colors": mapping(ref("EnumColor")),
        "single": choice("only"),
        "number": choice(1, 2, default=2),
        "same": choice("red", "green", "blue"),
        "text": {**TEXT, "default": 'a "default" \\ of text'},
        "count": {**INTEGER, "default": 7},
        "ratio": {**NUMBER, "default": 0.5},
        "yes": {**BOOLEAN, "default": True},
        "at": formatted("date-time", default="2026-01-02T03:04:05Z"),
        "id": formatted("uuid", default="6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"),
        "none": {**TEXT, "nullable": True, "default": None},
        "empty": array(TEXT, default=[]),
    }
    paths: dict[str, Any] = {
        "/read": reading(thing(fields, *list(fields)[:6])),
        "/required": reading(thing(fields, *fields)),
        "/one": reading(ref("EnumColor")),
        "/level": reading(ref("EnumLevel")),
        "/send": sending(thing(fields, "enumodd"), ref("EnumOdd")),
        "/query": reading(
            TEXT,
            parameters=[
                parameter("color", ref("EnumColor")),
                parameter("odd", ref("EnumOdd"), required=True),
                parameter("level", ref("EnumLevel")),
                parameter("inline", choice("one", "two", default="two")),
                parameter("colors", array(ref("EnumColor"))),
            ],
        ),
    }
    return page("enums", paths, schemas)


FORMATS: Final = ("date", "date-time", "uuid", "binary", "byte", "email", "uri", "unheard-of", "password")


def _formats() -> Page:
    """All formats, alone and inside arrays and maps."""
    fields: Json = {name: formatted(name) for name in FORMATS if name != "binary"}
    fields |= {"int64": formatted("int64", "integer"), "int32": formatted("int32", "integer")}
    fields |= {"float": formatted("float", "number"), "double": formatted("double", "number")}
    lists = {f"list-{name}": array(one) for name, one in fields.items()}
    maps = {f"map-{name}": mapping(one) for name, one in fields.items()}
    paths = {
        "/optional": reading(thing(fields)),
        "/required": reading(thing(fields, *fields)),
        "/inside": reading(thing({**lists, **maps}, "list-date", "map-date-time")),
        "/file": reading(thing({"file": formatted("binary")}, "file")),
        "/moment": reading(formatted("date-time")),
        "/moments": reading(array(formatted("date-time"))),
        "/id": reading(formatted("uuid")),
        "/send": sending(thing({**fields, **lists, **maps}, "date", "list-uuid"), thing(fields)),
    }
    return page("formats", paths)


def _maps() -> Page:
    """Maps, arrays, and objects whose form is free."""
    item = thing({"at": formatted("date-time")}, "at")
    schemas: Json = {"MapItem": item, "MapOfItems": mapping(ref("MapItem")), "MapList": array(ref("MapItem"))}
    fields: Json = {
        "texts": mapping(TEXT),
        "moments": mapping(formatted("date-time")),
        "items": mapping(ref("MapItem")),
        "lists": mapping(array(ref("MapItem"))),
        "inline": mapping(thing({"n": INTEGER})),
        "true": {"type": "object", "additionalProperties": True},
        "closed": thing({"a": TEXT}, additionalProperties=False),
        "free": {"type": "object"},
        "any": {},
        "anyList": array({}),
        "component": ref("MapOfItems"),
        "list": ref("MapList"),
        "matrix": array(array(NUMBER)),
        "matrixOfItems": array(array(ref("MapItem"))),
        "enums": array(choice("a", "b")),
        "unions": array({"oneOf": [TEXT, INTEGER]}),
        "days": array(formatted("date")),
        "mixed": thing({"known": TEXT}, additionalProperties=formatted("date")),
        "mapOfMaps": mapping(mapping(INTEGER)),
        "mapOfAny": mapping({}),
    }
    paths = {
        "/read": reading(thing(fields)),
        "/required": reading(thing(fields, *fields)),
        "/top": reading(mapping(ref("MapItem"))),
        "/free": reading({"type": "object"}),
        "/any": reading({}),
        "/send": sending(thing(fields, "texts"), ref("MapOfItems")),
        "/send-map": sending(mapping(formatted("uuid")), mapping(TEXT)),
    }
    return page("maps", paths, schemas)


PAGES: Final = (_squads(), _trees(), _parts(), _compositions(), _nullables(), _enums(), _formats(), _maps())
