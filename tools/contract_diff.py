"""Show what a change of the contract breaks for users of this library, and which version must follow.

    python tools/contract_diff.py                # since the last release
    python tools/contract_diff.py --base HEAD    # since a commit

This program compares nothing itself. `redocly diff` compares the contracts twice: those of the vendor, and those with
our overlay. griffe compares the generated packages, as `griffe check` does. mypy checks the present wrapper with the
new package. `judge.py` puts their results into groups. The new package is made in a temporary folder, so the work tree
does not change.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import griffe
from attrs import frozen
from documents import ROOT, ContractError, load_yaml, run
from generate import differences, effective_document, generate, modules, overlaid
from judge import Change, Group, Judge, next_version

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
        before, after = overlaid(old), overlaid(root, unmatched)
        vendor = _redocly(old / "openapi.yaml", root / "openapi.yaml", scratch)
        ours = _redocly(_write(before, scratch / "old.json"), _write(after, scratch / "new.json"), scratch)
        changes: list[Change] = []
        used, there = _used(root), set[str]()
        try:
            made = generate(after, new)
        except ContractError as error:
            changes.append(Change(Group.CALLERS, f"make generate: {error}"))
        else:
            there = set(modules(effective_document(after)).values())
            # mypy would find a removed module in the installed package, and so miss the error. It is checked here.
            changes += [Change(Group.CALLERS, f"wrapper/ calls {gone}, which is gone") for gone in sorted(used - there)]
            changes += [Change(Group.CALLERS, report) for report in _mypy(root, new)]
            changes += [Change(Group.USERS, report) for report in _griffe(old / "generated", new)]
            if not vendor and any(differences(made, old / "generated" / _API)):
                changes.append(Change(Group.HARMLESS, "the generated package, by the overlay or the generator alone"))
        judge = Judge(
            before=load_yaml(old / "openapi.yaml"),
            after=load_yaml(root / "openapi.yaml"),
            places=modules(effective_document(before)),
            there=there,
            used=used,
        )
        changes += judge.changes(vendor, ours)
        breaks = any(change.group is not Group.HARMLESS for change in changes)
        found = {change["impact"] for change in vendor}
        bump = "major" if breaks else "minor" if "minor" in found else "patch" if changes else "none"
        return Comparison(base, changes, unmatched, bump, last=_version(old), now=_version(root))


def _redocly(old: Path, new: Path, folder: Path) -> list[dict[str, Any]]:
    """The changes that `redocly diff` finds. It runs in a folder without settings for it, and without telemetry."""
    scripts = Path(sys.executable).parent
    cli = scripts.parent / "redocly/node_modules/@redocly/cli/bin/cli.js"
    line = [str(path) for path in (scripts / "node", cli, "diff", old.resolve(), new.resolve())]
    line += ["--format=json", "--fail-on=none"]
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    try:
        ran = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        changes: list[dict[str, Any]] = json.loads(ran.stdout)["changes"]
    except OSError as error:
        raise ContractError(f"{line[0]}: {error.strerror}: run `make setup`") from error
    except (ValueError, KeyError) as error:
        raise ContractError(f"redocly diff failed:\n{ran.stderr}{ran.stdout}") from error
    return changes


def _griffe(old: Path, new: Path) -> Iterator[str]:
    """The breaking changes that griffe finds in the generated package, one line each."""
    sides = (griffe.load(_API, search_paths=[folder], allow_inspection=False) for folder in (old, new))
    for breakage in griffe.find_breaking_changes(*sides):
        yield f"{breakage.obj.path}: {breakage.kind.value}"


def _mypy(root: Path, generated: Path) -> Iterator[str]:
    """The errors that mypy finds in the wrapper with a new generated package, one line each."""
    line = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", f"--cache-dir={os.devnull}"]
    line += ["--no-error-summary", "--no-pretty", "--no-color-output"]
    package = root / "wrapper/featherhq"
    # The sandbox calls no generated code, so it is not checked.
    paths = (path for path in package.rglob("*.py") if package / "sandbox" not in path.parents)
    line += sorted(str(path.relative_to(root)) for path in paths)
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(root / "wrapper"), str(generated)])}
    ran = subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode not in (0, 1):
        raise ContractError(f"mypy failed:\n{ran.stderr}{ran.stdout}")
    yield from (report for report in ran.stdout.splitlines() if ": error: " in report)


def _used(root: Path) -> set[str]:
    """The generated functions that the wrapper calls."""
    return {
        f"{node.module}.{name.name}"
        for path in (root / "wrapper").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{_API}.api.")
        for name in node.names
    }


def _write(document: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


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
