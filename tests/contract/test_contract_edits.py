"""Reports on a change of the contract: a table of edits, and the users that each edit breaks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import contract_diff as tool
import pytest
from attrs import frozen
from documents import ContractError, load_yaml, plain
from judge import Group, next_version

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the comparison with a commit needs git")
THREAD = "/api/v1/threads/{threadId}"
SEND = f"{THREAD}/messages"
Document = dict[str, Any]


def sent(document: Document) -> Any:
    return document["paths"][SEND]["post"]["requestBody"]["content"]["application/json"]["schema"]


def answered(document: Document, path: str = SEND, method: str = "post") -> Any:
    return document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]


def listed(document: Document) -> Any:
    """The properties of a message in a list."""
    return answered(document, SEND, "get")["properties"]["thread"]["properties"]["messages"]["items"]["properties"]


def parameter(document: Document, name: str) -> Any:
    return next(one for one in document["paths"][SEND]["get"]["parameters"] if one["name"] == name)


# The edits. Each function changes the whole document.


def required_in_a_request(document: Document) -> None:
    sent(document)["properties"]["unheardOf"] = {"type": "string"}
    sent(document)["required"].append("unheardOf")


def gone_from_an_answer(document: Document) -> None:
    del answered(document)["properties"]["messageId"]
    answered(document)["required"].remove("messageId")


def another_type_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["windowExpiresIn"]["type"] = "string"


def value_gone_from_a_parameter(document: Document) -> None:
    parameter(document, "status")["schema"]["enum"].remove("DISCARDED")


def value_gone_from_an_answer(document: Document) -> None:
    listed(document)["status"]["enum"].remove("DISCARDED")


def value_new_in_a_parameter(document: Document) -> None:
    parameter(document, "status")["schema"]["enum"].append("UNHEARD_OF")


def value_new_in_an_answer(document: Document) -> None:
    listed(document)["status"]["enum"].append("UNHEARD_OF")


def operation_gone(document: Document) -> None:
    del document["paths"][f"{THREAD}/close"]


def another_path(document: Document) -> None:
    document["paths"][f"{THREAD}/end"] = document["paths"].pop(f"{THREAD}/close")


def another_method(document: Document) -> None:
    document["paths"][f"{THREAD}/close"]["post"] = document["paths"][f"{THREAD}/close"].pop("patch")


def another_tag(document: Document) -> None:
    document["paths"][THREAD]["get"]["tags"] = ["Web Threads"]


def demanded_and_sent(document: Document) -> None:
    parameter(document, "limit")["required"] = True


def demanded_and_not_sent(document: Document) -> None:
    parameter(document, "cursor")["required"] = True


def error_gone(document: Document) -> None:
    del document["paths"][SEND]["post"]["responses"]["404"]


def success_gone(document: Document) -> None:
    document["paths"][SEND]["post"]["responses"]["202"] = document["paths"][SEND]["post"]["responses"].pop("200")


def null_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["messageId"]["nullable"] = True


def other_words(document: Document) -> None:
    document["paths"][SEND]["post"]["description"] = "Sends."


def optional_in_a_request(document: Document) -> None:
    sent(document)["properties"]["unheardOf"] = {"type": "string"}


def another_operation(document: Document) -> None:
    document["paths"][f"{THREAD}/guests"] = {"get": document["paths"][THREAD]["get"]}


@frozen
class Edit:
    """A row of the table: an edit, the group that it affects, the expected text of the report, and the versions that
    follow 0.1.0 and 1.0.0.
    """

    edit: Callable[[Document], None]
    group: Group
    told: str
    versions: tuple[str, str]


BREAKING, NEW, PATCH = ("0.2.0", "2.0.0"), ("0.1.1", "1.1.0"), ("0.1.1", "1.0.1")
CALLERS, USERS, HARMLESS = Group

EDITS = [
    Edit(required_in_a_request, CALLERS, 'Missing positional argument "unheard_of"', BREAKING),
    Edit(gone_from_an_answer, CALLERS, "200 > messageId: Property `messageId` was removed", BREAKING),
    Edit(another_type_in_an_answer, CALLERS, "Type of `windowExpiresIn` widened", BREAKING),
    Edit(value_gone_from_a_parameter, CALLERS, "Enum lost values: 'DISCARDED'", BREAKING),
    Edit(value_gone_from_an_answer, HARMLESS, 'status: enum lost ["DISCARDED"]', PATCH),
    Edit(value_new_in_a_parameter, HARMLESS, 'status: enum gained ["UNHEARD_OF"]', PATCH),
    Edit(value_new_in_an_answer, HARMLESS, "gained values: 'UNHEARD_OF'. (tolerated by the client)", PATCH),
    Edit(operation_gone, CALLERS, f"{THREAD}/close` was removed", BREAKING),
    Edit(another_path, CALLERS, f"was renamed to `{THREAD}/end`", BREAKING),
    Edit(another_method, CALLERS, f"`PATCH {THREAD}/close` was removed", BREAKING),
    Edit(another_tag, CALLERS, "wrapper/ calls featherhq_api.api.threads.get_thread, which is gone", BREAKING),
    Edit(demanded_and_sent, USERS, "`limit` query parameter became required", BREAKING),
    Edit(demanded_and_not_sent, CALLERS, 'Argument "cursor" to "_get_kwargs" has incompatible type', BREAKING),
    Edit(error_gone, HARMLESS, "Response `404` was removed. (tolerated by the client)", PATCH),
    Edit(success_gone, CALLERS, "Response `200` became `202`", BREAKING),
    Edit(null_in_an_answer, HARMLESS, "from 'string' to 'string | null'. (tolerated by the client)", PATCH),
    Edit(other_words, HARMLESS, '→ "Sends."', PATCH),
    Edit(optional_in_a_request, HARMLESS, "requestBody > unheardOf: added", NEW),
    Edit(another_operation, HARMLESS, f"{THREAD}/guests: added", NEW),
]


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)  # noqa: S607


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a commit of all files that are compared."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("openapi.yaml", "openapi.overlay.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("generated", "wrapper"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    # The tests expect this version, whatever the current version is.
    (folder / "wrapper/featherhq/_version.py").write_text('__version__ = "0.1.0"\n')
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All of it")
    return folder


@pytest.fixture
def contract(repository: Path) -> Iterator[Path]:
    """The contract of the repository. The test's changes to it are undone afterwards."""
    path = repository / "openapi.yaml"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


