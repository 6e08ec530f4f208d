"""Any document can be merged into the text of any other one."""

from __future__ import annotations

from io import StringIO
from typing import Any

from documents import ContractError, parse_yaml, plain, yaml
from hypothesis import given, settings, strategies as st
from splice import Splice, merged

ODD = st.sampled_from(["on", "1.0", "2026-11-24", "~", "# no comment", "a: b", "- a", "x\n\n", "two\nlines"])
TEXTS = ODD | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS
KEYS = st.sampled_from(["get", "post", "200", "type", "on", "a b", "{x}/y", "#", "null", "'q'"])


def maps(values: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, values, max_size=3)


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | maps(inner), max_leaves=12)
DOCUMENTS = maps(maps(maps(VALUES)), st.sampled_from(["info", "paths", "components"])).filter(bool)


@given(old=DOCUMENTS, new=DOCUMENTS, data=st.data())
@settings(max_examples=200)
def test_any_document_can_be_merged_into_any_text(
    old: dict[str, Any], new: dict[str, Any], data: st.DataObject
) -> None:
    """The merged text has the content of both documents, with comments anywhere in it. A second merge does not change
    one byte.
    """
    lines = _dump(old).split("\n")
    for index in sorted(data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=3)), reverse=True):
        candidate = [*lines[:index], "# A comment.", *lines[index:]]
        if _says("\n".join(candidate), old):
            lines = candidate
    text = "\n".join(lines)
    splice = Splice(text)
    splice.merge(parse_yaml(text, "old"), new)
    after = splice.text()
    assert plain(parse_yaml(after, "after")) == plain(merged(old, new))
    again = Splice(after)
    again.merge(parse_yaml(after, "after"), new)
    assert again.text() == after
    if merged(old, new) == old:
        assert after == text


def _dump(document: dict[str, Any]) -> str:
    stream = StringIO()
    yaml().dump(document, stream)
    return stream.getvalue()


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return bool(plain(parse_yaml(text, "text")) == wanted)
    except ContractError:
        return False
