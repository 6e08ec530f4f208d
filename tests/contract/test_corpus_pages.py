"""The corpus itself: its pages are OpenAPI, its bodies are what they say, and it has all shapes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus import NEW_PAGES, OLD_PAGES, PAGES, REFUSABLE
from corpus_answers import bodies, valid_data
from corpus_list import OPERATIONS, PAGES as PAGE_RULES, PARAMETERS, Index
from corpus_list_schemas import SCHEMAS, Rule
from corpus_operations import Media, Operation, operations
from corpus_page import Json, Page
from documents import parse_yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

INDEX = Index.of(PAGES)
GROUPS: list[tuple[dict[str, Rule], list[Any]]] = [
    (SCHEMAS, INDEX.schemas),
    (PARAMETERS, INDEX.parameters),
    (OPERATIONS, INDEX.operations),
    (PAGE_RULES, INDEX.pages),
]


def media(page: Page) -> Iterator[tuple[Operation, Media]]:
    """The JSON answers of a page."""
    for operation in operations(page):
        for answer in operation.answers:
            for one in answer.media:
                if one.is_json and one.schema is not None:
                    yield operation, one


def test_there_are_enough_pages() -> None:
    """There are at least forty pages, in both versions of OpenAPI, and all have different names."""
    assert len(OLD_PAGES) >= 30
    assert len(NEW_PAGES) >= 10
    assert len({page.name for page in (*PAGES, *REFUSABLE)}) == len(PAGES) + len(REFUSABLE)


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_each_shape_is_in_the_corpus(group: int) -> None:
    """Each shape of the list is in at least one page."""
    rules, places = GROUPS[group]
    assert [name for name, rule in rules.items() if not any(rule(place) for place in places)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_valid_openapi(page: Page) -> None:
    """The text of a page has the document of the page in it, and the document is valid OpenAPI."""
    fragment = page.text().partition("````yaml ")[2].partition("\n")[2].partition("\n````")[0]
    assert json.loads(json.dumps(parse_yaml(fragment, page.name))) == page.document
    validate(page.document)


def test_operations_of_different_pages_have_different_paths() -> None:
    """No page has an operation of another page."""
    paths = [
        (operation.method, re.sub(r"\{.*?\}", "{}", operation.path)) for page in PAGES for operation in operations(page)
    ]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_bodies_are_what_they_are_called(page: Page) -> None:
    """A body that is called valid is valid for `jsonschema` too, and many other bodies are not."""
    for operation, one in media(page):
        judge = Draft202012Validator({**as_json_schema(one.schema, page), **page_components(page)})
        for name, data in valid_data(operation.schemas, one.schema):
            assert operation.schemas.valid(one.schema, data), (str(operation), name, data)
            assert judge.is_valid(data), (str(operation), name, data, next(judge.iter_errors(data)).message)
        made = [body for body in bodies(operation.schemas, one.schema) if body.data is not ...]
        if one.schema:
            assert not all(operation.schemas.valid(one.schema, body.data) for body in made), str(operation)


def page_components(page: Page) -> Json:
    """The components of a page as JSON Schema."""
    named = page.document["components"].get("schemas", {})
    return {"components": {"schemas": {name: as_json_schema(schema, page) for name, schema in named.items()}}}


def as_json_schema(schema: Any, page: Page) -> Any:
    """A schema of OpenAPI as JSON Schema. A union takes any of its parts, and a field that is only written may lack."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and not page.is_new:
        return {"$ref": schema["$ref"]}
    made = {key: value for key, value in schema.items() if key not in {"nullable", "discriminator", "oneOf"}}
    for key in ("properties", "patternProperties"):
        if key in made:
            made[key] = {name: as_json_schema(one, page) for name, one in made[key].items()}
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = as_json_schema(made[key], page)
    for key, parts in (("allOf", "allOf"), ("prefixItems", "prefixItems"), ("anyOf", "anyOf"), ("anyOf", "oneOf")):
        if parts in schema:
            made[key] = [as_json_schema(one, page) for one in schema[parts]]
    if "required" in made:
        written = {name for name, one in schema.get("properties", {}).items() if one.get("writeOnly")}
        made["required"] = [name for name in made["required"] if name not in written]
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made


def test_the_corpus_is_the_same_on_every_run() -> None:
    """What is drawn depends on the seed alone: a second process gives the same pages."""
    texts = "".join(page.text() for page in PAGES)
    assert digest_in_a_process() == hashlib.sha256(texts.encode()).hexdigest()


def digest_in_a_process() -> str:
    """The digest of the corpus in another process with another hash seed."""
    program = (
        "import corpus, hashlib; print(hashlib.sha256(''.join(p.text() for p in corpus.PAGES).encode()).hexdigest())"
    )
    variables = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()
