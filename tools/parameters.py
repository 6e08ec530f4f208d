"""Bring parameters into forms that the generated functions send correctly. Pure.

The generator ignores how arrays and objects are written, and its names may be the same for two arguments. A parameter
that it would send wrongly becomes a string, and the caller writes it as the description says. What the templates must
know of a parameter stands in it: `x-wire-name` is its name for the server, and `x-separator` joins its items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from documents import operations
from python_names import identifier
from references import Schema, free_name
from shapes import ANNOTATIONS, Shapes, as_list, is_object

# OpenAPI 3.0.3, section 4.7.12: header parameters with these names are ignored.
_IGNORED_HEADERS: Final = {"accept", "content-type", "authorization"}
_SCALARS: Final = {"string", "integer", "number", "boolean"}
# For each location: the types that are sent correctly, and the formats of strings.
_SENT: Final[dict[str, tuple[set[str], set[str]]]] = {
    "path": (_SCALARS, {"uuid", "date", "date-time"}),
    "header": (_SCALARS, {"uuid"}),
    "cookie": ({"string", "integer", "number"}, {"uuid", "date"}),
    "query": (_SCALARS, {"uuid", "date", "date-time"}),
}
_FORMATS: Final = {"uuid", "date", "date-time", "binary"}
_SEPARATORS: Final = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
# Names that the generator finds in a path.
_IN_PATH: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*")
# Variables of the generated functions.
_VARIABLES: Final = {"headers", "params", "cookies", "quote", "kwargs", "response"}


def with_simple_parameters(document: Schema) -> None:
    """Bring the parameters of a document without references into simple forms, in place.

    Each operation gets the parameters of its path as its own.
    """
    shapes = Shapes((document.get("components") or {}).get("schemas") or {})
    for path, method, operation in operations(document):
        own = operation.get("parameters") or []
        names = {(one["name"], one["in"]) for one in own}
        shared = document["paths"][path].get("parameters") or []
        given = [*own, *(dict(one) for one in shared if (one["name"], one["in"]) not in names)]
        if given:
            simple = [one for parameter in given for one in _simple(parameter, shapes)]
            document["paths"][path][method]["parameters"] = _named(simple, has_body="requestBody" in operation)
    document["paths"] = dict(_with_simple_path(path, item) for path, item in document["paths"].items())


def about_parameters(operation: Schema) -> dict[str, dict[str, str]]:
    """What the templates must know, for each location and name, such as `query:ids`."""
    known = {}
    for parameter in operation.get("parameters") or ():
        keys = {"wire": "x-wire-name", "separator": "x-separator"}
        about = {short: parameter[long] for short, long in keys.items() if long in parameter}
        if about:
            known[f"{parameter['in']}:{parameter['name']}"] = about
    return known


def _with_simple_path(path: str, item: Schema) -> tuple[str, Schema]:
    """A path and its item with names that the generator finds in the path. No server sees these names."""
    item.pop("parameters", None)
    inside = [part.strip("{}") for part in re.findall(r"\{[^{}]*\}", path)]
    renamed: dict[str, str] = {}
    for name in inside:
        if not _IN_PATH.fullmatch(name) or identifier(name) in _VARIABLES | {"body"}:
            new = "path-" + re.sub(r"[^A-Za-z0-9_-]", "_", name)
            renamed[name] = free_name(new, {*inside, *renamed.values()})
    for _, _, operation in operations({"paths": {path: item}}):
        for parameter in operation.get("parameters") or ():
            if parameter["in"] == "path":
                parameter["name"] = renamed.get(parameter["name"], parameter["name"])
    return re.sub(r"\{([^{}]*)\}", lambda part: f"{{{renamed.get(part[1], part[1])}}}", path), item


def _simple(parameter: Schema, shapes: Shapes) -> Iterator[Schema]:
    """The parameters that stand for one."""
    if parameter["in"] == "header" and parameter["name"].lower() in _IGNORED_HEADERS:
        return
    schema = parameter.get("schema")
    simple = shapes.resolved(shapes.simple(schema)) if isinstance(schema, dict) else None
    if simple is not None and parameter.get("style") == "deepObject" and is_object(simple):
        for name, inner in (simple.get("properties") or {}).items():
            required = parameter.get("required") is True and name in (simple.get("required") or ())
            one = {**parameter, "name": f"{parameter['name']}[{name}]", "required": required, "schema": inner}
            yield from _simple({key: value for key, value in one.items() if key != "style"}, shapes)
    elif simple is None or not _is_sent(simple, parameter, shapes):
        notes = {key: value for key, value in (schema or {}).items() if key in ANNOTATIONS - {"nullable", "default"}}
        yield {**parameter, "schema": {"type": "string", **notes}}
    elif parameter["in"] == "query" and simple.get("type") == "array" and _is_joined(parameter):
        yield {**parameter, "x-separator": _SEPARATORS[parameter.get("style", "form")]}
    else:
        yield parameter


def _named(parameters: list[Schema], *, has_body: bool) -> list[Schema]:
    """Parameters whose names in Python differ from each other, and from what else the functions use."""
    reserved = _VARIABLES | ({"body"} if has_body else set())
    taken: dict[str, set[str]] = {}
    named = []
    for parameter in parameters:
        where, name = parameter["in"], parameter["name"]
        names = taken.setdefault(where, set())
        if where != "path" and identifier(name) in names | reserved:
            free = free_name(f"{name}_{where}", {*names, *(one["name"] for one in parameters)})
            while identifier(free) in names:
                free += "_2"
            parameter = {**parameter, "name": free, "x-wire-name": name}  # noqa: PLW2901 - the same with a name
        names.add(identifier(parameter["name"]))
        named.append(parameter)
    return named


def _is_sent(schema: Schema, parameter: Schema, shapes: Shapes) -> bool:
    """Whether the generated function sends a value of this schema as the contract says."""
    types, formats = _SENT[parameter["in"]]
    members = [*(schema.get("oneOf") or ()), *(schema.get("anyOf") or ())]
    if members:
        return parameter["in"] in {"path", "query"} and all(
            _is_sent(shapes.resolved(one), parameter, shapes) for one in members
        )
    if parameter["in"] == "query" and schema.get("type") == "array":
        return _is_scalar(shapes.resolved(schema["items"])) and parameter.get("style", "form") in _SEPARATORS
    if parameter["in"] == "query" and is_object(schema):
        inner = (schema.get("properties") or {}).values()
        return not _is_joined(parameter) and all(_is_scalar(shapes.resolved(one)) for one in inner)
    if parameter["in"] == "query" and not schema:
        return True
    is_scalar = _is_scalar(schema) and set(as_list(schema.get("type"))) <= types
    plain = schema.get("format") not in _FORMATS - formats
    return is_scalar and plain and (parameter["in"] == "query" or schema.get("nullable") is not True)


def _is_joined(parameter: Schema) -> bool:
    """Whether several values are written as one. OpenAPI 3.0.3, section 4.7.12.2: `form` alone explodes by itself."""
    style = parameter.get("style", "form")
    return parameter.get("explode", style == "form") is False


def _is_scalar(schema: Any) -> bool:
    return bool(schema.get("type")) and set(as_list(schema["type"])) <= _SCALARS
