"""Apply an OpenAPI Overlay (https://spec.openapis.org/overlay/v1.0.0.html) to a document.

Stricter than the specification in one thing, which matters most: an action whose target matches nothing is an
error. A rule whose target has gone is a contract that has changed.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from jsonpath_rfc9535 import JSONPathError, find
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class ContractError(Exception):
    """Something is wrong with the contract, its overlay, or what was made of them: one line, and what to do."""


def load_yaml(path: Path) -> Any:
    """A YAML 1.2 document, with its lines and comments.

    Raises:
        ContractError: it cannot be read.
    """
    try:
        return YAML().load(path)
    except (OSError, YAMLError) as error:
        raise ContractError(f"{path.name}: {' '.join(str(error).split())}") from error


def apply_overlay(document: Any, overlay: Any) -> Any:
    """A copy of the document with the overlay's actions carried out, one after the other.

    Raises:
        ContractError: an action is malformed, or its target matches nothing.
    """
    if not isinstance(overlay, dict) or not isinstance(overlay.get("actions"), list):
        raise ContractError("the overlay has no list of actions")
    document = copy.deepcopy(document)
    for index, action in enumerate(overlay["actions"]):
        where = f"overlay action {index + 1}"
        if hasattr(overlay["actions"], "lc"):  # as it came from YAML
            where += f", line {overlay['actions'].lc.item(index)[0] + 1}"
        if not isinstance(action, dict) or not isinstance(action.get("target"), str):
            raise ContractError(f"{where}: expected an object with a target")
        unknown = action.keys() - {"target", "description", "update", "remove"}
        if unknown:
            raise ContractError(f"{where}: unknown key {', '.join(sorted(unknown))}")
        try:
            _carry_out(document, action)
        except (ContractError, JSONPathError) as error:
            about = " ".join(str(action.get("description", "no description")).split())
            raise ContractError(f"{where}: {error} (target {action['target']}; {about})") from error
    return document


def _carry_out(document: Any, action: dict[str, Any]) -> None:
    nodes = find(action["target"], document)
    if not nodes:
        raise ContractError("the target matches nothing: has the contract changed there?")
    if action.get("remove") is True:
        # From the last on, so that the indexes of a list still to come stay right.
        for location in sorted({node.location for node in nodes}, key=_order, reverse=True):
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


def _order(location: tuple[int | str, ...]) -> list[tuple[bool, int, str]]:
    return [(isinstance(step, str), 0 if isinstance(step, str) else step, str(step)) for step in location]


def _merge(target: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        current = target.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            _merge(current, value)
        elif isinstance(current, list) and isinstance(value, list):
            current.extend(copy.deepcopy(value))
        else:
            target[key] = copy.deepcopy(value)
