"""YAML and JSON are read as JSON data with lines, and JSON data are written as YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from documents import ContractError, line_of, parse_json, parse_yaml, plain, same
from hypothesis import given, settings, strategies as st
from yaml_writer import dump

KINDS = """
true: [true, True, TRUE, false]
null: [null, ~, '~', ]
numbers: [7, -7, +7, 007, 0o7, 0x1f, 1e3, 1.5, .5, 5., -1.5E-3]
strings: [on, yes, y, no, 2026-01-01, 12:30, 1_000, 0b1, 1.0.0, -0x1, =, 'null', "7"]
tags: [!!str 7, !!int '7', !!float 7, !!null '', !!map {}, !!seq []]
empty:
"""


def test_scalars_are_those_of_yaml_1_2() -> None:
    """Words and numbers are read as the core schema of YAML 1.2 says. Other scalars are strings. Tags are followed."""
    read = parse_yaml(KINDS, "a.yaml")
    assert read["true"] == [True, True, True, False]
    assert read["null"] == [None, None, "~"]
    assert read["numbers"] == [7, -7, 7, 7, 7, 31, 1000.0, 1.5, 0.5, 5.0, -0.0015]
    assert " ".join(read["strings"]) == "on yes y no 2026-01-01 12:30 1_000 0b1 1.0.0 -0x1 = null 7"
    assert read["tags"] == ["7", 7, 7.0, None, {}, []]
    assert [type(value) for value in read["tags"][:3]] == [str, int, float]
    assert read["empty"] is None


def test_keys_are_strings_as_they_are_written() -> None:
    """Numbers, words and aliases are keys too."""
    text = "200: a\n'404': b\non: c\ntrue: d\n1.0: e\n~: f\ng: &name h\n*name : i\n"
    assert list(parse_yaml(text, "a.yaml")) == ["200", "404", "on", "true", "1.0", "~", "g", "h"]


def test_aliases_and_merge_keys_are_read() -> None:
    """An alias stands for the last value of its anchor. Keys of an object come before those that `<<` adds to it."""
    text = "a: &one {x: 1, y: 2}\nb: *one\nc:\n  <<: *one\n  y: 3\nd:\n  <<: [{z: 4}, *one]\n'<<': e\n"
    read = parse_yaml(text, "a.yaml")
    assert read["b"] == {"x": 1, "y": 2}
    assert read["c"] == {"x": 1, "y": 3}
    assert read["d"] == {"x": 1, "y": 2, "z": 4}
    assert read["<<"] == "e"


def test_line_separators_are_text() -> None:
    """U+2028, U+2029 and U+0085 end no line, in YAML and in JSON."""
    text = "a: x\u2028y\nb: 'x\x85 y'\nc: |\n  x\u2029y\n  z\nd: \ue000\n"
    read = parse_yaml(text, "a.yaml")
    assert read == {"a": "x\u2028y", "b": "x\x85 y", "c": "x\u2029y\nz\n", "d": "\ue000"}
    assert line_of(read, ["d"]) == 6
    assert line_of(parse_json('{"a": "x\u2028y",\n"b": "\x7f",\n"c": 1}', "a.json"), ["c"]) == 3


def test_each_place_has_its_line() -> None:
    """The line of a key or of an item is known in YAML and in JSON. Without the key, it is that of the object."""
    text = "a:\n  - b: 1\n    c:\n      d: 2\n  -\n    - 3\ne: {f: 4,\n  g: 5}\n"
    found = parse_yaml(text, "a.yaml")
    lines = [("a", 1), ("a", 0, "b"), ("a", 0, "c", "d"), ("a", 1, 0), ("e", "g"), ("e", "x"), ("a", 9), ("y",)]
    assert [line_of(found, keys) for keys in lines] == [6, 2, 4, 6, 8, 7, 1, 1]
    whole = '{\n\t"a": ["\\ud83d\\ude00\\\\ud83d", {\n\t"b\\/": 1,\n\t"c": 2}]}'
    assert line_of(parse_json(whole, "a.json"), ["a", 1, "c"]) == 4
    assert line_of(parse_json(whole, "a.json"), ["a", 1, "b/"]) == 3


def test_lines_of_json_that_yaml_cannot_read() -> None:
    """The JSON is read all the same. Its places have the line 1."""
    key = "x" * 2000
    read = parse_json(f'{{\n"{key}": 1,\n"a": 2}}', "a.json")
    assert (read["a"], line_of(read, ["a"])) == (2, 1)


DEEP = "[" * 150 + "]" * 150
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
NO_YAML = {
    "a key twice": ("tags: 1\na:\n  b: 1\ntags: 2\n", 4, "found a duplicate key 'tags'"),
    "a number and its string": ("200: 1\n'200': 2\n", 2, "found a duplicate key '200'"),
    "two merge keys": ("<<: {a: 1}\n<<: {b: 1}\n", 2, "found a duplicate key '<<'"),
    "a merge of a string": ("a:\n  <<: b\n", 2, "a merge key << needs an object"),
    "an alias of nothing": ("a: 1\nb: *c\n", 2, "there is no anchor &c"),
    "a list in itself": ("a:\n  &b [1,\n  *b]\n", 3, "holds itself"),
    "an object in itself": ("a: &b\n  c: *b\n", 2, "holds itself"),
    "many laughs": (LAUGHS, 19, "its aliases make it larger than"),
    "infinity": ("a: 1\nb: .inf\n", 2, "is not finite"),
    "no number": ("a: .NaN\n", 1, "is not finite"),
    "a number that becomes infinite": ("a: 1e999\n", 1, "is not finite"),
    "a long number": (f"a: {'9' * 5000}\n", 1, "is too long"),
    "an unknown tag": ("a:\n  b: !color red\n", 2, "the tag !color, which does not fit"),
    "a tag that does not fit": ("a: !!int red\n", 1, "which does not fit"),
    "an unknown tag of a list": ("a: !!set {b}\n", 1, "is not known here"),
    "a list as a key": ("a: 1\n? [b]\n: c\n", 2, "a key is an object or a list"),
    "an alias of a list as a key": ("a: &b [c]\n*b : d\n", 2, "a key is an object or a list"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "a second document begins"),
    "a control character": ("a: 1\nb: \x07\n", 2, "the control character \\u0007"),
    "half of a character": ('a: 1\nb: "\\ud800"\n', 2, "found invalid Unicode character escape code"),
    "deep lists": (f"a: 1\nb: {DEEP}\n", 2, "it is nested too deeply"),
    "deeper lists": ("[" * 100_000, 1, "exceeded maximum nesting depth"),
    "deep blocks": ("".join(f"{' ' * depth}a:\n" for depth in range(900)), 101, "it is nested too deeply"),
    "an open bracket": ("a: [\n\n", 1, "did not find expected node content"),
    "two colons": ("a: 1\nb: c: d\n", 2, "mapping values are not allowed"),
}


def check_refused(read: Callable[[str, str], Any], form: str, text: str, line: int, problem: str) -> None:
    """Check the error for a text that is not YAML or not JSON: one line with the place, the problem and a remedy."""
    with pytest.raises(ContractError) as caught:
        read(text, "a.txt")
    told = str(caught.value)
    assert told.startswith(f"a.txt:{line}: this is no {form}: ")
    assert problem in told
    assert told.partition(problem)[2].count(". ") == 1
    assert "\n" not in told


@pytest.mark.parametrize("case", NO_YAML)
def test_invalid_yaml(case: str) -> None:
    """The error names the file, the line and the problem, and says what to do."""
    check_refused(parse_yaml, "YAML", *NO_YAML[case])


NO_JSON = {
    "a key twice": ('{"a": 1,\n"b": {"c": 1,\n\t"c": 2}}', 3, "found a duplicate key 'c'"),
    "no number": ('{"a": "NaN",\n"b": NaN}', 2, "found NaN"),
    "infinity": ('{"a": "\\"-Infinity",\n"b": -Infinity}', 2, "found -Infinity"),
    "a number that becomes infinite": ('{"a": 1,\n"b": 1e999}', 2, "the number 1e999 is too large"),
    "a long number": (f'{{"a": 1,\n"b": {"9" * 5000}}}', 2, "a number is too long"),
    "half of a character": ('{"a": "\\\\ud800 \\ud83d\\ude00",\n"b": "\\ud83d"}', 2, "\\ud83d is half of a character"),
    "deep objects": ('{"a":\n' * 150 + "1" + "}" * 150, 101, "it is nested too deeply"),
    "deeper lists": ("[" * 100_000 + "]" * 100_000, 1, "it is nested too deeply"),
    "a comma too many": ('{"a": 1,\n}', 2, "Expecting property name"),
}


@pytest.mark.parametrize("case", NO_JSON)
def test_invalid_json(case: str) -> None:
    """The error names the file, the line and the problem, and says what to do."""
    check_refused(parse_json, "JSON", *NO_JSON[case])


_WORDS = """
on yes y n off True null Null ~ .inf .NaN 0o7 0x1f 0b1 007 1e3 1.5 .5 5. +1 1_000 12:30 2026-01-01 2026-01-01T00:00:00Z
= << - -- --- ... ? : # ! & * @ ` % [ ] { } , | > 'a' "b" a: :a #a a# *a &a !a %a @a -a ?a
"""
WORDS = _WORDS.split()


@pytest.mark.parametrize("text", [*WORDS, "", " ", "a: b", "a #b", "- a", "a ", " a", "a\tb", "\t", "'", "--- a"])
def test_strings_stay_strings_in_every_reader(text: str) -> None:
    """A string that YAML 1.1 or 1.2 reads as something else is quoted, as a key and as a value."""
    document = {text: {"a": [text, {text: text}]}}
    for written in (dump(document), dump(document, quoted=True)):
        assert same(parse_yaml(written, "a.yaml"), document)
        assert yaml.load(written, Loader=yaml.CSafeLoader) == document
    assert all(type(value) is str for value in parse_yaml(dump([text]), "a.yaml"))


def test_the_style_of_the_vendor() -> None:
    """Lists begin two columns to the right of their key. Strings with line breaks are blocks. Long strings go on in the
    next line. The order of the keys stays.
    """
    long = "a long summary of some hundred characters, which has two  spaces in it, and which goes on, and on, and on"
    data = {
        "tags": ["b", "a"],
        "d": "one\n\n  two\n",
        "s": long,
        "e": [{"x": 1, "z": {}}, []],
        "200": "caf\u00e9 \U0001f511",
    }
    assert dump(data, 60) == (
        "tags:\n  - b\n  - a\n"
        "d: |\n  one\n\n    two\n"
        "s: a long summary of some hundred characters, which has two  spaces\n"
        "  in it, and which goes on, and on, and on\n"
        "e:\n  - x: 1\n    z: {}\n  - []\n"
        "'200': caf\u00e9 \U0001f511\n"
    )
    assert dump([1.0, 1e16, 1e-7, None, True]) == "- 1.0\n- 1.0e+16\n- 1.0e-07\n- null\n- true\n"


def test_long_keys_stay_on_their_line() -> None:
    """A key is written without a question mark before it, as long as parsers accept that."""
    assert dump({"/a/" + "x" * 500: 1}) == "/a/" + "x" * 500 + ": 1\n"
    long = {"x" * 2000: {"a": 1}}
    assert same(parse_yaml(dump(long), "a.yaml"), long)


ODD = st.sampled_from(
    [*WORDS, "two\nlines", "two  spaces " * 10, "end\n\n", "\n", " \n a", "\u2028", "\x85", "\x00", "\r\n"]
)
TEXTS = ODD | st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


@given(JSON, st.integers(40, 100))
@settings(max_examples=400, deadline=None)
def test_any_json_survives(data: Any, width: int) -> None:
    """Any JSON data that are written as YAML are read as the same data, in both styles. So are data written as JSON."""
    for written in (dump(data, width), dump(data, width, quoted=True)):
        assert same(parse_yaml(written, "a.yaml"), data)
    assert same(plain(parse_json(json.dumps(data), "a.json")), data)


def test_true_is_not_one() -> None:
    """As in JSON, true and 1 differ, and 1 and 1.0 are the same."""
    assert same({"a": [1, True]}, {"a": [1.0, True]})
    assert not same({"a": [1]}, {"a": [True]})
    assert not same({"a": 0}, {"a": False})
    assert not same({"a": 1}, {"b": 1})
    assert not same([1], [1, 2])
    assert not same({}, [])
