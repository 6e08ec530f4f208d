"""Choose the media types of each operation. Pure.

The generator reads JSON, text and bytes, and sends JSON, forms and bytes. It knows few media types by name, and refuses
the others. Each operation keeps one media type for each response, and those of its bodies that can be told apart.
"""

from __future__ import annotations

import re
from typing import Any, Final

from documents import operations
from references import Schema
from shapes import Shapes, is_object

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_IS_JSON: Final = re.compile(r"application/([\w.-]+\+)?json\b", re.IGNORECASE)
_IS_TEXT: Final = re.compile(r"text/[\w.+-]+", re.IGNORECASE)
BINARY: Final[Schema] = {"type": "string", "format": "binary"}
"""The schema of a body that is bytes."""


def with_known_media(document: Schema) -> dict[str, str]:
    """Let a document have only media types that the generator knows, in place. `x-media-type` keeps the vendor's.

    Returns:
        The media types of bodies that the generator must take for bytes.
    """
    shapes = Shapes((document.get("components") or {}).get("schemas") or {})
    overrides: dict[str, str] = {}
    for _, _, operation in operations(document):
        if "requestBody" in operation:
            operation["requestBody"] = _body(operation["requestBody"], shapes, overrides)
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            if response.get("content"):
                response["content"] = _response(response["content"], shapes, overrides)
    return overrides


def accepted(operation: Schema) -> str | None:
    """The `Accept` header for an operation. `None` if it is that of JSON, which the wrapper sends by itself."""
    contents = [node.get("content") or {} for node in operation["responses"].values()]
    media = list(dict.fromkeys(one.get("x-media-type", name) for content in contents for name, one in content.items()))
    return None if media in ([], [JSON]) else ", ".join(media)


def _response(content: Schema, shapes: Shapes, overrides: dict[str, str]) -> Schema:
    ranks = {name: _rank(name, node.get("schema"), shapes) for name, node in content.items()}
    name = min(content, key=lambda each: ranks[each])
    node = dict(content[name])
    if ranks[name] == 0:
        node.setdefault("schema", {})
        return {name if _IS_JSON.match(name) else JSON: node}
    if ranks[name] == 1:
        if not _is_plain_text(node.get("schema"), shapes):
            node["schema"] = {"type": "string"}
        # A body of this type is sent as bytes. With a parameter, it is another type for the generator.
        return {f"{name}; is=text": {**node, "x-media-type": name}} if name in overrides else {name: node}
    return {BYTES: {**node, "schema": dict(BINARY), "x-media-type": name}}


def is_json(media: str) -> bool:
    """Whether a body of this media type is read as JSON. A wildcard is."""
    return bool(_IS_JSON.match(media)) or media in {"*/*", "application/*"}


def _rank(name: str, schema: Any, shapes: Shapes) -> int:
    """0 for JSON, 1 for text, 2 for bytes. A wildcard is JSON only if its schema can be nothing else."""
    if _IS_JSON.match(name) or (is_json(name) and _is_structure(schema, shapes)):
        return 0
    return 1 if _IS_TEXT.fullmatch(name.partition(";")[0].strip()) else 2


def _is_structure(schema: Any, shapes: Shapes) -> bool:
    whole = shapes.resolved(shapes.simple(schema))
    return bool(whole) and whole.get("type") != "string"


def _body(body: Schema, shapes: Shapes, overrides: dict[str, str]) -> Schema:
    kept: Schema = {}
    for media, given in body.get("content", {}).items():
        name, node = media, dict(given)
        plain = name.partition(";")[0].strip().lower()
        if plain in {FORM, MULTIPART}:
            node["schema"] = _form(node.get("schema"), shapes)
        elif _rank(name, node.get("schema"), shapes) == 0:
            node.setdefault("schema", {})
            name = media if _IS_JSON.match(media) else JSON
        else:
            node["schema"] = dict(BINARY)
            name = BYTES if "*" in media else media
            if name != BYTES:
                overrides[name] = BYTES
        # The type of the argument tells the bodies apart. JSON comes first.
        if not any(node["schema"] == other["schema"] for other in kept.values()):
            kept[name] = node
    order = sorted(kept, key=lambda each: not _IS_JSON.match(each))
    if len(order) > 1 and not all(_is_told_apart(kept[name]["schema"], shapes) for name in order):
        order = order[:1]
    return {**body, "content": {name: kept[name] for name in order}}


def _form(schema: Any, shapes: Shapes) -> Schema:
    """The schema of a form, which is an object."""
    if isinstance(schema, dict) and is_object(shapes.resolved(shapes.simple(schema))):
        return schema
    return {"type": "object"}


def _is_told_apart(schema: Schema, shapes: Shapes) -> bool:
    return schema == BINARY or is_object(shapes.resolved(shapes.simple(schema)))


def _is_string(schema: Any, shapes: Shapes) -> bool:
    return isinstance(schema, dict) and shapes.resolved(shapes.simple(schema)).get("type") == "string"


def _is_plain_text(schema: Any, shapes: Shapes) -> bool:
    return (
        _is_string(schema, shapes) and not {"format", "enum", "const"} & shapes.resolved(shapes.simple(schema)).keys()
    )
