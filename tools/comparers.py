"""Run the three programs that compare: `redocly diff`, griffe and mypy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import griffe
from documents import ContractError

Document = dict[str, Any]

_CACHE: Final = ".mypy_cache/contract-diff"
# A default that has changed is sent, or left to the server. The signature can be called as before.
_CALLABLE_AS_BEFORE: Final = {griffe.BreakageKind.PARAMETER_CHANGED_DEFAULT}


def redocly(pairs: list[tuple[Document, Document]], folder: Path) -> list[list[dict[str, Any]]]:
    """The changes that `redocly diff` finds between the documents of each pair, the old one and the new one.

    It runs in a folder without settings for it, and without telemetry.

    Args:
        pairs: The pairs.
        folder: The folder, for its files too.
    """
    scripts = Path(sys.executable).parent
    index = scripts.parent / "redocly/node_modules/@redocly/cli/lib/index.js"
    line = [str(scripts / "node"), str(Path(__file__).with_name("diffs.mjs")), str(index)]
    reports = [folder / f"{number}.json" for number in range(len(pairs))]
    for report, pair in zip(reports, pairs, strict=True):
        if pair[0] != pair[1]:
            files = [report.with_suffix(f".{side}.json") for side in ("old", "new")]
            for file, document in zip(files, pair, strict=True):
                file.write_text(json.dumps(document), "utf-8")
            line += map(str, (*files, report))
        else:
            report.write_text('{"changes": []}')
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    try:
        ran = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise ContractError(f"{line[0]}: {error.strerror}: run `make setup`") from error
    try:
        return [json.loads(report.read_text("utf-8"))["changes"] for report in reports]
    except (OSError, ValueError, KeyError) as error:
        advice = "" if index.exists() else f"{index} does not exist: run `make setup`\n"
        raise ContractError(f"redocly diff failed:\n{advice}{ran.stderr}{ran.stdout}") from error


def griffe_changes(package: str, old: Path, new: Path) -> Iterator[str]:
    """The breaking changes that griffe finds in a package, one line each.

    Each operation has four functions, and each class can be imported from two modules. A change of them is told once.

    Args:
        package: The name of the package.
        old: The folder with the old package.
        new: The folder with the new one.
    """
    with TemporaryDirectory() as scratch:
        parts = _differing(package, (old, new), Path(scratch))
        sides = [griffe.load(package, search_paths=[part], allow_inspection=False) for part in parts]
    found: dict[tuple[griffe.BreakageKind, str], list[str]] = {}
    for breakage in griffe.find_breaking_changes(*sides):
        thing = breakage.obj
        is_home = not thing.is_alias and thing.is_module and thing.path.startswith(f"{package}.models.")
        if breakage.kind in _CALLABLE_AS_BEFORE or is_home:
            continue
        parameter = next((one.name for one in (breakage.old_value, breakage.new_value) if _is_parameter(one)), "")
        path = thing.path.rpartition(".")[0] if parameter else thing.path
        # Many operations may have the parameter that has changed.
        found.setdefault((breakage.kind, parameter or path), []).append(path)
    for (kind, what), paths in found.items():
        places = list(dict.fromkeys(paths))
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield f"{places[0]}{'' if what == places[0] else f'({what})'}{more}: {kind.value}"


def _differing(package: str, folders: tuple[Path, Path], scratch: Path) -> Iterator[Path]:
    """Folders with the modules of a package that differ in two folders. griffe takes long to read all modules."""
    texts: list[dict[Path, bytes]] = [
        {path.relative_to(folder): path.read_bytes() for path in (folder / package).rglob("*.py")} for folder in folders
    ]
    for number, (mine, other) in enumerate((texts, texts[::-1])):
        for path, text in mine.items():
            if path.name == "__init__.py" or other.get(path) != text:
                copied = scratch / str(number) / path
                copied.parent.mkdir(parents=True, exist_ok=True)
                copied.write_bytes(text)
        yield scratch / str(number)


def _is_parameter(value: object) -> bool:
    return isinstance(value, griffe.Parameter)


def mypy_errors(root: Path, generated: Path) -> Iterator[str]:
    """The errors that mypy finds in the wrapper with a new generated package, one line each.

    mypy keeps what it knows of the unchanged files in its cache, so only the first run takes long.
    """
    line = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", f"--cache-dir={root / _CACHE}"]
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