def test_each_edit_is_reported_correctly(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report names the edit in the right group, with its reason and its version. A harmless edit is not reported as
    breaking.
    """
    document = plain(load_yaml(ROOT / "openapi.yaml"))

    def compare(edit: Edit) -> tool.Comparison:
        folder = tmp_path / edit.edit.__name__
        shutil.copytree(repository, folder)
        edited = json.loads(json.dumps(document))
        edit.edit(edited)
        (folder / "openapi.yaml").write_text(json.dumps(edited, indent=1))
        return tool.compare(folder, "HEAD")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(compare, EDITS))
    table, wrong = [f"{'the edit':28} {'reported':37} 0.1.0 →"], []
    for edit, comparison in zip(EDITS, found, strict=True):
        worst = next((group for group in Group if comparison.of(group)), HARMLESS)
        versions = tuple(next_version(last, comparison.bump) for last in ("0.1.0", "1.0.0"))
        told = any(edit.told in line for line in comparison.of(edit.group))
        right = told and worst is edit.group and versions == edit.versions
        if not right:
            wrong.append((edit, comparison))
        name = edit.edit.__name__.replace("_", " ")
        table.append(f"{name:28} {worst.value:37} {versions[0]:7} {'right' if right else 'WRONG'}")
    with capsys.disabled():
        print("", *table, sep="\n")  # noqa: T201 - the table is a report
    assert not wrong


def test_the_comparison_starts_from_the_last_release(
    repository: Path, contract: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comparison starts from the last release tag, or from the last commit if there is no such tag. It also
    includes changes of the overlay.
    """
    assert tool.main([f"--root={repository}"]) == 0
    assert "since nothing has been released yet (nothing has changed)" in capsys.readouterr().out
    git(repository, "tag", "v0.1.0")
    git(repository, "tag", "not-a-release")
    edited = plain(load_yaml(contract))
    another_path(edited)
    contract.write_text(json.dumps(edited))
    assert tool.main([f"--root={repository}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The contract: v0.1.0 → as it stands\n")
    assert "Breaking for users of featherhq_api: 3\n  featherhq_api.api.threads.close_thread: " in out
    assert "make generate will refuse this until the overlay is mended:\noverlay action 4, line " in out
    assert f"there is '{THREAD}/end'" in out
    assert "Version: 0.1.0 → 0.2.0 (something breaks)\nwrapper/featherhq/_version.py says 0.1.0\n" in out

    overlay = repository / "openapi.overlay.yaml"
    overlay.write_text(overlay.read_text("utf-8").replace("{threadId}/close'", "{threadId}/end'"), "utf-8")
    assert tool.main([f"--root={repository}", "--base=HEAD"]) == 0
    out = capsys.readouterr().out
    assert "featherhq: nothing\n\nBreaking for users of featherhq_api: nothing\n" in out
    assert f"`{THREAD}/close` was renamed to `{THREAD}/end`" in out
    assert "Version: 0.1.0 → 0.1.1 (nothing breaks)" in out

    git(repository, "checkout", "--quiet", "openapi.overlay.yaml", "openapi.yaml")
    overlay.write_text(
        overlay.read_text("utf-8").replace("operationId: getThread\n", "operationId: readThread\n"), "utf-8"
    )
    assert tool.main([f"--root={repository}"]) == 0
    out = capsys.readouterr().out
    assert "wrapper/ calls featherhq_api.api.threads.get_thread, which is gone" in out
    assert "Harmless: 1\n  the generated package, by the overlay or the generator alone\n" in out
    git(repository, "checkout", "--quiet", "openapi.overlay.yaml")


def test_failed_comparisons(repository: Path, contract: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown commit, an unreadable contract, and a contract that generation refuses each give an error message
    without a traceback.
    """
    assert tool.main([f"--root={repository}", "--base=nowhere"]) == 1
    assert "error: git archive: fatal: not a valid object name: nowhere" in capsys.readouterr().err
    edited = plain(load_yaml(contract))
    parameter(edited, "limit")["schema"]["type"] = "integer"
    contract.write_text(json.dumps(edited))
    assert tool.main([f"--root={repository}", "--base=HEAD"]) == 0
    assert (
        "make generate: the contract with the overlay: this is no valid OpenAPI: '50' is not" in capsys.readouterr().out
    )
    contract.write_text("openapi: [")
    with pytest.raises(ContractError, match=r"openapi\.yaml:1: this is no YAML"):
        tool.compare(repository, "HEAD")


@pytest.mark.parametrize(
    ("last", "bump", "following"),
    [
        ("0.1.4", "major", "0.2.0"),
        ("0.1.4", "minor", "0.1.5"),
        ("0.1.4", "patch", "0.1.5"),
        ("0.1.4", "none", "0.1.4"),
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
    ],
)
def test_the_next_version(last: str, bump: str, following: str) -> None:
    """Versions follow Semantic Versioning. Below 1.0.0, a breaking change raises the minor version, and any other
    change raises the patch version.
    """
    assert next_version(last, bump) == following
