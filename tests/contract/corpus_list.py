"""The parts of all pages, and the shapes of parameters, operations and pages that the corpus must have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import frozen
from corpus_list_schemas import Rule, each
from corpus_page import BEARER, KEY, METHODS, Json, Page
from corpus_schema import Schemas


@frozen
class Index:
    """All parts of some pages.

    Attributes:
        pages: The pages.
        schemas: Their schemas, each for itself.
        operations: Their operations.
        parameters: The parameters of these.
    """

    pages: list[Page]
    schemas: list[Json]
    operations: list[Json]
    parameters: list[Json]

    @classmethod
    def of(cls, pages: Iterable[Page]) -> Index:
        """The parts of these pages."""
        made = cls(list(pages), [], [], [])
        for page in made.pages:
            resolve = Schemas(page.document).resolved
            for schema in page.document["components"].get("schemas", {}).values():
                made.schemas.extend(_inner(schema))
            for item in page.document["paths"].values():
                operations = [item[method] for method in METHODS if method in item]
                made.operations.extend(operations)
                for one in (item, *operations):
                    made.parameters.extend(map(resolve, one.get("parameters", ())))
                for media in _media(operations, resolve):
                    made.schemas.extend(_inner(media.get("schema")))
        for parameter in made.parameters:
            made.schemas.extend(_inner(parameter["schema"]))
        return made


def _media(operations: list[Json], resolve: Callable[[Any], Any]) -> Iterator[Json]:
    for operation in operations:
        for one in (operation.get("requestBody", {}), *operation["responses"].values()):
            yield from resolve(one).get("content", {}).values()


def _inner(schema: Any) -> Iterator[Json]:
    """A schema and all schemas in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "patternProperties"):
        for one in schema.get(key, {}).values():
            yield from _inner(one)
    for key in ("items", "additionalProperties"):
        yield from _inner(schema.get(key))
    for key in ("allOf", "oneOf", "anyOf", "prefixItems"):
        for one in schema.get(key, ()):
            yield from _inner(one)


PARAMETERS: Final[dict[str, Rule]] = {
    **each(
        "a parameter in the {}",
        lambda it, place: it["in"] == place,
        ("query", "header", "cookie"),
    ),
    "an array that is exploded": lambda it: it["schema"].get("type") == "array" and it.get("explode", True),
    "an array that is joined": lambda it: it["schema"].get("type") == "array" and it.get("explode") is False,
    "a deep object": lambda it: it.get("style") == "deepObject",
    **each(
        "a {} in the path",
        lambda it, kind: it["in"] == "path" and it["schema"].get("type") == kind,
        ("string", "integer", "number", "boolean"),
    ),
    "a UUID in the path": lambda it: it["in"] == "path" and it["schema"].get("format") == "uuid",
    "a date in the path": lambda it: it["in"] == "path" and it["schema"].get("format") == "date",
    "a dash in the name of a path's parameter": lambda it: it["in"] == "path" and "-" in it["name"],
    "a dot in the name of a path's parameter": lambda it: it["in"] == "path" and "." in it["name"],
    **each(
        "a parameter called {}",
        lambda it, name: it["name"] == name,
        ("client", "url", "body", "json", "self"),
    ),
}


def _sent(operation: Json) -> Json:
    content: Json = operation.get("requestBody", {}).get("content", {})
    return content


def _answered(operation: Json, status: str = "200") -> Json:
    content: Json = operation["responses"].get(status, {}).get("content", {})
    return content


def _sends(operation: Json, kind: str) -> bool:
    return any(media.get("schema", {}).get("type") == kind for media in _sent(operation).values())


def _answers(operation: Json, kind: str) -> bool:
    return any(media.get("schema", {}).get("type") == kind for media in _answered(operation).values())


