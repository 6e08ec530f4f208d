"""Make `generated/featherhq_api` from `openapi.yaml` and `openapi.overlay.yaml`, or check that it is up to date.

    python tools/generate.py            # make it again
    python tools/generate.py --check    # compare, and change nothing

The package is made in a temporary folder. It replaces the old package only at the end, so a failure changes nothing.
The same input always gives the same bytes, because the versions of the generator and of ruff are pinned in
`tools/requirements.txt`. This program checks them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from directions import directed, successes
from documents import ROOT, ContractError, check_valid, load_yaml, operations, plain, run, without_extensions
from facts import fact
from functions import mark_functions, modules, name_functions, unnamed
from media import with_known_media
from naming import Names, action, drop_names_of_nothing, mark_titles, sort_titles, target
from openapi_python_client.config import ConfigFile
from overlay import apply_overlay
from parameters import with_simple_parameters
from references import with_copies
from shapes import Shapes

TOOLS: Final = ROOT / "tools"
_DOCUMENT: Final = "openapi.json"


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there, and change nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with openapi.yaml")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            made = generate(overlaid(given.root), Path(scratch))
            there = given.root / "generated" / "featherhq_api"
            found = list(differences(made, there))
            if not given.check:
                _swap(made, there)
                print(f"generated/featherhq_api: {len(found) or 'no'} files are new or have changed")
                return 0
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for difference in found:
        print(f"generated/featherhq_api/{difference}", file=sys.stderr)
    if found:
        print("error: generated/ is not what the contract gives; `make generate` makes it so", file=sys.stderr)
    return 1 if found else 0


def generate(contract: dict[str, Any], scratch: Path) -> Path:
    """Make the package in a temporary folder. Returns its folder.

    Args:
        contract: The contract with the overlay applied.
        scratch: The temporary folder.

    Raises:
        ContractError: the contract or the overlay has an error, or the tools have the wrong version.
    """
    _check_tools()
    check_valid(contract, lambda _: "the contract with the overlay")
    document, overrides = prepared(contract, warn=_print_warning)
    _tell_unnamed(document)
    package = scratch / "featherhq_api"
    if errors := run_generator(document, overrides, scratch, package):
        raise ContractError("\n".join(f"openapi-python-client: {error}" for error in errors))
    _check_package(package, document)
    (package / "py.typed").touch()
    shutil.copyfile(scratch / _DOCUMENT, package / "openapi.json")
    return package


def run_generator(
    document: dict[str, Any], overrides: dict[str, str], scratch: Path, package: Path | None
) -> list[str]:
    """Run openapi-python-client in a process of its own. Returns what it refused.

    Args:
        document: The document, as `prepared` returns it.
        overrides: The media types that it must take for others, as `prepared` returns them.
        scratch: A folder for its files.
        package: The folder to make. `None`: it only reads the document.

    Raises:
        ContractError: it has failed in a way that it did not expect itself.
    """
    (scratch / _DOCUMENT).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    given: dict[str, Any] = {"document": str(scratch / _DOCUMENT), "package": str(package), "overrides": overrides}
    given |= {"facts": _facts(document), "only_check": package is None}
    (scratch / "generator.json").write_text(json.dumps(given), encoding="utf-8")
    command = [sys.executable, str(TOOLS / "generator.py"), str(scratch / "generator.json")]
    ran = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise ContractError(f"openapi-python-client failed:\n{ran.stdout}{ran.stderr}")
    errors: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return errors


def overlaid(root: Path, unmatched: list[str] | None = None, contract: dict[str, Any] | None = None) -> dict[str, Any]:
    """The contract with the overlay applied.

    Args:
        root: The folder with both files.
        unmatched: As in `apply_overlay`.
        contract: The content of openapi.yaml, if it has been read already.

    Raises:
        ContractError: a file cannot be read, or the overlay cannot be applied.
    """
    overlay = load_yaml(root / "openapi.overlay.yaml")
    return with_overlay(plain(load_yaml(root / "openapi.yaml") if contract is None else contract), overlay, unmatched)


def with_overlay(vendor: dict[str, Any], overlay: Any, unmatched: list[str] | None = None) -> dict[str, Any]:
    """A contract with an overlay applied, and with the names that each operation and schema has.

    Args:
        vendor: The contract. It is changed.
        overlay: The content of the overlay. `None`: there is none.
        unmatched: As in `apply_overlay`.

    Raises:
        ContractError: the overlay cannot be applied.
    """
    vendor = document = without_extensions(vendor)
    mark_titles(vendor)
    mark_functions(vendor)
    if overlay is not None:
        document = plain(apply_overlay(vendor, overlay, unmatched=unmatched))
        drop_names_of_nothing(document, vendor)
    sort_titles(document)
    name_functions(document)
    return document


def directed_document(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The contract with the overlay, with different forms of what is read and of what is sent.

    Args:
        document: What `overlaid` returns.

    Returns:
        The document, and the media types that the generator must take for another one.
    """
    document = with_copies(document)
    for _, _, operation in operations(document):
        operation["responses"] = successes(operation)
    with_simple_parameters(document)
    overrides = with_known_media(document)
    return directed(document), overrides


