"""Pages of the corpus that were written by hand: what is sent."""

from __future__ import annotations

from typing import Any, Final

from corpus_page import (
    BEARER,
    BOOLEAN,
    INTEGER,
    JSON,
    KEY,
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

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
BYTES: Final = "application/octet-stream"
OK: Final = thing({"ok": BOOLEAN})

SCALARS: Final[Json] = {
    "text": TEXT,
    "integer": INTEGER,
    "number": NUMBER,
    "flag": BOOLEAN,
    "id": formatted("uuid"),
    "day": formatted("date"),
    "moment": formatted("date-time"),
    "choice": choice("a", "b c", "d/e"),
    "level": choice(1, 2),
    "union": {"oneOf": [INTEGER, formatted("uuid")]},
}


def _queries() -> Page:
    """Parameters in the query, in headers and in cookies."""
    filters = thing({"status": TEXT, "min": INTEGER, "flag": BOOLEAN})
    arrays = [
        parameter("texts", array(TEXT)),
        parameter("numbers", array(INTEGER), explode=True),
        parameter("joined", array(TEXT), explode=False),
        parameter("ids[]", array(formatted("uuid"))),
        parameter("choices", array(choice("a", "b")), explode=False),
        parameter("moments", array(formatted("date-time")), required=True),
        parameter("nullables", array(TEXT, nullable=True)),
    ]
    headers = {f"X-{name.title()}": one for name, one in SCALARS.items()}
    paths = {
        "/scalars": reading(OK, parameters=[parameter(name, one) for name, one in SCALARS.items()]),
        "/required": reading(OK, parameters=[parameter(name, one, required=True) for name, one in SCALARS.items()]),
        "/arrays": reading(OK, parameters=arrays),
        "/deep": reading(OK, parameters=[parameter("filter", filters, style="deepObject", explode=True)]),
        "/object": reading(OK, parameters=[parameter("filter", filters)]),
        "/headers": reading(OK, parameters=[parameter(name, one, "header") for name, one in headers.items()]),
        "/header-list": reading(OK, parameters=[parameter("X-List", array(TEXT), "header")]),
        "/cookies": reading(
            OK,
            parameters=[
                parameter("session", TEXT, "cookie", required=True),
                parameter("count", INTEGER, "cookie"),
                parameter("choice", choice("a", "b"), "cookie"),
            ],
        ),
        "/same": reading(OK, parameters=[parameter("x", TEXT, place) for place in ("query", "header", "cookie")]),
        "/nullable": reading(OK, parameters=[parameter("n", {**INTEGER, "nullable": True}, required=True)]),
    }
    return page("queries", paths)


def _segments() -> Page:
    """Parameters in the path."""
    paths: dict[str, Json] = {
        f"/{name}/{{{name}}}": reading(OK, parameters=[parameter(name, one, "path")]) for name, one in SCALARS.items()
    }
    dashed = [parameter(name, TEXT, "path") for name in ("item-id", "sub.id", "1st", "class")]
    paths["/dash/{item-id}/{sub.id}/{1st}/x{class}"] = reading(OK, parameters=dashed)
    shared = {"parameters": [parameter("id", TEXT, "path"), parameter("lang", TEXT), parameter("v", INTEGER)]}
    replaced = operation({"200": answer(OK)}, parameters=[parameter("v", choice("one", "two"), required=True)])
    paths["/shared/{id}"] = {**shared, "get": operation({"200": answer(OK)}), "delete": replaced}
    return page("segments", paths)


ODD_PARAMETERS: Final = [
    "client",
    "url",
    "body",
    "json",
    "self",
    "kwargs",
    "headers",
    "params",
    "cookies",
    "response",
    "data",
    "content",
    "files",
    "cls",
]


def _parameters() -> Page:
    """Parameters with names of variables of the generated code."""
    odd = [parameter(name, TEXT) for name in (*ODD_PARAMETERS, "foo-bar", "foo_bar", "fooBar", "from", "1st", "a b")]
    required = [parameter(name, INTEGER, required=True) for name in ODD_PARAMETERS]
    paths = {
        "/optional": reading(OK, parameters=odd),
        "/required": reading(OK, parameters=required),
        "/each": {"post": operation({"200": answer(OK)}, parameters=odd, requestBody=body(thing({"body": TEXT})))},
        "/path/{client}/{url}": reading(OK, parameters=[parameter(name, TEXT, "path") for name in ("client", "url")]),
        "/body/{body}": {
            "put": operation({"200": answer(OK)}, parameters=[parameter("body", TEXT, "path")], requestBody=body(TEXT))
        },
    }
    return page("parameters", paths)


def _bodies() -> Page:
    """Bodies of requests that are JSON."""
    union = {"oneOf": [ref("BodyOne"), ref("BodyTwo")]}
    two = {"content": {JSON: {"schema": ref("BodyOne")}, FORM: {"schema": ref("BodyTwo")}}, "required": True}
    schemas = {
        "BodyOne": thing({"one": TEXT, "at": formatted("date-time")}, "one"),
        "BodyTwo": thing({"two": INTEGER}, "two"),
    }
    paths = {
        "/object": sending(ref("BodyOne"), OK),
        "/inline": sending(thing({"a": INTEGER, "b": thing({"c": formatted("uuid")}, "c")}, "a"), OK),
        "/array": sending(array(ref("BodyOne")), OK),
        "/texts": sending(array(TEXT), OK),
        "/text": sending(TEXT, OK),
        "/integer": sending(INTEGER, OK),
        "/moment": sending(formatted("date-time"), OK),
        "/enum": sending(choice("a", "b"), OK),
        "/free": sending({"type": "object"}, OK),
        "/any": sending({}, OK),
        "/map": sending(mapping(ref("BodyTwo")), OK),
        "/union": sending(union, OK),
        "/vendor": sending(ref("BodyOne"), OK, "application/vnd.feather+json"),
        "/patch": sending(array({"type": "object"}), OK, "application/json-patch+json"),
        "/charset": sending(ref("BodyOne"), OK, "application/json; charset=utf-8"),
        "/optional": sending(ref("BodyOne"), OK, required=False),
        "/optional-array": sending(array(TEXT), OK, required=False),
        "/optional-text": sending(TEXT, OK, required=False),
        "/two": {"post": operation({"200": answer(OK)}, requestBody=two)},
        "/delete": {"delete": operation({"200": answer(ref("BodyOne"))}, requestBody=body(ref("BodyTwo")))},
    }
    return page("bodies", paths, schemas)


def _forms() -> Page:
    """Bodies of requests that are forms, files or text."""
    simple = thing({name: one for name, one in SCALARS.items() if name != "union"}, "text", "integer")
    upload = thing(
        {
            "file": formatted("binary"),
            "files": array(formatted("binary")),
            "note": TEXT,
            "count": INTEGER,
            "flag": BOOLEAN,
            "day": formatted("date"),
            "tags": array(TEXT),
            "meta": thing({"a": TEXT, "b": INTEGER}),
            "choice": choice("a", "b"),
        },
        "file",
        "note",
    )
    single = thing({"file": formatted("binary")}, "file")
    both = {"content": {JSON: {"schema": ref("FormItem")}, MULTIPART: {"schema": single}}, "required": True}
    paths = {
        "/form": sending(simple, OK, FORM),
        "/form-array": sending(thing({"tags": array(TEXT), "n": array(INTEGER)}, "tags"), OK, FORM),
        "/form-ref": sending(ref("FormItem"), OK, FORM),
        "/form-optional": sending(ref("FormItem"), OK, FORM, required=False),
        "/file": sending(single, OK, MULTIPART),
        "/upload": sending(upload, OK, MULTIPART),
        "/upload-ref": sending(ref("FormUpload"), ref("FormItem"), MULTIPART),
        "/encoded": sending(single, OK, MULTIPART, encoding={"file": {"contentType": "image/png, image/jpeg"}}),
        "/bytes": sending(formatted("binary"), OK, BYTES),
        "/bytes-optional": sending(formatted("binary"), OK, BYTES, required=False),
        "/text": sending(TEXT, OK, "text/plain"),
        "/pdf": sending(formatted("binary"), OK, "application/pdf"),
        "/both": {"post": operation({"200": answer(OK)}, requestBody=both)},
    }
    schemas = {"FormItem": thing({"name": TEXT, "n": INTEGER}, "name"), "FormUpload": upload}
    return page("forms", paths, schemas)


def _secured() -> Page:
    """Operations that are secured by the key, by a token, by either, by both and by nothing."""
    kinds: dict[str, list[Json]] = {
        "key": [{KEY: []}],
        "bearer": [{BEARER: []}],
        "either": [{KEY: []}, {BEARER: []}],
        "other": [{BEARER: []}, {KEY: []}],
        "both": [{KEY: [], BEARER: []}],
        "none": [],
        "optional": [{}, {KEY: []}],
    }
    schemes = (KEY, BEARER)
    sent: Json = {"parameters": [parameter("n", INTEGER)]}
    paths: dict[str, Any] = {f"/{name}": reading(OK, security=one, **sent) for name, one in kinds.items()}
    paths["/bearer"]["post"] = operation(
        {"204": {"description": "Done"}}, security=[{BEARER: []}], requestBody=body(TEXT)
    )
    return page("secured", paths, schemes=schemes)


def _document_key() -> Page:
    """A document whose operations take its own security."""
    inherited = operation({"200": answer(OK)}, security=None)
    return page("document-key", {"/read": {"get": inherited}}, security=[{KEY: []}])


def _document_bearer() -> Page:
    """A document whose operations are secured by a token, if they say nothing else."""
    inherited = operation({"200": answer(OK)}, security=None)
    paths = {"/read": {"get": inherited}, "/open": reading(OK, security=[])}
    return page("document-bearer", paths, schemes=(BEARER,), security=[{BEARER: []}])


PAGES: Final = (
    _queries(),
    _segments(),
    _parameters(),
    _bodies(),
    _forms(),
    _secured(),
    _document_key(),
    _document_bearer(),
)
