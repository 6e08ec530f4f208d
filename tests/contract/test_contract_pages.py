"""Pages of the vendor's reference, and whole documents, brought into the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import contract as tool
import pytest
from documents import ContractError, parse_yaml, plain, yaml
from featherhq import Feather
from featherhq.sandbox import Sandbox
from hypothesis import given, settings, strategies as st
from splice import Splice, merged

ROOT = Path(__file__).parent.parent.parent
PATH = "/api/v1/threads/{threadId}/participants"
PAGE = (ROOT / "docs/participants.md").read_text("utf-8")
FRAGMENT = PAGE.partition("````yaml")[2].partition("\n")[2].partition("\n````")[0]
FIRST = PAGE[: PAGE.index(FRAGMENT)].count("\n") + 1  # the line of the page on which its fragment begins
# What there is before: the same operation and another one, with comments that have to stay.
OTHER = """  /api/v1/threads/web:
    # Sure: the request.
    post:
      summary: Create a web chat thread
      responses:
        '200':
          description: The thread that was opened
  # Sure: all of it.
"""
OURS = "# The contract of these tests.\n" + FRAGMENT.replace("paths:\n", f"paths:\n{OTHER}")


def page(fragment: str = FRAGMENT) -> str:
    """The page with another fragment."""
    return PAGE.replace(FRAGMENT, fragment)


class Place:
    """A folder with a contract, and what it says to a page."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.contract = folder / "openapi.yaml"
        self._capsys = capsys

    def bring(self, *texts: str, name: str = "page.md", kind: str = "--page") -> tuple[int, str, str]:
        """Import pages or documents: the exit status, what was printed, and what of it to stderr."""
        arguments = [f"--root={self.folder}"]
        for index, text in enumerate(texts):
            path = self.folder / (f"{index}-{name}" if index else name)
            path.write_text(text, "utf-8")
            arguments.append(f"{kind}={path}")
        self._capsys.readouterr()
        status = tool.main(arguments)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def text(self) -> str:
        return self.contract.read_text("utf-8")


@pytest.fixture
def empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


@pytest.fixture
def place(empty: Place) -> Place:
    empty.contract.write_text(OURS, "utf-8")
    return empty


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize("before", [None, "", "# Nothing yet.\n"])
def test_a_page_in_an_empty_contract_is_the_contract(empty: Place, before: str | None) -> None:
    """Word for word, below what comments there were."""
    if before is not None:
        empty.contract.write_text(before)
    status, out, _ = empty.bring(page())
    assert status == 0
    assert empty.text() == (before or "") + FRAGMENT.rstrip("\n") + "\n"
    assert f"GET {PATH}: new" in out
    assert "make generate" in out


def test_a_page_that_repeats_what_is_there_changes_nothing(place: Place) -> None:
    """To the byte, with other line ends too, and the file is not even written."""
    before = place.contract.stat().st_mtime_ns
    for text in (page(), page().replace("\n", "\r\n"), "\ufeff" + page()):
        status, out, _ = place.bring(text)
        assert (status, place.text()) == (0, OURS)
        assert f"GET {PATH}: as it was" in out
        assert "nothing was written" in out
    assert place.contract.stat().st_mtime_ns == before


def test_every_page_gone_and_brought_back(empty: Place) -> None:
    """A contract that is brought in page by page says what the whole one says, in any order."""
    whole = plain(parse_yaml(OURS, "ours"))
    pages = []
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            one = {**whole, "paths": {path: {method: operation}}}
            pages.append(page(json.dumps(one, indent=1)))
    assert empty.bring(*reversed(pages))[0] == 0
    assert plain(parse_yaml(empty.text(), "new")) == whole


