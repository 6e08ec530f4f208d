"""Suggest a name for a function from the method and the path of its operation. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from references import free_name

_VERBS: Final = {"post": "create", "put": "replace", "patch": "update"}
_VERSION: Final = re.compile(r"v\d+")
# Endings of words that are no plurals, though they end with an s.
_SINGULAR: Final = ("ss", "us", "is")


def suggested_name(path: str, method: str, taken: Container[str]) -> str:
    """A name such as `createWorkflowExecution` for `POST /api/v1/workflow/{workflowId}/executions`.

    It is made of a verb for the method and of the nouns of the path. If the path ends with a verb, as in
    `POST /calls/{callId}/hang-up`, that is the verb: `hangUpCall`.

    Args:
        path: The path of the operation.
        method: Its method.
        taken: Names that other operations have.
    """
    parts = [part for part in path.split("/") if part and part != "api" and not _VERSION.fullmatch(part)]
    nouns = [part for part in parts if not part.startswith("{")]
    verb, nouns = _verb(parts, nouns, method)
    words = [_singular(noun) for noun in nouns]
    if nouns and verb == "list":
        words[-1] = nouns[-1]
    return free_name(_camel("-".join([verb, *words])), taken)


def _verb(parts: list[str], nouns: list[str], method: str) -> tuple[str, list[str]]:
    """The verb, and the nouns that are left for the rest of the name."""
    at_end = bool(nouns) and parts[-1] == nouns[-1]
    plural = at_end and _is_plural(nouns[-1])
    if method in _VERBS and at_end and not plural and len(parts) > 1 and parts[-2].startswith("{"):
        return nouns[-1], nouns[:-1]
    if method == "get":
        return "list" if plural else "get", nouns
    return _VERBS.get(method, method), nouns


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(_SINGULAR)


def _singular(word: str) -> str:
    if not _is_plural(word):
        return word
    return word[:-3] + "y" if word.endswith("ies") else word[:-1]


def _camel(words: str) -> str:
    first, *others = [str(word) for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", words)] or [words]
    return first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in others)
