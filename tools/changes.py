"""Read the changes that `redocly diff` finds, and describe them. Pure.

redocly tells of a change of a component once, by the path on which it reached the component first, and by the places
where it stands in both documents.
"""

from __future__ import annotations

import json
from textwrap import shorten
from typing import Any, Final

from attrs import frozen
from origins import Place, followed, keys_of, node_at

# Keys that are left out of messages, because they help no reader.
_NOISE: Final = {"paths", "content", "application/json", "schema", "properties"}
# What says the type of a schema, as a property or as a list of schemas. Then, lists whose members have no names.
_TYPE: Final = {"type", "nullable", "format", "allOf", "oneOf", "anyOf"}
_LISTS: Final = {"allOf", "oneOf", "anyOf", "security"}
# A place inside an operation begins with three keys: `paths`, its path and its method.
OPERATION: Final = 3


@frozen
class Found:
    """A change that redocly has found.

    Attributes:
        given: What redocly says.
        old: Where it stands in the old document, without the changed property. `None` if it is new.
        new: Where it stands in the new document. `None` if it is gone.
    """

    given: dict[str, Any]
    old: Place | None
    new: Place | None

    @property
    def kind(self) -> str:
        """`"added"`, `"removed"` or `"modified"`."""
        return str(self.given["kind"])

    @property
    def prop(self) -> str | None:
        """The changed property of what was modified."""
        name: str | None = self.given.get("property")
        return name

    @property
    def rules(self) -> set[str]:
        """The rules of redocly that it breaks."""
        return {verdict["ruleId"] for verdict in self.given["verdicts"]}

    @property
    def path(self) -> Place:
        """The path on which redocly came to it first."""
        return keys_of(self.given["path"])

    @property
    def topic(self) -> str | None:
        """What it is about: a property of a schema, or `"type"`, in whatever way that is said. `None`: the whole."""
        name = self.prop or next(iter(self.path[len(holder_of(self.path)) :]), None)
        return "type" if name in _TYPE else name

    @property
    def breaks(self) -> bool:
        """Whether redocly says that it breaks something."""
        return bool(self.given["impact"] == "major")

    @property
    def messages(self) -> list[str]:
        """What redocly says about it, or else what has changed."""
        return [verdict["message"] for verdict in self.given["verdicts"]] or [_without_message(self.given)]


def found(given: dict[str, Any]) -> Found:
    """Read one change."""
    old, new = (_place(given[side], given.get("property")) if side in given else None for side in ("base", "revision"))
    return Found(given, old, new)


def _place(side: dict[str, Any], prop: str | None) -> Place:
    """A place without the changed property. If this side does not have the property, redocly leaves it out itself."""
    place = keys_of(side["pointer"])
    is_named = "value" in side and place[-1:] == (prop,) and side["value"] != prop
    return place[:-1] if is_named else place


def holder_of(place: Place) -> Place:
    """The place of what holds the list that is at a place, such as the schema of a union. Or else the place itself."""
    for length in (1, 2):
        # A property may have the name of such a list.
        if len(place) >= length and place[-length] in _LISTS and place[-length - 1 : -length] != ("properties",):
            return place[:-length]
    return place


def place_of(change: Found, before: Any, after: Any) -> Place:
    """The place of a change: inside a component if the component has changed, or else inside an operation.

    redocly also compares two components if a reference led to the first, and leads to the second now. Then neither of
    them has changed, but what holds the reference.

    Args:
        change: The change.
        before: The old document.
        after: The new document.
    """
    gone = change.kind == "removed"
    place = change.old if gone else change.new
    if change.kind == "modified":
        both = {change.old and change.old[0], change.new and change.new[0]}
        # A parameter may only have another index in its list, and a component another name.
        is_changed = change.old == change.new or both == {"paths"} or node_at(after, (change.old or ())[:3]) is None
    else:
        is_changed = node_at(after if gone else before, place or ()) is None
    return place if is_changed and place is not None else _innermost(change.path, before, after)


def component_at(path: Place, document: Any) -> str | None:
    """The component of a document in which a path ends. `None` if it ends inside an operation."""
    at: Place = ()
    name = None
    for key in path:
        *_, at = followed(document, (*at, key))
        name = at[2] if at[:2] == ("components", "schemas") and len(at) >= OPERATION else name
    return name


def _innermost(path: Place, before: Any, after: Any) -> Place:
    """The shortest name of a place on a path: what references lead to, as long as both documents agree."""
    old: Place = ()
    new: Place = ()
    place: Place = ()
    for key in path:
        *_, old = followed(before, (*old, key))
        *_, new = followed(after, (*new, key))
        place = old if old == new else (*place, key)
    return place


def described(place: Place, document: Any) -> str:
    """A place for people, such as `GET /threads > responses > 200 > id`."""
    names: list[str] = []
    at: Place = ()
    for key in place:
        *_, at = followed(document, (*at, key))
        node = node_at(document, at)
        # A parameter is named by its name, and not by its index in the list.
        names.append(str(node["name"]) if key.isdigit() and isinstance(node, dict) and "name" in node else key)
    if place[:1] == ("paths",) and len(place) >= OPERATION:
        names[1:OPERATION] = [operation_name(place[1], place[2])]
    return " > ".join(name for name in names if name and name not in _NOISE) or "the document"


def operation_name(path: str, method: str) -> str:
    """An operation for people, such as `GET /threads`."""
    return f"{method.upper()} {path}"


def _without_message(change: dict[str, Any]) -> str:
    """A description of a change for which redocly has no message."""
    if "property" not in change:
        return str(change["kind"])
    old, new = (change.get(side, {}).get("value") for side in ("base", "revision"))
    if isinstance(old, list) and isinstance(new, list):
        lost, gained = ([value for value in these if value not in those] for these, those in ((old, new), (new, old)))
        values = [f"{word} {_short(some)}" for word, some in (("lost", lost), ("gained", gained)) if some]
        return f"{change['property']} {' and '.join(values) or 'in another order'}"
    return f"{change['property']}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 60, placeholder="…")
