"""The judges of the corpus see what is wrong, and accept what is right."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from corpus_fixed_requests import PAGES
from corpus_fixed_unions import PAGES as UNIONS
from corpus_judge import Classes, differences, same
from corpus_operations import Operation, operations
from corpus_packages import refusal_fault
from corpus_page import Json, array, choice, formatted, thing
from corpus_schema import Schemas
from corpus_sent import faults
from corpus_server import Request

SCHEMAS = Schemas({"openapi": "3.0.0"})
ITEM = thing({"at": formatted("date-time"), "kind": choice("a", "b"), "list": array({"type": "integer"})}, "at")
MOMENT = "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("data", "found", "is_right"),
    [
        ({"at": MOMENT}, {"at": "2026-01-02T03:04:05+00:00"}, True),
        ({"at": MOMENT}, {"at": "2026-01-02T03:04:06+00:00"}, False),
        ({"at": MOMENT, "list": [1]}, {"at": MOMENT, "list": [True]}, False),
        ({"at": MOMENT, "more": 1}, {"at": MOMENT}, False),
        ({"at": None, "kind": "a"}, {"kind": "a"}, True),
        ({"at": None, "kind": "a"}, {"at": None}, False),
        ({"at": None, "kind": "a"}, None, False),
        ({"at": 7, "list": [1, "x"]}, {"at": 7, "list": [1, None]}, True),
        ({"at": 7, "list": [1, "x"]}, {"at": 7, "list": ["x"]}, False),
        (["x"], None, True),
    ],
)
def test_valid_fields_must_be_right(data: Any, found: Any, is_right: bool) -> None:
    """All that is valid in a body is in the value. What is invalid may be anything."""
    assert (not list(differences(SCHEMAS, ITEM, data, found))) is is_right


def test_times_and_uuids_are_compared_by_value() -> None:
    """JSON values are equal by their types, and times and UUIDs by what they mean."""
    assert same({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert same("0B7E5F0A-3C1D-4F6E-8A2B-9D8C7B6A5F4E", "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e")
    for one, other in ((1, True), ("1", 1), (None, {}), ("text", "Text"), ([1], [1, 1])):
        assert not same(one, other)


@define
class Cat:
    pet_type: str
    additional_properties: Json = field(factory=dict)


@define
class Dog:
    pet_type: str
    additional_properties: Json = field(factory=dict)


@pytest.mark.parametrize(
    ("made", "is_right"),
    [
        ([Cat("cat"), Dog("dog")], True),
        ([Cat("cat"), Cat("dog")], False),
        ([Cat("cat"), {"petType": "dog"}], False),
        ([Cat("cat", {"lives": 9}), Dog("dog")], False),
    ],
)
def test_each_branch_has_a_class_of_its_own(made: list[Any], is_right: bool) -> None:
    """Two branches of a union never give one class, and what a branch describes is a field of its class."""
    document = UNIONS[0].document
    classes = Classes(Schemas(document))
    data = [{"petType": "cat", "lives": 9}, {"petType": "dog"}]
    classes.look(array(document["components"]["schemas"]["MappedPet"]), data, made)
    assert (not classes.wrong) is is_right


def operation(tail: str) -> Operation:
    return next(one for page in PAGES for one in operations(page) if one.path.endswith(tail))


@pytest.mark.parametrize(
    ("tail", "query", "given", "is_right"),
    [
        ("/queries/deep", "filter%5Bstatus%5D=x&filter[min]=2", ["x", 2], True),
        ("/queries/deep", "status=x", ["x"], False),
        ("/queries/nullable", "n=7", [7], True),
        ("/queries/nullable", "n=seven", ["seven"], False),
        ("/queries/nullable", "n=7&m=8", [7], False),
        ("/queries/nullable", "n=7", [8], False),
        ("/queries/arrays", "moments=2026-01-02T03%3A04%3A05Z&joined=a%2Cb", [MOMENT, "a", "b"], True),
        ("/queries/arrays", "moments=2026-01-02T03%3A04%3A05Z&joined=a&joined=b", [MOMENT, "a", "b"], False),
        ("/queries/arrays", "joined=a", ["a"], False),
    ],
)
def test_requests_are_compared_with_the_page(tail: str, query: str, given: list[Any], is_right: bool) -> None:
    """A request has the parameters of its operation in the style of the page, with the values that were given."""
    one = operation(tail)
    request = Request("GET", f"{one.path}?{query}", {}, b"")
    assert (not list(faults(one, request, {"all": given}, full=False))) is is_right


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("error: a.md:7: it is wrong. Change it\nopenapi.yaml is as it was.\n", True),
        ("error: a.md:7: it is wrong\nopenapi.yaml is as it was.\n", False),
        ("error: a.md: it is wrong. Change it\nopenapi.yaml is as it was.\n", False),
        ("error: a.md:7: it is wrong.\nChange it\nopenapi.yaml is as it was.\n", False),
        ("Traceback (most recent call last):\n", False),
    ],
)
def test_a_refusal_is_one_line_with_a_remedy(text: str, is_right: bool) -> None:
    """A refusal without a line number, with several lines, or without a remedy is a failure."""
    assert (not refusal_fault(text)) is is_right