def test_a_new_operation_disturbs_nothing(place: Place) -> None:
    """All lines that were there stand as they stood, comments too, and the new ones in one block."""
    new = FRAGMENT.replace("/participants:", "/guests:").replace("    get:", "    put:")
    status, out, _ = place.bring(page(new))
    assert status == 0
    assert "PUT /api/v1/threads/{threadId}/guests: new" in out
    start = OURS.index("components:\n")
    block = new[new.index("  /api/v1/threads/{threadId}/guests:\n") : new.index("components:\n")]
    assert place.text() == OURS[:start] + block + OURS[start:]
    assert place.bring(page(new))[1].endswith("nothing was written.\n")


def test_a_new_method_goes_beside_those_of_its_path(place: Place) -> None:
    """And the comments of its neighbours stay with them."""
    before = OURS.replace("components:\n", "# What all share.\ncomponents:\n")
    place.contract.write_text(before)
    new = FRAGMENT.replace("    get:", "    delete:")
    assert place.bring(page(new))[0] == 0
    start = before.index("# What all share.\n")
    block = new[new.index("    delete:\n") : new.index("components:\n")]
    assert place.text() == before[:start] + block + before[start:]


def test_of_a_changed_operation_only_the_changed_lines_change(place: Place) -> None:
    """A word, a property more, one less; and it says which."""
    new, expected = FRAGMENT, OURS
    for old, instead in [
        ("description: The participants", "description: Who takes part"),
        ("joinedAt:\n                          type: string", "since:\n                          type: number"),
        ("                        - kind\n", ""),
    ]:
        assert FRAGMENT.count(old) == OURS.count(old) == 1
        new, expected = new.replace(old, instead), expected.replace(old, instead)
    status, out, _ = place.bring(page(new))
    assert (status, place.text()) == (0, expected)
    assert f"GET {PATH}: changed" in out
    where = f"paths > {PATH} > get > responses > 200"
    inside = f"{where} > content > application/json > schema > properties > participants > items"
    told = (f"~ {where} > description", f"+ {inside} > properties > since", f"- {inside} > properties > joinedAt")
    for line in (*told, f"~ {inside} > required"):
        assert f"  {line}\n" in out


def test_comments_that_go_are_told(place: Place) -> None:
    """Where what they stood in is no more."""
    margin = " " * 24
    line = f"{margin}- kind\n"
    place.contract.write_text(OURS.replace(line, f"{margin}# Always?\n{line}"))
    status, out, _ = place.bring(page(FRAGMENT.replace(line, "")))
    assert status == 0
    assert out.split("what was replaced:\n")[1].startswith("  # Always?\n")


def but(old: str, new: str) -> str:
    """The page with one thing other than it is."""
    assert page().count(old) == 1
    return page().replace(old, new)


def at(part: str, told: str) -> str:
    """What is said of a line of the page."""
    return f":{line_of(page(), part)}: {told}"


