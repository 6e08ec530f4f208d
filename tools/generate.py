"""Make `generated/featherhq_api` from `openapi.yaml` and `openapi.overlay.yaml`, or check that it is up to date.

    python tools/generate.py            # make it again
    python tools/generate.py --check    # compare, and change nothing

The package is made in a temporary folder. It replaces the old package only at the end, so a failure changes nothing.
The same input always gives the same bytes, because the versions of the generator and of ruff are pinned in
`tools/requirements.txt`. This program checks them.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from documents import ROOT, ContractError, check_valid, load_yaml, operations, plain, run
from openapi_python_client.config import ConfigFile
from openapi_python_client.parser.openapi import generate_operation_id
from openapi_python_client.schema.untrusted_string import UntrustedString
from openapi_python_client.strings import ClassName, PythonIdentifier
from overlay import apply_overlay

TOOLS: Final = ROOT / "tools"
# Schemas that differ only in these keys count as equal.
_ANNOTATIONS: Final = {"title", "description", "example", "nullable"}


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
    document = effective_document(contract)
    _check_names(document)
    source = scratch / "openapi.json"
    source.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    package = scratch / "featherhq_api"
    command = [sys.executable, "-m", "openapi_python_client", "generate"]
    command += ["--path", str(source), "--output-path", str(package)]
    command += ["--config", str(TOOLS / "generator.yaml"), "--meta", "none", "--fail-on-warning"]
    # One template of the generator is replaced, so that each model is imported only when it is used.
    command += ["--custom-template-path", str(TOOLS / "templates")]
    ran = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise ContractError(f"openapi-python-client failed:\n{ran.stdout}{ran.stderr}")
    _check_package(package, document)
    (package / "py.typed").touch()
    shutil.copyfile(source, package / "openapi.json")
    return package


def overlaid(root: Path, unmatched: list[str] | None = None) -> dict[str, Any]:
    """The contract with the overlay applied.

    Args:
        root: The folder with both files.
        unmatched: As in `apply_overlay`.

    Raises:
        ContractError: a file cannot be read, or the overlay cannot be applied.
    """
    overlay = load_yaml(root / "openapi.overlay.yaml")
    document: dict[str, Any] = plain(apply_overlay(load_yaml(root / "openapi.yaml"), overlay, unmatched=unmatched))
    return document


def effective_document(document: dict[str, Any]) -> dict[str, Any]:
    """The document that the generator reads: the contract with the overlay, with named schemas as components.

    Raises:
        ContractError: it is not a valid OpenAPI document.
    """
    document = copy.deepcopy(document)
    hoist(document)
    check_valid(document, lambda _: "the contract with the overlay")
    return document


def hoist(document: dict[str, Any]) -> None:
    """Make each object schema with a title a component, and replace the schema by a reference.

    The vendor repeats a schema wherever it is used. Schemas with the same title become one component, which has the
    properties of all of them.

    Raises:
        ContractError: two schemas have the same title, but differ in a property or in another key.
    """
    schemas: dict[str, Any] = {}

    def visit(node: Any, place: str) -> Any:
        if isinstance(node, list):
            return [visit(item, f"{place}/{index}") for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        node = {key: visit(value, f"{place}/{key}") for key, value in node.items()}
        title = node.get("title")
        if node.get("type") != "object" or not isinstance(title, str):
            return node
        nullable = node.pop("nullable", False)
        _unite(schemas.setdefault(title, copy.deepcopy(node)), node, place)
        reference = {"$ref": f"#/components/schemas/{title}"}
        return {"nullable": True, "allOf": [reference]} if nullable else reference

    document["paths"] = visit(document["paths"], "paths")
    if schemas:
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)


def _unite(known: dict[str, Any], other: dict[str, Any], place: str) -> None:
    """Add the properties of a schema to the known schema of the same title, and check that they do not differ."""
    for name, schema in other.get("properties", {}).items():
        if _meaning(known.setdefault("properties", {}).setdefault(name, schema)) != _meaning(schema):
            raise ContractError(
                f"two schemas are called {known['title']}, and their {name!r} differ; the second is at {place}. "
                "Give one another title in openapi.overlay.yaml"
            )
    rest = [_meaning({k: v for k, v in schema.items() if k != "properties"}) for schema in (known, other)]
    if rest[0] != rest[1]:
        raise ContractError(
            f"two schemas are called {known['title']} and differ; the second is at {place}. "
            "Give one another title in openapi.overlay.yaml"
        )


def _meaning(schema: Any) -> Any:
    """A schema without the keys that do not count in a comparison."""
    if isinstance(schema, dict):
        return {key: _meaning(value) for key, value in schema.items() if key not in _ANNOTATIONS}
    return schema


def modules(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The module that the generator makes for each operation, such as `featherhq_api.api.threads.send_message`.

    The keys are the path and the method of the operation.
    """
    places = {}
    for path, method, operation in operations(document):
        tag = PythonIdentifier((operation.get("tags") or ["default"])[0], "tag")
        name = operation.get("operationId") or generate_operation_id(
            path=UntrustedString(path), method=method, prefix="field_"
        )
        places[path, method] = f"featherhq_api.api.{tag}.{PythonIdentifier(name, 'field_')}"
    return places


def _check_names(document: dict[str, Any]) -> None:
    """Check that all names differ. If two operations had one name, the generator would overwrite one of their files.

    It prints a warning for each operation without a name.
    """
    taken: dict[str, str] = {}
    places = modules(document)
    for path, method, operation in operations(document):
        name = operation.get("operationId")
        if name is None:
            print(_unnamed(path, method), file=sys.stderr)
        module = places[path, method]
        if module in taken:
            raise ContractError(
                f"the operations {taken[module]} and {name or f'{method} {path}'} would both be "
                f"{module.rpartition('.')[2]}.py: give one another operationId in openapi.overlay.yaml"
            )
        taken[module] = name or f"{method} {path}"
    classes: dict[str, str] = {}
    for title in document.get("components", {}).get("schemas", {}):
        name = str(ClassName(title, "field_"))
        if name in classes:
            raise ContractError(f"the schemas {classes[name]} and {title} would both be class {name}")
        classes[name] = title


def _unnamed(path: str, method: str) -> str:
    """The warning for an operation without a name."""
    words = [word for word in re.split(r"\W+", path) if word not in {"", "api", "v1", "threadId"}]
    suggestion = method + "".join(word.capitalize() for word in words)
    return (
        f"warning: {method.upper()} {path} has no name yet. Add to the actions of openapi.overlay.yaml:\n"
        f"  - target: $.paths['{path}'].{method}\n"
        f"    description: The function's name.\n"
        f"    update:\n"
        f"      operationId: {suggestion}"
    )


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
