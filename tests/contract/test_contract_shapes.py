"""Schemas, parameters and media types in the forms that the generator reads correctly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from media import BINARY, accepted, with_known_media
from parameters import about_parameters, with_simple_parameters
from shapes import Shapes

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def thing(properties: Schema, *required: str, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {}), **more}


A, B = thing({"a": TEXT}, "a"), thing({"b": TEXT, "c": TEXT}, "b")
COMPONENTS = {
    "A": A,
    "B": B,
    "Text": TEXT,
    "Union": {"oneOf": [ref("A"), ref("B")]},
    "Tree": {"type": "array", "items": ref("Tree")},
    "Json": {
        "anyOf": [
            TEXT,
            {"type": "array", "items": ref("Json")},
            {"type": "object", "additionalProperties": ref("Json")},
        ]
    },
    "Node": thing({"next": ref("Node")}),
    "Loop": {"allOf": [ref("Loop"), thing({"x": TEXT})]},
    "Nullable": {**A, "nullable": True},
}


@pytest.mark.parametrize(
    ("schema", "simple"),
    [
        # What needs no change.
        (A, A),
        ({}, {}),
        (ref("A"), ref("A")),
        ({**A, "additionalProperties": TEXT}, {**A, "additionalProperties": TEXT}),
        # Types that are meant.
        (True, {}),
        ({"properties": {"a": TEXT}}, thing({"a": TEXT})),
        ({"items": TEXT}, {"type": "array", "items": TEXT}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"enum": ["a", "b", "a"]}, {"enum": ["a", "b"], "type": "string"}),
        ({"enum": [1, 2.5]}, {"type": "number"}),
        ({"enum": ["a", 1]}, {}),
        ({"enum": [False]}, {"type": "boolean"}),
        ({"const": 3}, {"const": 3, "type": "integer"}),
        # Null.
        ({"type": ["string", "null"]}, {**TEXT, "nullable": True}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer"]}),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "null"}, {"type": "null"}),
        ({"anyOf": [ref("A"), {"type": "null"}]}, {"nullable": True, "allOf": [ref("A")]}),
        ({"oneOf": [{"type": "null"}, TEXT]}, {**TEXT, "nullable": True}),
        # One of all.
        ({"allOf": [ref("A")], "description": "d"}, {"description": "d", "allOf": [ref("A")]}),
        ({"allOf": [ref("A"), {"description": "d"}]}, {"description": "d", "allOf": [ref("A")]}),
        ({"allOf": [{"description": "d"}]}, {"description": "d"}),
        ({"allOf": [TEXT, {"maxLength": 3}]}, {"type": "string", "maxLength": 3}),
        ({"allOf": [ref("Text"), {"maxLength": 3}]}, {"type": "string", "maxLength": 3}),
        ({"allOf": [ref("A"), B]}, thing({"a": TEXT, "b": TEXT, "c": TEXT}, "a", "b")),
        ({"allOf": [ref("A"), ref("Union"), thing({"x": TEXT})]}, thing({"a": TEXT, "x": TEXT}, "a")),
        ({"allOf": [ref("A")], **thing({"x": TEXT}, additionalProperties=False)}, thing({"a": TEXT, "x": TEXT}, "a")),
        (
            {"allOf": [thing({"x": thing({"a": TEXT})}), thing({"x": thing({"b": TEXT})})]},
            thing({"x": thing({"a": TEXT, "b": TEXT})}),
        ),
        # One of several.
        ({"oneOf": [ref("A")]}, {"allOf": [ref("A")]}),
        ({"oneOf": [ref("A"), ref("A")], "discriminator": {}}, {"allOf": [ref("A")]}),
        ({"anyOf": [TEXT, NUMBER]}, {"anyOf": [TEXT, NUMBER]}),
        ({**A, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, A),
        (
            {**thing({"x": TEXT}, "x"), "oneOf": [ref("A"), TEXT]},
            {"oneOf": [thing({"x": TEXT, "a": TEXT}, "x", "a"), TEXT]},
        ),
        (
            {"anyOf": [TEXT, {"type": "array", "items": TEXT}, {"type": "array", "items": ref("A")}]},
            {"anyOf": [TEXT, {"type": "array", "items": {"anyOf": [TEXT, ref("A")]}}]},
        ),
    ],
)
def test_simple_shapes(schema: Any, simple: Schema) -> None:
    """Each schema says the same as before, or less, in a form that the generator reads. The old schema stays."""
    before = copy.deepcopy(schema)
    assert Shapes(COMPONENTS).simple(schema) == simple
    assert schema == before


def test_recursion_ends_where_there_is_no_class() -> None:
    """A class may hold itself. What holds itself without a class between becomes any JSON there."""
    shapes = Shapes(COMPONENTS)
    assert shapes.component("Tree") == {"type": "array", "items": {}}
    assert shapes.component("Node") == thing({"next": ref("Node")})
    assert shapes.component("Loop") == thing({"x": TEXT})
    assert shapes.component("Json")["anyOf"][1] == {"type": "array", "items": {}}


def test_a_nullable_component_is_a_class_that_is_not_null() -> None:
    """Those who refer to it say that it may be null."""
    shapes = Shapes(COMPONENTS)
    assert shapes.component("Nullable") == A
    assert shapes.nullable == {"Nullable"}


def operation(path: str, *parameters: Schema, body: Schema | None = None) -> tuple[str, Any]:
    """The path and the operation after the tools have changed its parameters."""
    made: Schema = {"parameters": list(parameters), "responses": {}}
    if body is not None:
        made["requestBody"] = {"content": {"application/json": {"schema": body}}}
    document: Schema = {"paths": {path: {"get": made}}, "components": {"schemas": COMPONENTS}}
    with_simple_parameters(document)
    ((new, item),) = document["paths"].items()
    return new, item["get"]


def parameter(name: str, schema: Schema | None, place: str = "query", **more: Any) -> Schema:
    return {"name": name, "in": place, **({"schema": schema} if schema is not None else {}), **more}


LIST = {"type": "array", "items": TEXT}


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        (parameter("a", LIST), LIST),
        (parameter("a", {"type": "array", "items": ref("A")}), TEXT),
        (parameter("a", A), A),
        (parameter("a", A, explode=False), TEXT),
        (parameter("a", {"anyOf": [TEXT, NUMBER]}), {"anyOf": [TEXT, NUMBER]}),
        (parameter("a", None, content={}), TEXT),
        (parameter("a", {**LIST, "description": "d"}, "header"), {**TEXT, "description": "d"}),
        (parameter("a", {**TEXT, "format": "date-time"}, "header"), TEXT),
        (parameter("a", {**TEXT, "nullable": True}, "header"), TEXT),
        (parameter("a", {"type": "boolean"}, "cookie"), TEXT),
        (parameter("a", {"type": "integer"}, "cookie"), {"type": "integer"}),
    ],
)
def test_parameters_that_cannot_be_sent_become_strings(given: Schema, schema: Schema) -> None:
    """The caller writes them as the contract says. The others keep their types."""
    _, changed = operation("/a", given)
    assert [one["schema"] for one in changed["parameters"]] == [schema]


def test_parameters_with_items_in_one_value() -> None:
    """The templates learn what joins the items."""
    styles = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
    given = [parameter(style, LIST, style=style, explode=False) for style in styles]
    _, changed = operation("/a", *given)
    assert about_parameters(changed) == {f"query:{style}": {"separator": sign} for style, sign in styles.items()}


def test_an_object_in_brackets_becomes_several_parameters() -> None:
    """Each property is a parameter, and is required if the object and the property are."""
    given = parameter("f", thing({"a": TEXT, "b": NUMBER}, "a"), style="deepObject", required=True)
    _, changed = operation("/a", given)
    found = [(one["name"], one["required"], one["schema"]) for one in changed["parameters"]]
    assert found == [("f[a]", True, TEXT), ("f[b]", False, NUMBER)]


def test_names_of_parameters_differ_in_python() -> None:
    """A parameter that would be called like another one, like the body or like a variable gets a longer name. The
    server gets its own name.
    """
    names = ["foo-bar", "foo_bar", "body", "headers", "a"]
    _, changed = operation("/a", *(parameter(name, TEXT) for name in names), parameter("a", TEXT, "header"), body=TEXT)
    made = [one["name"] for one in changed["parameters"]]
    assert made == ["foo-bar", "foo_bar_query", "body_query", "headers_query", "a", "a"]
    assert about_parameters(changed)["query:foo_bar_query"] == {"wire": "foo_bar"}


def test_names_in_a_path() -> None:
    """Names that the generator cannot find in a path, or that its functions need, get other names. No server sees them.
    Parameters of the path itself become those of each operation. Some headers are no parameters.
    """
    path, changed = operation(
        "/a/{x.y}/{1st}/{body}/{id}",
        *(parameter(name, TEXT, "path") for name in ("x.y", "1st", "body", "id")),
        parameter("Accept", TEXT, "header"),
    )
    assert path == "/a/{path-x_y}/{path-1st}/{path-body}/{id}"
    assert [one["name"] for one in changed["parameters"]] == ["path-x_y", "path-1st", "path-body", "id"]


def media(answer: Schema, body: Schema | None = None) -> tuple[Any, Any, dict[str, str]]:
    """The operation, the media types of its body and the overrides after the tools have changed them."""
    made: Schema = {"responses": {"200": {"content": answer}}}
    if body is not None:
        made["requestBody"] = {"content": body}
    document: Schema = {"paths": {"/a": {"post": made}}, "components": {"schemas": COMPONENTS}}
    overrides = with_known_media(document)
    changed = document["paths"]["/a"]["post"]
    return changed, changed.get("requestBody", {}).get("content"), overrides


@pytest.mark.parametrize(
    ("content", "name", "schema", "accept"),
    [
        ({"application/json": {"schema": A}}, "application/json", A, None),
        ({"application/json": {}}, "application/json", {}, None),
        ({"text/csv": {"schema": A}, "application/json": {"schema": B}}, "application/json", B, None),
        ({"application/vnd.x+json": {"schema": A}}, "application/vnd.x+json", A, "application/vnd.x+json"),
        ({"text/csv": {"schema": A}}, "text/csv", TEXT, "text/csv"),
        ({"audio/wav": {}}, "application/octet-stream", BINARY, "audio/wav"),
        ({"*/*": {"schema": A}}, "application/json", A, None),
        ({"*/*": {"schema": TEXT}}, "application/octet-stream", BINARY, "*/*"),
    ],
)
def test_media_types_of_responses(content: Schema, name: str, schema: Schema, accept: str | None) -> None:
    """One is left: JSON, or else text, or else bytes. The request asks for the vendor's own media type."""
    changed, _, _ = media(content)
    ((found, node),) = changed["responses"]["200"]["content"].items()
    assert (found, node["schema"], accepted(changed)) == (name, schema, accept)