GONE = "#/components/schemas/Gone"
BROKEN = {
    "no fragment": (PAGE.partition("````")[0], at("## OpenAPI", "nothing under this heading")),
    "no heading": (but("## OpenAPI", "## Api"), "no heading '## OpenAPI'"),
    "two fragments": (page() + "````yaml\n````\n", f": a second block; the first opens on line {FIRST - 1}"),
    "cut short": (page().removesuffix("````\n"), at("````yaml", "this block is never closed")),
    "broken YAML": (but("      tags:", "      tags: ]"), at("      tags:", "this is no YAML")),
    "a key twice": (but("      summary:", "      tags: []\n      summary:"), at("      summary:", "this is no YAML")),
    "a list": (page("- openapi"), f":{FIRST}: expected an OpenAPI document"),
    "a Swagger 2": (but("openapi: 3.0.0", "swagger: '2.0'"), f":{FIRST}: expected the version of OpenAPI"),
    "no title": (but("  title: Feather AI API\n", ""), at("info:", 'this is no valid OpenAPI: "title"')),
    "no operation": (page(FRAGMENT.partition("paths:")[0] + "paths: {}\n"), at("paths:", "there is no operation")),
    "no OpenAPI": (but("in: path", "in: nowhere"), at("        - schema:", "this is no valid OpenAPI")),
    "another title": (but("Feather AI API", "Other API"), at("  title:", "this is 'Other API'")),
    "another server": (but("https://prod.", "https://eu."), at("servers:", "its server is https://eu.")),
    "another OpenAPI": (but("3.0.0", "3.1.0"), f":{FIRST}: this is OpenAPI 3.1.0"),
    "a component of ours that differs": (
        but("X-API-Key", "X-Other"),
        at("    ApiKey:", "its components.securitySchemes.ApiKey is not that of openapi.yaml:"),
    ),
    "what it points to": (
        but("format: uuid", f"$ref: '{GONE}'"),
        at("format: uuid", "this is no valid OpenAPI: there is no /components/schemas/Gone"),
    ),
    "another document": (
        but("format: uuid", f"$ref: 'https://127.0.0.1:9/a.yaml{GONE}'"),
        at("format: uuid", "it points to another document"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_page_that_cannot_be(place: Place, case: str) -> None:
    """One line with the file and the line, no traceback, and nothing written, not even the good page before it."""
    text, told = BROKEN[case]
    status, _, err = place.bring(page(FRAGMENT.replace("get:", "put:")), text)
    assert status == 1
    assert err.startswith("error: 1-page.md")
    assert told in err
    assert err.endswith("openapi.yaml is as it was.\n")
    assert err.count("\n") == 2
    assert place.text() == OURS
    assert {path.name for path in place.folder.iterdir()} == {"openapi.yaml", "page.md", "1-page.md"}


def test_what_else_can_go_wrong(place: Place) -> None:
    """No page, no such page, a contract that is broken itself, one that cannot be written: told, and nothing done."""
    assert place.bring()[0] == 1
    assert tool.main([f"--root={place.folder}", "--page=nowhere.md"]) == 1
    place.folder.joinpath(".openapi.yaml.new").mkdir()
    status, _, err = place.bring(page(FRAGMENT.replace("get:", "put:")))
    assert (status, place.text()) == (1, OURS)
    assert "openapi.yaml: " in err
    for broken, told in (
        ("- a\n", "expected an OpenAPI document"),
        (OURS.replace("in: path", "in: x", 1), "openapi.yaml:"),
    ):
        place.contract.write_text(broken)
        status, _, err = place.bring(page())
        assert (status, place.text()) == (1, broken)
        assert told in err


@pytest.mark.parametrize("name", ["whole.yaml", "whole.json"])
def test_a_whole_document(place: Place, name: str) -> None:
    """What it changes goes in, components too; what it lacks stays, and is told; to bring it again changes nothing."""
    whole = plain(parse_yaml(OURS, "ours"))
    del whole["paths"]["/api/v1/threads/web"]
    whole["components"]["securitySchemes"]["ApiKey"]["description"] = "A key\twith a tab, \U0001f511 and two\nlines."
    whole["info"]["version"] = "1.1.0"
    text = json.dumps(whole, indent="\t")
    if name.endswith(".yaml"):
        text = json.dumps(whole, indent=1, ensure_ascii=False)
    status, out, _ = place.bring(text, name=name, kind="--spec")
    assert status == 0
    assert "  + components > securitySchemes > ApiKey > description\n" in out
    assert "it has no POST /api/v1/threads/web, which stays" in out
    assert "its version is 1.1.0" in out
    read = plain(parse_yaml(place.text(), "new"))
    assert read["components"] == whole["components"]
    assert read["paths"] == plain(parse_yaml(OURS, "ours"))["paths"]
    assert OURS.split("components:\n")[0] in place.text()
    after = place.text()
    assert "nothing was written" in place.bring(text, name=name, kind="--spec")[1]
    assert place.text() == after


def test_json_that_is_none(place: Place) -> None:
    """The line of the slip."""
    status, _, err = place.bring('{\n "openapi": "3.0.0",\n}', name="a.json", kind="--spec")
    assert (status, place.text()) == (1, OURS)
    assert "a.json:3: this is no JSON" in err


def test_a_security_of_its_own_stays_with_the_operation(place: Place) -> None:
    """Where a page names it for the whole document, and the contract another one."""
    new = FRAGMENT.replace("security: []\n", "security:\n  - ApiKey: []\n", 1).replace(
        "      security:\n        - ApiKey: []\n", ""
    )
    new = new.replace("get:", "put:")
    assert place.bring(page(new))[0] == 0
    read = plain(parse_yaml(place.text(), "new"))
    assert read["security"] == []
    assert read["paths"][PATH]["put"]["security"] == [{"ApiKey": []}]


USE = """
import sys
from uuid import UUID
from featherhq_api import AuthenticatedClient
from featherhq_api.api.{module} import {function} as send
from featherhq_api.models import {body} as Body

client = AuthenticatedClient(sys.argv[1], token=sys.argv[2], prefix="", auth_header_name="X-API-Key")
print(send.sync(UUID(sys.argv[3]), client=client, body=Body(message="Hello from an empty contract")))
"""
SEND = "$.paths['/api/v1/threads/{threadId}/messages'].post"
NAMES = f"""overlay: 1.0.0
info: {{title: Names, version: 1.0.0}}
actions:
  - target: {SEND}
    update: {{operationId: sendMessage}}
  - target: {SEND}.requestBody.content['application/json'].schema
    update: {{title: SendMessageBody}}
"""


@pytest.mark.parametrize(
    ("overlay", "names"),
    [
        (
            "overlay: 1.0.0\nactions: []\n",
            ("post_api_v_1_threads_thread_id_messages", "PostApiV1ThreadsThreadIdMessagesBody"),
        ),
        (NAMES, ("send_message", "SendMessageBody")),
    ],
    ids=["unnamed", "named"],
)
def test_from_an_empty_contract_to_a_client_that_sends(empty: Place, overlay: str, names: tuple[str, str]) -> None:
    """The vendor's page alone, imported and generated, puts a message into a thread."""
    empty.folder.joinpath("openapi.overlay.yaml").write_text(overlay)
    vendors = (ROOT / "tests/data/send-a-message.yaml").read_text("utf-8")
    assert empty.bring(page(vendors))[0] == 0
    line = [sys.executable, str(ROOT / "tools/generate.py"), "--root", str(empty.folder)]
    made = subprocess.run(line, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert ("has no name yet" in made.stderr) == (overlay is not NAMES)
    with Sandbox(rate_limit=None) as sandbox, Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
        program = USE.format(module="sms_threads", function=names[0], body=names[1])
        line = [sys.executable, "-W", "error", "-c", program, sandbox.url, sandbox.api_key, thread.id]
        environment = {**os.environ, "PYTHONPATH": str(empty.folder / "generated")}
        ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "Hello from an empty contract" in [message.text for message in sandbox.messages(thread.id)]


ODD = st.sampled_from(["on", "1.0", "2026-11-24", "~", "# no comment", "a: b", "- a", "x\n\n", "two\nlines"])
TEXTS = ODD | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS
KEYS = st.sampled_from(["get", "post", "200", "type", "on", "a b", "{x}/y", "#", "null", "'q'"])


def maps(values: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, values, max_size=3)


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | maps(inner), max_leaves=12)
DOCUMENTS = maps(maps(maps(VALUES)), st.sampled_from(["info", "paths", "components"])).filter(bool)


@given(old=DOCUMENTS, new=DOCUMENTS, data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_made_to_say_what_it_should(
    old: dict[str, Any], new: dict[str, Any], data: st.DataObject
) -> None:
    """With comments anywhere in it: it then says both, and made to say it again it stays, to the byte."""
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
