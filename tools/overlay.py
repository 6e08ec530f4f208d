"""Apply an OpenAPI Overlay (https://spec.openapis.org/overlay/v1.0.0.html) to a document.

It is stricter than the specification in one point: if the target of an action matches nothing, that is an error. Then
the contract has changed, and somebody must decide what to do with the action.
"""

from __future__ import annotations

import copy
from difflib import get_close_matches
from typing import Any, Final

from documents import ContractError, line_of, plain
from jsonpath_rfc9535 import JSONPathError, JSONPathQuery, compile as compile_path
from jsonpath_rfc9535.selectors import NameSelector
from nodes import Seq

_FEW: Final = 5


class UnmatchedError(ContractError):
    """The target of an action matches nothing."""


def apply_overlay(document: Any, overlay: Any, *, unmatched: list[str] | None = None) -> Any:
    """Apply the actions of an overlay in order. Returns a changed copy of the document.

    Args:
        document: The document.
        overlay: The overlay.
        unmatched: If given, an action whose target matches nothing is skipped, and its message is added to this list.

    Raises:
        ContractError: an action is malformed, or its target matches nothing and `unmatched` is not given.
    """
    if not isinstance(overlay, dict) or not isinstance(overlay.get("actions"), list):
        raise ContractError("the overlay has no list of actions")
    document = plain(document)
    missed: list[str] = [] if unmatched is None else unmatched
    for index, action in enumerate(overlay["actions"]):
        where = f"overlay action {index + 1}"
        if isinstance(overlay["actions"], Seq):  # it was read from YAML, so its line is known
            where += f", line {line_of(overlay, ('actions', index))}"
        if not isinstance(action, dict) or not isinstance(action.get("target"), str):
            raise ContractError(f"{where}: expected an object with a target")
        unknown = action.keys() - {"target", "description", "update", "remove"}
        if unknown:
            raise ContractError(f"{where}: unknown key {', '.join(sorted(unknown))}")
        try:
            _carry_out(document, action)
        except (ContractError, JSONPathError) as error:
            about = " ".join(str(action.get("description", "no description")).split())
            report = f"{where}: {error}\n  target: {action['target']}\n  description: {about}"
            if not isinstance(error, UnmatchedError):
                raise ContractError(report) from error
            missed.append(report)
    if missed and unmatched is None:
        raise ContractError("\n".join(missed))
    return document


def _carry_out(document: Any, action: dict[str, Any]) -> None:
    query = compile_path(action["target"])
    nodes = query.find(document)
    if not nodes:
        raise UnmatchedError(f"the target matches nothing: {_cause(document, query)}")
    if action.get("remove") is True:
        # The last items are removed first, so that the indexes of the others stay right.
        for location in sorted({node.location for node in nodes}, reverse=True):
            parent = document
            for step in location[:-1]:
                parent = parent[step]
            del parent[location[-1]]
        return
    for node in nodes:
        if isinstance(node.value, list):
            node.value.append(copy.deepcopy(action.get("update")))
        elif isinstance(node.value, dict):
            _merge(node.value, action.get("update") or {})
        else:
            raise ContractError("the target is neither an object nor a list")


def _cause(document: Any, query: JSONPathQuery) -> str:
    """Why a target matches nothing: the first part of it that does not exist, and what exists there instead."""
    for length in range(len(query.segments) - 1, -1, -1):
        reached = JSONPathQuery(env=query.env, segments=query.segments[:length])
        nodes = reached.find(document)
        if nodes:
            break
    gone = query.segments[length]
    cause = f"in {reached} there is no {gone} any more"
    wanted = [selector.name for selector in gone.selectors if isinstance(selector, NameSelector)]
    here = {str(key): None for node in nodes if isinstance(node.value, dict) for key in node.value} if wanted else {}
    close = [key for name in wanted for key in get_close_matches(name, here, n=1)]
    # The most similar key, or the first few keys if none is similar.
    nearest = ", ".join(map(repr, close or list(here)[:_FEW]))
    cause += f" (there is {nearest})" if nearest else ""
    return (
        f"{cause}. If the contract has changed there, let the action follow it; if what it was for is gone, remove it"
    )


def _merge(target: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        current = target.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            _merge(current, value)
        elif isinstance(current, list) and isinstance(value, list):
            current.extend(copy.deepcopy(value))
        else:
            target[key] = copy.deepcopy(value)