OPERATIONS: Final[dict[str, Rule]] = {
    **each(
        "a body that is of type {}",
        _sends,
        ("object", "array", "string"),
    ),
    "a body of free form": lambda it: any(media.get("schema") == {"type": "object"} for media in _sent(it).values()),
    "a body that is a union": lambda it: any("oneOf" in media.get("schema", {}) for media in _sent(it).values()),
    "an optional body": lambda it: it.get("requestBody", {}).get("required") is False,
    "a body of two media types": lambda it: len(_sent(it)) > 1,
    **each(
        "a body of {}",
        lambda it, media: media in _sent(it),
        (
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/octet-stream",
            "text/plain",
            "application/vnd.feather+json",
        ),
    ),
    "a form with files, arrays and objects": lambda it: (
        {"files", "tags", "meta"}
        <= _sent(it).get("multipart/form-data", {}).get("schema", {}).get("properties", {}).keys()
    ),
    **each(
        "an answer of type {}",
        _answers,
        ("object", "array", "string", "integer"),
    ),
    "an answer that is a map": lambda it: any(
        "additionalProperties" in media.get("schema", {}) for media in _answered(it).values()
    ),
    "an answer that is a union": lambda it: any("oneOf" in media.get("schema", {}) for media in _answered(it).values()),
    **each(
        "an answer of {}",
        lambda it, media: media in _answered(it),
        (
            "application/vnd.feather.v1+json",
            "text/plain",
            "text/csv",
            "application/pdf",
            "audio/wav",
            "image/png",
            "application/octet-stream",
            "*/*",
        ),
    ),
    "an answer of several media types": lambda it: len(_answered(it)) > 1,
    **each(
        "the status {}",
        lambda it, status: status in it["responses"],
        ("200", "201", "202", "204", "2XX", "4XX", "5XX"),
    ),
    "default alone": lambda it: set(it["responses"]) == {"default"},
    "default beside 200": lambda it: {"200", "default"} <= it["responses"].keys(),
    "201 and 202 with different bodies": lambda it: (
        _answered(it, "201") != _answered(it, "202") and {"201", "202"} <= it["responses"].keys()
    ),
    "headers of a response": lambda it: any("headers" in one for one in it["responses"].values()),
    "several tags": lambda it: len(it.get("tags", ())) > 1,
    "no tag": lambda it: not it.get("tags"),
    "an odd tag": lambda it: any(not tag.isascii() for tag in it.get("tags", ())),
    "no operationId": lambda it: "operationId" not in it,
    "deprecated": lambda it: it.get("deprecated"),
    "secured by the key": lambda it: it.get("security") == [{KEY: []}],
    "secured by a token": lambda it: it.get("security") == [{BEARER: []}],
    "secured by either": lambda it: it.get("security") == [{KEY: []}, {BEARER: []}],
    "secured by both": lambda it: it.get("security") == [{KEY: [], BEARER: []}],
    "secured by nothing": lambda it: it.get("security") == [],
    "callbacks": lambda it: "callbacks" in it,
    "extensions": lambda it: any(key.startswith("x-") for key in it),
    "external documents": lambda it: "externalDocs" in it,
    "quotes in a description": lambda it: '"""' in it.get("description", ""),
    "backslashes in a description": lambda it: "\\" in it.get("description", ""),
    "line breaks in a description": lambda it: "\n" in it.get("description", ""),
    "emoji in a description": lambda it: "🎈" in it.get("description", ""),
}


def _components(page: Page, section: str = "schemas") -> Json:
    named: Json = page.document["components"].get(section, {})
    return named


def _operation_ids(page: Page) -> list[str]:
    items = page.document["paths"].values()
    return [item[method].get("operationId", "") for item in items for method in METHODS if method in item]


def _delete_with_body(page: Page) -> bool:
    items = page.document["paths"].values()
    return any(_answered(item["delete"]) for item in items if "delete" in item)


PAGES: Final[dict[str, Rule]] = {
    "OpenAPI 3.0": lambda it: not it.is_new,
    "OpenAPI 3.1": lambda it: it.is_new,
    **each(
        "components.{}",
        lambda it, section: _components(it, section) and f"#/components/{section}/" in it.text(),
        ("schemas", "responses", "requestBodies", "parameters", "headers", "links", "examples"),
    ),
    "a tree": lambda it: any(
        field.get("items") == {"$ref": f"#/components/schemas/{name}"}
        for name, schema in _components(it).items()
        for field in schema.get("properties", {}).values()
    ),
    "a linked list": lambda it: any(
        field == {"$ref": f"#/components/schemas/{name}"}
        for name, schema in _components(it).items()
        for field in schema.get("properties", {}).values()
    ),
    "two components that refer to each other": lambda it: {"Author", "Book"} <= _components(it).keys(),
    "a union that only required fields tell apart": lambda it: "UntaggedParty" in _components(it),
    "a component that is sent and read": lambda it: any(
        "#/components/schemas/Squad'" in str(item.get("post", {}).get(key))
        for item in it.document["paths"].values()
        for key in ("requestBody", "responses")
    ),
    "an enum as a component": lambda it: any("enum" in schema for schema in _components(it).values()),
    "a component called like an inline object": lambda it: {"Squad", "SquadMember"} <= _components(it).keys(),
    "components with names of ours": lambda it: {"Thread", "Message", "Pagination"} <= _components(it).keys(),
    "a component with dots": lambda it: any("." in name for name in _components(it)),
    "a component with dashes": lambda it: any("-" in name for name in _components(it)),
    "a component that begins with a digit": lambda it: any(name[:1].isdigit() for name in _components(it)),
    "a component as FastAPI names it": lambda it: any(re.match(r"Page_.*_$|Body_", name) for name in _components(it)),
    "two names that become one class": lambda it: {"odd_item", "OddItem"} <= _components(it).keys(),
    "a title in every schema": lambda it: "Page[PydanticItem]" in it.text(),
    "equal titles of different schemas": lambda it: it.text().count("title: Details") > 1,
    "names of operations that differ in case or dashes": lambda it: (
        {"corpusGet", "corpus-get", "corpusget"} <= set(_operation_ids(it))
    ),
    "parameters of a path": lambda it: any("parameters" in item for item in it.document["paths"].values()),
    "DELETE with an answer": _delete_with_body,
    "security of the document": lambda it: it.document["security"],
    "words of schemas in examples": lambda it: "nowhere" in it.text().lower() and "example" in it.text(),
}
