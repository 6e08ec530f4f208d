"""A page of the corpus: an OpenAPI document in the form of the vendor's reference, and short forms to write one."""

from __future__ import annotations

import copy
from typing import Any, Final

from attrs import field, frozen
from corpus_yaml import dump

Json = dict[str, Any]

METHODS: Final = ("get", "put", "post", "delete", "patch")
ROOT: Final = "/api/v1/corpus"
JSON: Final = "application/json"
OLD: Final = "3.0.0"
NEW: Final = "3.1.0"
KEY: Final = "ApiKey"
BEARER: Final = "Bearer"
_SCHEMES: Final[Json] = {
    KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    BEARER: {"type": "http", "scheme": "bearer"},
}
_HEAD: Final = """> ## Documentation Index
> This page is invented, and has the form of the vendor's reference.

# {title}

> {title}, as a test needs it.

## OpenAPI

````yaml {method} {path}
"""


@frozen
class Page:
    """A page of the vendor's reference.

    Attributes:
        name: Its name, which is part of all its paths.
        document: Its OpenAPI document.
        refusable: Why an import may refuse it; empty for a page that must be imported.
    """

    name: str
    document: Json = field(repr=False, eq=False)
    refusable: str = ""

    @property
    def is_new(self) -> bool:
        """Whether it is OpenAPI 3.1, and not 3.0."""
        return str(self.document["openapi"]).startswith("3.1")

    def text(self) -> str:
        """The text of its file."""
        path, item = next(iter(self.document["paths"].items()))
        method = next(name for name in METHODS if name in item)
        return _HEAD.format(title=self.name, method=method, path=path) + dump(self.document) + "\n````\n"

    def without(self, named: str) -> Page:
        """This page without the operations that a text names, such as `GET /a/b`."""
        paths = {}
        for path, item in self.document["paths"].items():
            left = {key: one for key, one in item.items() if f"{key.upper()} {path} " not in named}
            if left.keys() & set(METHODS):
                paths[path] = left
        return Page(f"{self.name}#rest", {**self.document, "paths": paths}, self.refusable)

    def split(self) -> list[Page]:
        """A page for each operation, to find the one that a tool cannot handle."""
        pages = []
        for path, item in self.document["paths"].items():
            common = {key: value for key, value in item.items() if key not in METHODS}
            for method in METHODS:
                if method in item:
                    document = {**self.document, "paths": {path: {**common, method: item[method]}}}
                    pages.append(Page(f"{method.upper()} {path.removeprefix(ROOT)}", document, self.refusable))
        return pages


def page(
    name: str,
    paths: dict[str, Json],
    schemas: Json | None = None,
    *,
    version: str = OLD,
    components: Json | None = None,
    schemes: tuple[str, ...] = (KEY,),
    security: list[Json] | None = None,
    refusable: str = "",
    **more: Any,
) -> Page:
    """A page with paths below its own name, such as `{"/items": {"get": …}}`."""
    document: Json = {
        "openapi": version,
        "info": {"version": "1.0.0", "title": "Feather AI API"},
        "servers": [{"url": "https://prod.featherhq.com", "description": "Production environment"}],
        "security": security or [],
        "paths": {f"{ROOT}/{name}{tail}": item for tail, item in paths.items()},
        "components": {
            "securitySchemes": {scheme: _SCHEMES[scheme] for scheme in schemes},
            **({"schemas": schemas} if schemas else {}),
            **(components or {}),
        },
        **more,
    }
    # Shared parts become parts of their own, so that no change of one is a change of another.
    return Page(name, copy.deepcopy(document), refusable)


def operation(answers: Json, **more: Any) -> Json:
    """An operation as the vendor writes it. `answers` maps statuses to responses."""
    known: Json = {"tags": ["SMS Threads"], "summary": "An operation of the corpus", "security": [{KEY: []}]}
    merged = {**known, **more, "responses": answers}
    return {key: value for key, value in merged.items() if value is not None}


def answer(schema: Any, media: str = JSON, **more: Any) -> Json:
    """A response with a body."""
    return {"description": "The answer", "content": {media: {"schema": schema}}, **more}


def reading(schema: Any, media: str = JSON, **more: Any) -> Json:
    """A path whose GET answers 200 with a body."""
    return {"get": operation({"200": answer(schema, media)}, **more)}


def body(schema: Any, media: str = JSON, *, required: bool = True, **more: Any) -> Json:
    """The body of a request."""
    return {"content": {media: {"schema": schema, **more}}, "required": required}


def sending(schema: Any, response: Any = None, media: str = JSON, *, required: bool = True, **more: Any) -> Json:
    """A path whose POST takes a body. It answers with the schema of `response`, or 204 without a body."""
    answers = {"204": {"description": "Done"}} if response is None else {"200": answer(response)}
    return {"post": operation(answers, requestBody=body(schema, media, required=required, **more))}


def parameter(name: str, schema: Any, place: str = "query", *, required: bool | None = None, **more: Any) -> Json:
    """A parameter. One of a path is required."""
    return {
        "schema": schema,
        "required": place == "path" if required is None else required,
        "name": name,
        "in": place,
        **more,
    }


TEXT: Final[Json] = {"type": "string"}
INTEGER: Final[Json] = {"type": "integer"}
NUMBER: Final[Json] = {"type": "number"}
BOOLEAN: Final[Json] = {"type": "boolean"}
NOTHING: Final[Json] = {"type": "null"}


def formatted(form: str, kind: str = "string", **more: Any) -> Json:
    """A scalar with a format."""
    return {"type": kind, "format": form, **more}


def choice(*values: Any, **more: Any) -> Json:
    """An enum of strings or of integers."""
    kind = "string" if any(isinstance(value, str) for value in values) else "integer"
    return {"type": kind, "enum": list(values), **more}


def thing(properties: Json, *required: str, **more: Any) -> Json:
    """An object."""
    made = {"type": "object", "properties": properties, "required": list(required), **more}
    return made if required else {key: value for key, value in made.items() if key != "required"}


def array(items: Any, **more: Any) -> Json:
    """An array."""
    return {"type": "array", "items": items, **more}


def mapping(values: Any, **more: Any) -> Json:
    """An object whose keys are data."""
    return {"type": "object", "additionalProperties": values, **more}


def ref(name: str, section: str = "schemas") -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{section}/{name}"}
