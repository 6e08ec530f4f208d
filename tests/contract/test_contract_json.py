"""Any valid JSON with valid OpenAPI in it is imported, and what is refused is refused with a line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from contract_helpers import (
    FRAGMENT,
    OURS,
    PATH,
    Contract,
    empty_contract,
    filled_contract,
    line_of,
    page,
)
from documents import load_yaml, parse_yaml, plain, same
from large_document import large_document

empty = pytest.fixture(empty_contract)
contract = pytest.fixture(filled_contract)
WEB = "/api/v1/threads/web"
STRINGS = {
    "two spaces": "A summary of about a hundred characters that has two  spaces in it, and then it goes on for a while",
    "many spaces": "  a   b " * 40,
    "control characters": "a\x00b\x07c\x1bd\x7fe\x9ff",
    "line separators": "a\u2028b\u2029c\x85d",
    "line breaks": "a\r\nb\rc\n\n  d \n\n",
    "other characters": "caf\u00e9 \U0001f511 \ufeff \ufffe \uffff \U0010ffff \ud7ff \ue000",
    "escapes": "\\ud83d \\n \" ' \\",
    "a number": "0o7",
    "a date": "2026-01-01",
    "a word": "on",
    "a sign": "~",
    "a long word": "x" * 3000,
    "nothing": "",
}


def whole(**changes: Any) -> dict[str, Any]:
    """The contract of these tests, with changes of an operation."""
    document: dict[str, Any] = plain(parse_yaml(OURS, "ours"))
    document["paths"][WEB]["post"] |= changes
    return document


def with_texts(texts: Iterable[str]) -> dict[str, Any]:
    """The contract of these tests, with one more operation for each text. The text stands in it everywhere."""
    document = whole()
    for number, text in enumerate(texts):
        words = {"summary": text, "description": f"{text}\n{text}", "tags": [text], f"x-{text}": {"x": text}}
        document["paths"][f"{WEB}/{number}"] = {"post": document["paths"][WEB]["post"] | words}
    return document


@pytest.mark.parametrize("ascii_only", [True, False])
def test_any_string_is_imported(contract: Contract, ascii_only: bool) -> None:
    """The contract says what the JSON says, whatever is in its strings. A second import changes nothing."""
    before = with_texts(str(number) for number, _ in enumerate(STRINGS))
    assert contract.import_texts(json.dumps(before), name="a.json", kind="--spec")[0] == 0
    document = with_texts(STRINGS.values())
    source = json.dumps(document, ensure_ascii=ascii_only)
    for name in ("a.json", "a.yaml"):
        assert contract.import_texts(source, name=name, kind="--spec")[0] == 0
    assert same(load_yaml(contract.file), document)
    assert contract.text().startswith(OURS[: OURS.index("components:")])
    assert "nothing was written" in contract.import_texts(source, name="a.json", kind="--spec")[1]
    assert contract.import_texts(page(source))[1].endswith("nothing was written.\n")


def test_any_string_is_imported_into_an_empty_contract(empty: Contract) -> None:
    """So are extensions anywhere, which are valid OpenAPI."""
    document = whole(**{f"x-{case}": {text: [text]} for case, text in STRINGS.items()})
    document["paths"] |= {"x-one": 1, "x-list": ["a"], "x-none": {}}
    document["paths"][WEB]["post"]["responses"] |= {"x-one": 1, "x-list": ["a"], "x-none": {}}
    assert empty.import_texts(json.dumps(document), name="a.json", kind="--spec")[0] == 0
    assert same(load_yaml(empty.file), document)


BAD: list[tuple[list[str], Any, str]] = [
    (["paths", WEB, "post"], "hello", '"hello" is not of type "object"'),
    (["paths", WEB, "post"], None, 'null is not of type "object"'),
    (["paths", WEB], ["hello"], '["hello"] is not of type "object"'),
    (["paths"], ["hello"], '["hello"] is not of type "object"'),
    (["components", "schemas"], None, 'null is not of type "object"'),
    (["components", "schemas"], {"A": {"type": "string", "default": 5}}, "5 is not of type 'string'"),
    (["components", "schemas"], {"A": {"$ref": "#/servers/9"}}, "there is no /servers/9"),
    (["components", "schemas"], {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}}, "a $ref leads to itself"),
    (["openapi"], 3.0, "expected the version of OpenAPI"),
    (["info", "version"], 1.0, '1.0 is not of type "string"'),
    (["paths", "/{a}"], {"get": {"responses": {"200": {"description": ""}}}}, "Path parameter 'a'"),
]


@pytest.mark.parametrize("before", [None, OURS])
@pytest.mark.parametrize("case", range(len(BAD)))
def test_invalid_openapi(empty: Contract, case: int, before: str | None) -> None:
    """The error names the file and the line, and says what to do. Nothing is written."""
    place, value, told = BAD[case]
    document = node = whole()
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    text = json.dumps(document, indent=1)
    if before:
        empty.file.write_text(before)
    status, _, err = empty.import_texts(text, name="a.json", kind="--spec")
    assert status == 1
    line = int(err.removeprefix("error: a.json:").partition(":")[0])
    first = line_of(text, f'"{place[-1]}": ')
    assert first <= line <= first + json.dumps(value, indent=1).count("\n")
    assert told in err
    assert ". " in err.partition(told)[2]
    assert empty.file.exists() == bool(before)


def test_a_page_in_another_version_of_openapi(contract: Contract) -> None:
    """The error names both lines, and says what to do for one page and for all of them."""
    status, _, err = contract.import_texts(page(FRAGMENT.replace("3.0.0", "3.1.0")))
    assert (status, contract.text()) == (1, OURS)
    assert f"page.md:{line_of(page(), 'openapi: 3.0.0')}: this is OpenAPI 3.1.0, and openapi.yaml:2 is 3.0.0" in err
    assert "change its `openapi:` line to 3.0.0" in err
    assert "change the `openapi:` line of openapi.yaml by hand" in err
    assert "`nullable: true` as `type: [..., 'null']`" in err


OPERATION = f"  {PATH}:\n    get:\n"
UNUSUAL = {
    "braces": (json.dumps(plain(parse_yaml(OURS, "ours"))), 1),
    "an anchor": (
        OURS.replace(OPERATION, OPERATION.replace("get:", "get: &get")).replace(
            "components:\n", "  /{threadId}:\n    get: *get\ncomponents:\n"
        ),
        line_of(OURS, "components:\n") + 1,
    ),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_a_contract_that_cannot_be_edited(contract: Contract, case: str) -> None:
    """The error names the line of the contract, and says what to do. A page that changes nothing is accepted."""
    text, line = UNUSUAL[case]
    contract.file.write_text(text)
    assert "nothing was written" in contract.import_texts(page())[1]
    changed = page(FRAGMENT.replace("description: The participants", "description: Who takes part"))
    status, _, err = contract.import_texts(changed)
    assert (status, contract.text()) == (1, text)
    assert err.startswith(
        f"error: openapi.yaml:{line}: the YAML here is unusual, so it cannot be changed line by line."
    )
    assert "Give each key a line of its own" in err


def test_unusual_parts_of_a_contract_are_rewritten(contract: Contract) -> None:
    """If the lines of an object cannot be edited one by one, the object is replaced as a whole."""
    changed = FRAGMENT.replace("description: The participants", "description: Who takes part")
    for old, new in [
        (OPERATION, f"  {PATH}:\n    ? get\n    :\n"),
        (OPERATION, f"{OPERATION}      <<: {{deprecated: true}}\n"),
        ("paths:\n", f"paths: {json.dumps(plain(parse_yaml(OURS, 'ours'))['paths'])}\nx-rest:\n"),
    ]:
        contract.file.write_text(OURS.replace(old, new))
        assert contract.import_texts(page(changed))[0] == 0
        read = load_yaml(contract.file)
        assert same(read["paths"][PATH], parse_yaml(changed, "changed")["paths"][PATH])
        assert contract.text().startswith("# The contract of these tests.\nopenapi: 3.0.0\n")


def test_the_line_ends_of_the_contract_stay(contract: Contract) -> None:
    """If they are those of Windows, new lines have them too."""
    contract.file.write_bytes(OURS.replace("\n", "\r\n").encode())
    assert contract.import_texts(page(FRAGMENT.replace("get:", "put:")))[0] == 0
    written = contract.file.read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n") > OURS.count("\n")


def test_a_large_document_is_imported(contract: Contract) -> None:
    """A document of 3 MB with 300 operations is imported in less than 30 seconds of CPU time. A second import changes
    nothing.
    """
    text = large_document()
    assert len(text) > 3_000_000
    for told in ("openapi.yaml is written", "nothing was written"):
        before = time.process_time()
        status, out, _ = contract.import_texts(text, name="large.json", kind="--spec")
        assert time.process_time() - before < 30
        assert status == 0
        assert told in out
    assert contract.text().startswith(OURS[: OURS.index("components:\n")])
    read, source = load_yaml(contract.file), json.loads(text)
    assert same(read["components"]["schemas"], source["components"]["schemas"])
    assert source["paths"].items() <= plain(read["paths"]).items()
