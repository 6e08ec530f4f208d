"""Pages of the vendor's reference are imported into the contract."""

from __future__ import annotations

import json

import contract as tool
import pytest
from contract_helpers import (
    FIRST,
    FRAGMENT,
    OURS,
    PAGE,
    PATH,
    Contract,
    empty_contract,
    filled_contract,
    line_of,
    page,
)
from documents import parse_yaml, plain

empty = pytest.fixture(empty_contract)
contract = pytest.fixture(filled_contract)


@pytest.mark.parametrize("before", [None, "", "# Nothing yet.\n"])
def test_a_page_in_an_empty_contract_becomes_the_contract(empty: Contract, before: str | None) -> None:
    """The contract is the text of the page, below the comments that it had before."""
    if before is not None:
        empty.file.write_text(before)
    status, out, _ = empty.import_texts(page())
    assert status == 0
    assert empty.text() == (before or "") + FRAGMENT.rstrip("\n") + "\n"
    assert f"GET {PATH}: new" in out
    assert "make generate" in out


def test_an_unchanged_page_changes_nothing(contract: Contract) -> None:
    """Not one byte changes, also with other line ends, and the file is not written."""
    before = contract.file.stat().st_mtime_ns
    for text in (page(), page().replace("\n", "\r\n"), "\ufeff" + page()):
        status, out, _ = contract.import_texts(text)
        assert (status, contract.text()) == (0, OURS)
        assert f"GET {PATH}: as it was" in out
        assert "nothing was written" in out
    assert contract.file.stat().st_mtime_ns == before


def test_page_by_page_import_gives_the_whole_contract(empty: Contract) -> None:
    """After all pages are imported in reverse order, the contract has the same content as the whole document."""
    whole = plain(parse_yaml(OURS, "ours"))
    pages = []
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            one = {**whole, "paths": {path: {method: operation}}}
            pages.append(page(json.dumps(one, indent=1)))
    assert empty.import_texts(*reversed(pages))[0] == 0
    assert plain(parse_yaml(empty.text(), "new")) == whole


def test_a_new_operation_changes_no_other_line(contract: Contract) -> None:
    """All old lines and comments stay, and the new lines are one block."""
    new = FRAGMENT.replace("/participants:", "/guests:").replace("    get:", "    put:")
    status, out, _ = contract.import_texts(page(new))
    assert status == 0
    assert "PUT /api/v1/threads/{threadId}/guests: new" in out
    start = OURS.index("components:\n")
    block = new[new.index("  /api/v1/threads/{threadId}/guests:\n") : new.index("components:\n")]
    assert contract.text() == OURS[:start] + block + OURS[start:]
    assert contract.import_texts(page(new))[1].endswith("nothing was written.\n")


def test_a_new_method_is_added_to_its_path(contract: Contract) -> None:
    """The method is added after the other methods of its path, and the comments of the next section stay with it."""
    before = OURS.replace("components:\n", "# What all share.\ncomponents:\n")
    contract.file.write_text(before)
    new = FRAGMENT.replace("    get:", "    delete:")
    assert contract.import_texts(page(new))[0] == 0
    start = before.index("# What all share.\n")
    block = new[new.index("    delete:\n") : new.index("components:\n")]
    assert contract.text() == before[:start] + block + before[start:]


def test_a_changed_operation_changes_only_its_changed_lines(contract: Contract) -> None:
    """The import changes only the lines that differ, and reports each of them."""
    new, expected = FRAGMENT, OURS
    for old, instead in [
        ("description: The participants", "description: Who takes part"),
        ("joinedAt:\n                          type: string", "since:\n                          type: number"),
        ("                        - kind\n", ""),
    ]:
        assert FRAGMENT.count(old) == OURS.count(old) == 1
        new, expected = new.replace(old, instead), expected.replace(old, instead)
    status, out, _ = contract.import_texts(page(new))
    assert (status, contract.text()) == (0, expected)
    assert f"GET {PATH}: changed" in out
    where = f"paths > {PATH} > get > responses > 200"
    inside = f"{where} > content > application/json > schema > properties > participants > items"
    told = (f"~ {where} > description", f"+ {inside} > properties > since", f"- {inside} > properties > joinedAt")
    for line in (*told, f"~ {inside} > required"):
        assert f"  {line}\n" in out


