"""Documents are merged into the text of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from documents import ContractError, parse_yaml, plain, same
from hypothesis import given, settings, strategies as st
from splice import Splice, merged
from yaml_writer import dump

ODD = st.sampled_from(
    [
        "on",
        "0o7",
        "1e3",
        "\u2028",
        "a  b " * 30,
        "\x85",
        "\n# a",
        "1.0",
        "2026-11-24",
        "~",
        "# no comment",
        "a: b",
        "- a",
        "x\n\n",
        "two\nlines",
    ]
)
TEXTS = ODD | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS
KEYS = st.sampled_from(["get", "post", "200", "type", "on", "a b", "{x}/y", "#", "null", "'q'"])


def maps(values: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, values, max_size=3)


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | maps(inner), max_leaves=12)
DOCUMENTS = maps(maps(maps(VALUES)), st.sampled_from(["info", "paths", "components"])).filter(bool)


# The texts that a document may have in its source.
STYLES: dict[str, Callable[[Any], str]] = {
    "ours": dump,
    "quoted": lambda document: dump(document, quoted=True),
    "wide": lambda document: yaml.dump(document, Dumper=yaml.CSafeDumper, indent=4, sort_keys=False),
    "inline": lambda document: yaml.dump(document, Dumper=yaml.CSafeDumper, default_flow_style=True),
    "aliases": lambda document: yaml.dump({"x": document, **document}, Dumper=yaml.CSafeDumper, sort_keys=False),
}


@given(old=DOCUMENTS, new=DOCUMENTS, style=st.sampled_from(["data", *STYLES]), data=st.data())
@settings(max_examples=300)
def test_any_document_can_be_merged_into_any_text(
    old: dict[str, Any], new: dict[str, Any], style: str, data: st.DataObject
) -> None:
    """The merged text has the content of both documents, with comments anywhere in both texts. A second merge does not
    change one byte.
    """
    text = _commented(dump(old), old, data)
    source: Any = new
    if style != "data":
        made = STYLES[style](new)
        source = parse_yaml(_commented(made, parse_yaml(made, "made"), data), "new")
        new = plain(source)  # other writers think of YAML 1.1, so a few strings have become numbers
    splice = Splice(text)
    splice.merge(parse_yaml(text, "old"), source)
    after = splice.text()
    assert same(parse_yaml(after, "after"), merged(old, new))
    again = Splice(after)
    again.merge(parse_yaml(after, "after"), source)
    assert again.text() == after
    if same(merged(old, new), old):
        assert after == text


def _commented(text: str, document: dict[str, Any], data: st.DataObject) -> str:
    """The text with comments in a few places where they do not change what it says."""
    lines = text.split("\n")
    for index in sorted(data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=3)), reverse=True):
        margin = " " * data.draw(st.integers(0, 6))
        candidate = [*lines[:index], f"{margin}# A comment.", *lines[index:]]
        if _says("\n".join(candidate), document):
            lines = candidate
    return "\n".join(lines)


SOURCE = """paths:
    # Where threads are.
    "/a":
        get:  # One of them.
            summary: 'A: b'
            tags: [x,
              y]
            parameters:
            - name: "q"

              # It is text.
              in: query
            description: |2

               Two
              lines.

            # After it all.
        # Not of get.
        put: {tags: []}
    # Of nothing.
"""
SPLICED = """info: {}
paths:
  # Where threads are.
  "/a":
      get:  # One of them.
          summary: 'A: b'
          tags: [x,
            y]
          parameters:
          - name: "q"

            # It is text.
            in: query
          description: |2

             Two
            lines.

          # After it all.
      # Not of get.
      put: {tags: []}
  # Ours.
  /b:
    get:
      summary: c
"""


def _merge(text: str, new: dict[str, Any]) -> str:
    splice = Splice(text)
    splice.merge(parse_yaml(text, "old"), new)
    return splice.text()


def test_new_text_is_that_of_its_source() -> None:
    """New lines have the comments, the quotes and the style that they have in the source. They go above the comments of
    the key that they go before.
    """
    old = "info: {}\npaths:\n  # Ours.\n  /b:\n    get:\n      summary: c\n"
    new = parse_yaml(SOURCE, "new").having({"paths": parse_yaml(SOURCE + "    /b:\n", "new")["paths"]})
    assert _merge(old, new) == SPLICED


def test_inline_objects_and_aliases_become_blocks() -> None:
    """The contract has no anchors, and each key of a new object has a line of its own."""
    new = parse_yaml(
        "paths:\n  /a: &a {get: {tags: [x]}}\n  /b:\n    # Same.\n    get: 'q'\n    <<: *a\n  /c: *a\n", "new"
    )
    assert _merge("info: {}\n", new) == (
        "info: {}\npaths:\n"
        "  /a:\n    get:\n      tags:\n        - x\n"
        "  /b:\n    get: q\n"
        "  /c:\n    get:\n      tags:\n        - x\n"
    )


def test_true_replaces_one() -> None:
    """In Python, 1 and true are equal. In the contract, they are not."""
    old = "paths:\n  /a:\n    get:\n      default: 1\n      maximum: 2.0\n"
    new = {"paths": {"/a": {"get": {"default": True, "maximum": 2}}}}
    assert _merge(old, new) == old.replace("default: 1", "default: true")


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return same(parse_yaml(text, "text"), wanted)
    except ContractError:
        return False
