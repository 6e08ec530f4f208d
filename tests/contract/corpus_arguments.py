"""Make arguments for generated functions from the types of their parameters, as a user does who reads the signature."""

from __future__ import annotations

import inspect
import io
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final
from uuid import UUID

import attrs
from corpus_hints import Hints

_DEEP: Final = 4
_NONE: Final = type(None)


class NoArgumentError(Exception):
    """There is no rule for a type."""


class Arguments:
    """Makes arguments. Each of its values differs from all others, as far as its type allows.

    Args:
        hints: Resolves the annotations.
        variant: Which member of a union or an enum it takes: the first, the second…
        optional: Whether it gives what may be left out.
    """

    def __init__(self, hints: Hints, variant: int = 0, *, optional: bool = True) -> None:
        self._hints = hints
        self._variant = variant
        self._optional = optional
        self._count = 0

    def for_function(self, function: Callable[..., Any]) -> dict[str, Any]:
        """The arguments of a function, without `client`.

        Raises:
            NoArgumentError: a parameter has a type for which there is no rule.
        """
        hints = self._hints.of(function)
        made = {}
        for name, parameter in inspect.signature(function).parameters.items():
            is_optional = parameter.default is not inspect.Parameter.empty
            if name != "client" and (self._optional or not is_optional):
                made[name] = self.make(hints[name])
        return made

    def make(self, annotation: Any, depth: int = 0) -> Any:
        """A value of a type.

        Raises:
            NoArgumentError: there is no rule for it.
        """
        self._count += 1
        origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in {typing.Union, types.UnionType}:
            return self._of_union(inner, depth)
        if origin is typing.Literal:
            return inner[self._variant % len(inner)]
        if origin is list:
            # An empty list in a query is not sent at all, so one that must be sent has an item.
            count = 0 if depth > _DEEP else 2 if self._optional else int(depth < 2)
            return [self.make(inner[0], depth + 1) for _ in range(count)]
        if origin in {dict, Mapping}:
            return {f"key{self._count}": self.make(inner[1], depth + 1)}
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return list(annotation)[self._variant % len(annotation)]
        if isinstance(annotation, type) and attrs.has(annotation) and hasattr(annotation, "to_dict"):
            return self._model(annotation, depth)
        return self._scalar(annotation)

    def _of_union(self, inner: tuple[Any, ...], depth: int) -> Any:
        choices = [one for one in inner if one is not _NONE and getattr(one, "__name__", "") != "Unset"]
        is_large = any(typing.get_origin(one) is not None or attrs.has(one) for one in choices)
        unset = self._hints.unset
        if len(choices) + (_NONE in inner) < len(inner) and (not self._optional or (is_large and depth > _DEEP)):
            return unset
        if not choices or (_NONE in inner and (depth > _DEEP or not self._optional)):
            return None
        return self.make(choices[self._variant % len(choices)], depth)

    def _model(self, kind: Any, depth: int) -> Any:
        hints = self._hints.of(kind)
        given = {}
        for one in attrs.fields(kind):
            if one.init and (self._optional or one.default is attrs.NOTHING):
                given[one.alias] = self.make(hints[one.name], depth + 1)
        made = kind(**given)
        extra = hints.get("additional_properties")
        if extra is not None and self._optional and (typing.get_args(extra)[1] is not Any or not given):
            made.additional_properties.update(self.make(extra, depth + 1))
        return made

    def _scalar(self, annotation: Any) -> Any:
        number = self._count
        known: dict[Any, Callable[[], Any]] = {
            str: lambda: f"text{number}",
            int: lambda: 1000 + number,
            float: lambda: number + 0.5,
            bool: lambda: number % 2 == 0,
            UUID: lambda: UUID(int=number),
            date: lambda: date(2026, 1, 1) + timedelta(days=number),
            datetime: lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(minutes=number),
            bytes: f"bytes{number}".encode,
            Any: lambda: f"text{number}",
            object: lambda: f"text{number}",
        }
        if annotation in {None, _NONE}:
            return None
        if annotation in known:
            return known[annotation]()
        if getattr(annotation, "__name__", "") == "File":
            return annotation(io.BytesIO(f"file{number}".encode()), f"file{number}.bin", "application/octet-stream")
        raise NoArgumentError(f"there is no rule for {annotation}")
