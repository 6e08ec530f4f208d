"""Judge a request that a generated function has sent: is it what the operation describes, and what the caller gave?"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from email.message import Message
from email.parser import BytesParser
from enum import Enum
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, unquote_plus
from uuid import UUID

import attrs
from corpus_operations import Media, Operation, Parameter
from corpus_page import Json
from corpus_schema import Schemas
from corpus_server import Request

_HOLE: Final = re.compile(r"\{([^{}]+)\}")
# The types in the order in which a text is read as one of them.
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_READERS: Final = (
    ("boolean", re.compile("true|false"), json.loads),
    ("integer", re.compile(r"-?\d+"), int),
    ("number", _NUMBER, float),
)


def faults(operation: Operation, request: Request, given: dict[str, Any], *, full: bool) -> Iterator[str]:
    """What is wrong with a request.

    Args:
        operation: The operation.
        request: The request.
        given: The arguments of the function.
        full: Whether the caller gave all arguments.
    """
    path, _, query = request.target.partition("?")
    if request.method != operation.method:
        yield f"the method is {request.method}"
    values = dict(_path_values(operation.path, path))
    if not values and _HOLE.search(operation.path):
        yield f"the path is {path}"
        return
    cookies = {name: one.value for name, one in SimpleCookie(request.headers.get("cookie", "")).items()}
    places: dict[str, Mapping[str, str]] = {"path": values, "header": request.headers, "cookie": cookies}
    pairs = [tuple(map(unquote_plus, part.partition("=")[::2])) for part in query.split("&") if part]
    seen: set[str] = set()
    sent: list[Any] = []
    for one in operation.parameters:
        value = (
            _from_query(operation.sent, one, pairs, seen)
            if one.place == "query"
            else _from_place(operation.sent, one, places[one.place])
        )
        if value is not ...:
            sent.append(value)
            if not operation.sent.valid(one.schema, value):
                yield f"the {one.place} parameter {one.name} is {value!r}"
        elif (full or one.required) and not operation.sent.valid(one.schema, None):
            yield f"the {one.place} parameter {one.name} is not sent"
    if unknown := {name for name, _ in pairs} - seen:
        yield f"the query has an unknown {', '.join(sorted(unknown))}"
    problem, data = _body(operation, request, full=full)
    if problem:
        yield problem
    elif difference := _difference(given, [*sent, data], [] if full else _defaults(operation.sent.document)):
        yield difference


def _path_values(template: str, path: str) -> Iterator[tuple[str, str]]:
    """The values of the parameters in a path; nothing if the path is another one."""
    names = _HOLE.findall(template)
    pattern = "([^/]+)".join(map(re.escape, _HOLE.split(template)[::2]))
    if found := re.fullmatch(pattern, path):
        yield from zip(names, map(unquote, found.groups()), strict=True)


def _from_place(schemas: Schemas, one: Parameter, place: Mapping[str, str]) -> Any:
    """The value of a parameter in a path, a header or a cookie, or `...` if it is not there."""
    text = place.get(one.name.lower() if one.place == "header" else one.name)
    return ... if text is None else read(schemas, one.schema, text)


def _from_query(schemas: Schemas, one: Parameter, pairs: list[Any], seen: set[str]) -> Any:
    """The value of a parameter in a query, or `...` if it is not there."""
    view = schemas.view(one.schema)
    if "object" in view.kinds:
        names = {f"{one.name}[{name}]" if one.style == "deepObject" else name: name for name in view.properties}
        found = {
            names[name]: read(schemas, view.properties[names[name]], text) for name, text in pairs if name in names
        }
        seen.update(names)
        return found or ...
    texts = [text for name, text in pairs if name == one.name]
    seen.add(one.name)
    if not texts:
        return ...
    if "array" in view.kinds:
        parts = texts if one.explode else [part for text in texts for part in text.split(",")]
        if not one.explode and len(texts) > 1:
            return f"{len(texts)} values, each by itself"
        return [read(schemas, view.items, part) for part in parts]
    return read(schemas, one.schema, texts[0]) if len(texts) == 1 else texts


def read(schemas: Schemas, schema: Any, text: str) -> Any:
    """The value that a text stands for. It may be against the schema."""
    view = schemas.view(schema)
    for branch in view.branches:
        value = read(schemas, branch.schema, text)
        if schemas.valid(branch.schema, value):
            return value
    if "array" in view.kinds:
        return [read(schemas, view.items, part) for part in text.split(",")]
    kinds = view.kinds or tuple({int: "integer", bool: "boolean"}.get(type(one), "string") for one in view.values or ())
    for kind, pattern, convert in _READERS:
        if kind in kinds and pattern.fullmatch(text):
            return convert(text)
    return text


def _body(operation: Operation, request: Request, *, full: bool) -> tuple[str, Any]:
    """What is wrong with the body, or nothing; and the data in it, or `...` if there is none."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        if operation.bodies and (full or operation.needs_body):
            return "there is no body", ...
        return (f"there is no body, but it is called {media}" if media else ""), ...
    described = next((one for one in operation.bodies if one.name in {media, "*/*"}), None)
    if described is None:
        return f"the body is {media or 'of no media type'}", ...
    try:
        data = _data(operation.sent, described, request)
    except ValueError as error:
        return f"the body cannot be read: {error}", ...
    return _against(operation.sent, described, data, full=full), data


