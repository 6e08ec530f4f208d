"""Decide whose code a change of the contract breaks, and which version must follow. Pure: its input is from redocly.

If the wrapper calls an operation that the change reaches, it breaks callers of `featherhq`. If not, it breaks users of
`featherhq_api`.

A change may break the vendor's contract, but not the generated package. Such a change breaks nobody. An example is a
new value of an enum in a response. Another one is a field that is gone from one of two responses that are one class. If
an operation has moved, this breaks its callers only if its generated function has moved too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

from attrs import define, frozen
from changes import OPERATION, Found, component_at, described, holder_of, operation_name, place_of
from origins import Place, node_at
from package_view import is_class, kinds, references
from sides import Side

# Rules of redocly for a removed operation. Nothing breaks if the generated function still exists.
_MOVED: Final = {"path-removed", "operation-removed"}
# Properties that decide the module of a generated function. redocly reports their changes as harmless.
_PLACING: Final = {"tags", "operationId"}
# Rules of redocly for an argument that is now required, or gone. mypy checks whether the wrapper passes it.
_ARGUMENTS: Final = {"parameter-became-required", "parameter-removed"}
# So many operations are named in a line. The others are counted.
_NAMED: Final = 2


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


@define
class _Line:
    """One line of the report on what breaks.

    Attributes:
        causes: The indexes of the vendor's changes that it is about.
        changes: The changes of the generated package that they cause.
    """

    causes: set[int]
    changes: list[Found]


@frozen
class Judge:
    """Decides whose code each change breaks that redocly has found.

    Attributes:
        before: The old state.
        after: The new state.
        there: The generated functions that exist now.
        used: The generated functions that the wrapper calls.
    """

    before: Side
    after: Side
    there: set[str]
    used: set[str]

    def changes(self, vendor: list[Found], shown: list[Found]) -> Iterator[Change]:
        """All changes: first those that break the generated package, then the others of the vendor's contract.

        Args:
            vendor: The changes that redocly finds in the vendor's contract.
            shown: The changes that it finds in what the generated package shows.
        """
        told = set[int]()
        for line in self._lines(vendor, [change for change in shown if self._breaks(change)]):
            told |= line.causes
            yield Change(min(map(self._group, line.changes), key=list(Group).index), self._report(line, vendor))
        for index, change in enumerate(vendor):
            if index not in told:
                text = self._where(change) + ": " + " ".join(change.messages)
                if change.prop in _PLACING:
                    yield Change(self._group(change), text)
                else:
                    yield Change(Group.HARMLESS, text + (" (tolerated by the client)" if change.breaks else ""))

    def is_new(self, change: Found) -> bool:
        """Whether a change of what the package shows is something new that can be used."""
        return change.kind == "added" and (change.given["impact"] == "minor" or not self._breaks(change))

    def _breaks(self, change: Found) -> bool:
        """Whether a change of what the package shows breaks something."""
        # The overlay gives the names of operations. griffe finds what a new name breaks in the generated package.
        if not change.breaks or change.prop == "operationId":
            return False
        if change.prop == "format" and len({is_class(schema) for schema in self._schemas(change)}) > 1:
            # The format is the name of a class. redocly tells of what comes and goes with it, too.
            return False
        return not self._fits_union(change) and self._group(change) is not Group.HARMLESS

    def _fits_union(self, change: Found) -> bool:
        """Whether a change of a union breaks nothing, though redocly says so.

        In what is read, a value that is of no known class is handed on as it came. So redocly is right only about what
        is sent: if a member of a union is gone, or if a union replaces a class that is not in it.
        """
        *_, key, last = change.path
        if key == "oneOf":
            return change.kind == "added"
        if last == "oneOf" and change.kind == "added":
            old, new = self._schemas(change)
            return set(references((old or {}).get("allOf"))) <= set(references(new))
        return last == "oneOf"

    def _schemas(self, change: Found) -> list[Any]:
        """What the package shows, before and after, of the schema whose type has changed."""
        places = [None if place is None else holder_of(place) for place in (change.old, change.new)]
        # What is new or gone has a place on one side. On the other side, its schema is at the same place.
        known = places[0] or places[1] or ()
        return [
            node_at(side.shown, place or known) for side, place in zip((self.before, self.after), places, strict=True)
        ]

    def _lines(self, vendor: list[Found], changes: list[Found]) -> list[_Line]:
        """One line for all changes of the package that have a cause in common, or are alike."""
        there: dict[tuple[Place, str | None], set[int]] = {}
        for index, change in enumerate(vendor):
            for place in filter(None, (change.old, change.new)):
                for one in {place, holder_of(place)}:
                    there.setdefault((one, change.topic), set()).add(index)
        lines: dict[int | str, _Line] = {}
        for change in changes:
            origins = (place for side in self._origins(change) for place in side)
            line = _Line(set[int]().union(*(there.get((place, change.topic), ()) for place in origins)), [])
            keys: set[int] | set[str] = line.causes or {self._said([change])}
            for other in _unique(lines[key] for key in keys if key in lines):
                line.causes |= other.causes
                line.changes += other.changes
            line.changes.append(change)
            lines |= dict.fromkeys(line.causes or keys, line)
        return _unique(lines.values())

    def _origins(self, change: Found) -> list[list[Place]]:
        """The places of the vendor's old and new contract that a change of the package comes from."""
        sides = ((self.before, change.old), (self.after, change.new))
        return [[] if place is None else side.origins.of(holder_of(place)) for side, place in sides]

    def _group(self, change: Found) -> Group:
        functions = {self.before.functions[one] for one in self._operations(change)}
        if change.prop in _PLACING or change.rules & _MOVED:
            functions -= self.there
            if not functions:
                return Group.HARMLESS
        elif (change.rules and change.rules <= _ARGUMENTS) or self._renames(change):
            return Group.USERS
        return Group.CALLERS if functions & self.used else Group.USERS

    def _renames(self, change: Found) -> bool:
        """Whether only the name of a class has changed. mypy checks whether the wrapper uses it."""
        return change.prop == "format" and all(map(is_class, self._schemas(change)))

    def _operations(self, change: Found) -> set[tuple[str, str]]:
        """The operations that a change reaches: those that need its component, and needed it before."""
        if change.path[0] != "paths" and change.path[:2] != ("components", "schemas"):
            return set(self.before.functions)
        old = component_at(change.old or change.path, self.before.shown)
        new = component_at(change.new or change.path, self.after.shown)
        if old and new:
            return self.before.reach.get(old, set()) & self.after.reach.get(new, set()) & self.before.functions.keys()
        place = change.old if change.old and change.old[0] == "paths" else change.path
        return {one for one in self.before.functions if one[: len(place) - 1] == place[1:OPERATION]}

    def _where(self, change: Found, *, whole_union: bool = False) -> str:
        place = place_of(change, self.before.vendor, self.after.vendor)
        side = self.before if change.kind == "removed" else self.after
        return described(holder_of(place) if whole_union else place, side.vendor)

    def _report(self, line: _Line, vendor: list[Found]) -> str:
        """One line that says where a change is in the vendor's contract, what it is, and what it reaches."""
        places = [self._where(vendor[index], whole_union=True) for index in sorted(line.causes)]
        places = places or list(map(self._origin, line.changes))
        first, *others = dict.fromkeys(places)
        more = f" and {len(others)} more place{'s' * (len(others) > 1)}" if others else ""
        reached = set[tuple[str, str]]().union(*map(self._operations, line.changes))
        about = f" ({self._named(reached)})" if first.startswith("components ") and reached else ""
        return f"{first}{more}: {self._said(line.changes)}{about}"

    def _said(self, changes: list[Found]) -> str:
        """What has changed, with the vendor's names. A class that is sent may be called `SquadInput`."""
        texts = []
        for change in changes:
            old, new = map(kinds, self._schemas(change))
            is_other = self._renames(change) or change.rules == {"schema-combinator-changed"}
            texts += [f"`{old}` became `{new}`."] if is_other and old != new else change.messages
        before, after = self.before.origins.names, self.after.origins.names
        texts = [
            re.sub(r"(?<=`)\w+(?=`)", lambda name: after.get(name[0]) or before.get(name[0], name[0]), text)
            for text in texts
        ]
        return " ".join(dict.fromkeys(texts))

    def _origin(self, change: Found) -> str:
        """The place in the vendor's contract of a change that none of the vendor's changes has caused."""
        side = self.before if change.kind == "removed" else self.after
        place, *_ = side.origins.of(holder_of(place_of(change, self.before.shown, self.after.shown)))
        while node_at(side.vendor, place) is None:
            place = place[:-1]
        return described(place, side.vendor)

    def _named(self, some: set[tuple[str, str]]) -> str:
        """Some operations for people: the first ones by name, and the number of the others."""
        functions = self.before.functions
        order = sorted(some, key=lambda one: (functions[one] not in self.used, list(functions).index(one)))
        names = ", ".join(operation_name(*one) for one in order[:_NAMED])
        return names + (f" and {len(order) - _NAMED} more" if len(order) > _NAMED else "")


def _unique(lines: Iterable[_Line]) -> list[_Line]:
    """Each line once."""
    return list({id(line): line for line in lines}.values())


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
