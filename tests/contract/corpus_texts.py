"""Arguments for parameters that the generated code takes as text, though the page says more about them."""

from __future__ import annotations

import json
from typing import Any

from corpus_answers import Maker
from corpus_operations import Operation, Parameter
from corpus_sent import read


def with_texts(operation: Operation, given: dict[str, Any], variant: int) -> tuple[dict[str, Any], int]:
    """The arguments of a function, with valid texts in place of texts that the page does not allow.

    Args:
        operation: The operation.
        given: The arguments, made from the types of the function.
        variant: Which value of an enum and so on is taken.

    Returns:
        The arguments, and how many were replaced.
    """
    changed = dict(given)
    for one in operation.parameters:
        for name, value in given.items():
            if isinstance(value, str) and _letters(name) == _letters(one.name):
                changed[name] = _text(operation, one, value, variant)
    return changed, sum(changed[name] is not value for name, value in given.items())


def _text(operation: Operation, one: Parameter, value: str, variant: int) -> str:
    if operation.sent.valid(one.schema, read(operation.sent, one.schema, value)):
        return value
    made = Maker(operation.sent, variant, texts=("some text",)).make(one.schema)
    if isinstance(made, list):
        return ",".join(map(_scalar, made))
    return _scalar(made)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _letters(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())