def _data(schemas: Schemas, media: Media, request: Request) -> Any:
    if media.is_json:
        return json.loads(request.body)
    if media.name == "application/x-www-form-urlencoded":
        pairs = [("", name, text) for name, text in parse_qsl(request.body.decode(), keep_blank_values=True)]
        return _of_form(schemas, media.schema, pairs)
    if media.name == "multipart/form-data":
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + request.body).get_payload()
        if not isinstance(parts, list):
            raise ValueError("it has no parts")
        return _of_form(schemas, media.schema, [_part(part) for part in parts if isinstance(part, Message)])
    return request.body.decode("utf-8", "replace")


def _part(part: Message) -> tuple[str, str, str]:
    """The media type, the name and the text of a part."""
    payload = part.get_payload(decode=True)
    name = part.get_param("name", header="content-disposition")
    return part.get_content_type(), str(name), payload.decode() if isinstance(payload, bytes) else ""


def _of_form(schemas: Schemas, schema: Any, pairs: list[tuple[str, str, str]]) -> Json:
    """The object in the fields of a form."""
    view = schemas.view(schema)
    found: Json = {}
    for media, name, text in pairs:
        inner = schemas.view(view.properties.get(name, view.extra))
        if "array" in inner.kinds and media != "application/json":
            found.setdefault(name, []).append(read(schemas, inner.items, text))
        elif media == "application/json":
            found[name] = json.loads(text)
        elif name in found:
            found[name] = [found[name], text]
        else:
            found[name] = read(schemas, view.properties.get(name, view.extra), text)
    return found


def _against(schemas: Schemas, media: Media, data: Any, *, full: bool) -> str:
    """What a body has against its schema, or nothing."""
    if isinstance(data, str) and not media.is_json:
        return ""
    if not schemas.valid(media.schema, data):
        text = json.dumps(data, ensure_ascii=False)
        return f"the body is not what the schema says: {text[:300]}"
    view = schemas.view(media.schema)
    if isinstance(data, dict) and view.properties and not view.branches:
        own = {name for name, one in view.properties.items() if schemas.is_skipped(one)}
        if full and (missing := view.properties.keys() - own - data.keys()):
            return f"these fields cannot be sent: {', '.join(sorted(missing))}"
        if not full and (extra := own & data.keys()):
            return f"these fields are sent, but are read-only: {', '.join(sorted(extra))}"
    return ""


def _difference(given: Any, sent: Any, defaults: Any) -> str:
    """Which values were given and not sent, or sent and neither given nor a default of the page."""
    ours, theirs = Counter(_leaves(given)), Counter(_leaves(sent))
    known = set(_leaves(defaults))
    sides = {"only given": ours - theirs, "only sent": [one for one in theirs - ours if one not in known]}
    return "; ".join(f"{side}: {', '.join(map(repr, one))}" for side, one in sides.items() if one)


def _defaults(node: Any) -> list[Any]:
    """All defaults of a document. A client may send them where the caller gives nothing."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = [node["default"]] if isinstance(node, dict) and "default" in node else []
    return [*found, *(one for part in inner for one in _defaults(part))]


def _leaves(value: Any) -> Iterator[str]:
    """The scalars in a value, as texts that are equal on both sides. Null may be left out."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, Enum):
        yield from _leaves(value.value)
    elif hasattr(value, "payload"):
        yield value.payload.getvalue().decode()
    elif attrs.has(type(value)):
        yield from _leaves([getattr(value, one.name) for one in attrs.fields(type(value))])
    elif value is not None and value is not ... and type(value).__name__ != "Unset":
        yield _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(float(value))
    if isinstance(value, date | datetime):
        value = value.isoformat()
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        # A function may take a number as text.
        return repr(float(value))
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError:
        return str(value)
    except TypeError:
        return str(UUID(str(value)))
