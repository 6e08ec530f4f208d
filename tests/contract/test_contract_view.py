"""What the generated package shows of a contract, and where it comes from."""

from __future__ import annotations

from typing import Any

from generate import overlaid
from origins import Origins, node_at
from package_view import kinds, shown

OVERLAY = "overlay: 1.0.0\nactions: []\n"
JSON = "application/json"


def to(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema: dict[str, Any], media: str = JSON) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}}


def contract(schemas: dict[str, Any], **operation: Any) -> dict[str, Any]:
    """A contract with one operation, which sends and reads a `Squad`."""
    whole = {
        "tags": ["Squads"],
        "operationId": "saveSquad",
        "requestBody": content(to("Squad")),
        "responses": {"200": {"description": "It is saved.", **content(to("Squad"))}},
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Squads", "version": "1.0.0"},
        "security": [{"ApiKey": []}],
        "paths": {"/squads": {"post": whole | operation}},
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "Login": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def view(tmp_path: Any, document: dict[str, Any]) -> dict[str, Any]:
    (tmp_path / "openapi.overlay.yaml").write_text(OVERLAY)
    document = overlaid(tmp_path, contract=document)
    return shown(document, document, named=True)[1]


def operation(document: dict[str, Any]) -> Any:
    return document["paths"]["/squads"]["post"]


def test_limits_count_only_in_what_is_sent(tmp_path: Any) -> None:
    """The client checks no limits of what it reads. What is sent beyond them may be refused."""
    name = {"type": "string", "maxLength": 9, "format": "email"}
    schemas = view(tmp_path, contract({"Squad": {"type": "object", "properties": {"name": name}}}))["components"][
        "schemas"
    ]
    assert schemas["Squad"]["properties"]["name"] == {"type": "string", "format": "plain", "nullable": True}
    assert schemas["SquadInput"]["properties"]["name"] == {"type": "string", "format": "plain", "maxLength": 9}


def test_security_counts_only_if_the_key_is_not_enough(tmp_path: Any) -> None:
    """The client always sends its key. Other credentials are the caller's business."""
    squad = {"Squad": {"type": "object"}}
    assert operation(view(tmp_path, contract(squad)))["security"] == []
    assert operation(view(tmp_path, contract(squad, security=[{"Login": []}, {"ApiKey": []}])))["security"] == []
    assert operation(view(tmp_path, contract(squad, security=[{"Login": []}])))["security"] == [{"Login": []}]


def test_all_media_types_of_json_are_one(tmp_path: Any) -> None:
    """JSON is read in one way, whatever its media type is called."""
    body = content(to("Squad"), "application/vnd.squads+json")
    whole = contract({"Squad": {"type": "object"}}, responses={"200": {"description": "It is saved.", **body}})
    document = view(tmp_path, whole)
    assert list(operation(document)["responses"]["200"]["content"]) == [JSON]
    place = ("paths", "/squads", "post", "responses", "200", "content", JSON, "schema")
    assert Origins(document, whole).of(place)[0][-2] == "application/vnd.squads+json"


def test_each_place_comes_from_places_of_the_vendor(tmp_path: Any) -> None:
    """Both forms of a component come from the component, and a field comes from the member of `allOf` that has it."""
    whole = contract(
        {
            "Squad": {
                "allOf": [to("Base"), {"type": "object", "properties": {"kind": to("Kind"), "parent": to("Squad")}}]
            },
            "Base": {"type": "object", "properties": {"id": {"type": "string"}}},
            "Kind": {"type": "string", "enum": ["A"]},
        }
    )
    document = view(tmp_path, whole)
    origins = Origins(document, whole)
    assert origins.names == {"Squad": "Squad", "SquadInput": "Squad"}
    for name in ("Squad", "SquadInput"):
        component = ("components", "schemas", name)
        assert origins.of((*component, "properties", "id")) == [("components", "schemas", "Base", "properties", "id")]
        found = origins.of((*component, "properties", "kind"))
        assert ("components", "schemas", "Kind") in found
        assert all(node_at(whole, place) is not None for place in found)
    assert origins.of(("info", "title")) == [("info", "title")]


def test_unions_list_their_classes(tmp_path: Any) -> None:
    """A union is a list of classes and types, also if it is a component, or is inside another union."""
    whole = contract(
        {
            "Squad": {"type": "object", "properties": {"owner": to("Owner")}},
            "Owner": {"oneOf": [to("Person"), {"anyOf": [to("Team"), {"type": "string"}]}]},
            "Person": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "Team": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        }
    )
    document = view(tmp_path, whole)
    owner = document["components"]["schemas"]["SquadInput"]["properties"]["owner"]
    assert kinds(owner) == "PersonInput | TeamInput | string"
    assert owner["type"] == ["object", "string"]
    origins = Origins(document, whole)
    place = ("components", "schemas", "TeamInput", "properties", "name")
    assert ("components", "schemas", "Team", "properties", "name") in origins.of(place)
