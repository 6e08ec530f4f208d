"""Decide whose code a change of the contract breaks, and which version must follow. Pure: its input is from redocly.

If the wrapper calls the changed operation, the change breaks callers of `featherhq`. If not, it breaks users of
`featherhq_api`.

A change may break the vendor's contract, but not the contract with our overlay. Such a change breaks nobody, because
the overlay makes the client tolerate it. An example is a new value of an enum in a response. If an operation has moved,
this breaks its callers only if its generated function has moved too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from textwrap import shorten
from typing import Any, Final

from attrs import frozen

# Rules of redocly for a removed operation. Nothing breaks if the generated function still exists.
_MOVED: Final = {"path-removed", "operation-removed"}
# Properties that decide the module of a generated function. redocly reports their changes as harmless.
_PLACING: Final = {"tags", "operationId"}
# Rules of redocly for a parameter that is now required. mypy checks whether the wrapper sends it.
_NOW_REQUIRED: Final = {"parameter-became-required"}
# Keys that are left out of messages, because they help no reader.
_NOISE: Final = {"paths", "content", "application/json", "schema", "properties"}
# A pointer to an operation has three keys: `paths`, its path and its method.
_OPERATION: Final = 3


class Group(Enum):
    """Whose code a change breaks. If it breaks callers of `featherhq`, it may break users of `featherhq_api` too."""

    CALLERS = "Breaking for callers of featherhq"
    USERS = "Breaking for users of featherhq_api"
    HARMLESS = "Harmless"


@frozen
class Change:
    """One change.

    Attributes:
        group: Whose code it breaks.
        report: One line that describes it.
    """

    group: Group
    report: str


@frozen
class Judge:
    """Decides whose code each change breaks that redocly has found.

    Attributes:
        before: The vendor's old contract.
        after: The vendor's new contract.
        places: The old generated function of each operation, by path and method.
        there: The generated functions that exist now.
        used: The generated functions that the wrapper calls.
    """

    before: Any
    after: Any
    places: dict[tuple[str, str], str]
    there: set[str]
    used: set[str]

    def changes(self, vendor: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Change]:
        """All changes: first those that break the contract with the overlay, then the others of the vendor's contract.

        Args:
            vendor: The changes that redocly finds in the vendor's contract.
            ours: The changes that it finds in the contract with the overlay.
        """
        # The overlay gives the names of operations. griffe finds what a new name breaks in the generated package.
        breaking = {
            _place(change): change
            for change in ours
            if change["impact"] == "major" and change.get("property") != "operationId"
        }
        for change in breaking.values():
            yield Change(self._group(change), self._report(change))
        for change in vendor:
            if _place(change) in breaking:
                continue
            if change.get("property") in _PLACING:
                yield Change(self._group(change), self._report(change))
            else:
                tolerated = " (tolerated by the client)" if change["impact"] == "major" else ""
                yield Change(Group.HARMLESS, self._report(change) + tolerated)

    def _group(self, change: dict[str, Any]) -> Group:
        functions = self._functions(_keys(change.get("base", change).get("pointer", change["path"])))
        rules = {verdict["ruleId"] for verdict in change["verdicts"]}
        if change.get("property") in _PLACING or rules & _MOVED:
            functions -= self.there
            if not functions:
                return Group.HARMLESS
        elif rules and rules <= _NOW_REQUIRED:
            return Group.USERS
        return Group.CALLERS if functions & self.used else Group.USERS

    def _functions(self, keys: list[str]) -> set[str]:
        """The functions that a place in the contract affects: of one path or operation. A component affects all."""
        if keys[0] != "paths":
            return set(self.places.values())
        about = tuple(keys[1:_OPERATION])
        return {function for place, function in self.places.items() if place[: len(about)] == about}

    def _report(self, change: dict[str, Any]) -> str:
        """One line that says where the change is, and what it is."""
        node = self.before if change["kind"] == "removed" else self.after
        names = []
        for key in _keys(change["path"]):
            node = node[int(key)] if isinstance(node, list) else node.get(key) if isinstance(node, dict) else None
            # A parameter is named by its name, and not by its index in the list.
            names.append(str(node["name"]) if key.isdigit() and isinstance(node, dict) and "name" in node else key)
        if names[0] == "paths" and len(names) >= _OPERATION:
            names[1:_OPERATION] = [f"{names[2].upper()} {names[1]}"]
        where = " > ".join(name for name in names if name not in _NOISE)
        said = "; ".join(verdict["message"] for verdict in change["verdicts"])
        return f"{where}: {said or _without_message(change)}"


def _without_message(change: dict[str, Any]) -> str:
    """A description of a change for which redocly has no message."""
    if "property" not in change:
        return str(change["kind"])
    old, new = (change.get(side, {}).get("value") for side in ("base", "revision"))
    if isinstance(old, list) and isinstance(new, list):
        lost, gained = ([value for value in these if value not in those] for these, those in ((old, new), (new, old)))
        values = [f"{word} {_shown(some)}" for word, some in (("lost", lost), ("gained", gained)) if some]
        return f"{change['property']} {' and '.join(values) or 'in another order'}"
    return f"{change['property']}: {_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 60, placeholder="…")


def _place(change: dict[str, Any]) -> tuple[str, str | None]:
    return change["path"], change.get("property")


def _keys(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.removeprefix("#/").split("/")]


def next_version(last: str, bump: str) -> str:
    """The version that must follow the last one (https://semver.org).

    Below 1.0.0, a breaking change raises the minor version, and all other changes raise the patch version.

    Args:
        last: The last released version.
        bump: The part to raise from 1.0.0 on: `"major"`, `"minor"`, `"patch"` or `"none"`.
    """
    if bump == "none":
        return last
    numbers = [int(part) for part in re.findall(r"\d+", last)[:3]]
    level = ("major", "minor", "patch").index(bump)
    if numbers[0] == 0:
        level = min(level + 1, len(numbers) - 1)
    return ".".join(map(str, [*numbers[:level], numbers[level] + 1, *[0] * (len(numbers) - level - 1)]))
