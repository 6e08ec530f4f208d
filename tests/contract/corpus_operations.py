"""What the pages of the corpus say about their operations: what is sent, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import field, frozen
from corpus_page import BEARER, KEY, METHODS, Json, Page
from corpus_schema import Schemas

_OK: Final = 200
# A status for a range, which no page lists by itself.
_OF_A_RANGE: Final = 206
_REDIRECT: Final = 300


@frozen
class Parameter:
    """A parameter of an operation.

    Attributes:
        name: Its name in the request.
        place: `path`, `query`, `header` or `cookie`.
        schema: Its schema.
        required: Whether it must be sent.
        style: How it is written, such as `form`.
        explode: Whether each item of it is written by itself.
    """

    name: str
    place: str
    schema: Any = field(repr=False)
    required: bool
    style: str
    explode: bool


@frozen
class Media:
    """One media type of a body.

    Attributes:
        full_name: As the page writes it, such as `application/json; charset=utf-8`.
        schema: The schema, or `None` if there is none.
    """

    full_name: str
    schema: Any = field(repr=False)

    @property
    def name(self) -> str:
        """Its name without parameters, such as `application/json`."""
        return self.full_name.partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether its bodies are JSON. A body of any type is JSON if its schema describes no text."""
        if self.name == "*/*":
            return not (isinstance(self.schema, dict) and self.schema.get("type") == "string")
        return self.name.endswith(("/json", "+json"))


@frozen
class Answer:
    """A success that an operation describes.

    Attributes:
        status: The status of the response.
        media: The media types of its body; none if it has no body.
    """

    status: int
    media: tuple[Media, ...]


@frozen
class Operation:
    """An operation of a page.

    Attributes:
        page: The name of the page.
        path: Its path, with `{}` for each parameter.
        method: Its method in capitals.
        parameters: Its parameters.
        bodies: The media types of what it takes.
        needs_body: Whether a body must be sent.
        answers: The successes that it describes.
        security: `key`, `bearer`, `either`, `both` or `none`.
        schemas: The schemas of its page, for responses.
        sent: The same schemas, for requests.
    """

    page: str
    path: str
    method: str
    parameters: tuple[Parameter, ...]
    bodies: tuple[Media, ...]
    needs_body: bool
    answers: tuple[Answer, ...]
    security: str
    schemas: Schemas = field(repr=False)
    sent: Schemas = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(page: Page) -> Iterator[Operation]:
    """The operations of a page."""
    schemas = Schemas(page.document)
    for path, item in page.document["paths"].items():
        for method in METHODS:
            if method in item:
                yield _operation(page, schemas, path, item, method)


def _operation(page: Page, schemas: Schemas, path: str, item: Json, method: str) -> Operation:
    described = item[method]
    taken = schemas.resolved(described.get("requestBody")) or {}
    return Operation(
        page=page.name,
        path=path,
        method=method.upper(),
        parameters=tuple(_parameters(schemas, item, described)),
        bodies=_media(taken),
        needs_body=taken.get("required", False),
        answers=tuple(_answers(schemas, described["responses"])),
        security=_security(described.get("security", page.document.get("security", []))),
        schemas=schemas,
        sent=Schemas(page.document, skipped="readOnly", tagged=False),
    )


def _parameters(schemas: Schemas, item: Json, described: Json) -> Iterator[Parameter]:
    """The parameters of a path and of its operation. One of the operation replaces an equal one of the path."""
    named: dict[tuple[str, str], Json] = {}
    for one in (*item.get("parameters", ()), *described.get("parameters", ())):
        found = schemas.resolved(one)
        named[found["in"], found["name"]] = found
    for (place, name), found in named.items():
        style = found.get("style", "form" if place in {"query", "cookie"} else "simple")
        yield Parameter(
            name, place, found["schema"], found.get("required", False), style, found.get("explode", style == "form")
        )


def _media(described: Json) -> tuple[Media, ...]:
    return tuple(Media(name, media.get("schema")) for name, media in (described.get("content") or {}).items())


def _answers(schemas: Schemas, responses: Json) -> Iterator[Answer]:
    """The successes. `default` is one only if there is no other."""
    found = {status: schemas.resolved(response) for status, response in responses.items()}
    successes = {status: response for status, response in found.items() if status.startswith("2")}
    for status, response in (successes or {"default": found["default"]}).items():
        code = int(status) if status.isdigit() else _OK if status == "default" else _OF_A_RANGE
        yield Answer(code, _media(response))


def _security(listed: list[Json]) -> str:
    """How an operation is secured, in one word."""
    alternatives = [frozenset(one) for one in listed]
    if not alternatives or frozenset() in alternatives:
        return "none"
    if frozenset({KEY}) in alternatives:
        return "key" if len(alternatives) == 1 else "either"
    return "bearer" if frozenset({BEARER}) in alternatives else "both"
