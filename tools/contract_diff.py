"""Show what a change of the contract breaks for users of this library, and which version must follow.

    python tools/contract_diff.py                # since the last release
    python tools/contract_diff.py --base HEAD    # since a commit

This program compares nothing itself. `redocly diff` compares the contracts twice: those of the vendor, and what the
generated package shows of them (`package_view.py`). griffe compares the generated packages, as `griffe check` does.
mypy checks the present wrapper with the new package. `judge.py` puts their results into groups. The new package is made
in a temporary folder, so the work tree does not change.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from changes import found
from comparers import griffe_changes, mypy_errors, redocly
from documents import ROOT, ContractError, load_yaml, plain, run, without_extensions
from functions import modules
from generate import differences, generate, overlaid
from judge import Change, Group, Judge, next_version
from package_view import shown
from sides import Side

_API: Final = "featherhq_api"
_VERSION: Final = "wrapper/featherhq/_version.py"
# The files of the old state that are needed.
_COMPARED: Final = ("openapi.yaml", "openapi.overlay.yaml", f"generated/{_API}", _VERSION)
_BUMPS: Final = {
    "major": "something breaks",
    "minor": "something is new, and nothing breaks",
    "patch": "nothing breaks",
    "none": "nothing has changed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="a commit, branch or tag; the last release by default")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args(arguments)
    try:
        release = _last_release(given.root)
        found = compare(given.root, given.base or release or "HEAD")
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The contract: {found.base} → as it stands")
    for group in Group:
        lines = found.of(group)
        print(f"\n{group.value}: {len(lines) or 'nothing'}", *(f"  {line}" for line in lines), sep="\n")
    if found.unmatched:
        print("\nmake generate will refuse this until the overlay is mended:", *found.unmatched, sep="\n")
    if release:
        print(f"\nVersion: {found.last} → {found.version} ({_BUMPS[found.bump]})")
        if found.now != found.version:
            print(f"{_VERSION} says {found.now}")
    else:
        print(f"\nVersion: {found.now}, since nothing has been released yet ({_BUMPS[found.bump]})")
    return 0


@frozen
class Comparison:
    """The differences between two states of the contract.

    Attributes:
        base: The commit, branch or tag of the old state.
        changes: All changes.
        unmatched: A message for each action of the overlay that no longer matches.
        bump: The part of the version to raise, by the rules from 1.0.0 on: `"major"`, `"minor"`, `"patch"` or `"none"`.
        last: The version of the old state.
        now: The present version.
    """

    base: str
    changes: list[Change]
    unmatched: list[str]
    bump: str
    last: str
    now: str

    @property
    def version(self) -> str:
        """The version that must follow."""
        return next_version(self.last, self.bump)

    def of(self, group: Group) -> list[str]:
        """A line for each change of a group."""
        return list(dict.fromkeys(change.report for change in self.changes if change.group is group))


def compare(root: Path, base: str) -> Comparison:
    """Compare the contract of a work tree with that of a commit.

    Raises:
        ContractError: one of them cannot be read, or a tool failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        old, new = scratch / "old", scratch / "new"
        _check_out(root, base, old)
        new.mkdir()
        unmatched: list[str] = []
        vendors = _vendors(old), _vendors(root)
        before, after = overlaid(old, contract=vendors[0]), overlaid(root, unmatched, vendors[1])
        used, there = _used(root), set(modules(after).values())
        changes: list[Change] = []
        try:
            made = generate(after, new)
        except ContractError as error:
            changes.append(Change(Group.CALLERS, f"make generate: {error}"))
            there = set()
        else:
            changes += _in_package(root, made, old / "generated", used - there)
            if vendors[0] == vendors[1] and any(differences(made, old / "generated" / _API)):
                changes.append(Change(Group.HARMLESS, "the generated package, by the overlay or the generator alone"))
        try:
            sides = shown(before, after, named=not unmatched)
        except ContractError:
            # `make generate` has said why. All that breaks the vendor's contract may break somebody.
            sides = vendors
        vendor, theirs = ([*map(found, each)] for each in redocly([vendors, sides], scratch))
        judge = Judge(
            before=Side(vendors[0], sides[0], modules(sides[0]) | modules(before)),
            after=Side(vendors[1], sides[1], modules(sides[1]) | modules(after)),
            there=there,
            used=used,
        )
        changes += judge.changes(vendor, theirs)
        breaks = any(change.group is not Group.HARMLESS for change in changes)
        is_new = any(judge.is_new(change) for change in theirs)
        bump = "major" if breaks else "minor" if is_new else "patch" if changes else "none"
        return Comparison(base, changes, unmatched, bump, last=_version(old), now=_version(root))


def _vendors(folder: Path) -> dict[str, Any]:
    """The vendor's contract, as far as it is compared."""
    return without_extensions(plain(load_yaml(folder / "openapi.yaml")))


def _in_package(root: Path, made: Path, old: Path, gone: set[str]) -> Iterator[Change]:
    """The changes of the generated package that break something.

    Args:
        root: The repository.
        made: The new package.
        old: The folder with the old package.
        gone: The functions that the wrapper calls, and that do not exist in the new package.
    """
    if not any(".py" in difference for difference in differences(made, old / _API)):
        return
    # mypy would find a removed module in the installed package, and so miss the error. It is checked here.
    yield from (Change(Group.CALLERS, f"wrapper/ calls {module}, which is gone") for module in sorted(gone))
    yield from (Change(Group.CALLERS, report) for report in mypy_errors(root, made.parent))
    yield from (Change(Group.USERS, report) for report in griffe_changes(_API, old, made.parent))


def _used(root: Path) -> set[str]:
    """The generated functions that the wrapper calls."""
    texts = (path.read_text("utf-8") for path in (root / "wrapper").rglob("*.py"))
    return {
        f"{node.module}.{name.name}"
        for text in texts
        if f"{_API}.api." in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{_API}.api.")
        for name in node.names
    }


def _version(root: Path) -> str:
    return str(re.findall(r'^__version__ = "(.+)"', (root / _VERSION).read_text("utf-8"), re.MULTILINE)[0])


def _last_release(root: Path) -> str:
    """The tag of the last release before the work tree, or an empty string if there is none."""
    return _git(root, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*", fails=True).decode().strip()


def _check_out(root: Path, revision: str, folder: Path) -> None:
    """Write the files of a commit that are needed into a folder."""
    with zipfile.ZipFile(io.BytesIO(_git(root, "archive", "--format=zip", revision, *_COMPARED))) as archive:
        archive.extractall(folder)


def _git(root: Path, *arguments: str, fails: bool = False) -> bytes:
    line = ["git", "-C", str(root), *arguments]
    try:
        ran = subprocess.run(line, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise ContractError(f"git: {error.strerror}") from error
    if ran.returncode and not fails:
        raise ContractError(f"git {arguments[0]}: {ran.stderr.decode(errors='replace').strip()}")
    return ran.stdout


if __name__ == "__main__":
    run(main)
