"""Find which places of the vendor's contract the places of another document come from. Pure.

The other document is one of `package_view.py`. It has no `allOf` with several members, each class stands there once,
and a component that is read and sent is two. Both documents are walked through side by side, from each operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote

from documents import operations
from media import is_json
from openapi_python_client.strings import ClassName
from references import SCHEMAS, Schema

Place = tuple[str, ...]

_UNIONS: Final = ("oneOf", "anyOf")
_SCHEMAS: Final = ("components", "schemas")


def keys_of(pointer: str) -> Place:
    """The keys of a JSON pointer such as `#/paths/~1threads/get`."""
    steps = pointer.removeprefix("#").split("/")[1:]
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def node_at(document: Any, place: Place) -> Any:
    """What stands at a place of a document. `None` if nothing does."""
    for key in place:
        if isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        elif isinstance(document, dict):
            document = document.get(key)
        else:
            return None
    return document


def followed(document: Any, place: Place) -> Iterator[Place]:
    """A place, and the places that its reference leads to, one after the other."""
    seen = set[Place]()
    while place not in seen:
        seen.add(place)
        yield place
        node = node_at(document, place)
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            place = keys_of(unquote(node["$ref"]))


class Origins:
    """The places of the vendor's contract, by the places that come from them.

    Args:
        shown: The document of `package_view.py`.
        vendor: The vendor's contract.
    """

    def __init__(self, shown: Schema, vendor: Schema) -> None:
        self._shown = shown
        self._vendor = vendor
        self._found: dict[Place, list[Place]] = {}
        self._waiting: list[tuple[Place, list[Place]]] = []
        for path, method, operation in operations(shown):
            self._operation(operation, ("paths", path), method)
        while self._waiting:
            self._schema(*self._waiting.pop())

    def of(self, place: Place) -> list[Place]:
        """The places that a place comes from: itself, if it stands in both documents and nothing else is known."""
        for length in range(len(place), 0, -1):
            if found := self._found.get(place[:length]):
                return [(*origin, *place[length:]) for origin in found]
        return [place]

    @cached_property
    def names(self) -> dict[str, str]:
        """The vendor's name of each component that comes from one of the vendor's components."""
        result = {}
        for place, found in self._found.items():
            if place[:2] == _SCHEMAS and len(place) == 3:  # noqa: PLR2004
                names = (origin[2] for origin in found if len(origin) == len(place) and origin[:2] == _SCHEMAS)
                # A class may also have the properties of a component in its `allOf`, but not its name.
                result[place[2]] = next((one for one in names if place[2].startswith(ClassName(one, ""))), place[2])
        return result

    def _operation(self, operation: Schema, path: Place, method: str) -> None:
        *_, item = followed(self._vendor, path)
        *_, there = followed(self._vendor, (*item, method))
        self._found.setdefault((*path, method), [there])
        given = {}
        for owner in (item, there):
            for index, _ in enumerate((node_at(self._vendor, owner) or {}).get("parameters") or ()):
                places = list(followed(self._vendor, (*owner, "parameters", str(index))))
                node = node_at(self._vendor, places[-1])
                if isinstance(node, dict):
                    given[node.get("name"), node.get("in")] = places
        for owner in ((*path, method), path):
            for index, parameter in enumerate((node_at(self._shown, owner) or {}).get("parameters") or ()):
                here = (*owner, "parameters", str(index))
                places = given.get((parameter["name"], parameter["in"]), [])
                self._put(here, places)
                for place in places[-1:]:
                    self._waiting.append(((*here, "schema"), [(*place, "schema")]))
        self._body((*path, method, "requestBody"), (*there, "requestBody"))
        for status in operation["responses"]:
            self._body((*path, method, "responses", status), (*there, "responses", status))

    def _body(self, here: Place, there: Place) -> None:
        places = list(followed(self._vendor, there))
        self._put(here, places)
        given = (node_at(self._vendor, places[-1]) or {}).get("content") or {}
        for media in (node_at(self._shown, here) or {}).get("content") or {}:
            for other in given:
                if other == media or (is_json(other) and is_json(media)):
                    inner, outer = (*here, "content", media), (*places[-1], "content", other)
                    self._put(inner, [outer])
                    self._waiting.append(((*inner, "schema"), [(*outer, "schema")]))

    def _put(self, here: Place, places: list[Place]) -> list[Place]:
        """Note where a place comes from. Returns what is new."""
        known = self._found.setdefault(here, [])
        new = [
            place for place in dict.fromkeys(places) if place not in known and node_at(self._vendor, place) is not None
        ]
        known += new
        return new

    def _schema(self, here: Place, there: list[Place]) -> None:
        """Walk one step into a schema and its origins."""
        node = node_at(self._shown, here)
        new = self._put(here, [same for place in there for same in self._same(place)])
        if not new or not isinstance(node, dict):
            return
        if name := _class_of(node):
            # A place that is only a reference is not the content.
            whole = [place for place in new if "$ref" not in node_at(self._vendor, place)]
            self._waiting.append(((*_SCHEMAS, name), whole))
        for key in node.get("properties") or {}:
            self._waiting.append(((*here, "properties", key), [(*place, "properties", key) for place in new]))
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                self._waiting.append(((*here, key), [(*place, key) for place in new]))
        for index, member in enumerate(node.get("oneOf") or ()):
            self._waiting.append(((*here, "oneOf", str(index)), list(self._members(member, new))))

    def _same(self, place: Place) -> Iterator[Place]:
        """A place with all places that say something about the same value: its target, and the members of `allOf`."""
        waiting, seen = [place], set[Place]()
        while waiting:
            for one in followed(self._vendor, waiting.pop()):
                node = node_at(self._vendor, one)
                if one in seen or not isinstance(node, dict):
                    break
                seen.add(one)
                yield one
                waiting += [(*one, "allOf", str(index)) for index, _ in enumerate(node.get("allOf") or ())]
                for key in _UNIONS:
                    real = [index for index, member in enumerate(node.get(key) or ()) if not _is_null(member)]
                    if len(real) == 1:
                        waiting.append((*one, key, str(real[0])))

    def _members(self, member: Schema, places: list[Place]) -> Iterator[Place]:
        """The members of the vendor's unions that one member comes from: those with the same properties."""
        name = _class_of(member)
        wanted = set(node_at(self._shown, (*_SCHEMAS, name, "properties")) or ()) if name else set[str]()
        beside = {key for place in places for key in node_at(self._vendor, (*place, "properties")) or ()}
        fields = {leaf: self._fields(leaf) | beside for place in places for leaf in self._leaves(place, set())}
        equal = [leaf for leaf, there in fields.items() if there == wanted | beside]
        # A class may lack what is only sent, or only read.
        yield from equal or [leaf for leaf, there in fields.items() if wanted <= there]
        # The properties beside a union belong to each member.
        yield from (place for place in places if node_at(self._vendor, (*place, "properties")))

    def _fields(self, place: Place) -> set[str]:
        nodes = (node_at(self._vendor, (*same, "properties")) for same in self._same(place))
        return {name for node in nodes for name in node or ()}

    def _leaves(self, place: Place, seen: set[Place]) -> Iterator[Place]:
        """The members of a union, and of unions in it. They may hold it themselves."""
        if place not in seen:
            seen.add(place)
            node = node_at(self._vendor, place)
            for key in _UNIONS:
                for index, _ in enumerate(node.get(key) or ()):
                    one = (*place, key, str(index))
                    inner = [leaf for same in self._same(one) for leaf in self._leaves(same, seen)]
                    yield from inner or [one]


def _class_of(node: Schema) -> str:
    """The class that a schema of `package_view.py` refers to, or an empty string."""
    members = node.get("allOf") or ()
    return str(members[0]["$ref"]).removeprefix(SCHEMAS) if members and "$ref" in members[0] else ""


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "null" or schema.get("enum") == [None])
