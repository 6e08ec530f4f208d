"""Pages of the corpus that were written by hand: what is answered."""

from __future__ import annotations

from typing import Final

from corpus_page import (
    BOOLEAN,
    INTEGER,
    JSON,
    NEW,
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

BINARY: Final = formatted("binary")
TEXTS: Final = ("text/plain", "text/csv", "text/html", "text/markdown")
FILES: Final = ("application/pdf", "audio/wav", "image/png", "application/octet-stream", "application/zip", "video/mp4")


def _tops() -> Page:
    """Answers whose top is no object."""
    schemas = {"TopItem": thing({"id": formatted("uuid"), "at": formatted("date-time")}, "id")}
    tops: Json = {
        "array": array(ref("TopItem")),
        "inline-array": array(thing({"x": INTEGER}, "x")),
        "texts": array(TEXT),
        "text": TEXT,
        "nullable": {**TEXT, "nullable": True},
        "integer": INTEGER,
        "number": NUMBER,
        "flag": BOOLEAN,
        "map": mapping(ref("TopItem")),
        "counts": mapping(INTEGER),
        "union": {"oneOf": [ref("TopItem"), array(ref("TopItem"))]},
        "scalars": {"anyOf": [TEXT, INTEGER]},
        "enum": choice("a", "b"),
        "enums": array(choice("a", "b")),
        "matrix": array(array(INTEGER)),
        "days": array(formatted("date")),
        "nullable-thing": {"nullable": True, "allOf": [ref("TopItem")]},
        "nullable-array": array(ref("TopItem"), nullable=True),
        "maps": array(mapping(TEXT)),
        "all": {"allOf": [ref("TopItem"), thing({"more": TEXT})]},
    }
    return page("tops", {f"/{name}": reading(one) for name, one in tops.items()}, schemas)


def _media() -> Page:
    """Answers that are no JSON, or JSON under other names."""
    item = thing({"id": TEXT, "at": formatted("date-time")}, "id")
    kinds = {
        "vendor": "application/vnd.feather.v1+json",
        "problem": "application/problem+json",
        "hal": "application/hal+json",
    }
    paths = {f"/{name}": reading(item, media) for name, media in kinds.items()}
    paths |= {f"/{media}": reading(TEXT, media) for media in TEXTS}
    paths |= {f"/{media}": reading(BINARY, media) for media in FILES}
    paths |= {
        "/text-bytes": reading(BINARY, "text/plain"),
        "/file-text": reading(TEXT, "application/octet-stream"),
        "/any": reading(BINARY, "*/*"),
        "/any-json": reading(item, "*/*"),
        "/json-file": {"get": operation({"200": {"description": "x", "content": {JSON: {}}}})},
        "/bare": {"get": operation({"200": {"description": "x", "content": {"application/pdf": {}}}})},
    }
    several = {JSON: {"schema": item}, "text/csv": {"schema": TEXT}}
    text_first = {"text/csv": {"schema": TEXT}, JSON: {"schema": item}}
    same = {JSON: {"schema": item}, "application/vnd.feather.v1+json": {"schema": item}}
    files = {"image/png": {"schema": BINARY}, "image/jpeg": {"schema": BINARY}}
    for name, content in {"several": several, "text-first": text_first, "same": same, "files": files}.items():
        paths[f"/{name}"] = {"get": operation({"200": {"description": "Several", "content": content}})}
    return page("media", paths)


def _statuses() -> Page:
    """Statuses: several successes, ranges, `default`, and errors."""
    schemas: Json = {
        "StatusItem": thing({"id": TEXT, "at": formatted("date-time")}, "id"),
        "StatusJob": thing({"job": formatted("uuid")}, "job"),
        "StatusError": thing({"code": choice("A", "B"), "message": TEXT}, "code", "message"),
    }
    item, job, error = (answer(ref(name)) for name in schemas)
    done = {"description": "Done"}
    cases: dict[str, Json] = {
        "200": {"200": item},
        "201": {"201": item},
        "202": {"202": job},
        "204": {"204": done},
        "2XX": {"2XX": item},
        "default": {"default": item},
        "default-beside": {"200": item, "default": error},
        "created-or-accepted": {"201": item, "202": job},
        "some-or-none": {"200": item, "204": done},
        "two-alike": {"200": item, "201": item},
        "range-beside": {"200": item, "2XX": job},
        "no-content": {"200": done},
        "errors": {"200": item, "400": error, "404": error, "4XX": error, "5XX": error},
        "only-errors": {"204": done, "409": error, "500": error},
        "redirect": {"200": item, "302": done},
    }
    paths = {f"/{name}": {"get": operation(case)} for name, case in cases.items()}
    headers = {
        "X-Rate-Limit": {"schema": INTEGER, "description": "How many"},
        "Location": {"schema": formatted("uri"), "required": True},
    }
    paths["/headers"] = {"get": operation({"200": answer(ref("StatusItem"), headers=headers)})}
    paths["/delete"] = {"delete": operation({"200": item})}
    paths["/delete/{id}"] = {
        "delete": operation({"204": done, "404": error}, parameters=[parameter("id", TEXT, "path")])
    }
    return page("statuses", paths, schemas)


def _directions() -> Page:
    """Fields that are only read or only written, in schemas that are sent and read."""
    user = thing(
        {
            "id": {**formatted("uuid"), "readOnly": True},
            "createdAt": {**formatted("date-time"), "readOnly": True},
            "name": TEXT,
            "password": {**TEXT, "writeOnly": True},
            "note": {**TEXT, "writeOnly": True},
        },
        "id",
        "createdAt",
        "name",
        "password",
    )
    team = thing(
        {"owner": ref("DirectedUser"), "users": array(ref("DirectedUser")), "size": {**INTEGER, "readOnly": True}},
        "owner",
    )
    paths = {
        "/user": {
            "get": operation({"200": answer(ref("DirectedUser"))}),
            "post": operation({"201": answer(ref("DirectedUser"))}, requestBody=body(ref("DirectedUser"))),
        },
        "/team": sending(ref("DirectedTeam"), ref("DirectedTeam")),
        "/inline": sending(user, user),
    }
    return page("directions", paths, {"DirectedUser": user, "DirectedTeam": team})


def _refusable() -> tuple[Page, ...]:
    """Pages that an import may refuse, with a remedy."""
    item = thing({"id": TEXT}, "id")
    return (
        page(
            "outside",
            {"/read": reading({"$ref": "https://example.com/shared.yaml#/Item"})},
            refusable="it refers to another document",
        ),
        page("newer", {"/read": reading(item)}, version=NEW, refusable="it is OpenAPI 3.1 for a contract in 3.0"),
        page("contradicts", {"/read": reading(ref("Squad"))}, {"Squad": item}, refusable="it has another Squad"),
        page("xml", {"/send": sending(item, item, "application/xml")}, refusable="it sends XML"),
        page("xml-answer", {"/read": reading(item, "application/xml")}, refusable="it answers XML"),
    )


PAGES: Final = (_tops(), _media(), _statuses(), _directions())
REFUSABLE: Final = _refusable()
