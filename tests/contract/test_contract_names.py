"""The names of generated classes and functions."""

from __future__ import annotations

from typing import Any

import pytest
from naming import Names, mark_titles, sort_titles
from overlay import apply_overlay
from suggestions import suggested_name

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}


def thing(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


def named(
    answers: dict[str, Schema], components: dict[str, Schema] | None = None, titles: dict[str, str] | None = None
) -> tuple[Schema, list[str]]:
    """The schemas of a document after all classes have names, and the warnings.

    Args:
        answers: For each operation, its name and the schema of its answer.
        components: The document's components.
        titles: The actions of an overlay: titles by their targets.
    """
    document: Schema = {"paths": {}, "components": {"schemas": components or {}}}
    for name, schema in answers.items():
        content = {"application/json": {"schema": schema}}
        document["paths"][f"/{name}"] = {"get": {"operationId": name, "responses": {"200": {"content": content}}}}
    mark_titles(document)
    actions = [{"target": target, "update": {"title": title}} for target, title in (titles or {}).items()]
    document = apply_overlay(document, {"actions": actions})
    sort_titles(document)
    warnings: list[str] = []
    return Names(document, warnings.append).give(), warnings


def schemas(document: Schema) -> Schema:
    return dict(document["components"].get("schemas", {}))


def answer(document: Schema, name: str) -> Any:
    return document["paths"][f"/{name}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def at(name: str, *keys: str) -> str:
    """The target of an action of the overlay: the answer of an operation, or a schema inside it."""
    inner = "".join(f".properties.{key}" for key in keys)
    return f"$.paths['/{name}'].get.responses['200'].content['application/json'].schema{inner}"


def test_schemas_with_one_title_of_the_overlay_become_one_class() -> None:
    """It has the properties of all of them. Descriptions, and whether it may be null, make no difference."""
    other = {**thing(y=TEXT, x={**TEXT, "description": "more", "nullable": True}), "nullable": True}
    document, _ = named({"a": thing(x=TEXT), "b": other}, titles={at("a"): "Thing", at("b"): "Thing"})
    assert list(schemas(document)["Thing"]["properties"]) == ["x", "y"]
    assert answer(document, "a") == ref("Thing")
    assert answer(document, "b") == {"nullable": True, "allOf": [ref("Thing")]}


def test_a_property_may_be_called_title() -> None:
    """Only the title of a schema is a name. A property with this name is a property, and two that differ contradict."""
    document, _ = named({"a": thing(title=TEXT, description=TEXT)}, titles={at("a"): "Thing"})
    assert list(schemas(document)["Thing"]["properties"]) == ["title", "description"]
    answers = {"a": thing(title=TEXT), "b": thing(title={"type": "number"})}
    _, warnings = named(answers, titles={at("a"): "Thing", at("b"): "Thing"})
    assert "their 'title' differ" in warnings[0]


def test_two_schemas_with_one_title_that_differ() -> None:
    """The second one has a class of its own. A warning shows both places, and lines for the overlay to name it. With
    these lines, it has the name that they give, and nothing is told.
    """
    answers = {"a": thing(x=thing(y=TEXT)), "b": thing(x=thing(y={"type": "number"}))}
    titles = {at("a", "x"): "Thing", at("b", "x"): "Thing"}
    document, (warning,) = named(answers, titles=titles)
    assert "two schemas have the title Thing, and their 'y' differ" in warning
    assert schemas(document)["BResponse200"]["properties"]["x"] == ref("BResponse200X")
    lines = [line.strip() for line in warning.split("openapi.overlay.yaml:\n")[1].splitlines()]
    assert lines[0] == f"- target: {at('b', 'x')}"
    assert lines[3] == "title: BResponse200X"
    document, warnings = named(answers, titles={**titles, at("b", "x"): "Other"})
    assert {"Thing", "Other"} <= schemas(document).keys()
    assert not warnings


def test_a_component_with_a_name_of_ours() -> None:
    """Both stay apart. The title of the overlay keeps its name, and a warning shows how to name the component. With
    these lines, it has the name that they give.
    """
    answers = {"a": thing(x=TEXT), "b": ref("Thread")}
    document, warnings = named(answers, {"Thread": thing(z=TEXT)}, {at("a"): "Thread"})
    assert list(schemas(document)["Thread"]["properties"]) == ["x"]
    assert answer(document, "b") == ref("Thread2")
    assert list(schemas(document)["Thread2"]["properties"]) == ["z"]
    assert "target: $.components.schemas.Thread\n" in warnings[0]
    titles = {at("a"): "Thread", "$.components.schemas.Thread": "MailThread"}
    document, warnings = named(answers, {"Thread": thing(z=TEXT)}, titles)
    assert answer(document, "b") == ref("MailThread")
    assert not warnings


def test_components_that_would_be_one_class() -> None:
    """The second one gets a number. So it is with two names whose modules would be one."""
    names = ["FooBar", "foo_bar", "Foo.Bar", "HTTPError", "HttpError"]
    document, warnings = named({name: ref(name) for name in names}, {name: thing(x=TEXT) for name in names})
    assert list(schemas(document)) == ["FooBar", "FooBar2", "FooBar3", "HTTPError", "HttpError2"]
    assert len(warnings) == 3
    assert [answer(document, name)["$ref"].rpartition("/")[2] for name in names] == list(schemas(document))


def test_a_title_inside_a_component_changes_no_name() -> None:
    """A component has the name that it has, whatever its title is. Servers write a title into each schema."""
    document, _ = named({"a": ref("Squad")}, {"Squad": {**thing(x={**TEXT, "title": "X / y"}), "title": "A squad"}})
    assert list(schemas(document)) == ["Squad"]


@pytest.mark.parametrize("title", ["Squad", "a squad", "Squad!", "A/Squad"])
def test_a_title_of_the_vendor_names_a_class(title: str) -> None:
    """All schemas with this title become one class if they agree. The name is made a Python name."""
    document, _ = named({"a": {**thing(x=TEXT), "title": title}, "b": thing(y={**thing(x=TEXT), "title": title})})
    (name,) = schemas(document).keys() - {"BResponse200"}
    assert name.isidentifier()
    assert answer(document, "a") == schemas(document)["BResponse200"]["properties"]["y"] == ref(name)


def test_titles_of_the_vendor_that_contradict_name_nothing() -> None:
    """Then the classes are named by their places. So are those whose title is a name of ours or of a component."""
    answers = {
        "a": {**thing(x=TEXT), "title": "Squad"},
        "b": {**thing(x={"type": "number"}), "title": "Squad"},
        "c": {**thing(x=TEXT), "title": "Thread"},
        "d": {**thing(x=TEXT), "title": "Team"},
        "e": ref("Team"),
        "f": thing(z=TEXT),
    }
    document, _ = named(answers, {"Team": thing(w=TEXT)}, {at("f"): "Thread"})
    expected = {f"{name}Response200" for name in "ABCD"} | {"Team", "Thread"}
    assert schemas(document).keys() == expected


def test_a_class_named_by_its_place_never_replaces_another_one() -> None:
    """If the name is taken by a component, the class at the place gets a number."""
    squad = thing(member=thing(x=TEXT), items={"type": "array", "items": thing(y=TEXT)})
    document, _ = named({"a": ref("Squad"), "b": ref("SquadMember")}, {"Squad": squad, "SquadMember": thing(z=TEXT)})
    assert list(schemas(document)["SquadMember"]["properties"]) == ["z"]
    assert schemas(document)["Squad"]["properties"]["member"] == ref("SquadMember2")
    assert schemas(document)["Squad"]["properties"]["items"]["items"] == ref("SquadItemsItem")


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("post", "/api/v1/workflow/{workflowId}/executions", "createWorkflowExecution"),
        ("get", "/api/v1/workflow/{workflowId}/executions", "listWorkflowExecutions"),
        ("get", "/api/v1/workflow/{workflowId}/executions/{id}", "getWorkflowExecution"),
        ("patch", "/api/v1/threads/{threadId}/close", "closeThread"),
        ("delete", "/api/v1/threads/{threadId}", "deleteThread"),
        ("post", "/api/v1/calls/{callId}/hang-up", "hangUpCall"),
        ("get", "/api/v1/phone-numbers/{id}/status", "getPhoneNumberStatus"),
        ("put", "/api/v1/categories/{categoryId}", "replaceCategory"),
        ("get", "/api/v1/class", "getClass"),
        ("get", "/{id}", "get"),
    ],
)
def test_suggested_names(method: str, path: str, name: str) -> None:
    """The name has a verb for the method, and the nouns of the path. A name that is taken gets a number."""
    assert suggested_name(path, method, ()) == name
    assert suggested_name(path, method, {name}) == f"{name}2"