def test_removed_comments_are_reported(contract: Contract) -> None:
    """The report shows the comments that were removed together with their lines."""
    margin = " " * 24
    line = f"{margin}- kind\n"
    contract.file.write_text(OURS.replace(line, f"{margin}# Always?\n{line}"))
    status, out, _ = contract.import_texts(page(FRAGMENT.replace(line, "")))
    assert status == 0
    assert out.split("what was replaced:\n")[1].startswith("  # Always?\n")


def swap(old: str, new: str) -> str:
    """The page with one replacement."""
    assert page().count(old) == 1
    return page().replace(old, new)


def at(part: str, told: str) -> str:
    """The start of the error for a line of the page."""
    return f":{line_of(page(), part)}: {told}"


GONE = "#/components/schemas/Gone"
BROKEN = {
    "no fragment": (PAGE.partition("````")[0], at("## OpenAPI", "nothing under this heading")),
    "no heading": (swap("## OpenAPI", "## Api"), "no heading '## OpenAPI'"),
    "two fragments": (page() + "````yaml\n````\n", f": a second block; the first opens on line {FIRST - 1}"),
    "cut short": (page().removesuffix("````\n"), at("````yaml", "this block is never closed")),
    "broken YAML": (swap("      tags:", "      tags: ]"), at("      tags:", "this is no YAML")),
    "a key twice": (
        swap("      summary:", "      tags: []\n      summary:"),
        at("      summary:", "this is no YAML"),
    ),
    "a list": (page("- openapi"), f":{FIRST}: expected an OpenAPI document"),
    "a Swagger 2": (swap("openapi: 3.0.0", "swagger: '2.0'"), f":{FIRST}: expected the version of OpenAPI"),
    "no title": (swap("  title: Feather AI API\n", ""), at("info:", 'this is no valid OpenAPI: "title"')),
    "no operation": (
        page(FRAGMENT.partition("paths:")[0] + "paths: {}\n"),
        at("paths:", "there is no operation"),
    ),
    "no OpenAPI": (swap("in: path", "in: nowhere"), at("        - schema:", "this is no valid OpenAPI")),
    "another title": (swap("Feather AI API", "Other API"), at("  title:", "this is 'Other API'")),
    "another server": (swap("https://prod.", "https://eu."), at("servers:", "its server is https://eu.")),
    "another OpenAPI": (swap("3.0.0", "3.1.0"), f":{FIRST}: this is OpenAPI 3.1.0"),
    "a component of ours that differs": (
        swap("X-API-Key", "X-Other"),
        at("    ApiKey:", "its components.securitySchemes.ApiKey is not that of openapi.yaml:"),
    ),
    "what it points to": (
        swap("format: uuid", f"$ref: '{GONE}'"),
        at("format: uuid", "this is no valid OpenAPI: there is no /components/schemas/Gone"),
    ),
    "another document": (
        swap("format: uuid", f"$ref: 'https://127.0.0.1:9/a.yaml{GONE}'"),
        at("format: uuid", "it points to another document"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_invalid_page(contract: Contract, case: str) -> None:
    """The error is one line with the file and the line number, without a traceback. Nothing is written, not even the
    valid page before it.
    """
    text, told = BROKEN[case]
    status, _, err = contract.import_texts(page(FRAGMENT.replace("get:", "put:")), text)
    assert status == 1
    assert err.startswith("error: 1-page.md")
    assert told in err
    assert err.endswith("openapi.yaml is as it was.\n")
    assert err.count("\n") == 2
    assert contract.text() == OURS
    assert {path.name for path in contract.folder.iterdir()} == {"openapi.yaml", "page.md", "1-page.md"}


def test_other_failed_imports(contract: Contract) -> None:
    """An import fails without a page, with a missing page, with a broken contract, or if the contract cannot be
    written. Nothing changes.
    """
    assert contract.import_texts()[0] == 1
    assert tool.main([f"--root={contract.folder}", "--page=nowhere.md"]) == 1
    contract.folder.joinpath(".openapi.yaml.new").mkdir()
    status, _, err = contract.import_texts(page(FRAGMENT.replace("get:", "put:")))
    assert (status, contract.text()) == (1, OURS)
    assert "openapi.yaml: " in err
    for broken, told in (
        ("- a\n", "expected an OpenAPI document"),
        (OURS.replace("in: path", "in: x", 1), "openapi.yaml:"),
    ):
        contract.file.write_text(broken)
        status, _, err = contract.import_texts(page())
        assert (status, contract.text()) == (1, broken)
        assert told in err