def test_media_types_of_bodies() -> None:
    """JSON and forms stay as they are. Everything else is bytes, and has its own media type. Bodies that an argument
    does not tell apart are reduced to one. Text that is read stays text, although text that is sent is bytes.
    """
    answer = {"text/plain": {"schema": TEXT}}
    form, files = "application/x-www-form-urlencoded", "multipart/form-data"
    assert media({}, {"application/json": {"schema": A}, form: {"schema": A}})[1] == {"application/json": {"schema": A}}
    assert list(media({}, {form: {"schema": B}, "application/json": {"schema": A}})[1]) == ["application/json", form]
    assert media({}, {files: {"schema": TEXT}})[1] == {files: {"schema": {"type": "object"}}}
    assert list(media({}, {"text/plain": {}, "application/json": {"schema": TEXT}})[1]) == ["application/json"]
    assert media({}, {"image/*": {}})[1] == {"application/octet-stream": {"schema": BINARY}}
    changed, body, overrides = media(answer, {"text/plain": {"schema": TEXT}})
    assert body == {"text/plain": {"schema": BINARY}}
    assert overrides == {"text/plain": "application/octet-stream"}
    assert list(changed["responses"]["200"]["content"]) == ["text/plain; is=text"]
    assert accepted(changed) == "text/plain"