def prepared(document: dict[str, Any], warn: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, str]]:
    """The document that the generator reads: as `directed_document`, with a name for each class."""
    document, overrides = directed_document(document)
    return Names(document, warn).give(), overrides


def _facts(document: dict[str, Any]) -> dict[str, Any]:
    """What the templates must know of each operation, by its module."""
    shapes = Shapes((document.get("components") or {}).get("schemas") or {})
    return {
        ".".join(module.split(".")[-2:]): fact(document["paths"][path][method], document, shapes)
        for (path, method), module in modules(document).items()
    }


def _print_warning(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _tell_unnamed(document: dict[str, Any]) -> None:
    for path, method, name in unnamed(document):
        lines = action(target(("paths", path, method)), name, key="operationId", about="The function's name.")
        _print_warning(f"{method.upper()} {path} has no name yet. Add to the actions of openapi.overlay.yaml:\n{lines}")


def _check_tools() -> None:
    """Check the keys of `generator.yaml` (the generator ignores unknown ones), and the versions of the tools."""
    unknown = load_yaml(TOOLS / "generator.yaml").keys() - ConfigFile.model_fields.keys()
    if unknown:
        raise ContractError(f"tools/generator.yaml: unknown key {', '.join(sorted(unknown))}")
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (TOOLS / "requirements.txt").read_text(), re.MULTILINE))
    ruff = shutil.which("ruff", path=_environment()["PATH"]) or "ruff"
    ran = subprocess.run([ruff, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = {"openapi-python-client": version("openapi-python-client"), "ruff": ran.stdout.split()[-1]}
    for name, installed in found.items():
        if installed != pins[name]:
            raise ContractError(
                f"{name} is {installed}, and tools/requirements.txt pins {pins[name]}: run `make setup`"
            )


def _environment() -> dict[str, str]:
    """Our environment, with the scripts of this interpreter first in PATH. So the generator runs the pinned ruff."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])}


def _check_package(package: Path, document: dict[str, Any]) -> None:
    """Check that the generator has put each operation into the module that `modules` expects."""
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.glob("api/*/*.py")]
    found = {".".join(path.parts) for path in paths if path.name != "__init__"}
    wrong = sorted(found ^ set(modules(document).values()))
    if wrong:
        raise ContractError(f"openapi-python-client put operations elsewhere than expected: {', '.join(wrong)}")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def differences(made: Path, there: Path) -> Iterator[str]:
    """A line for each file that differs between two packages."""
    ours, theirs = _files(made), _files(there)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield f"{name}: missing"
        elif name not in ours:
            yield f"{name}: nothing makes this file"
        elif ours[name] != theirs[name]:
            yield f"{name}: differs"


def _swap(made: Path, there: Path) -> None:
    """Replace the old folder by the new one. The new one is first copied beside it, so the swap is only two renames.

    Raises:
        ContractError: it failed; the old folder is still in its place.
    """
    new, old = there.with_name(f".{there.name}.new"), there.with_name(f".{there.name}.old")
    try:
        there.parent.mkdir(exist_ok=True)
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(made, new)
        if there.exists():
            there.rename(old)
        new.rename(there)
    except BaseException as error:  # ctrl-c too
        if old.exists() and not there.exists():
            old.rename(there)
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, OSError):
            raise ContractError(f"{there}: {error.strerror or error}; what was there is there still") from error
        raise
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    run(main)
