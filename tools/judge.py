"""Whom a change of the contract breaks, and which version follows. Pure: it is told what redocly has found.

An operation's change breaks callers of `featherhq` where the wrapper calls that operation, and users of `featherhq_api`
otherwise. What breaks the vendor's contract alone, and not the contract with our overlay on top, breaks nobody: it is
what the overlay makes the client tolerate, such as a new value of an enum in an answer. An operation that has moved
breaks those who call it only if its generated function has moved too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from textwrap import shorten
from typing import Any, Final

from attrs import frozen

# redocly's names of rules. It calls these broken; whether they are depends on where the function has gone.
_MOVED: Final = {"path-removed", "operation-removed"}
# What places a generated function. redocly holds them for harmless.
_PLACING: Final = {"tags", "operationId"}
# What must be sent and was not before. Whether the wrapper sends it is for mypy to say.
_DEMANDED: Final = {"parameter-became-required"}
# Words on the way to a change that tell a reader nothing.
_NOISE: Final = {"paths", "content", "application/json", "schema", "properties"}
# A pointer to an operation is `paths`, its path, its method.
_OPERATION: Final = 3


class Group(Enum):
    """Whom a change breaks. What breaks callers of `featherhq` may break users of `featherhq_api` too."""

    CALLERS = "Breaking for callers of featherhq"
    USERS = "Breaking for users of featherhq_api"
    HARMLESS = "Harmless"


@frozen
class Change:
    """Something that has changed: whom it breaks, and a line on it."""

    group: Group
    told: str


@frozen
class Judge:
    """Says whom a change breaks that redocly has found.

    Attributes:
        before: The vendor's contract as it was.
        after: As it is.
        places: Where each operation's function was, by path and method.
        there: The functions that there are now.
        used: Those that the wrapper calls.
    """

    before: Any
    after: Any
    places: dict[tuple[str, str], str]
    there: set[str]
    used: set[str]

    def changes(self, vendor: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Change]:
        """All changes in order of the contract.

        Args:
            vendor: What redocly finds in the vendor's contract.
            ours: What it finds with the overlay on top.
        """
        # Names are the overlay's to give: what a new one breaks is seen in the generated package.
        breaking = {
            _place(change): change
            for change in ours
            if change["impact"] == "major" and change.get("property") != "operationId"
        }
        for change in breaking.values():
            yield Change(self._group(change), self._told(change))
        for change in vendor:
            if _place(change) in breaking:
                continue
            if change.get("property") in _PLACING:
                yield Change(self._group(change), self._told(change))
            else:
                tolerated = " (tolerated by the client)" if change["impact"] == "major" else ""
                yield Change(Group.HARMLESS, self._told(change) + tolerated)

    def _group(self, change: dict[str, Any]) -> Group:
        functions = self._functions(_keys(change.get("base", change).get("pointer", change["path"])))
        rules = {verdict["ruleId"] for verdict in change["verdicts"]}
        if change.get("property") in _PLACING or rules & _MOVED:
            functions -= self.there
            if not functions:
                return Group.HARMLESS
        elif rules and rules <= _DEMANDED:
            return Group.USERS
        return Group.CALLERS if functions & self.used else Group.USERS

    def _functions(self, keys: list[str]) -> set[str]:
        """Those that a place in the contract is about: of a path, of an operation, or, as of a component, all."""
        if keys[0] != "paths":
            return set(self.places.values())
        about = tuple(keys[1:_OPERATION])
        return {function for place, function in self.places.items() if place[: len(about)] == about}

    def _told(self, change: dict[str, Any]) -> str:
        """Where, and what, in a line."""
        node = self.before if change["kind"] == "removed" else self.after
        names = []
        for key in _keys(change["path"]):
            node = node[int(key)] if isinstance(node, list) else node.get(key) if isinstance(node, dict) else None
            # A parameter goes by its name, and not by its place in the list.
            names.append(str(node["name"]) if key.isdigit() and isinstance(node, dict) and "name" in node else key)
        if names[0] == "paths" and len(names) >= _OPERATION:
            names[1:_OPERATION] = [f"{names[2].upper()} {names[1]}"]
        where = " > ".join(name for name in names if name not in _NOISE)
        said = "; ".join(verdict["message"] for verdict in change["verdicts"])
        return f"{where}: {said or _plainly(change)}"


def _plainly(change: dict[str, Any]) -> str:
    """What has changed, where redocly has no words for it."""
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
    """The version that follows one (https://semver.org). Below 1.0.0 what breaks raises the minor, all else the patch.

    Args:
        last: The version released last.
        bump: `"major"`, `"minor"`, `"patch"` or `"none"`.
    """
    if bump == "none":
        return last
    numbers = [int(part) for part in re.findall(r"\d+", last)[:3]]
    level = ("major", "minor", "patch").index(bump)
    if numbers[0] == 0:
        level = min(level + 1, len(numbers) - 1)
    return ".".join(map(str, [*numbers[:level], numbers[level] + 1, *[0] * (len(numbers) - level - 1)]))
