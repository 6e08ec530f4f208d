"""Find what tells the members of a union apart. Pure.

Generated code tries the classes of a union one after the other. Since what is read may lack any field, the first class
would take everything. So each member of a union gets the conditions under which it is meant, in the key `x-kinds`:
values of a property, or properties that must be there. A template of the generated code checks them.
"""

from __future__ import annotations

from typing import Any

from references import SCHEMAS, Schema
from shapes import Shapes, is_object

# For each property: the values that it must have, or `None` if it must only be there.
Kinds = dict[str, list[Any] | None]


def with_kinds(
    members: list[Schema], discriminator: Schema | None, shapes: Shapes
) -> tuple[list[Schema], dict[str, Kinds]]:
    """The members of a union with their conditions. Those without conditions come last, because they take everything.

    Args:
        members: The members.
        discriminator: The union's discriminator, if it has one.
        shapes: The components.

    Returns:
        The members in their order, and the conditions of those that are components.
    """
    conditions = _conditions(members, discriminator or {}, shapes)
    named: dict[str, Kinds] = {}
    result = []
    for member, kinds in zip(members, conditions, strict=True):
        name = shapes.target(member)
        if kinds and name is not None:
            named[name] = kinds
        result.append({**member, "x-kinds": kinds} if kinds and name is None else member)
    order = sorted(range(len(members)), key=lambda index: not conditions[index])
    return [result[index] for index in order], named


def in_either(one: Kinds, other: Kinds) -> Kinds:
    """The conditions of a component that is a member of two unions."""
    either = {**one, **other}
    for name in one.keys() & other.keys():
        mine, theirs = one[name], other[name]
        either[name] = None if mine is None or theirs is None else list(dict.fromkeys([*mine, *theirs]))
    return either


def _conditions(members: list[Schema], discriminator: Schema, shapes: Shapes) -> list[Kinds]:
    """The conditions of each member. Members that are no objects, and those that take the rest, have none."""
    whole = [shapes.resolved(member) for member in members]
    objects = [part for part in whole if is_object(part)]
    none: list[Kinds] = [{} for _ in members]
    if len(objects) < 2:  # noqa: PLR2004 - a single object is told apart by its type
        return none
    if (name := discriminator.get("propertyName")) is not None:
        mapping = discriminator.get("mapping") or {}
        return [
            {name: values} if is_object(part) and (values := _mapped(member, part, name, mapping, shapes)) else {}
            for member, part in zip(members, whole, strict=True)
        ]
    shared = [name for name in objects[0].get("properties") or {} if _tells_apart(name, objects, shapes)]
    if shared:
        return [{shared[0]: _values(part, shared[0], shapes)} if is_object(part) else {} for part in whole]
    common = set.intersection(*(set(part.get("required") or ()) for part in objects))
    own = [[name for name in part.get("required") or () if name not in common] for part in whole]
    return [dict.fromkeys(names) if is_object(part) else {} for part, names in zip(whole, own, strict=True)]


def _mapped(member: Schema, part: Schema, name: str, mapping: dict[str, str], shapes: Shapes) -> list[Any]:
    """The values of a discriminator that mean a member (OpenAPI 3.0.3, section 4.7.25)."""
    target = shapes.target(member)
    values: list[Any] = [value for value, where in mapping.items() if target in (where, where.removeprefix(SCHEMAS))]
    if not values and target is not None:
        values = [target]
    return list(dict.fromkeys([*values, *_values(part, name, shapes)]))


def _values(part: Schema, name: str, shapes: Shapes) -> list[Any]:
    """The values that a property of an object may have, if they are named."""
    inner = shapes.resolved((part.get("properties") or {}).get(name) or {})
    return [inner["const"]] if "const" in inner else list(inner.get("enum") or ())


def _tells_apart(name: str, objects: list[Schema], shapes: Shapes) -> bool:
    """Whether a property has other values in each of some objects."""
    values = [_values(part, name, shapes) for part in objects]
    return all(values) and len({value for some in values for value in some}) == sum(map(len, values))
