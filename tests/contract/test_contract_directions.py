"""What is read is wide, and what is sent stays strict, wherever the schema stands."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from directions import directed
from references import with_copies

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
KIND: Schema = {"type": "string", "enum": ["A", "B"]}


def ref(name: str, section: str = "schemas") -> Schema:
    return {"$ref": f"#/components/{section}/{name}"}


def thing(properties: Schema, *required: str, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {}), **more}


def both(read: Schema | None, sent: Schema | None = None, **components: Schema) -> tuple[Any, Any, Schema]:
    """Both schemas and the components of a document after the tools have changed it. It has one operation."""
    operation: Schema = {"responses": {"200": {}, "400": {"content": {"application/json": {"schema": KIND}}}}}
    if read is not None:
        operation["responses"]["200"] = {"content": {"application/json": {"schema": copy.deepcopy(read)}}}
    if sent is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": copy.deepcopy(sent)}}}
    document = {"paths": {"/a": {"post": operation}}, "components": {"schemas": copy.deepcopy(components)}}
    changed = directed(with_copies(document))
    new = changed["paths"]["/a"]["post"]
    assert list(new["responses"]) == ["200"]
    contents = [new["responses"]["200"].get("content"), new.get("requestBody", {}).get("content")]
    schemas = [content and content["application/json"]["schema"] for content in contents]
    return schemas[0], schemas[1], changed["components"].get("schemas", {})


def test_a_component_that_is_read_is_wide() -> None:
    """Its fields may be missing or null, and its enums may have new values. So it is with the components inside it."""
    squad = thing({"id": TEXT, "kind": ref("Kind"), "lead": ref("Member")}, "id", "kind")
    read, _, components = both(ref("Squad"), Squad=squad, Kind=KIND, Member=thing({"at": TEXT}, "at"))
    assert read == ref("Squad")
    assert components["Squad"] == thing(
        {
            "id": {**TEXT, "nullable": True},
            "kind": {"nullable": True, "allOf": [ref("Kind")]},
            "lead": {"nullable": True, "allOf": [ref("Member")]},
        }
    )
    assert components["Kind"] == TEXT
    assert components["Member"] == thing({"at": {**TEXT, "nullable": True}})


def test_a_component_that_is_sent_stays_strict() -> None:
    """It stays as it is, because a slip must be seen before the request."""
    squad = thing({"kind": ref("Kind")}, "kind")
    _, sent, components = both(None, ref("Squad"), Squad=squad, Kind=KIND)
    assert (sent, components) == (ref("Squad"), {"Squad": squad, "Kind": KIND})


def test_a_component_that_is_read_and_sent_becomes_two() -> None:
    """What is read keeps the name if it is a class. An enum keeps its name for what is sent, since it is none if it is
    read. A name that is taken is not used.
    """
    squad, taken = thing({"kind": ref("Kind"), "next": ref("Squad")}, "kind"), thing({})
    read, sent, components = both(
        ref("Squad"), thing({"a": ref("Squad"), "b": ref("SquadInput")}), Squad=squad, Kind=KIND, SquadInput=taken
    )
    assert read == ref("Squad")
    assert sent["properties"] == {"a": ref("SquadInput2"), "b": ref("SquadInput")}
    assert components["SquadInput2"] == thing({"kind": ref("Kind"), "next": ref("SquadInput2")}, "kind")
    assert components["Squad"]["properties"]["kind"] == {"nullable": True, "allOf": [ref("KindOutput")]}
    assert (components["Kind"], components["KindOutput"], components["SquadInput"]) == (KIND, TEXT, taken)


def test_a_component_with_a_title_becomes_two_titles() -> None:
    """The form whose name gets an ending has a title with the same ending. So neither of them needs a number."""
    kind, squad = KIND | {"title": "SquadKind"}, thing({"kind": ref("Kind")}) | {"title": "Team"}
    _, _, components = both(ref("Squad"), ref("Squad"), Squad=squad, Kind=kind)
    titles = {name: schema["title"] for name, schema in components.items()}
    assert titles == {"Squad": "Team", "SquadInput": "TeamInput", "Kind": "SquadKind", "KindOutput": "SquadKindOutput"}


def test_what_is_only_read_need_not_be_sent() -> None:
    """OpenAPI 3.0.3, section 4.7.24: a required field that is `readOnly` is required in responses alone."""
    schema = thing({"id": {**TEXT, "readOnly": True}, "name": TEXT}, "id", "name")
    _, sent, _ = both(None, schema)
    assert sent["required"] == ["name"]
    _, sent, _ = both(None, thing({"id": {**TEXT, "readOnly": True}}, "id"))
    assert "required" not in sent


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({**TEXT, "default": "a"}, True),
        ({"type": "integer", "default": 1}, True),
        ({"type": "boolean", "default": False}, True),
        ({**KIND, "default": "A"}, True),
        ({**KIND, "default": "C"}, False),
        ({"type": "integer", "default": True}, False),
        ({"type": "integer", "default": "1"}, False),
        ({**TEXT, "default": None}, False),
        ({**TEXT, "format": "uuid", "default": "x"}, False),
        ({"type": "array", "items": TEXT, "default": []}, False),
    ],
)
def test_defaults_that_can_be_sent(schema: Schema, kept: bool) -> None:
    """Only a default that fits its schema is sent. A default of a response is never used."""
    read, sent, _ = both(thing({"x": schema}), thing({"x": schema}))
    assert ("default" in sent["properties"]["x"]) == kept
    assert "default" not in read["properties"]["x"]


CAT, DOG = (thing({"kind": {"type": "string", "enum": [name]}}, "kind") for name in ("cat", "dog"))


@pytest.mark.parametrize(
    ("union", "kinds"),
    [
        ({"oneOf": [ref("Cat"), ref("Dog")]}, [{"kind": ["cat"]}, {"kind": ["dog"]}]),
        (
            {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "type"}},
            [{"type": ["Cat"]}, {"type": ["Dog"]}],
        ),
        (
            {
                "anyOf": [ref("Cat"), ref("Dog")],
                "discriminator": {"propertyName": "type", "mapping": {"c": "Cat", "d": "#/components/schemas/Dog"}},
            },
            [{"type": ["c"]}, {"type": ["d"]}],
        ),
        ({"anyOf": [ref("Mail"), ref("Phone")]}, [{"mail": None}, {"phone": None}]),
        ({"anyOf": [ref("Mail"), ref("Any")]}, [{"mail": None}, None]),
        ({"anyOf": [ref("Cat"), TEXT]}, [None, None]),
    ],
)
def test_what_tells_the_members_of_a_union_apart(union: Schema, kinds: list[Any]) -> None:
    """A discriminator, a property with other values in each member, or the fields that one member alone requires."""
    mail, phone = (thing({"id": TEXT, name: TEXT}, "id", name) for name in ("mail", "phone"))
    other = thing({"id": TEXT}, "id")
    read, _, components = both(union, Cat=CAT, Dog=DOG, Mail=mail, Phone=phone, Any=other)
    (key,) = {"oneOf", "anyOf"} & read.keys()
    members = [components[member["$ref"].rpartition("/")[2]] if "$ref" in member else member for member in read[key]]
    assert [member.get("x-kinds") for member in members] == kinds
    assert read["nullable"]
    assert "discriminator" not in read


def test_a_member_without_conditions_comes_last() -> None:
    """It would take what belongs to the others."""
    mail, other = thing({"mail": TEXT}, "mail"), thing({"id": TEXT})
    read, _, _ = both({"anyOf": [ref("Any"), ref("Mail")]}, Mail=mail, Any=other)
    assert read["anyOf"] == [ref("Mail"), ref("Any")]


def test_a_component_in_two_unions() -> None:
    """It is meant under the conditions of either of them."""
    one = {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "type", "mapping": {"c": "Cat"}}}
    other = {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "type"}}
    _, _, components = both(thing({"a": one, "b": other}), Cat=CAT, Dog=DOG)
    assert components["Cat"]["x-kinds"] == {"type": ["c", "Cat"]}


def test_references_to_what_is_no_schema() -> None:
    """Parameters, bodies and responses by reference are copied to where they are used. A reference into another part
    gets a component of its own. What the generator ignores is left out: callbacks, links and headers of responses.
    """
    document: Schema = {
        "paths": {
            "/a": {
                "parameters": [ref("P", "parameters")],
                "get": {
                    "callbacks": {"c": {}},
                    "requestBody": ref("B", "requestBodies"),
                    "responses": {"200": ref("R", "responses")},
                },
            }
        },
        "components": {
            "parameters": {"P": ref("Q", "parameters"), "Q": {"name": "q", "in": "query", "schema": TEXT}},
            "requestBodies": {"B": {"content": {"application/json": {"schema": ref("Squad/properties/lead")}}}},
            "responses": {"R": {"description": "d", "links": {}, "headers": {"H": ref("H", "headers")}}},
            "headers": {"H": {"schema": ref("Alias")}},
            "schemas": {"Squad": thing({"lead": thing({"x": TEXT})}), "Alias": ref("Squad")},
        },
    }
    before = copy.deepcopy(document)
    changed = with_copies(document)
    item = changed["paths"]["/a"]
    assert item["parameters"] == [{"name": "q", "in": "query", "schema": TEXT}]
    assert item["get"].keys() == {"requestBody", "responses"}
    assert item["get"]["requestBody"]["content"]["application/json"]["schema"] == ref("SquadLead")
    assert item["get"]["responses"] == {"200": {"description": "d"}}
    assert changed["components"]["schemas"]["SquadLead"] == thing({"x": TEXT})
    assert document == before
