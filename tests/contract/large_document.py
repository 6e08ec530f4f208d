"""A large OpenAPI document: 300 operations and 900 schemas in three megabytes."""

from __future__ import annotations

import json
import random
from typing import Any

_TEXT = "the agent reads a thread and sends each message with its status while nobody waits for an answer"


def large_document(operations: int = 300, size: int = 3_000_000) -> str:
    """The document as JSON. It is the same in each run."""
    chance = random.Random(1)  # noqa: S311

    def text(words: int) -> str:
        return " ".join(chance.choices(_TEXT.split(), k=words)).capitalize() + "."

    count = operations * 3
    # What is in each schema besides its description.
    schemas = {f"Schema{index}": _schema(index, chance, text) for index in range(count)}
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Feather AI API", "version": "1.0.0"},
        "servers": [{"url": "https://prod.featherhq.com"}],
        "security": [],
        "paths": {f"/api/v1/things{index}/{{id}}": _item(index, chance, text) for index in range(operations)},
        "components": {"schemas": schemas},
    }
    missing = size - len(json.dumps(document, indent=2))
    for schema in schemas.values():
        schema["description"] = text(max(missing // count // 5, 1))
    return json.dumps(document, indent=2)


def _schema(index: int, chance: random.Random, text: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "id": {"type": "string", "format": "uuid"},
        "kind": {"type": "string", "enum": [f"KIND_{index}_A", f"KIND_{index}_B"]},
    }
    for field in range(10):
        kind = chance.choice(["string", "integer", "number", "boolean"])
        properties[f"field{field}"] = {"type": kind, "description": text(chance.randint(5, 40))}
    if index:
        properties["other"] = {"$ref": f"#/components/schemas/Schema{chance.randrange(index)}"}
    return {"type": "object", "properties": properties, "required": ["id", "kind"]}


def _item(index: int, chance: random.Random, text: Any) -> dict[str, Any]:
    def content(number: int) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/Schema{number}"}}}

    operation: dict[str, Any] = {
        "tags": [f"Tag {index % 20}"],
        "summary": text(18),
        "description": text(60),
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {"description": text(10), "content": content(index * 3)},
            "400": {"description": text(10), "content": content(0)},
        },
    }
    method = chance.choice(["get", "post", "put", "delete"])
    if method in {"post", "put"}:
        operation["requestBody"] = {"required": True, "content": content(index * 3 + 1)}
    return {method: operation}
