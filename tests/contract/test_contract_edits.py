"""Reports on a change of the contract: two tables of edits, and the users that each edit breaks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import contract_diff as tool
import edits_on_components
import edits_on_operations
import pytest
from comparers import mypy_errors
from components_contract import OVERLAY, with_components
from documents import ContractError, load_yaml, plain
from edits import HARMLESS, THREAD, Edit, answered
from generate import generate, overlaid
from judge import Group, next_version

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the comparison with a commit needs git")


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)  # noqa: S607


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All of it")


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
    commit(folder)
    # Each copy of the repository has a copy of mypy's cache.
    assert not list(mypy_errors(folder, folder / "generated"))
    return folder


@pytest.fixture(scope="module")
def with_squads(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository whose contract has components. The wrapper works with what is generated from it."""
    folder = tmp_path_factory.mktemp("components") / "repository"
    # A cache of its own is faster than one that was made for another package.
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(".mypy_cache"))
    (folder / "openapi.yaml").write_text(json.dumps(with_components(), indent=1))
    shutil.copy(OVERLAY, folder / "openapi.overlay.yaml")
    made = generate(overlaid(folder), tmp_path_factory.mktemp("generated"))
    shutil.rmtree(folder / "generated/featherhq_api")
    shutil.copytree(made, folder / "generated/featherhq_api")
    commit(folder)
    assert not list(mypy_errors(folder, folder / "generated"))
    return folder


@pytest.fixture
def contract(repository: Path) -> Iterator[Path]:
    """The contract of the repository. The test's changes to it are undone afterwards."""
    path = repository / "openapi.yaml"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


def copy_of(repository: Path, folder: Path) -> None:
    """A copy with a contract and a cache of its own. The rest is the original, because no comparison changes it."""
    folder.mkdir()
    for path in repository.iterdir():
        if path.name == ".mypy_cache":
            shutil.copytree(path, folder / path.name)
        elif path.name != "openapi.yaml":
            (folder / path.name).symlink_to(path)


def check(edits: list[Edit], repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Make each edit in a copy of a repository, and check what contract-diff says of it. Print a table."""
    document = plain(load_yaml(repository / "openapi.yaml"))

    def compare(edit: Edit) -> tool.Comparison:
        folder = tmp_path / edit.edit.__name__
        copy_of(repository, folder)
        edited = json.loads(json.dumps(document))
        edit.edit(edited)
        (folder / "openapi.yaml").write_text(json.dumps(edited, indent=1))
        return tool.compare(folder, "HEAD")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(compare, edits))
    table, wrong = [f"{'the edit':42} {'reported':37} 0.1.0 →"], []
    for edit, comparison in zip(edits, found, strict=True):
        worst = next((group for group in Group if comparison.of(group)), HARMLESS)
        versions = tuple(next_version(last, comparison.bump) for last in ("0.1.0", "1.0.0"))
        told = any(edit.told in line for line in comparison.of(edit.group))
        right = told and worst is edit.group and versions == edit.versions
        if not right:
            lines = [f"  {group.name}: {line}" for group in Group for line in comparison.of(group)]
            wrong.append("\n".join([f"{edit.name}: {comparison.bump}, not {edit.told!r}", *lines]))
        table.append(f"{edit.name:42} {worst.value:37} {versions[0]:7} {'right' if right else 'WRONG'}")
    with capsys.disabled():
        print("", *table, sep="\n")  # noqa: T201 - the table is a report
    assert not wrong, "\n\n".join(wrong)


def test_edits_of_operations_are_reported_correctly(
    repository: Path, tmp_path: Path, sample: slice, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report names the edit in the right group, with its reason and its version. A harmless edit is not reported as
    breaking.
    """
    check(edits_on_operations.EDITS[sample], repository, tmp_path, capsys)


def test_edits_of_components_are_reported_correctly(
    with_squads: Path, tmp_path: Path, sample: slice, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change of a component breaks the users of the operations that need it, in the direction in which they need it.
    The report names the component as the vendor does.
    """
    check(edits_on_components.EDITS[sample], with_squads, tmp_path, capsys)
    assert f"\n  {edits_on_components.EXAMPLE}\n" in (ROOT / "docs/contract.md").read_text("utf-8")


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
    edits_on_operations.another_path(edited)
    contract.write_text(json.dumps(edited))
    assert tool.main([f"--root={repository}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The contract: v0.1.0 → as it stands\n")
    assert "Breaking for users of featherhq_api: 2\n  featherhq_api.api.threads.close_thread: " in out
    assert re.search(r"make generate will refuse this until the overlay is mended:\noverlay action \d+, line ", out)
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
    answered(edited)["properties"]["messageId"]["type"] = "text"
    contract.write_text(json.dumps(edited))
    assert tool.main([f"--root={repository}", "--base=HEAD"]) == 0
    assert "make generate: the contract with the overlay: this is no valid OpenAPI: " in capsys.readouterr().out
    edited = plain(load_yaml(contract))
    answered(edited)["properties"]["messageId"] = {"$ref": "#/components/schemas/Nothing"}
    contract.write_text(json.dumps(edited))
    assert tool.main([f"--root={repository}", "--base=HEAD"]) == 0
    assert "there is no /components/schemas/Nothing" in capsys.readouterr().out
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
